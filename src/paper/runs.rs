//! Runs that were trained for an experiment, and their scores, which are stored as one file for each test of each run.
//!
//! A run is finished when the protocol has ended it: no better validation loss for `patience` epochs, or the most epochs
//! allowed. Scores of unfinished runs are shown apart and never enter a mean.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::experiments::TestConditions;
use crate::error::{Error, Result};
use crate::files::{has_extension, write_atomic};
use crate::paths::{Shown, shown};
use crate::preset::{Difference, Preset, differences, embedded_names};
use crate::protocol::{Change, Metrics};
use crate::run::directory::{self, RunFile};
use crate::run::metrics;
use crate::run::score::ScoreReport;

/// The scores of one run in one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredRun {
    /// The run.
    pub training: TrainedRun,
    /// The test's name.
    pub test: String,
    /// Its scores.
    pub report: ScoreReport,
}

/// How a run was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedRun {
    /// The preset's name.
    pub preset: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Whether its digits were synthetic; its scores do not compare with the paper's then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
    /// Whether the protocol ended it.
    pub finished: bool,
    /// Epochs done.
    pub epochs: u64,
    /// Iterations done.
    pub iterations: u64,
    /// Wall time spent on them, validation included.
    pub hours: f64,
    /// Validation loss after the last epoch.
    pub validation_loss: Option<f64>,
    /// Validation AMI (max) of the last step, after the last epoch.
    pub validation_ami: Option<f64>,
    /// The device it began on, and the machine.
    pub device: String,
    /// The version and commit of the program that began it.
    pub version: String,
    /// Differences from the named preset, as `path: its value -> the run's value`: settings and initial weights.
    pub changed: Vec<String>,
}

/// A run that could not be trained or scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedRun {
    /// The preset's name.
    pub preset: String,
    /// The run's seed.
    pub seed: u64,
    /// A sentence that says why.
    pub why: String,
}

impl std::fmt::Display for FailedRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, seed {}: {}", self.preset, self.seed, self.why)
    }
}

impl TrainedRun {
    /// The run in `path`, as of its last checkpoint.
    ///
    /// # Errors
    /// A directory that is not a run, has no checkpoint, or is damaged.
    pub fn read(path: &Path) -> Result<TrainedRun> {
        let file = RunFile::read(path)?;
        let checkpoint = directory::checkpoint_or_last(path)?;
        let counters = &checkpoint.manifest.counters;
        let preset = &checkpoint.preset;
        // A run that was killed has records that are later than its last checkpoint.
        let Metrics { mut epochs, changes: mut live, .. } = metrics::read(path)?;
        epochs.retain(|epoch| epoch.epoch <= counters.epochs);
        live.retain(|change| change.iteration <= counters.iteration);
        let seconds = epochs.iter().map(|epoch| epoch.seconds).sum::<f64>() + counters.epoch_seconds;
        let changed = changes(&file, preset, counters.stages, &live);
        Ok(TrainedRun {
            preset: preset.name.clone(),
            seed: file.seed,
            synthetic: preset.data.is_synthetic(),
            finished: counters.is_finished(&preset.train),
            epochs: counters.epochs,
            iterations: counters.iteration,
            hours: seconds / 3600.0,
            validation_loss: epochs.last().map(|epoch| epoch.validation_loss),
            validation_ami: epochs.last().and_then(|epoch| epoch.ami),
            device: [file.computed_on(), file.machine]
                .iter()
                .filter(|s| !s.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
            version: file.version,
            changed,
        })
    }

    /// Its directory's name.
    pub fn name(&self) -> String {
        run_name(&self.preset, self.seed, self.synthetic)
    }

    /// In words.
    pub(super) fn state(&self) -> &'static str {
        match self.finished {
            true if self.is_cut_short() => "cut short",
            true => "finished",
            false => "unfinished",
        }
    }

    /// Whether it ended sooner than its preset says.
    pub(super) fn is_cut_short(&self) -> bool {
        self.finished && self.changed.iter().any(|change| ends_sooner(change))
    }

