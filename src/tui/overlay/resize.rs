//! Whether to resize the user's own image.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::preset::ImageSize;
use crate::snapshot::Input;
use crate::tui::theme::Theme;
use crate::tui::view::parts::question;

/// Handles the answer; true to resize the image.
pub fn press(key: KeyCode) -> bool {
    matches!(key, KeyCode::Char('y') | KeyCode::Enter)
}

/// Asks whether to resize the image, of this width and height, to the size of the model's images.
pub fn render(
    theme: &Theme,
    input: &Input,
    [width, height]: [usize; 2],
    model: ImageSize,
    area: Rect,
    buf: &mut Buffer,
) {
    let name = input.name();
    let text = format!(
        "{name} has {width}x{height} pixels; the model's images have {}x{}",
        model.width, model.height
    );
    let answers = "y  resize it, in its proportions, on black\nn  leave it";
    question(theme, "Resize it?", (&text, answers), area, buf);
}

#[cfg(test)]
mod tests;
