//! Overlays: each in one file with its state, its keys and its drawing.

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

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::App;
use super::update::Effect;
use crate::snapshot::Input;

/// Lines that a page key goes by.
const PAGE: usize = 10;

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

/// A key while `overlay`, which was taken off the screen for it, has the keyboard.
pub fn press(app: &mut App, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
    match overlay {
        Overlay::Help(from) => help::press(app, from, key.code),
        Overlay::Health => {}
        Overlay::Log(log) => log::press(app, log, key.code),
        Overlay::Quit => return confirm::press_quit(app, key.code),
        Overlay::Stop => return confirm::press_stop(app, key.code),
        Overlay::Resize(input, _) => return resize::press(app, input, key.code),
        Overlay::Palette(palette) => return palette::press(app, palette, key),
        Overlay::Compare(choice) => return compare::press(app, choice, key.code),
    }
    vec![]
}

/// Draws the overlay, if there is one.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) {
    match &app.overlay {
        Some(Overlay::Help(from)) => help::render(app, *from, area, buf),
        Some(Overlay::Health) => health::render(app, area, buf),
        Some(Overlay::Log(read)) => log::render(app, read, area, buf),
        Some(Overlay::Quit) => confirm::render_quit(app, area, buf),
        Some(Overlay::Stop) => confirm::render_stop(app, area, buf),
        Some(Overlay::Resize(input, size)) => resize::render(app, input, *size, area, buf),
        Some(Overlay::Palette(typed)) => palette::render(app, typed, area, buf),
        Some(Overlay::Compare(choice)) => compare::render(app, choice, area, buf),
        None => {}
    }
    if app.leaving.is_some() {
        confirm::render_leaving(app, area, buf);
    }
}
