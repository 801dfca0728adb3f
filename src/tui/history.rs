//! Curves in bounded memory: recent points as they are, older ones averaged.

use std::collections::VecDeque;

use crate::protocol::{Change, Clock, Epoch, Iteration, Metrics, StageStart, Timed};

/// How many recent points are kept as they are.
const RECENT: usize = 2048;
/// How many averaged points are kept of the time before.
const PAST: usize = 2048;

/// A component that holds a smaller share of the objects' pixels is unused.
pub const UNUSED: f64 = 0.01;

/// A curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    recent: VecDeque<(f64, f64)>,
    /// Means of `stride` points each.
    past: Vec<(f64, f64)>,
    stride: usize,
    /// The mean of the current group so far, and its number of points.
    partial: ((f64, f64), usize),
}

impl Default for Curve {
    fn default() -> Curve {
        Curve { recent: VecDeque::new(), past: Vec::new(), stride: 1, partial: ((0.0, 0.0), 0) }
    }
}

impl Curve {
    /// Adds a point to the right of all others. A point that is not finite is left out.
    pub fn push(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        self.recent.push_back((x, y));
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.archive(oldest);
        }
    }

    /// Averages a point into the past. When the past is full, halves its resolution.
    fn archive(&mut self, (x, y): (f64, f64)) {
        let (mean, count) = &mut self.partial;
        *count += 1;
        mean.0 += (x - mean.0) / *count as f64;
        mean.1 += (y - mean.1) / *count as f64;
        if *count < self.stride {
            return;
        }
        self.past.push(*mean);
        self.partial = ((0.0, 0.0), 0);
        if self.past.len() >= PAST {
            let pair = |p: &[(f64, f64)]| ((p[0].0 + p[1].0) / 2.0, (p[0].1 + p[1].1) / 2.0);
            self.past = self.past.chunks_exact(2).map(pair).collect();
            self.stride *= 2;
        }
    }

    /// The points, from left to right.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.past.iter().chain(&self.recent).copied()
    }

    /// How many points there are.
    fn len(&self) -> usize {
        self.past.len() + self.recent.len()
    }

    /// The newest value.
    pub fn last(&self) -> Option<f64> {
        self.recent.back().map(|p| p.1)
    }

    /// At most `count` of the newest values, the newest last; `None` for an empty curve.
    pub fn latest(&self, count: usize) -> Option<Vec<f64>> {
        let from = self.recent.len().saturating_sub(count);
        (!self.recent.is_empty()).then(|| self.recent.iter().skip(from).map(|point| point.1).collect())
    }

    /// The values from `since` on, the newest last.
    pub fn since(&self, since: f64) -> Vec<f64> {
        self.points().filter(|point| point.0 >= since).map(|point| point.1).collect()
    }

    /// The value at `x`, interpolated linearly; `None` beyond the ends.
    pub fn at(&self, x: f64) -> Option<f64> {
        let get = |i: usize| match i.checked_sub(self.past.len()) {
            Some(i) => self.recent.get(i).copied(),
            None => self.past.get(i).copied(),
        };
        let (mut low, mut high) = (0, self.len());
        // The first point at or beyond x.
        while low < high {
            let middle = (low + high) / 2;
            if get(middle).is_some_and(|point| point.0 < x) { low = middle + 1 } else { high = middle }
        }
        let (after, before) = (get(low)?, low.checked_sub(1).and_then(get));
        match before {
            _ if after.0 == x => Some(after.1),
            Some(before) => Some(
                before.1
                    + (after.1 - before.1) * (x - before.0) / (after.0 - before.0).max(f64::MIN_POSITIVE),
            ),
            None => None,
        }
    }

    /// The point nearest to `x`.
    pub fn nearest(&self, x: f64) -> Option<(f64, f64)> {
        self.points().min_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs()))
    }
}

/// The points between `from` and `to`, with those that share a column of the screen averaged: about `columns` points at
/// most.
pub fn thinned(
    points: impl Iterator<Item = (f64, f64)>,
    from: f64,
    to: f64,
    columns: usize,
) -> Vec<(f64, f64)> {
    let columns = columns.max(1);
    let width = ((to - from) / columns as f64).max(f64::MIN_POSITIVE);
    let mut thinned: Vec<(f64, f64)> = Vec::with_capacity(columns + 1);
    let (mut column, mut count) = (usize::MAX, 0.0);
    for (x, y) in points.filter(|(x, _)| (from..=to).contains(x)) {
        let here = ((x - from) / width) as usize;
        match thinned.last_mut() {
            Some(mean) if here == column => {
                count += 1.0;
                mean.0 += (x - mean.0) / count;
                mean.1 += (y - mean.1) / count;
            }
            _ => {
                thinned.push((x, y));
                (column, count) = (here, 1.0);
            }
        }
    }
    thinned
}

