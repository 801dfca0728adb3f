//! What looks wrong with the training.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::health;
use crate::tui::view::parts::question;

/// Draws every warning, or says that nothing looks wrong.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) {
    let found = app.workbench.as_ref().map(health::warnings).unwrap_or_default();
    let text = match found.is_empty() {
        true => "nothing looks wrong".to_owned(),
        false => found.join("\n"),
    };
    question(&app.theme, "health", &text, area, buf);
}
