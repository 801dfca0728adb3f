//! Warnings about a training: what is wrong, the number that shows it, and what to do.
//!
//! A rule waits until it can know: after a start, a new stage, or a change of K, the objects, the steps, the noise or the
//! loss, the network has to learn again. The waits come from healthy runs: in the slowest one γ is even for 800
//! iterations; in `quickstart` it is even for 400 to 600, and components hold nothing for 300 of them.

use super::history::{History, UNUSED};
use super::workbench::Workbench;
use crate::preset::{Noise, Preset};

/// If the largest γ exceeds its lowest possible value by less, γ does not choose.
const UNDECIDED: f64 = 0.05;
/// A γ that hardly chooses still does if AMI is above this.
const CHOOSING: f64 = 0.1;
/// An AMI below this is chance. No healthy run has one after the wait.
const RANDOM: f64 = 0.05;
/// γ is about to choose if the largest has risen by this over the validations that a rule asks for.
const AWAKENING: f64 = 0.002;
/// Iterations of a task before γ and the components say anything about it.
const BEGUN: f64 = 1000.0;
/// Successive validations that have to say the same.
const VALIDATIONS: usize = 3;
/// Successive losses that have to be high: one alone is an outlier.
const LOSSES: usize = 3;
/// The same for gradients. Healthy runs without `clip_norm` reach 950 times the usual norm once, 21 times four times in a
/// row, and 6 times five times in a row.
const NORMS: usize = 5;
/// A loss is out of line above this multiple of its lowest level so far, a gradient above this multiple of the usual one.
/// Losses of healthy runs reach 1.3.
const JUMP: f64 = 2.0;
const EXPLOSION: f64 = 20.0;
/// A level is the median of this many losses. At least this many gradients have to be known.
const LEVEL: usize = 20;
const GRADIENTS: usize = 10;
/// A validation loss that stays above the best by this share is rising. Healthy runs stay above it by 0.03.
const RISE: f64 = 0.05;
/// So many gradients of exactly 0 are enough where an epoch is long.
const ZEROS: usize = 10;
/// Noise that leaves next to nothing of the image: the share of flipped pixels (half of them leave nothing, and
/// `quickstart` still learns at 0.4), and of replaced ones.
const FLIPPED: std::ops::RangeInclusive<f64> = 0.43..=0.57;
const REPLACED: f64 = 0.9;

/// The current warnings, the causes first.
pub fn warnings(workbench: &Workbench) -> Vec<String> {
    if workbench.is_model() || workbench.iteration() == 0 {
        return Vec::new();
    }
    let (preset, history) = (&workbench.preset, &workbench.history);
    let mut found: Vec<String> = too_few(preset).into_iter().chain(too_noisy(preset)).collect();
    // What follows from saturation is not told.
    if let Some(saturated) = saturated(history, preset.iterations_per_epoch()) {
        found.push(saturated);
        return found;
    }
    found.extend([jump(history), explosion(history), rise(history)].into_iter().flatten());
    let validated = history.validation.points().last().map_or(0.0, |point| point.0);
    if preset.k < 2 || validated - history.since < BEGUN {
        return found;
    }
    // Where chance decides which component holds a pixel, the components show nothing else.
    match uniform(preset.k, history).or_else(|| random(history)) {
        Some(chance) => found.push(chance),
        None => {
            found.extend(unused(preset, history, &workbench.watched.held));
            found.extend(workbench.doubts.lasting(history.since + BEGUN));
        }
    }
    found
}

/// A warning if objects have to share components. One component is a choice: it is what several are compared with.
fn too_few(preset: &Preset) -> Option<String> {
    let (k, objects) = (preset.k, preset.data.objects()?);
    (k > 1 && k < objects).then(|| {
        format!("K is {k} and there are {objects} objects: at least two of them have to share a component; raise K to {objects} or more")
    })
}

