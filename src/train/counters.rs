//! How far a training is, and whether it is done.

use serde::{Deserialize, Serialize};

use crate::preset::{Preset, Train};
use crate::protocol::Finish;

/// The progress of a training. Together with the weights and the optimizer's moments it is the whole state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Iterations done.
    pub iteration: u64,
    /// Epochs finished.
    pub epochs: u64,
    /// Batches done in the current epoch.
    pub batches: u64,
    /// Sum of their losses.
    pub epoch_loss: f64,
    /// Wall time of these batches, in seconds.
    pub epoch_seconds: f64,
    /// The best validation loss since the last change that made losses incomparable.
    pub best_validation: Option<f64>,
    /// Epochs since then.
    pub stale_epochs: u64,
    /// Stages finished.
    #[serde(default)]
    pub stages: usize,
    /// Epochs finished before the current stage.
    #[serde(default)]
    pub stage_epochs: u64,
    /// Iterations done before the current stage, which started with fresh moments.
    #[serde(default)]
    pub stage_iterations: u64,
}

impl Counters {
    /// See [`Trainer::is_done`](super::trainer::Trainer::is_done).
    pub(super) fn is_done(&self, train: &Train) -> Option<Finish> {
        let max_epochs = train.stages.get(self.stages).and_then(|stage| stage.max_epochs);
        match () {
            () if self.batches > 0 => None,
            () if self.epochs - self.stage_epochs >= max_epochs.unwrap_or(train.max_epochs) => {
                Some(Finish::MaxEpochs)
            }
            () if self.stale_epochs >= train.patience => Some(Finish::EarlyStop),
            () => None,
        }
    }

    /// The limit to the epochs of the last stage ([`Setting::MaxEpochs`](crate::preset::Setting::MaxEpochs)) for `more`
    /// epochs: more than it has done there or, in an earlier stage, more than the present limit.
    pub fn limit_for(&self, more: u64, preset: &Preset) -> u64 {
        let done = match self.stages + 1 >= preset.train.stages.len() {
            true => {
                self.epochs - self.stage_epochs + u64::from(self.batches >= preset.iterations_per_epoch())
            }
            false => preset.last_stage_epochs(),
        };
        done.saturating_add(more)
    }

    /// Whether the protocol has ended the training, including its last stage.
    pub fn is_finished(&self, train: &Train) -> bool {
        self.stages + 1 >= train.stages.len() && self.is_done(train).is_some()
    }
}
