//! Lines over the screen, through which the user scrolls where they do not fit.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;
use crate::tui::view::fields::Fields;
use crate::tui::view::parts::over;

/// The columns of a line on a screen of this width: inside a border, with a space on both sides.
pub fn columns(screen: Rect) -> usize {
    usize::from(screen.width.saturating_sub(4)).max(1)
}

/// How many lines fit on the screen, inside a border and above the last line.
fn room(screen: Rect) -> usize {
    usize::from(screen.height.saturating_sub(3)).max(1)
}

/// A key while `lines` lines are shown from line `from` on. Returns the new first line; keys that do not scroll close
/// the overlay.
pub fn press(from: usize, lines: usize, screen: Rect, key: KeyCode) -> Option<usize> {
    let (last, page) = (lines.saturating_sub(room(screen)), room(screen));
    let to = match key {
        KeyCode::Down | KeyCode::Char('j') => from + 1,
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => from + page,
        KeyCode::PageUp => from.saturating_sub(page),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return None,
    };
    Some(to.min(last))
}

/// Draws the lines; if they do not fit, from line `from` on.
pub fn render(theme: &Theme, name: &str, lines: &[Line], from: usize, area: Rect, buf: &mut Buffer) {
    let from = from.min(lines.len().saturating_sub(room(area)));
    let mut shown: Vec<Line> = lines.iter().skip(from).take(room(area)).cloned().collect();
    let mut title = Fields::new(" ");
    title.put(1, name, theme.accent());
    let mut last = Fields::new("   ");
    if shown.len() < lines.len() {
        title.put(0, format!("{} to {} of {}", from + 1, from + shown.len(), lines.len()), theme.accent());
        match lines.len() - from - shown.len() {
            0 => last.put(2, "the end", theme.dim()),
            below => last.put(2, format!("{below} more"), theme.warning()),
        }
        last.add(
            1,
            ["j k ↑ ↓ pages g G scroll", "j k scroll"].map(|text| vec![Span::styled(text, theme.dim())]),
        );
    }
    last.add(0, ["any other key closes", "q closes"].map(|text| vec![Span::styled(text, theme.dim())]));
    let mut line = last.line(columns(area));
    line.spans.insert(0, Span::raw(" "));
    shown.push(line);
    over(theme, title.title(area.width), &shown, area, buf);
}