/// A warning if noise hides the image.
fn too_noisy(preset: &Preset) -> Option<String> {
    match preset.noise {
        Noise::Bitflip { probability: p } if FLIPPED.contains(&p) => Some(format!(
            "noise {p} hides the objects: it flips {:.0} % of the pixels, and 50 % leave nothing of the image; lower it",
            100.0 * p
        )),
        Noise::MaskedUniform { probability: p } if p > REPLACED => Some(format!(
            "noise {p} hides the objects: it replaces {:.0} % of the pixels; lower it",
            100.0 * p
        )),
        _ => None,
    }
}

/// A warning if every gradient measured in the last epoch, or the last few, are exactly 0.
fn saturated(history: &History, epoch: u64) -> Option<String> {
    let last = history.loss.points().last()?.0;
    let since = last - epoch as f64;
    let norms: Vec<(f64, f64)> = history.gradient.points().collect();
    let zeros = norms.iter().rev().take_while(|(_, norm)| *norm == 0.0).count();
    let of_epoch = norms.iter().filter(|(x, _)| *x > since).count();
    let whole_epoch = since >= 0.0 && of_epoch > 0 && zeros >= of_epoch;
    let count = if whole_epoch { of_epoch } else { zeros };
    (whole_epoch || zeros >= ZEROS).then(|| {
        format!(
            "the network is saturated: its gradient was exactly 0 in all {count} measured iterations of \
             late, so it learns nothing; start again with a smaller learning rate"
        )
    })
}

/// A warning if the loss stays far above its lowest level in this task.
fn jump(history: &History) -> Option<String> {
    let losses = history.loss.since(history.since);
    let (before, latest) = losses.split_at_checked(losses.len().checked_sub(LOSSES)?)?;
    let now = latest.iter().copied().fold(f64::INFINITY, f64::min);
    let best = before.chunks_exact(LEVEL).filter_map(median).min_by(f64::total_cmp)?;
    (best > 0.0 && now > JUMP * best).then(|| {
        format!(
            "the loss has jumped to {now:.1}, {:.1} times its lowest level: what was learned is being lost; lower the \
             learning rate, or fork an earlier checkpoint",
            now / best
        )
    })
}

/// A warning if the gradient stays far above its usual norm.
fn explosion(history: &History) -> Option<String> {
    let norms = history.gradient.since(history.since);
    let (before, latest) = norms.split_at_checked(norms.len().checked_sub(NORMS)?)?;
    let now = latest.iter().copied().fold(f64::INFINITY, f64::min);
    let usual = median(before).filter(|usual| before.len() >= GRADIENTS && *usual > 0.0)?;
    (now > EXPLOSION * usual).then(|| {
        format!(
            "the gradient explodes: its norm is {now:.1}, {:.0} times what is usual; lower the learning rate, or train \
             with train.clip_norm",
            now / usual
        )
    })
}

/// A warning if the validation loss stays above its best.
fn rise(history: &History) -> Option<String> {
    let losses = history.validation.since(history.since);
    let (before, latest) = losses.split_at_checked(losses.len().checked_sub(VALIDATIONS)?)?;
    let best = before.iter().copied().min_by(f64::total_cmp)?;
    latest.iter().all(|loss| *loss > best + RISE * best.abs()).then(|| {
        format!(
            "the validation loss rises: it is {:.1} and was {best:.1}; lower the learning rate, or stop: the best checkpoint \
             is kept",
            latest[VALIDATIONS - 1]
        )
    })
}

/// A warning if γ does not choose, by the mean of its largest value in the last validations.
fn uniform(k: usize, history: &History) -> Option<String> {
    let confidence = history.confidence.since(history.since);
    let latest = confidence.last_chunk::<VALIDATIONS>()?;
    let even = 1.0 / k as f64;
    let ami = history.validation_ami.since(history.since).last().copied();
    let chooses = ami.is_some_and(|ami| ami > CHOOSING)
        || latest[VALIDATIONS - 1] > latest[0] + AWAKENING
        || latest.iter().any(|confidence| *confidence > even + UNDECIDED);
    (!chooses).then(|| {
        format!(
            "gamma is uniform: its largest value is {:.2} on average, and {even:.2} is chance for K = {k}, so the \
             components are alike; try a higher learning rate, less noise or another seed",
            latest[VALIDATIONS - 1]
        )
    })
}