/// All curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Training loss by iteration.
    pub loss: Curve,
    /// Its intra-cluster part.
    pub intra: Curve,
    /// Its inter-cluster part.
    pub inter: Curve,
    /// Validation loss.
    pub validation: Curve,
    /// NLL of max_k ψ on the validation split.
    pub upper_bound: Curve,
    /// AMI (last step) of training batches.
    pub ami: Curve,
    /// ARI (last step) of training batches.
    pub ari: Curve,
    /// AMI (last step) on the validation split.
    pub validation_ami: Curve,
    /// AMI (all steps) on the validation split.
    pub validation_ami_all_steps: Curve,
    /// ARI (last step) on the validation split.
    pub validation_ari: Curve,
    /// ARI (all steps) on the validation split.
    pub validation_ari_all_steps: Curve,
    /// Mean of the largest gamma on the validation split.
    pub confidence: Curve,
    /// How many components held hardly any of the objects' pixels, at the validations since the run is on the screen.
    pub unused: Curve,
    /// Norm of the gradient.
    pub gradient: Curve,
    /// Iterations a second.
    pub speed: Curve,
    /// The clock at every kept iteration, and at epochs whose iteration was not kept.
    times: Curve,
    clock: Clock,
    /// Live changes, stages and a failure: the iteration, and the label of its mark.
    pub changes: Vec<(f64, String)>,
    /// The first iteration of the task in force: before it, losses and scores were of another one.
    pub since: f64,
}

impl History {
    /// The curves of all metrics so far.
    pub fn of(metrics: &Metrics) -> History {
        let mut history = History { clock: metrics.dropped, ..History::default() };
        for (clock, timed) in metrics.timeline() {
            history.clock = clock;
            history.add(timed);
        }
        metrics.changes.iter().for_each(|change| history.mark(change));
        metrics.stages.iter().for_each(|start| history.mark_stage(start));
        if let Some(failure) = &metrics.failure {
            history.changes.push((failure.iteration as f64, failure.label()));
        }
        history.changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        history
    }

    /// Adds the next iteration or epoch.
    pub fn push(&mut self, timed: Timed) {
        self.clock.advance(timed);
        self.add(timed);
    }

    /// Adds an iteration or epoch that ends at the current clock.
    fn add(&mut self, timed: Timed) {
        match timed {
            Timed::Iteration(iteration) => self.add_iteration(iteration),
            Timed::Epoch(epoch) => self.add_epoch(epoch),
        }
        let x = timed.iteration() as f64;
        if self.times.recent.back().is_none_or(|last| last.0 < x) {
            self.times.push(x, self.clock.seconds);
        }
    }

    /// The seconds of training until the end of an iteration.
    pub fn seconds_at(&self, iteration: f64) -> f64 {
        let (first, last) = (self.times.points().next(), self.times.last());
        match (first, last) {
            (Some((x, seconds)), _) if iteration < x => seconds * iteration / x,
            _ => self.times.at(iteration).or(last).unwrap_or(0.0),
        }
    }

    fn add_iteration(&mut self, iteration: &Iteration) {
        let x = iteration.iteration as f64;
        self.loss.push(x, iteration.loss);
        self.intra.push(x, iteration.intra);
        self.inter.push(x, iteration.inter);
        push(&mut self.gradient, x, iteration.gradient_norm);
        // A time of zero was not measured; curves leave out the resulting infinity.
        self.speed.push(x, 1.0 / iteration.seconds);
        push(&mut self.ami, x, iteration.ami);
        push(&mut self.ari, x, iteration.ari);
    }

    fn add_epoch(&mut self, epoch: &Epoch) {
        let x = epoch.iteration as f64;
        self.validation.push(x, epoch.validation_loss);
        push(&mut self.validation_ami, x, epoch.ami);
        push(&mut self.validation_ari, x, epoch.ari);
        push(&mut self.validation_ami_all_steps, x, epoch.ami_all_steps);
        push(&mut self.validation_ari_all_steps, x, epoch.ari_all_steps);
        push(&mut self.confidence, x, epoch.confidence);
        push(&mut self.upper_bound, x, epoch.upper_bound);
    }

    /// Adds each component's share of the objects' pixels, as a validation found it.
    pub fn add_held(&mut self, iteration: u64, held: &[f64]) {
        let unused = held.iter().filter(|share| **share < UNUSED).count();
        self.unused.push(iteration as f64, unused as f64);
    }

    /// Marks a live change.
    pub fn mark(&mut self, change: &Change) {
        let label = format!("{} {}→{}", change.to.short(), change.from.value(), change.to.value());
        self.changes.push((change.iteration as f64, label));
        if !change.to.keeps_loss_comparable() {
            self.since = self.since.max(change.iteration as f64);
        }
    }

