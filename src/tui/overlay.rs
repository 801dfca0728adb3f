//! Overlays: each in one file with its state, its keys and its drawing. They do not know the rest of the screen:
//! decisions are returned, and what to draw is passed in.

pub(super) mod compare;
pub(super) mod confirm;
pub(super) mod further;
pub(super) mod health;
pub(super) mod help;
pub(super) mod log;
pub(super) mod palette;
pub(super) mod resize;
mod scroll;

pub use self::compare::Choice;
pub use self::further::Further;
pub use self::log::Log;
pub use self::palette::Palette;

use std::path::PathBuf;

use crate::protocol::Deletion;
use crate::snapshot::Input;

/// What covers the screen and takes the keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys and commands, from this line on.
    Help(usize),
    /// What looks wrong, from this line on.
    Health(usize),
    /// "Save and leave?"
    Quit,
    /// "Back to the list?"
    Back,
    /// How many epochs more, for a run that is over.
    Further(Further),
    /// The text that filters the list is being typed.
    Filter,
    /// "Delete it?", for the run in this directory.
    Delete(PathBuf, Deletion),
    /// "End the run?", for an attached one.
    Stop,
    /// "Resize it?", for an image of this width and height.
    Resize(Input, [usize; 2]),
    /// The run's log.
    Log(Log),
    /// A command that is being typed.
    Palette(Box<Palette>),
    /// Other runs to compare this one with, and how their settings differ.
    Compare(Choice),
}
