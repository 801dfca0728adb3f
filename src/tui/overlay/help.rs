//! The help: all keys of the context.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;
use crate::tui::view::parts::over;
use crate::tui::width::padded;

/// Neighbouring actions that share a line of the help.
pub struct HelpLine {
    /// The name of the first of them.
    pub name: &'static str,
    /// What they do.
    pub help: &'static str,
    /// At most two words for the hints; empty to leave it out.
    pub hint: &'static str,
    /// The first key of each action in the hints.
    pub label: String,
    /// All their keys.
    pub keys: String,
}

/// A key while the help of so many lines is shown from line `from` on. Returns the new first line; all keys but the
/// arrows close the help.
pub fn press(from: usize, lines: usize, key: KeyCode) -> Option<usize> {
    match key {
        // How many lines fit depends on the screen.
        KeyCode::Down => Some((from + 1).min(lines)),
        KeyCode::Up => Some(from.saturating_sub(1)),
        _ => None,
    }
}

/// Draws the help; if it does not fit, from line `from` on.
pub fn render(theme: &Theme, keys: &[HelpLine], from: usize, area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.height.saturating_sub(6)).max(1);
    let from = from.min(keys.len().saturating_sub(room));
    let shown = keys.iter().skip(from).take(room).map(|line| {
        let label = format!(" {} ", padded(&line.keys, 9));
        Line::from(vec![Span::styled(label, theme.strong()), Span::raw(line.help)])
    });
    let mut lines: Vec<Line> = shown.collect();
    let (more, title) = match room < keys.len() {
        true => ("↑ ↓ scroll. ", format!(" keys {} to {} of {} ", from + 1, from + lines.len(), keys.len())),
        false => ("", " keys ".to_owned()),
    };
    lines.push(Line::raw(""));
    for note in [
        "A lower-case letter lowers its value, upper case raises it.".to_owned(),
        "Ctrl-C saves and leaves at once. Ctrl-Z suspends, the training too.".to_owned(),
        format!("{more}Any other key closes this."),
    ] {
        lines.push(Line::styled(format!(" {note}"), theme.dim()));
    }
    over(theme, &title, &lines, area, buf);
}

#[cfg(test)]
mod tests {
    use crate::tui::app::Overlay;
    use crate::tui::testing::{press, workbench};

    #[test]
    fn help_closes_with_any_key_and_swallows_it() {
        let mut app = workbench();
        press(&mut app, "?");
        assert!(matches!(app.overlay, Some(Overlay::Help(0))));
        press(&mut app, "↓↓↑");
        assert!(matches!(app.overlay, Some(Overlay::Help(1))));
        assert!(press(&mut app, "k").is_empty());
        assert!(app.overlay.is_none());
    }
}
