//! What a run tells its viewers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Change, Command, Epoch, Floor, Iteration, Metrics, StageStart, Watched};
use crate::paths::exact;
use crate::preset::Preset;
use crate::snapshot::Input;

/// What a viewer must not miss. Sent to all viewers, except for answers, which go to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The state of the run: always the first event. A viewer that could not keep up gets it again, instead of the
    /// events that it missed.
    Started(Box<RunInfo>),
    /// Iterations done, oldest first. Several arrive at once when the viewer is slower than the training.
    Iterations(Vec<Iteration>),
    /// An epoch ended and was validated.
    Epoch(Epoch),
    /// Results of that validation for single samples and components.
    WatchedScores(Watched),
    /// A live change took effect.
    Changed(Change),
    /// The next stage of a training in stages began.
    Stage(StageStart),
    /// The floor from now on, after a change of K, of the objects or of the steps.
    Floor(Floor),
    /// An answer to one viewer: its request was not carried out.
    Refused {
        /// The request.
        request: Command,
        /// Why not, and what to do: a sentence.
        why: String,
    },
    /// An answer to one viewer: the image it asked for does not have the model's size. A request with `resize`
    /// shows it.
    WrongSize {
        /// The image.
        input: Input,
        /// Its width and height.
        size: [usize; 2],
    },
    /// A problem that is not the answer to a request; the training continues. A sentence.
    Note(String),
    /// The training pauses, or continues.
    Paused(bool),
    /// A checkpoint is on the disk.
    Saved {
        /// The iteration it holds.
        iteration: u64,
        /// Whether its validation loss is the best so far.
        best: bool,
    },
    /// The training is over and saved; the worker stays to show snapshots until it is told to stop.
    Done(Finish),
    /// The run ended; nothing follows.
    Finished(Finish),
}

/// What a viewer looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunKind {
    /// A training.
    Training,
    /// Trained weights that are only inspected.
    Model,
}

/// A run, as its viewers know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Whether it trains.
    pub kind: RunKind,
    /// Its directory.
    #[serde(with = "exact")]
    pub directory: PathBuf,
    /// The preset in force, with every change so far.
    pub preset: Preset,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The device's name, for display.
    pub device: String,
    /// The iteration it starts after: 0, or where it was resumed.
    pub iteration: u64,
    /// Number of weights of the network.
    pub parameters: usize,
    /// The best position-only AMI (max) and ARI on the validation split: what a model that learned
    /// nothing can score.
    pub floor: Floor,
    /// Its records so far, to draw complete curves; only the latest if there are very many iterations.
    pub metrics: Metrics,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finish {
    /// `patience` epochs brought no better validation loss.
    EarlyStop,
    /// The maximum number of epochs was reached.
    MaxEpochs,
    /// The maximum number of iterations was reached.
    MaxIterations,
    /// The user stopped it.
    Stopped,
    /// It failed, for the reason in this sentence.
    Failed(String),
}
