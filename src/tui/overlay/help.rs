//! The help: all keys and commands of the context.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::scroll;
use crate::tui::theme::Theme;
use crate::tui::view::parts::wrapped;
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

/// What can be done in a context.
pub struct Help {
    /// The keys.
    pub keys: Vec<HelpLine>,
    /// What can only be typed: each command with its argument, and what it does.
    pub commands: Vec<(String, &'static str)>,
}

/// What the table of keys does not say: about values, where keys change some, and about all contexts.
const VALUES: &str = "A lower-case letter lowers its value, upper case raises it.";
const ALWAYS: &str = "Ctrl-C saves and leaves at once. Ctrl-Z suspends, the training too.";

/// The lines on a screen of this width, each with its keys or its command, and its text.
fn lines(help: &Help, screen: Rect) -> Vec<(String, String)> {
    let columns = scroll::columns(screen);
    let blank = || (String::new(), String::new());
    let keys = help.keys.iter().map(|line| (line.keys.as_str(), line.help)).collect::<Vec<_>>();
    let commands = help.commands.iter().map(|(command, help)| (command.as_str(), *help)).collect::<Vec<_>>();
    let mut lines = table(&keys, columns);
    if !commands.is_empty() {
        lines.push(blank());
        lines.extend(table(&commands, columns));
    }
    lines.push(blank());
    let values = help.keys.iter().any(|line| line.name.ends_with("-down")).then_some(VALUES);
    let notes = values.into_iter().chain([ALWAYS]).flat_map(|note| wrapped(note, columns));
    lines.extend(notes.map(|note| (String::new(), note)));
    lines
}

/// The rows in two columns, of which the first takes a third of the width at most.
fn table(rows: &[(&str, &str)], columns: usize) -> Vec<(String, String)> {
    let label = rows.iter().map(|(label, _)| width(label)).max().unwrap_or(0).min(columns / 3) + 1;
    let row = |(labels, text): &(&str, &str)| {
        let (labels, texts) = (wrapped(labels, label - 1), wrapped(text, columns.saturating_sub(label)));
        let part = |parts: &[String], at: usize| parts.get(at).cloned().unwrap_or_default();
        let line = |at| (padded(&part(&labels, at), label), part(&texts, at));
        (0..labels.len().max(texts.len())).map(line).collect::<Vec<_>>()
    };
    rows.iter().flat_map(row).collect()
}

/// A key while the help is shown from line `from` on. Returns the new first line; keys that do not scroll close the
/// help.
pub fn press(from: usize, help: &Help, screen: Rect, key: KeyCode) -> Option<usize> {
    scroll::press(from, lines(help, screen).len(), screen, key)
}

/// Draws the help; if it does not fit, from line `from` on.
pub fn render(theme: &Theme, help: &Help, from: usize, area: Rect, buf: &mut Buffer) {
    let line = |(label, text): (String, String)| {
        let style = if label.is_empty() { theme.dim() } else { Style::new() };
        Line::from(vec![Span::styled(format!(" {label}"), theme.strong()), Span::styled(text, style)])
    };
    let all: Vec<Line> = lines(help, area).into_iter().map(line).collect();
    scroll::render(theme, "keys", &all, from, area, buf);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::actions;
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

    /// What has no key is in the help, too.
    #[test]
    fn help_lists_the_commands_that_have_no_key() {
        let mut app = workbench();
        app.config.keymap = actions::keymap(&[("undo".to_owned(), vec![])].into()).unwrap();
        let help = actions::all_help(&app.config.keymap, app.context());
        let lines: Vec<String> =
            lines(&help, app.screen).into_iter().map(|(label, text)| label + &text).collect();
        for (command, does) in [
            (":train N ", "train N more epochs"),
            (":runs ", "back to the models"),
            (":undo ", "undo the latest change"),
            (":fork [here|best|IT]", "start a new run"),
        ] {
            let is_it = |line: &String| line.starts_with(command) && line.contains(does);
            assert!(lines.iter().any(is_it), "{command}: {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with(":pause")), "it has a key");
        assert!(lines.iter().all(|line| width(line) <= 76), "{lines:#?}");
    }

    /// Scrolling stops at the last line, so that the way back begins at once.
    #[test]
    fn help_scrolls_by_lines_and_pages_to_its_ends() {
        use crossterm::event::KeyEvent;
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
