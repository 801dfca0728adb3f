//! Curves in bounded memory: the recent past point by point, the distant past averaged.

/// Points kept of a curve.
const LIMIT: usize = 4096;

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// Adds a point to the right of all others; values that are no numbers are left out.
    pub fn push(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        if self.points.len() >= LIMIT {
            // Halve the older half: what is long past can be coarser.
            let recent = self.points.split_off(LIMIT / 2);
            let pairs = self.points.chunks(2);
            self.points = pairs
                .map(|pair| {
                    let n = pair.len() as f64;
                    (pair.iter().map(|p| p.0).sum::<f64>() / n, pair.iter().map(|p| p.1).sum::<f64>() / n)
                })
                .collect();
            self.points.extend(recent);
        }
        self.points.push((x, y));
    }

    /// The points, from left to right.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The newest value.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|p| p.1)
    }

    /// At most `columns` points, each the mean of its neighbours: what a screen that wide can show.
    pub fn thinned(&self, from: f64, to: f64, columns: usize) -> Vec<(f64, f64)> {
        let columns = columns.max(1);
        if self.points.len() <= columns {
            return self.points.clone();
        }
        let width = ((to - from) / columns as f64).max(f64::MIN_POSITIVE);
        let mut thinned: Vec<(f64, f64)> = Vec::with_capacity(columns);
        let (mut column, mut count) = (usize::MAX, 0.0);
        for &(x, y) in &self.points {
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
    /// AMI (max) of training batches.
    pub ami: Curve,
    /// ARI of training batches.
    pub ari: Curve,
    /// AMI (max) on the validation split.
    pub validation_ami: Curve,
    /// ARI on the validation split.
    pub validation_ari: Curve,
    /// Live changes: the iteration, and what to write beside the mark.
    pub changes: Vec<(f64, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_recent_past_is_exact() {
        let mut curve = Curve::default();
        for i in 0..100_000 {
            curve.push(f64::from(i), f64::from(i));
        }
        let points = curve.points();
        assert!(points.len() <= LIMIT);
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
        let recent = &points[points.len() - 1000..];
        assert!(recent.iter().zip(99_000..).all(|(p, i)| *p == (f64::from(i), f64::from(i))));
        assert!(points[0].0 < 2000.0, "the beginning is still there: {:?}", points[0]);
    }

    #[test]
    fn thinning_keeps_the_mean_and_numbers_only() {
        let mut curve = Curve::default();
        (0..1000).for_each(|i| curve.push(f64::from(i), if i % 2 == 0 { 1.0 } else { 3.0 }));
        curve.push(1000.0, f64::NAN);
        let thin = curve.thinned(0.0, 1000.0, 50);
        assert!(thin.len() <= 51 && thin.iter().all(|p| (p.1 - 2.0).abs() < 0.2), "{thin:?}");
        assert_eq!(curve.last(), Some(3.0));
    }
}
