//! Questions before a run ends, and the notice while it is saved.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::protocol::Deletion;
use crate::tui::theme::Theme;
use crate::tui::view::parts::question;
use crate::tui::width::bytes;

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

/// A key at "Delete it?"; true to delete it.
pub fn press_delete(key: KeyCode) -> bool {
    key == KeyCode::Char('y')
}

/// A key at "End the run?"; true to end it.
pub fn press_stop(key: KeyCode) -> bool {
    key == KeyCode::Char('y')
}

/// Asks whether to save and leave.
pub fn render_quit(theme: &Theme, paused: bool, area: Rect, buf: &mut Buffer) {
    let paused = if paused { ", unpaused" } else { "" };
    let answers = format!("y  save, then leave\nd  continue in the background{paused}\nn  stay");
    question(theme, "Save and leave?", ("", &answers), area, buf);
}

/// Asks what becomes of the training when its user goes back to the list.
pub fn render_back(theme: &Theme, paused: bool, area: Rect, buf: &mut Buffer) {
    let detach = if paused { "unpauses and continues" } else { "continues" };
    let answers = format!(
        "y  stop: it is saved, and can be resumed\nd  detach: it {detach} in the background\nn  stay"
    );
    question(theme, "Back to the list?", ("", &answers), area, buf);
}

/// Asks whether to delete the run `name` of this size.
pub fn render_delete(theme: &Theme, name: &str, deletion: &Deletion, area: Rect, buf: &mut Buffer) {
    let mut text = format!("{name} takes {} on the disk.", bytes(deletion.bytes));
    if let [first, rest @ ..] = &deletion.dependents[..] {
        let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        text += &format!("\n{first}{others} began with its weights and cannot be repeated without them.");
    }
    let answers = "y  delete it for good\nn  keep it";
    question(theme, &format!("Delete {name}?"), (&text, answers), area, buf);
}

/// Asks whether to end an attached run.
pub fn render_stop(theme: &Theme, area: Rect, buf: &mut Buffer) {
    let answers = "y  save and end it, for every viewer\nn  keep it running";
    question(theme, "End the run?", ("", answers), area, buf);
}

/// Says what the program is waiting for: the end of a model's picture, or of a run.
pub fn render_leaving(theme: &Theme, is_model: bool, area: Rect, buf: &mut Buffer) {
    let (title, text) = if is_model {
        ("Leaving…", "the picture in progress ends")
    } else {
        ("Saving…", "the run is being saved")
    };
    question(theme, title, (text, ""), area, buf);
}