    /// Whether the protocol ended it where the preset says: only then are its scores results.
    pub(super) fn is_complete(&self) -> bool {
        self.finished && !self.is_cut_short()
    }
}

/// The name of a run's directory.
pub(super) fn run_name(preset: &str, seed: u64, synthetic: bool) -> String {
    format!("{preset}{}-s{seed}", if synthetic { "-synthetic" } else { "" })
}

/// Whether `change`, a [`Difference`] in words, lowers a limit that ends a run or one of its stages.
fn ends_sooner(change: &str) -> bool {
    let Some((path, (before, after))) =
        change.split_once(": ").and_then(|(path, values)| Some((path, values.split_once(" -> ")?)))
    else {
        return false;
    };
    match path.strip_prefix("train.") {
        // Different stages are a different protocol, however long they are.
        Some("stages") => true,
        Some(limit) if limit == "patience" || limit.ends_with("max_epochs") => {
            // Not a number: a stage without a limit.
            let epochs = |value: &str| value.parse::<f64>().unwrap_or(f64::INFINITY);
            epochs(after) < epochs(before)
        }
        _ => false,
    }
}

/// How the run of `file`, in `stage` (from 0), differs from the embedded preset of that name: settings, except what a
/// run decides by itself (whose digits, and which stage); `live` changes, even those that were undone; and the weights
/// it began with.
pub(super) fn changes(file: &RunFile, preset: &Preset, stage: usize, live: &[Change]) -> Vec<String> {
    let is_known = embedded_names().any(|name| name == preset.name);
    let Some(Ok(mut named)) = is_known.then(|| Preset::load(&preset.name)) else {
        return vec!["not a preset of this program".into()];
    };
    named = named.after_stages(stage + 1);
    if let Some(digits) = preset.data.digits() {
        named.data = named.data.with_digits(digits.clone());
    }
    named.about.clone_from(&preset.about);
    named.expect.clone_from(&preset.expect);
    let settings = differences(&named, preset);
    let weights = file.from.iter().map(|of| format!("weights: the seed's -> those of {}", name_of(of)));
    let state =
        file.forked.iter().map(|of| format!("weights and moments: the seed's -> those of {}", name_of(of)));
    let live = live.iter().map(|Change { iteration, from, to }| {
        format!("{} at iteration {iteration}: {} -> {}", to.field(), from.value(), to.value())
    });
    settings.iter().map(Difference::to_string).chain(live).chain(weights).chain(state).collect()
}

/// The name of a model, or of the run that a checkpoint belongs to.
fn name_of(weights: &Path) -> Shown<'_> {
    let of = match weights.parent() {
        Some(checkpoints) if checkpoints.ends_with("checkpoints") => checkpoints.parent().unwrap_or(weights),
        _ => weights,
    };
    shown(of.file_name().unwrap_or(of.as_os_str()))
}

impl ScoredRun {
    /// The name of the file for the scores of `run` in `test`.
    pub fn file_name(run: &TrainedRun, test: &TestConditions) -> String {
        format!("{}-{}.json", run.name(), test.name)
    }

