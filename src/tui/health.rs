//! Warnings about a training: what is wrong, the number that shows it, and what to do.
//!
//! A rule waits until it can know: after a start, a new stage, or a change of K, the objects, the steps, the noise or the
//! loss, the network has to learn anew. The waits come from healthy runs: in the slowest one, γ is even for 800
//! iterations, and in `quickstart` for 400 to 600, of which components hold nothing for 300.

use super::history::{History, UNUSED};
use super::workbench::Workbench;
use crate::preset::{Noise, Preset};

/// If the largest γ exceeds its lowest possible value by less, γ does not choose.
const UNDECIDED: f64 = 0.05;
/// A γ that hardly chooses still does if AMI is above this.
const CHOOSING: f64 = 0.1;
/// γ is about to choose if the largest has risen by this over the validations that a rule asks for.
const AWAKENING: f64 = 0.002;
/// Iterations of a task before γ and the components say anything about it.
const BEGUN: f64 = 1000.0;
/// Successive validations that have to say the same.
const VALIDATIONS: usize = 3;
/// Successive losses or gradients that have to be high: one alone is an outlier.
const IN_A_ROW: usize = 3;
/// A loss is out of line above this multiple of its lowest level so far, a gradient above this multiple of the usual one.
/// Healthy runs reach 1.3, and 19 for a single gradient.
const JUMP: f64 = 2.0;
const EXPLOSION: f64 = 20.0;
/// A level is the median of so many losses. So many gradients have to be known.
const LEVEL: usize = 20;
const GRADIENTS: usize = 10;
/// A validation loss that stays above the best by this share is rising. Healthy runs stay above it by 0.03.
const RISE: f64 = 0.05;
/// So many gradients of exactly 0 are enough where an epoch is long.
const ZEROS: usize = 10;
/// Noise that leaves next to nothing of the image: the share of flipped pixels (half of them leave nothing), and of
/// replaced ones.
const FLIPPED: std::ops::RangeInclusive<f64> = 0.4..=0.6;
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
    let age = workbench.iteration() as f64 - history.since;
    if preset.k < 2 || age < BEGUN {
        return found;
    }
    // Where γ does not choose, which component holds a pixel is chance.
    match uniform(preset.k, history) {
        Some(uniform) => found.push(uniform),
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
        format!("K is {k} and there are {objects} objects: some have to share a component; raise K to {objects} or more")
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
    (whole_epoch || zeros >= ZEROS).then(|| {
        format!(
            "the network is saturated: its gradient was exactly 0 in all {} measured iterations of late, so it learns \
             nothing; start again with a smaller learning rate",
            zeros
        )
    })
}

/// A warning if the loss stays far above its lowest level in this task.
fn jump(history: &History) -> Option<String> {
    let losses = history.loss.since(history.since);
    let (before, latest) = losses.split_at_checked(losses.len().checked_sub(IN_A_ROW)?)?;
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
    let (before, latest) = norms.split_at_checked(norms.len().checked_sub(IN_A_ROW)?)?;
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
