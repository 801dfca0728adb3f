//! The help: all keys of the context.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::theme::Theme;
use crate::tui::view::fields::Fields;
use crate::tui::view::parts::{over, wrapped};
use crate::tui::width::{padded, width};

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

/// What the table of keys does not say.
const NOTES: [&str; 2] = [
    "A lower-case letter lowers its value, upper case raises it.",
    "Ctrl-C saves and leaves at once. Ctrl-Z suspends, the training too.",
];

/// The lines on a screen so wide, each with its keys and its text.
fn lines(keys: &[HelpLine], screen: Rect) -> Vec<(String, String)> {
    // The border, and a space on both sides.
    let columns = usize::from(screen.width.saturating_sub(4)).max(1);
    let label = keys.iter().map(|line| width(&line.keys)).max().unwrap_or(0).min(columns / 3) + 1;
    let mut lines = Vec::new();
    for line in keys {
        let labels = wrapped(&line.keys, label - 1);
        let texts = wrapped(line.help, columns.saturating_sub(label));
        for at in 0..labels.len().max(texts.len()) {
            let part = |parts: &[String]| parts.get(at).cloned().unwrap_or_default();
            lines.push((padded(&part(&labels), label), part(&texts)));
        }
    }
    lines.push(Default::default());
    let notes = NOTES.iter().flat_map(|note| wrapped(note, columns));
    lines.extend(notes.map(|note| (String::new(), note)));
    lines
}

/// How many lines fit on the screen, inside a border and above the last line.
fn room(screen: Rect) -> usize {
    usize::from(screen.height.saturating_sub(3)).max(1)
}

/// A key while the help is shown from line `from` on. Returns the new first line; keys that do not scroll close the
/// help.
pub fn press(from: usize, keys: &[HelpLine], screen: Rect, key: KeyCode) -> Option<usize> {
    let (last, page) = (lines(keys, screen).len().saturating_sub(room(screen)), room(screen));
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

/// Draws the help; if it does not fit, from line `from` on.
pub fn render(theme: &Theme, keys: &[HelpLine], from: usize, area: Rect, buf: &mut Buffer) {
    let all = lines(keys, area);
    let from = from.min(all.len().saturating_sub(room(area)));
    let shown = all.iter().skip(from).take(room(area)).map(|(label, text)| {
        let style = if label.is_empty() { theme.dim() } else { Style::new() };
        Line::from(vec![
            Span::styled(format!(" {label}"), theme.strong()),
            Span::styled(text.as_str(), style),
        ])
    });
    let mut shown: Vec<Line> = shown.collect();
    let mut title = Fields::new(" ");
    title.put(1, "keys", theme.accent());
    let mut last = Fields::new("   ");
    if shown.len() < all.len() {
        title.put(0, format!("{} to {} of {}", from + 1, from + shown.len(), all.len()), theme.accent());
        match all.len() - from - shown.len() {
            0 => last.put(2, "the end", theme.dim()),
            below => last.put(2, format!("{below} more"), theme.warning()),
        }
        last.add(
            1,
            ["j k ↑ ↓ pages g G scroll", "j k scroll"].map(|text| vec![Span::styled(text, theme.dim())]),
        );
    }
    last.add(0, ["any other key closes", "q closes"].map(|text| vec![Span::styled(text, theme.dim())]));
    let columns = usize::from(area.width.saturating_sub(4));
    let mut line = last.line(columns);
    line.spans.insert(0, Span::raw(" "));
    shown.push(line);
    over(theme, title.title(area.width), &shown, area, buf);
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use crate::tui::app::{App, Overlay};
    use crate::tui::testing::{press, workbench};
    use crate::tui::update::{Message, update};

    fn from(app: &App) -> Option<usize> {
        match app.overlay {
            Some(Overlay::Help(from)) => Some(from),
            _ => None,
        }
    }

    #[test]
    fn help_closes_with_any_key_that_does_not_scroll_and_swallows_it() {
        let mut app = workbench();
        press(&mut app, "?");
        assert_eq!(from(&app), Some(0));
        press(&mut app, "↓↓↑");
        assert_eq!(from(&app), Some(1));
        assert!(press(&mut app, "x").is_empty());
        assert_eq!(from(&app), None);
    }

    /// Scrolling stops at the last line, so that the way back begins at once.
    #[test]
    fn help_scrolls_by_lines_and_pages_to_its_ends() {
        use crossterm::event::{KeyCode, KeyEvent};
        let mut app = workbench();
        app.screen = Rect::new(0, 0, 80, 12);
        press(&mut app, "?jjk");
        assert_eq!(from(&app), Some(1));
        let code = |app: &mut App, code| update(app, Message::Key(KeyEvent::from(code)));
        code(&mut app, KeyCode::PageDown);
        assert_eq!(from(&app), Some(10));
        press(&mut app, "g");
        assert_eq!(from(&app), Some(0));
        press(&mut app, "G");
        let last = from(&app).unwrap();
        press(&mut app, "jjjj");
        code(&mut app, KeyCode::PageDown);
        assert_eq!(from(&app), Some(last));
        press(&mut app, "k");
        assert_eq!(from(&app), Some(last - 1));
        code(&mut app, KeyCode::Home);
        code(&mut app, KeyCode::PageUp);
        assert_eq!(from(&app), Some(0));
        code(&mut app, KeyCode::End);
        assert_eq!(from(&app), Some(last));
        app.screen = Rect::new(0, 0, 80, 200);
        press(&mut app, "j");
        assert_eq!(from(&app), Some(0), "all of it fits");
    }
}