/// A warning if γ chooses, but at random, in the last validations.
fn random(history: &History) -> Option<String> {
    let amis = history.validation_ami.since(history.since);
    let latest = amis.last_chunk::<VALIDATIONS>()?;
    let learns = latest.iter().any(|ami| *ami > RANDOM);
    (!learns).then(|| {
        format!(
            "the components hold pixels at random: AMI (last step) is {:.2}, and 0.00 is chance; start again with a smaller \
             learning rate or another seed",
            latest[VALIDATIONS - 1].max(0.0)
        )
    })
}

/// A warning if, in the last validations, more components than the spare ones were unused.
fn unused(preset: &Preset, history: &History, held: &[f64]) -> Option<String> {
    let counts = history.unused.since(history.since);
    let latest = counts.last_chunk::<VALIDATIONS>()?;
    // Of unknown objects there are at least two.
    let spare = preset.k.saturating_sub(preset.data.objects().unwrap_or(2));
    if held.len() != preset.k || latest.iter().any(|count| *count <= spare as f64) {
        return None;
    }
    let unused: Vec<String> = (0..preset.k).filter(|k| held[*k] < UNUSED).map(|k| k.to_string()).collect();
    let (last, others) = unused.split_last()?;
    let what = match others {
        [] => format!("component {last} is unused: it holds"),
        others => format!("components {} and {last} are unused: each holds", others.join(", ")),
    };
    Some(format!(
        "{what} under {:.0} % of the object pixels, so the others share the objects; try less inter-cluster weight or \
         another seed",
        100.0 * UNUSED
    ))
}

