//! What a run tells its viewers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Change, Epoch, Floor, Iteration, Metrics, StageStart, Watched};
use crate::preset::Preset;
use crate::snapshot::{Input, as_text};

/// What the user must not miss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The run exists, and this is how it stands. Always the first event; a viewer that could not keep up
    /// gets it again, in the place of what it missed.
    Started(Box<RunInfo>),
    /// Iterations done, oldest first. Several arrive at once when the user is slower than the
    /// training.
    Iterations(Vec<Iteration>),
    /// An epoch ended and was validated.
    Epoch(Epoch),
    /// What that validation found beside means.
    WatchedScores(Watched),
    /// A live change took effect.
    Changed(Change),
    /// The next stage of a training in stages began.
    Stage(StageStart),
    /// The floor of what is trained from now on, after a change of K, of the objects or of the steps.
    Floor(Floor),
    /// A live change, or a checkpoint, was refused or failed; the training goes on. A sentence.
    Refused(String),
    /// An image was asked for whose size is not the model's, but this width and height; it is shown when it is asked for
    /// with `resize`.
    WrongSize {
        /// The image.
        input: Input,
        /// Its width and height.
        size: [usize; 2],
    },
    /// The training pauses, or goes on.
    Paused(bool),
    /// From now on snapshots show this validation sample.
    Watched(usize),
    /// A checkpoint is on the disk.
    Saved {
        /// The iteration it holds.
        iteration: u64,
        /// Whether its validation loss is the best so far.
        best: bool,
    },
    /// The training is over and saved; the worker stays to show pictures until told to stop.
    Done(Finish),
    /// The run ended; nothing follows.
    Finished(Finish),
}

/// A run, as its user knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// The preset in force, with every change so far.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// The device's name, for people.
    pub device: String,
    /// The iteration it starts after: 0, or where it was resumed.
    pub iteration: u64,
    /// Weights of the network, counted.
    pub parameters: usize,
    /// The best position-only AMI (max) and ARI on the validation split: what a model that learned
    /// nothing can score.
    pub floor: Floor,
    /// What it has recorded so far, to draw the curves whole; of very many iterations only the latest.
    pub metrics: Metrics,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finish {
    /// `patience` epochs brought no better validation loss.
    EarlyStop,
    /// All epochs asked for are done.
    MaxEpochs,
    /// All iterations asked for are done.
    MaxIterations,
    /// The user stopped it.
    Stopped,
    /// Nothing was trained: a model was on show.
    Shown,
    /// It failed, as the sentence says.
    Failed(String),
}
