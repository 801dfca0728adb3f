//! What a user can set: colours, mouse, notices, pictures, precision and keys.

mod file;

use serde::{Deserialize, Serialize};

use super::keymap::Keymap;
use super::theme::Scheme;
use crate::precision::PrecisionName;

/// The workbench as its user wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The colours.
    pub theme: Scheme,
    /// Whether the mouse works in the program; otherwise it selects text, as usual in the terminal.
    pub mouse: bool,
    /// How the user is told that the run has ended, if at all.
    pub notice: Option<Notice>,
    /// How pictures are drawn.
    pub pictures: Pictures,
    /// The precision of new runs; `None` is f32.
    pub precision: Option<PrecisionName>,
    /// The keys.
    pub keymap: Keymap,
}

/// How a user who may not be looking is told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// By the terminal's bell.
    Bell,
    /// By the desktop, where the terminal knows how.
    Desktop,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pictures {
    /// As finely as the terminal can.
    #[default]
    Auto,
    /// In half-blocks.
    Blocks,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            theme: Scheme::default(),
            mouse: true,
            notice: None,
            pictures: Pictures::default(),
            precision: None,
            keymap: Keymap::default(),
        }
    }
}
