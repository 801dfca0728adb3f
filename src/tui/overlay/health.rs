//! What looks wrong with the training.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::Theme;
use crate::tui::view::parts::question;

/// Draws every warning, or says that nothing looks wrong.
pub fn render(theme: &Theme, warnings: &[String], area: Rect, buf: &mut Buffer) {
    let text = match warnings {
        [] => "nothing looks wrong".to_owned(),
        warnings => warnings.iter().map(|warning| format!("! {warning}")).collect::<Vec<_>>().join("\n"),
    };
    question(theme, "warnings", &text, area, buf);
}
