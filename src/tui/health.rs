//! Warnings about a training, each a sentence with the number behind it.

use super::history::History;
use super::workbench::Workbench;
use crate::snapshot::objects::largest;
use crate::snapshot::{Snapshot, SnapshotStep};

/// A component that holds a smaller share of the objects' pixels is empty.
const EMPTY: f64 = 0.01;
/// Two components whose predictions differ by less on average, on the objects' pixels, are duplicates.
const SAME: f64 = 0.02;
/// A component that predicts less on the objects' pixels predicts nothing.
const NOTHING: f64 = 0.1;
/// If the largest γ exceeds its lowest possible value by less, γ does not choose.
const UNDECIDED: f64 = 0.05;
/// If every component predicts more on the objects' pixels, no component has an object of its own.
const EVERYTHING: f64 = 0.6;
/// A loss above this multiple of its usual value is a spike; a gradient above this multiple explodes.
const SPIKE: f64 = 2.0;
const EXPLOSION: f64 = 20.0;
/// A validation loss that exceeds the best by this share in this many successive validations is rising.
const RISE: f64 = 0.02;
const RISING: usize = 3;
/// The number of latest points that define the usual value, and the fewest that are enough.
const USUAL: usize = 200;
const TOO_FEW: usize = 20;

/// The current warnings.
pub fn warnings(workbench: &Workbench) -> Vec<String> {
    let mut found = Vec::new();
    let preset = &workbench.preset;
    if let Some(objects) = preset.data.objects().filter(|objects| preset.k < *objects) {
        found.push(format!(
            "K is {} and there are {objects} objects: at least two of them have to share a component",
            preset.k
        ));
    }
    found.extend(curves(workbench));
    if preset.k < 2 {
        return found;
    }
    // All validation samples tell more than one sample.
    let held = &workbench.watched.held;
    let validated = held.len() == preset.k && held.iter().sum::<f64>() > 0.0;
    if validated {
        found.extend(dead(preset.k, preset.data.objects(), |k| held[k], "all validation samples"));
        found.extend(workbench.epoch.and_then(|epoch| uniform(preset.k, epoch.confidence?)));
    }
    if let Some(snapshot) = workbench.snapshot.as_deref()
        && let Some(step) = snapshot.steps.last()
        && snapshot.k == preset.k
    {
        found.extend(components(snapshot, step, preset.data.objects(), validated));
    }
    found
}

/// A warning if more components than the spare ones are empty.
fn dead(k: usize, objects: Option<usize>, share: impl Fn(usize) -> f64, of: &str) -> Option<String> {
    let empty: Vec<String> = (0..k).filter(|k| share(*k) < EMPTY).map(|k| k.to_string()).collect();
    let spare = objects.map_or(1, |objects| k.saturating_sub(objects));
    (empty.len() > spare).then(|| {
        format!(
            "dead components: {} hold less than {:.0} % of what is drawn in {of}",
            empty.join(", "),
            100.0 * EMPTY
        )
    })
}

/// A warning if γ does not choose, by the mean of its largest value.
fn uniform(k: usize, confidence: f64) -> Option<String> {
    let even = 1.0 / k as f64;
    (confidence < even + UNDECIDED).then(|| {
        format!(
            "gamma is uniform: the largest is {confidence:.2} on average, and {even:.2} means no preference"
        )
    })
}

