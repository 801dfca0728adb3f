//! Overlays: each in one file with its state, its keys and its drawing. None knows the rest of the screen: what a key
//! decides is returned, and what is drawn is passed in.

pub(super) mod compare;
pub(super) mod confirm;
pub(super) mod health;
pub(super) mod help;
pub(super) mod log;
pub(super) mod palette;
pub(super) mod resize;

pub use self::compare::Choice;
pub use self::log::Log;
pub use self::palette::Palette;

use crate::snapshot::Input;

/// What covers the screen and takes the keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, from this line on.
    Help(usize),
    /// What looks wrong.
    Health,
    /// "Save and leave?"
    Quit,
    /// "End the run?", for an attached one.
    Stop,
    /// "Resize it?", of an image of this width and height.
    Resize(Input, [usize; 2]),
    /// The run's log.
    Log(Log),
    /// A command that is being typed.
    Palette(Box<Palette>),
    /// Other runs to compare this one with, and how their settings differ.
    Compare(Choice),
}
