//! What a viewer asks of a run.

use serde::{Deserialize, Serialize};

use crate::preset::Setting;
use crate::snapshot::Input;

/// What a viewer asks of a run. Taken between two iterations, in order. What cannot be done is answered with
/// [`super::Event::Refused`], to this viewer alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Stop after the iteration in progress, until `Resume` or `Step`.
    Pause,
    /// Continue after a pause.
    Resume,
    /// One iteration, then pause.
    Step,
    /// Write a checkpoint now.
    Checkpoint,
    /// Train this many epochs more than the limit or, once the training is over, more than it has done.
    Train(u64),
    /// Change a value from the next iteration on.
    Set(Setting),
    /// Show this viewer this validation sample from now on.
    Watch(usize),
    /// Take this viewer's snapshots under these settings instead of the training's; an empty list returns to those.
    Look(Vec<Setting>),
    /// Show this viewer this image instead of a validation sample; `None` returns to the sample, as `Watch` does.
    Input(Option<Input>),
    /// Take a snapshot for this viewer now.
    Show,
    /// Time the parts of every iteration, or stop doing so.
    Profile(bool),
    /// Save, then end the run.
    Stop,
}