    /// Reads one; `None` without such a file.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Option<ScoredRun>> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                Error::content(
                    path,
                    format!("not the scores of a run ({e}); remove it to have them measured again"),
                )
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", path)(e)),
        }
    }

    /// Reads all in `directory`, sorted by file name; an empty list where there is no such directory.
    ///
    /// # Errors
    /// As [`ScoredRun::read`].
    pub fn read_all(directory: &Path) -> Result<Vec<ScoredRun>> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", directory)(e)),
        };
        let paths: BTreeSet<_> = entries.flatten().map(|entry| entry.path()).collect();
        let json = paths.iter().filter(|path| has_extension(path, "json"));
        json.filter_map(|path| ScoredRun::read(path).transpose()).collect()
    }

    /// Writes it into `directory`.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&self, directory: &Path, test: &TestConditions) -> Result<()> {
        let file = directory.join(ScoredRun::file_name(&self.training, test));
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::content(&file, e.to_string()))?;
        text.push(b'\n');
        write_atomic(&file, &text)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::preset::Setting;

    /// Measured scores, presented as those of another run and test.
    pub(crate) fn scored(preset: &str, seed: u64, test: &str, finished: bool) -> ScoredRun {
        let stored = include_str!("../../tests/fixtures/scored.json");
        let mut scored: ScoredRun = serde_json::from_str(stored).unwrap();
        scored.training = TrainedRun { preset: preset.into(), seed, finished, ..scored.training };
        scored.test = test.into();
        scored
    }

    /// Weights of another run are not a setting, but a run that began with them was trained differently.
    #[test]
    fn a_run_from_other_weights_is_not_as_its_preset_says() {
        let preset = Preset::load("static-shapes-rnn-em").unwrap();
        let told = |how: &str, of: Option<&str>| {
            let run = serde_json::json!({"seed": 1, "device": "flex", "version": "0", how: of});
            changes(&serde_json::from_value(run).unwrap(), &preset, 0, &[])
        };
        assert_eq!(told("from", None), [""; 0]);
        assert_eq!(told("from", Some("static-shapes")), ["weights: the seed's -> those of static-shapes"]);
        let checkpoint = Some("/x/runs/mine/checkpoints/it-00000300");
        assert_eq!(told("from", checkpoint), ["weights: the seed's -> those of mine"]);
        assert_eq!(told("forked", checkpoint), ["weights and moments: the seed's -> those of mine"]);
    }

    /// A value that was changed during the training is reported, even where the last checkpoint has the preset's again.
    #[test]
    fn a_steered_run_is_not_as_its_preset_says() {
        let preset = Preset::load("static-shapes-rnn-em").unwrap();
        let run =
            serde_json::from_value(serde_json::json!({"seed": 1, "device": "flex", "version": "0"})).unwrap();
        let change = |iteration, from, to| Change { iteration, from: Setting::K(from), to: Setting::K(to) };
        let told = changes(&run, &preset, 0, &[change(3, 4, 5), change(9, 5, 4)]);
        assert_eq!(told, ["k at iteration 3: 4 -> 5", "k at iteration 9: 5 -> 4"]);
    }

    /// A user's own preset is not read again, because its name might be a path.
    #[test]
    fn a_preset_of_the_users_own_is_said_to_be_one() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("mine.ron").display().to_string();
        let preset = Preset { name: file.clone(), ..Preset::load("quickstart").unwrap() };
        std::fs::write(file, preset.to_ron()).unwrap();
        let run =
            serde_json::from_value(serde_json::json!({"seed": 1, "device": "flex", "version": "0"})).unwrap();
        assert_eq!(changes(&run, &preset, 0, &[]), ["not a preset of this program"]);
    }

    /// Only lower limits end a run sooner; other settings do not cut the protocol short.
    #[test]
    fn a_run_is_cut_short_by_lower_limits_only() {
        let state = |finished, change: &str| {
            let run = scored("static-shapes-rnn-em", 1, "as-trained", finished).training;
            TrainedRun { changed: vec!["train.batch: 64 -> 32".into(), change.into()], ..run }.state()
        };
        for (change, finished) in [
            ("train.max_epochs: 500 -> 2", "cut short"),
            ("train.max_epochs: 500 -> 501", "finished"),
            ("train.patience: 10 -> 9", "cut short"),
            ("train.patience: 10 -> 20", "finished"),
            ("train.stages.1.max_epochs: null -> 3", "cut short"),
            ("train.stages.1.max_epochs: 3 -> null", "finished"),
            ("train.stages.1.learning_rate: 0.1 -> 0.01", "finished"),
            ("train.stages: [] -> [{\"images\":\"All\"}]", "cut short"),
            ("weights: the seed's -> those of mine", "finished"),
        ] {
            assert_eq!(state(true, change), finished, "{change}");
            assert_eq!(state(false, change), "unfinished", "{change}");
        }
    }
}