fn curves(workbench: &Workbench) -> Vec<String> {
    let mut found = Vec::new();
    let history = &workbench.history;
    found.extend(workbench.why_unscored().map(|why| format!("AMI and ARI cannot be scored: {why}")));
    found.extend(saturated(history, workbench.preset.iterations_per_epoch()));
    if let Some((now, usual)) = history.loss.latest(USUAL).and_then(against_usual)
        && now > SPIKE * usual
    {
        found.push(format!("the loss has jumped to {now:.1}, {:.1} times what is usual", now / usual));
    }
    if let Some((now, usual)) = history.gradient.latest(USUAL).and_then(against_usual)
        && now > EXPLOSION * usual
    {
        found.push(format!(
            "the gradient explodes: its norm is {now:.1}, {:.0} times what is usual; a lower learning rate may hold it",
            now / usual
        ));
    }
    let validation: Vec<f64> = history.validation.points().map(|point| point.1).collect();
    if validation.len() > RISING {
        let (before, latest) = validation.split_at(validation.len() - RISING);
        let best = before.iter().copied().fold(f64::INFINITY, f64::min);
        if latest.iter().all(|loss| *loss > best + RISE * best.abs()) {
            let now = latest[RISING - 1];
            found.push(format!(
                "the validation loss rises: {now:.1}, and it was {best:.1}; the best checkpoint is kept"
            ));
        }
    }
    found
}

/// A warning if every gradient measured in the last epoch is exactly 0.
fn saturated(history: &History, epoch: u64) -> Option<String> {
    let last = history.loss.points().last()?.0;
    let since = last - epoch as f64;
    let norms = history.gradient.points().filter(|(x, _)| *x > since).map(|(_, norm)| norm);
    let (count, zeros) = norms.fold((0, 0), |(n, zeros), norm| (n + 1, zeros + usize::from(norm == 0.0)));
    (since >= 0.0 && count > 0 && zeros == count).then(|| {
        format!(
            "the network is saturated: its gradient was exactly 0 in all {count} measured iterations of the last {epoch}, \
             so it learns nothing; start again with a smaller learning rate"
        )
    })
}

/// The newest value, and the median of those before it.
fn against_usual(mut values: Vec<f64>) -> Option<(f64, f64)> {
    let now = values.pop()?;
    if values.len() < TOO_FEW {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2];
    (median > 0.0).then_some((now, median))
}

