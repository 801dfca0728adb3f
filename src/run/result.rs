//! `result.json`: how a training ended, and its scores. For other programs, such as tuners, and for tables of many runs;
//! all of it can be computed again from the metrics.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoints;
use super::directory::{self, RunFile};
use super::metrics;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::protocol::{Epoch, Finish, Floor};

/// The name of the file.
pub const RESULT: &str = "result.json";

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `patience` epochs brought no better validation loss.
    EarlyStop,
    /// The maximum number of epochs was reached.
    MaxEpochs,
    /// The maximum number of iterations was reached.
    MaxIterations,
    /// It was stopped, and can be resumed.
    Stopped,
    /// It failed.
    Failed,
}

impl Reason {
    /// Whether the protocol has ended the training.
    pub fn is_end_of_protocol(self) -> bool {
        matches!(self, Reason::EarlyStop | Reason::MaxEpochs)
    }
}

impl From<&Finish> for Reason {
    fn from(finish: &Finish) -> Reason {
        match finish {
            Finish::EarlyStop => Reason::EarlyStop,
            Finish::MaxEpochs => Reason::MaxEpochs,
            Finish::MaxIterations => Reason::MaxIterations,
            Finish::Stopped => Reason::Stopped,
            Finish::Failed(_) => Reason::Failed,
        }
    }
}

/// The result of a training. All scores are of the validation split; scores of the test split are measured by `eval`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// How it ended.
    pub reason: Reason,
    /// Why it failed: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The preset's name.
    pub preset: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Iterations done.
    pub iterations: u64,
    /// Epochs done.
    pub epochs: u64,
    /// Wall time of the training, validations included.
    pub seconds: f64,
    /// The epoch with the best validation loss, whose weights are the checkpoint `best`.
    pub best: Option<Epoch>,
    /// The last epoch.
    pub last: Option<Epoch>,
    /// The best AMI (max) of a split by position alone; `None` if there is none, or it was not measured.
    pub floor: Option<f64>,
    /// The best ARI of such a split.
    pub floor_ari: Option<f64>,
}

impl RunResult {
    /// The result of the run in `run`, from its metrics.
    ///
    /// # Errors
    /// A directory that is not a run, or is damaged.
    pub fn of(run: &Path, reason: Reason, floor: Floor) -> Result<RunResult> {
        let begun = RunFile::read(run)?;
        let preset = directory::preset(run)?;
        let metrics = metrics::read(run)?;
        Ok(RunResult {
            reason,
            error: metrics.failure.as_ref().map(|failure| failure.why.clone()),
            preset: preset.name,
            seed: begun.seed,
            iterations: metrics.last_iteration(),
            epochs: metrics.epochs.last().map_or(0, |epoch| epoch.epoch),
            seconds: metrics.timeline().last().map_or(0.0, |(clock, _)| clock.seconds),
            best: metrics.epochs.iter().rfind(|epoch| epoch.best).copied(),
            last: metrics.epochs.last().copied(),
            floor: floor.ami,
            floor_ari: floor.ari,
        })
    }

    /// Reads the file of the run in `run`; `None` while it is being trained, after its process was killed, and for runs
    /// of earlier versions.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(run: &Path) -> Result<Option<RunResult>> {
        let file = run.join(RESULT);
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| Error::content(&file, format!("not the result of a run ({e}); remove it"))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &file)(e)),
        }
    }

    /// Writes the file into the run's directory.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let file = run.join(RESULT);
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::content(&file, e.to_string()))?;
        text.push(b'\n');
        write_atomic(&file, &text)
    }
}

/// Removes the file of a run that is trained again.
pub fn remove(run: &Path) {
    let _ = std::fs::remove_file(run.join(RESULT));
}

/// The result of a run whose process was killed before it could write it; `None` unless the protocol had ended it by
/// its last checkpoint.
///
/// # Errors
/// A directory that is not a run, or is damaged.
pub fn of_ended(run: &Path) -> Result<Option<RunResult>> {
    let Some((last, _)) = checkpoints::glance_at_last(run)? else { return Ok(None) };
    let counters = &last.manifest.counters;
    if !counters.is_finished(&last.preset.train) {
        return Ok(None);
    }
    let reason = match counters.stale_epochs >= last.preset.train.patience {
        true => Reason::EarlyStop,
        false => Reason::MaxEpochs,
    };
    RunResult::of(run, reason, Floor::default()).map(Some)
}
