//! How long a preset takes on this machine: a few iterations are timed once, and the result is kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::backend::Compute;
use crate::data::Split;
use crate::error::Result;
use crate::files::write_atomic;
use crate::machine;
use crate::preset::{Preset, Stage};
use crate::stop::Stop;
use crate::train::evaluate::ScoredSteps;
use crate::train::trainer::Trainer;

/// How long iterations are timed, and how many at most.
const LONG_ENOUGH: Duration = Duration::from_millis(800);
const ENOUGH: usize = 12;
/// Images of the validation that is timed.
const VALIDATED: usize = 32;

/// Where the time of `preset` on this device of this machine is kept under `cache`.
fn file(cache: &Path, preset: &Preset, compute: Compute) -> PathBuf {
    let key = format!("{}\n{compute}\n{}", preset.to_ron(), machine::description());
    let sum = Sha256::digest(key.as_bytes());
    let name: String = sum.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    cache.join("timings").join(name)
}

/// The seconds that `preset` takes on this device, if they were measured before.
pub(super) fn known(cache: &Path, preset: &Preset, compute: Compute) -> Option<f64> {
    std::fs::read_to_string(file(cache, preset, compute)).ok()?.trim().parse().ok()
}

/// Keeps a time. If it cannot be written, it is measured again the next time.
pub(super) fn keep(cache: &Path, preset: &Preset, compute: Compute, seconds: f64) {
    let file = file(cache, preset, compute);
    let made = std::fs::create_dir_all(file.parent().unwrap_or(cache));
    let _ = made.map(|()| write_atomic(&file, format!("{seconds}\n").as_bytes()));
}

/// Measures how many seconds all epochs of `preset` take, validations included.
///
/// # Errors
/// Those of a training of `preset`; [`crate::error::Error::Stopped`].
pub(super) fn measure(preset: &Preset, seed: u64, compute: Compute, stop: &Stop) -> Result<f64> {
    let device = compute.open()?;
    let mut trainer =
        Trainer::new(preset, seed, &device)?.with_precision(compute.precision()).with_stop(stop.clone());
    trainer.set_read_every(1);
    // The first iteration allocates and compiles.
    trainer.step()?;
    let (mut times, begun) = (Vec::new(), Instant::now());
    while !trainer.epoch_is_over() && times.len() < ENOUGH && begun.elapsed() < LONG_ENOUGH {
        stop.check()?;
        let start = Instant::now();
        trainer.step()?;
        times.push(start.elapsed().as_secs_f64());
    }
    // Other work on the machine only makes iterations slower.
    let fastest = times.into_iter().min_by(f64::total_cmp);
    let iteration = fastest.unwrap_or_else(|| begun.elapsed().as_secs_f64());
    let all = preset.train.validation_size;
    let some = all.clamp(1, VALIDATED);
    let start = Instant::now();
    trainer.evaluate(Split::Validation, some, ScoredSteps::Weighted)?;
    let validation = start.elapsed().as_secs_f64() * all as f64 / some as f64;
    Ok(in_all(preset, iteration, validation))
}

/// The seconds for all epochs, from those of an iteration and of a validation in the first stage. In later stages they
/// grow with the number of components and of EM steps.
fn in_all(preset: &Preset, iteration: f64, validation: f64) -> f64 {
    let epoch = iteration * preset.iterations_per_epoch() as f64 + validation;
    let work = |preset: &Preset| (preset.k * preset.steps) as f64;
    let first = work(&preset.at_first_stage());
    let train = &preset.train;
    let stage = |(i, stage): (usize, &Stage)| {
        let epochs = stage.max_epochs.unwrap_or(train.max_epochs) as f64;
        epochs * work(&preset.after_stages(i + 1)) / first
    };
    match train.stages.as_slice() {
        [] => train.max_epochs as f64 * epoch,
        stages => stages.iter().enumerate().map(stage).sum::<f64>() * epoch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::error::Error;

    #[test]
    fn a_preset_is_timed_once_and_stops_when_asked() {
        let sets = [
            "train.train_size=16",
            "train.batch=4",
            "train.validation_size=4",
            "train.max_epochs=3",
            "steps=2",
        ];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        let compute = Compute::from(DeviceName::Flex);
        let seconds = measure(&preset, 1, compute, &Stop::default()).unwrap();
        assert!(seconds > 0.0);
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(known(cache.path(), &preset, compute), None);
        keep(cache.path(), &preset, compute, seconds);
        assert_eq!(known(cache.path(), &preset, compute), Some(seconds));
        let other = preset.set(&["steps=3"]).unwrap();
        assert_eq!(known(cache.path(), &other, compute), None);
        let stop = Stop::default();
        stop.request();
        assert!(matches!(measure(&preset, 1, compute, &stop), Err(Error::Stopped)));
    }

    #[test]
    fn later_stages_take_longer_with_more_to_do() {
        let plain = Preset::load("quickstart").unwrap().set(&["train.max_epochs=3", "steps=10"]).unwrap();
        let epoch = 2.0 * plain.iterations_per_epoch() as f64 + 5.0;
        assert_eq!(in_all(&plain, 2.0, 5.0), 3.0 * epoch);
        let stages = "train.stages=[(learning_rate: 1, max_epochs: 2), (learning_rate: 1, set: [Steps(20)])]";
        assert_eq!(in_all(&plain.set(&[stages]).unwrap(), 2.0, 5.0), (2.0 + 2.0 * 3.0) * epoch);
    }
}