/// Warnings about the components in the last EM step of the sample on the screen, without those `known` from all
/// validation samples.
fn components(snapshot: &Snapshot, step: &SnapshotStep, objects: Option<usize>, known: bool) -> Vec<String> {
    let (k, places, values) = (snapshot.k, snapshot.image.pixels(), snapshot.image.values());
    let drawn: Vec<usize> =
        (0..places).filter(|i| step.groups.get(*i).is_some_and(|group| *group > 0)).collect();
    let complete = step.gamma.len() == k * places && step.preds.len() == k * values;
    if drawn.is_empty() || !complete {
        return Vec::new();
    }
    let mean = |of: &dyn Fn(usize) -> f64| drawn.iter().map(|i| of(*i)).sum::<f64>() / drawn.len() as f64;
    let pred = |component: usize, pixel: usize| f64::from(step.preds[component * values + pixel]);
    let mut found = Vec::new();
    let winners = largest(step, k);
    let share = |component| mean(&|i| f64::from(u8::from(winners[i] == component)));
    if !known {
        found.extend(dead(k, objects, share, "this sample"));
    }
    // Two components that predict nothing here are not duplicates.
    for one in (0..k).filter(|one| mean(&|i| pred(*one, i)) > NOTHING) {
        for other in one + 1..k {
            let apart = mean(&|i| (pred(one, i) - pred(other, i)).abs());
            if apart < SAME {
                found.push(format!(
                    "components {one} and {other} are duplicates: their predictions differ by {apart:.3}"
                ));
            }
        }
    }
    let of_largest =
        mean(&|i| (0..k).map(|component| f64::from(step.gamma[component * places + i])).fold(0.0, f64::max));
    if !known {
        found.extend(uniform(k, of_largest));
    }
    let least = mean(&|i| (0..k).map(|component| pred(component, i)).fold(f64::INFINITY, f64::min));
    if least > EVERYTHING {
        found.push(format!(
            "all components see everything: even the least predicts {least:.2} of what is drawn; more weight on \
             the inter-cluster loss parts them"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ImageSize;
    use crate::protocol::{Iteration, Timed};

    fn step(groups: &[u8], gamma: &[f32], preds: &[f32]) -> (Snapshot, SnapshotStep) {
        let image = ImageSize { channels: 1, height: 1, width: groups.len() };
        let values = vec![1.0; groups.len()];
        let step = SnapshotStep {
            target: values.clone(),
            noisy: values,
            groups: groups.to_vec(),
            preds: preds.to_vec(),
            gamma: gamma.to_vec(),
            ami: None,
            ari: None,
            confidence: None,
        };
        let k = gamma.len() / groups.len();
        (
            Snapshot {
                iteration: 1,
                sample: 0,
                input: None,
                image,
                k,
                look: vec![],
                steps: vec![step.clone()],
            },
            step,
        )
    }

    fn said(groups: &[u8], gamma: &[f32], preds: &[f32]) -> Vec<String> {
        let (snapshot, step) = step(groups, gamma, preds);
        components(&snapshot, &step, Some(2), false)
    }

    #[test]
    fn components_that_do_their_work_are_not_spoken_of() {
        assert!(said(&[1, 2], &[0.9, 0.1, 0.1, 0.9], &[0.9, 0.1, 0.1, 0.9]).is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_number() {
        let dead = said(&[1, 2], &[0.9, 0.9, 0.1, 0.1], &[0.9, 0.9, 0.1, 0.1]);
        assert!(dead[0].contains("dead components: 1"), "{dead:?}");
        let same = said(&[1, 2], &[0.9, 0.1, 0.1, 0.9], &[0.5, 0.5, 0.5, 0.5]);
        assert!(same[0].contains("0 and 1 are duplicates") && same[0].contains("0.000"), "{same:?}");
        let uniform = said(&[1, 2], &[0.51, 0.49, 0.49, 0.51], &[0.9, 0.1, 0.1, 0.9]);
        assert!(uniform[0].contains("0.51"), "{uniform:?}");
        let all = said(&[1, 2], &[0.9, 0.1, 0.1, 0.9], &[0.9, 0.8, 0.8, 0.9]);
        assert!(all[0].contains("even the least predicts 0.80"), "{all:?}");
    }

    #[test]
    fn all_samples_are_asked_where_they_were_validated() {
        let shares = [0.6, 0.395, 0.005];
        let said = dead(3, Some(3), |k| shares[k], "all validation samples").unwrap();
        assert!(
            said.contains("dead components: 2 hold less than 1 %") && said.contains("all validation"),
            "{said}"
        );
        assert_eq!(dead(3, Some(2), |k| shares[k], ""), None, "one more than there are objects");
        assert!(uniform(4, 0.27).is_some() && uniform(4, 0.9).is_none());
    }

    #[test]
    fn a_network_without_a_gradient_is_saturated() {
        let mut history = History::default();
        let mut say = |iterations: std::ops::RangeInclusive<u64>, norm: f64| {
            for iteration in iterations {
                let gradient_norm = iteration.is_multiple_of(5).then_some(norm);
                let done = Iteration { iteration, gradient_norm, ..Iteration::default() };
                history.push(Timed::Iteration(&done));
            }
            saturated(&history, 20)
        };
        assert_eq!(say(1..=3, 0.0), None, "not an epoch yet");
        assert_eq!(say(4..=20, 1e-30), None, "small");
        assert_eq!(say(21..=39, 0.0), None, "not a whole epoch");
        let said = say(40..=45, 0.0).unwrap();
        assert!(said.contains("saturated") && said.contains("all 4 measured iterations"), "{said}");
        assert_eq!(say(46..=50, 0.5), None, "it learns again");
    }

    #[test]
    fn a_jump_is_one_against_what_is_usual() {
        let mut values = vec![2.0; 30];
        assert_eq!(against_usual(values.clone()), Some((2.0, 2.0)));
        values.push(50.0);
        assert_eq!(against_usual(values), Some((50.0, 2.0)));
        assert_eq!(against_usual(vec![1.0; 5]), None, "too few to say");
    }
}
