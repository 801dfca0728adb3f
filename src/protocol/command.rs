//! What a viewer asks of a run.

use serde::{Deserialize, Serialize};

use crate::preset::Setting;
use crate::snapshot::Input;

/// What the user asks of a running training. Taken between two iterations, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Stop after the iteration in progress, until `Resume` or `Step`.
    Pause,
    /// Go on.
    Resume,
    /// One iteration, then pause.
    Step,
    /// Write a checkpoint now.
    Checkpoint,
    /// Change a value for the iterations to come.
    Set(Setting),
    /// Show this validation sample in the snapshots to come, to everybody who looks.
    Watch(usize),
    /// Take the snapshots to come under these conditions in the place of the training's; with none, under its own.
    Look(Vec<Setting>),
    /// Show this image in the place of the validation samples, or with none the samples again, as `Watch` does.
    Input(Option<Input>),
    /// Take a snapshot now: somebody has begun to look.
    Show,
    /// Time every iteration part by part, or no longer.
    Profile(bool),
    /// Save, then end the run.
    Stop,
}