/// The median; `None` without values.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Epoch, Iteration, Timed};

    #[test]
    fn a_network_without_a_gradient_is_saturated() {
        let mut history = History::default();
        let mut say = |iterations: std::ops::RangeInclusive<u64>, norm: f64, epoch| {
            for iteration in iterations {
                let gradient_norm = iteration.is_multiple_of(5).then_some(norm);
                let done = Iteration { iteration, gradient_norm, ..Iteration::default() };
                history.push(Timed::Iteration(&done));
            }
            saturated(&history, epoch)
        };
        assert_eq!(say(1..=3, 0.0, 20), None, "not an epoch yet");
        assert_eq!(say(4..=20, 1e-30, 20), None, "small");
        assert_eq!(say(21..=39, 0.0, 20), None, "not a whole epoch");
        let said = say(40..=45, 0.0, 20).unwrap();
        assert!(said.contains("saturated") && said.contains("all 4 measured iterations"), "{said}");
        assert_eq!(say(46..=50, 0.5, 20), None, "it learns again");
        assert_eq!(say(51..=95, 0.0, 1000), None);
        let said = say(96..=100, 0.0, 1000).unwrap();
        assert!(said.contains("all 10 measured iterations"), "an epoch is long: {said}");
    }

    /// A history of losses, gradients and validations, each from iteration 1 on.
    fn history(losses: &[f64], norms: &[f64], validations: &[(f64, f64, f64)]) -> History {
        let mut history = History::default();
        let longest = losses.len().max(norms.len());
        for (i, iteration) in (0..longest).zip(1..) {
            let (loss, gradient_norm) = (*losses.get(i).unwrap_or(&1.0), norms.get(i).copied());
            history.push(Timed::Iteration(&Iteration {
                iteration,
                loss,
                gradient_norm,
                ..Iteration::default()
            }));
        }
        for ((validation_loss, ami, confidence), iteration) in validations.iter().copied().zip(1..) {
            let (ami, confidence) = (Some(ami), Some(confidence));
            let epoch =
                Epoch { epoch: iteration, iteration, validation_loss, ami, confidence, ..Epoch::default() };
            history.push(Timed::Epoch(&epoch));
        }
        history
    }

    #[test]
    fn a_jump_and_an_explosion_last_for_a_while() {
        let of = |values: &[f64]| history(values, values, &[]);
        let said = |values: &[f64]| (jump(&of(values)).is_some(), explosion(&of(values)).is_some());
        let mut values = vec![2.0; 30];
        assert_eq!(said(&values), (false, false));
        values.extend([50.0; 2]);
        assert_eq!(said(&values), (false, false), "an outlier");
        values.push(50.0);
        assert_eq!(said(&values), (true, false), "a loss is out of line sooner than a gradient");
        values.extend([50.0; 2]);
        assert_eq!(said(&values), (true, true));
        values.extend([50.0; 100]);
        assert!(said(&values).0, "a high loss does not become usual");
        values.push(2.0);
        assert_eq!(said(&values), (false, false));
        assert_eq!(said(&[1.0, 1.0, 1.0, 50.0, 50.0, 50.0]), (false, false), "too few to say");
        assert_eq!(said(&[]), (false, false));
        let mut values = vec![2.0; 30];
        values.extend([5.0; 3]);
        let mut another = of(&values);
        assert!(jump(&another).is_some());
        another.since = 31.0;
        assert_eq!(jump(&another), None, "another task");
    }

    #[test]
    fn a_validation_alone_is_no_reason_to_warn() {
        let of = |validations: &[(f64, f64, f64)]| history(&[], &[], validations);
        let rising = [(10.0, 0.5, 0.9), (11.0, 0.5, 0.9), (12.0, 0.5, 0.9), (13.0, 0.5, 0.9)];
        assert!(rise(&of(&rising)).unwrap().contains("it is 13.0 and was 10.0"));
        assert_eq!(rise(&of(&rising[..3])), None);
        let even = [(1.0, 0.0, 0.25); 3];
        let said = uniform(4, &of(&even)).unwrap();
        assert!(said.contains("0.25 is chance for K = 4"), "{said}");
        assert_eq!(uniform(4, &of(&even[..2])), None);
        assert_eq!(uniform(4, &of(&[even[0], even[0], (1.0, 0.4, 0.25)])), None, "it chooses, if only just");
        assert_eq!(uniform(4, &of(&[even[0], (1.0, 0.0, 0.26), (1.0, 0.0, 0.27)])), None, "it is about to");
        let sure = [(1.0, 0.01, 0.99); 3];
        assert_eq!(uniform(4, &of(&sure)), None);
        assert!(random(&of(&sure)).unwrap().contains("AMI (last step) is 0.01, and 0.00 is chance"));
        assert_eq!(random(&of(&[sure[0], sure[0], (1.0, 0.2, 0.99)])), None);
    }

    #[test]
    fn unused_components_are_named_if_more_than_are_spare() {
        let preset = Preset::load("quickstart").unwrap();
        let said = |shares: &[f64], k: usize, times: usize| {
            let mut history = History::default();
            (1..=times as u64).for_each(|i| history.add_held(100 * i, shares));
            unused(&Preset { k, ..preset.clone() }, &history, shares)
        };
        let two = said(&[0.6, 0.0, 0.39, 0.005], 4, 3).unwrap();
        assert!(
            two.starts_with("components 1 and 3 are unused: each holds under 1 % of the object pixels"),
            "{two}"
        );
        assert_eq!(said(&[0.6, 0.0, 0.39, 0.005], 4, 2), None, "not for long");
        assert_eq!(said(&[0.6, 0.1, 0.3, 0.0], 4, 3), None, "one more than there are objects");
        let one = said(&[0.6, 0.0, 0.4], 3, 3).unwrap();
        assert!(one.starts_with("component 1 is unused: it holds under 1 % of the object pixels"), "{one}");
        assert_eq!(said(&[], 4, 3), None, "of another K");
    }
}
