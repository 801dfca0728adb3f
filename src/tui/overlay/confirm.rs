//! Questions before a run ends, and the notice while it is saved.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::Theme;
use crate::tui::view::parts::question;

/// An answer to "Save and leave?".
pub enum QuitAnswer {
    /// Save the run, end it and leave.
    Leave,
    /// Leave; the run continues without a screen.
    Detach,
    /// Do not leave.
    Stay,
}

/// A key at "Save and leave?".
pub fn press_quit(key: KeyCode) -> QuitAnswer {
    match key {
        KeyCode::Char('y' | 'q' | 'Q') | KeyCode::Enter => QuitAnswer::Leave,
        KeyCode::Char('d') => QuitAnswer::Detach,
        _ => QuitAnswer::Stay,
    }
}

/// A key at "End the run?"; true to end it.
pub fn press_stop(key: KeyCode) -> bool {
    key == KeyCode::Char('y')
}

/// Asks whether to save and leave.
pub fn render_quit(theme: &Theme, paused: bool, area: Rect, buf: &mut Buffer) {
    let paused = if paused { ", unpaused" } else { "" };
    let text = format!("y  save, then leave\nd  continue in the background{paused}\nn  stay");
    question(theme, "Save and leave?", &text, area, buf);
}

/// Asks whether to end an attached run.
pub fn render_stop(theme: &Theme, area: Rect, buf: &mut Buffer) {
    let text = "y  save and end it, for every viewer\nn  keep it running";
    question(theme, "End the run?", text, area, buf);
}

/// Says what the program is waiting for: the end of a model's picture, or of a run.
pub fn render_leaving(theme: &Theme, is_model: bool, area: Rect, buf: &mut Buffer) {
    let (title, text) = if is_model {
        ("Leaving…", "the picture in progress ends")
    } else {
        ("Saving…", "the run is being saved")
    };
    question(theme, title, text, area, buf);
}
