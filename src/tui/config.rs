//! The user's config: colours, mouse, notices, pictures, precision and keys.

mod file;

use serde::{Deserialize, Serialize};

use super::keymap::Keymap;
use super::theme::Scheme;
use crate::precision::PrecisionName;

/// The user's settings of the workbench.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The colours.
    pub theme: Scheme,
    /// Whether the program uses the mouse; otherwise it selects text, as usual in a terminal.
    pub mouse: bool,
    /// How to notify the user that the run has ended; `None` for not at all.
    pub notice: Option<Notice>,
    /// How pictures are drawn.
    pub pictures: Pictures,
    /// The precision of new runs; `None` means f32.
    pub precision: Option<PrecisionName>,
    /// The keys.
    pub keymap: Keymap,
}

/// How to notify a user who may not be looking at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The terminal's bell.
    Bell,
    /// A desktop notification, if the terminal supports it.
    Desktop,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pictures {
    /// As finely as the terminal allows.
    #[default]
    Auto,
    /// As half-blocks.
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
