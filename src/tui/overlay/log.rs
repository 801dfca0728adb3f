//! The run's log.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use crate::tui::theme::Theme;
use crate::tui::view::parts::{pane, put, wrapped};

/// Lines that a page key scrolls, in any overlay.
pub const PAGE: usize = 10;

/// The part of the run's log that is shown.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Its latest lines, the newest last.
    pub lines: Vec<String>,
    /// How many of them are below the screen. While there are any, the log does not follow.
    pub below: usize,
}

impl Log {
    /// Handles a key; false if it closes the log, as every key does that does not scroll.
    pub fn press(&mut self, key: KeyCode) -> bool {
        let most = self.lines.len().saturating_sub(1);
        self.below = match key {
            KeyCode::Up | KeyCode::Char('k') => (self.below + 1).min(most),
            KeyCode::Down | KeyCode::Char('j') => self.below.saturating_sub(1),
            KeyCode::PageUp => (self.below + PAGE).min(most),
            KeyCode::PageDown => self.below.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => most,
            KeyCode::End | KeyCode::Char('G') => 0,
            _ => return false,
        };
        true
    }
}

/// Draws as many of the latest lines as fit, the newest at the bottom.
pub fn render(theme: &Theme, log: &Log, area: Rect, buf: &mut Buffer) {
    // Small screens have no room for anything around it.
    let margin = if area.width >= 60 && area.height >= 16 { Margin::new(2, 1) } else { Margin::new(0, 0) };
    let at = area.inner(margin);
    Clear.render(at, buf);
    let title = match log.below {
        0 => " log ─ ↑ ↓ scroll ".to_owned(),
        below => format!(" log ─ stands still, {below} below ─ ↑ ↓ "),
    };
    let inner = pane(Line::styled(title, theme.accent()), true, theme, at, buf);
    if inner.is_empty() {
        return;
    }
    let shown = &log.lines[..log.lines.len().saturating_sub(log.below)];
    let room = usize::from(inner.height);
    let mut rows: Vec<String> = Vec::new();
    // From the newest up, as far as there is room; a control sequence in a log must not reach the terminal.
    for line in shown.iter().rev() {
        let plain: String = line.replace('\t', " ").chars().filter(|c| !c.is_control()).collect();
        let parts = wrapped(&plain, usize::from(inner.width));
        rows.splice(0..0, parts);
        if rows.len() >= room {
            break;
        }
    }
    if rows.is_empty() {
        put(&Line::styled("the log is empty", theme.dim()), inner.x, inner.y, inner.width, buf);
    }
    let skip = rows.len().saturating_sub(room);
    for (row, y) in rows[skip..].iter().zip(inner.y..) {
        put(&Line::raw(row.as_str()), inner.x, y, inner.width, buf);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::tui::app::{App, Overlay};
    use crate::tui::message::Effect;
    use crate::tui::testing::{picker, press, workbench};
    use crate::tui::update::{Message, update};

    /// The log follows the newest lines, stops while older ones are read, and follows again at the end.
    #[test]
    fn the_log_is_read_followed_and_scrolled() {
        let run = || PathBuf::from("runs/quickstart-s1");
        let lines = |n: usize| Message::Log(run(), Ok((0..n).map(|n| format!("line {n}")).collect()));
        let read = || vec![Effect::ReadLog("runs/quickstart-s1".into())];
        let log = |app: &App| match &app.overlay {
            Some(Overlay::Log(log)) => (log.lines.len(), log.below),
            other => panic!("{other:?} instead of the log"),
        };
        for keys in ["!", ":log↵", "⇥!"] {
            let mut app = workbench();
            assert_eq!(press(&mut app, keys), read(), "{keys}");
            update(&mut app, lines(3));
            assert_eq!(update(&mut app, Message::Reread), read());
            update(&mut app, lines(30));
            assert_eq!(log(&app), (30, 0));
            press(&mut app, "↑↑↑↓");
            update(&mut app, Message::Wheel(None, -1));
            assert_eq!(log(&app), (30, 3));
            assert!(update(&mut app, Message::Reread).is_empty());
            update(&mut app, lines(40));
            assert_eq!(log(&app), (30, 3), "stands still");
            press(&mut app, &"↑".repeat(50));
            assert_eq!(log(&app), (30, 29));
            press(&mut app, &"↓".repeat(29));
            assert_eq!(update(&mut app, Message::Reread), read(), "follows again");
            assert!(press(&mut app, "gGjkjK").is_empty() && app.overlay.is_none(), "any other key closes it");
            assert!(update(&mut app, Message::Reread).is_empty());
        }
        let mut app = workbench();
        press(&mut app, "!");
        update(&mut app, Message::Log("runs/other".into(), Err("no such run".into())));
        assert!(app.overlay.is_some() && app.message.is_none(), "of a run that has left the screen");
        update(&mut app, Message::Log(run(), Err("cannot read it".into())));
        assert!(app.overlay.is_none() && app.message.as_deref() == Some("cannot read it"));
        assert!(press(&mut picker(), "!").is_empty());
    }
}
