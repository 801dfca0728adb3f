//! Questions before a run ends, and the notice while it is saved.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::{App, Leave};
use crate::tui::update::Effect;
use crate::tui::update::leave::{leave, stop};
use crate::tui::view::parts::question;

/// A key at "Save and leave?".
pub fn press_quit(app: &mut App, key: KeyCode) -> Vec<Effect> {
    match key {
        KeyCode::Char('y' | 'q' | 'Q') | KeyCode::Enter => leave(app, Leave::Program),
        KeyCode::Char('d') => {
            let to = if app.is_running() { Leave::Detach } else { Leave::Program };
            leave(app, to)
        }
        _ => vec![],
    }
}

/// A key at "End the run?".
pub fn press_stop(app: &mut App, key: KeyCode) -> Vec<Effect> {
    match key {
        KeyCode::Char('y') => stop(app, Leave::Program),
        _ => vec![],
    }
}

/// Asks whether to save and leave.
pub fn render_quit(app: &App, area: Rect, buf: &mut Buffer) {
    let paused = app.workbench.as_ref().is_some_and(|workbench| workbench.paused);
    let detach = if paused { "detach: it ends its pause and" } else { "detach: it" };
    let text = format!("y  save, then leave\nd  {detach} trains on without a screen\nn  stay");
    question(&app.theme, "Save and leave?", &text, area, buf);
}

/// Asks whether to end an attached run.
pub fn render_stop(app: &App, area: Rect, buf: &mut Buffer) {
    let text = "y  save and end it, for every viewer\nn  let it train on";
    question(&app.theme, "End the run?", text, area, buf);
}

/// Says what the program is waiting for.
pub fn render_leaving(app: &App, area: Rect, buf: &mut Buffer) {
    let model = app.workbench.as_ref().is_some_and(|workbench| workbench.is_model());
    let (title, text) = if model {
        ("Leaving…", "the picture in progress ends")
    } else {
        ("Saving…", "the run is being saved")
    };
    question(&app.theme, title, text, area, buf);
}