    /// Marks the start of a later stage.
    pub fn mark_stage(&mut self, start: &StageStart) {
        self.changes.push((start.iteration as f64, format!("stage {}", start.stage)));
        self.since = self.since.max(start.iteration as f64);
    }

    /// Marks where the run failed.
    pub fn mark_failure(&mut self) {
        let last = self.times.recent.back().map_or(0.0, |last| last.0);
        self.changes.push((last, "failed".into()));
    }

    /// The first and the last iteration with data, at least one apart.
    pub fn span(&self) -> (f64, f64) {
        let curves = [&self.loss, &self.validation, &self.ami, &self.validation_ami];
        let first =
            curves.iter().filter_map(|c| c.points().next()).map(|p| p.0).fold(f64::INFINITY, f64::min);
        let last = curves.iter().filter_map(|c| c.recent.back()).map(|p| p.0).fold(1.0, f64::max);
        (first.min(last - 1.0), last)
    }
}

/// Adds a value, if it was measured and could be.
fn push(curve: &mut Curve, x: f64, value: Option<f64>) {
    if let Some(value) = value {
        curve.push(x, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Record;

    #[test]
    fn memory_is_bounded_and_the_recent_past_is_exact() {
        let mut curve = Curve::default();
        for i in 0..100_000 {
            curve.push(f64::from(i), f64::from(i));
        }
        let points: Vec<_> = curve.points().collect();
        assert!(points.len() <= RECENT + PAST);
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
        let recent = &points[points.len() - 1000..];
        assert!(recent.iter().zip(99_000..).all(|(p, i)| *p == (f64::from(i), f64::from(i))));
        assert!(points[0].0 < 100.0, "the beginning is still there: {:?}", points[0]);
        let gaps = points[..1000].windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert!(gaps.fold(0.0, f64::max) < 200.0, "the past is evenly coarse");
    }

    #[test]
    fn values_between_points_are_in_proportion() {
        let mut curve = Curve::default();
        (0..5000).for_each(|i| curve.push(f64::from(i) * 2.0, f64::from(i)));
        assert_eq!(curve.at(9998.0), Some(4999.0));
        assert_eq!(curve.at(9001.0), Some(4500.5));
        assert!((curve.at(101.0).unwrap_or(0.0) - 50.5).abs() < 1.0);
        assert_eq!((curve.at(-1.0), curve.at(10_000.0)), (None, None));
        assert_eq!(curve.nearest(9001.4), Some((9002.0, 4501.0)));
    }

    /// On the time axis an epoch is at its end, whichever iterations were kept, and a live run continues from there.
    #[test]
    fn the_time_of_an_epoch_does_not_depend_on_the_iterations_that_were_kept() {
        let epoch = |n: u64| Epoch { epoch: n, iteration: 1000 * n, seconds: 110.0, ..Epoch::default() };
        let done = |n: u64| Iteration { iteration: n, seconds: 0.1, ..Iteration::default() };
        let mut live = History::default();
        let (mut bounded, mut thinned) = (Metrics::default(), Metrics::default());
        for n in 1..=50_000 {
            live.push(Timed::Iteration(&done(n)));
            bounded.add(Record::Step(done(n)));
            bounded.keep_latest();
            if n % 20 == 0 {
                thinned.add(Record::Step(done(n)));
            }
            if n % 1000 == 0 {
                live.push(Timed::Epoch(&epoch(n / 1000)));
                for metrics in [&mut bounded, &mut thinned] {
                    metrics.add(Record::Epoch(epoch(n / 1000)));
                }
            }
        }
        assert!(bounded.iterations[0].iteration > 1);
        for mut history in [live, History::of(&bounded), History::of(&thinned)] {
            for n in 1..=50u32 {
                let (time, expected) = (history.seconds_at(f64::from(n) * 1000.0), 110.0 * f64::from(n));
                assert!((time - expected).abs() < 12.0, "epoch {n} at {time} s, not {expected} s");
            }
            assert!((history.seconds_at(1.0) - 0.1).abs() < 0.2, "{}", history.seconds_at(1.0));
            history.push(Timed::Iteration(&done(50_001)));
            assert!((history.seconds_at(50_001.0) - 5500.1).abs() < 1e-6);
        }
    }

    #[test]
    fn thinning_keeps_the_mean_and_numbers_only() {
        let mut curve = Curve::default();
        (0..1000).for_each(|i| curve.push(f64::from(i), if i % 2 == 0 { 1.0 } else { 3.0 }));
        curve.push(1000.0, f64::NAN);
        let thin = thinned(curve.points(), 0.0, 1000.0, 50);
        assert!(thin.len() <= 51 && thin.iter().all(|p| (p.1 - 2.0).abs() < 0.2), "{thin:?}");
        assert_eq!(curve.last(), Some(3.0));
    }
}
