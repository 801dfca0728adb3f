//! The help: all keys of the context.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::Overlay;
use crate::tui::actions;
use crate::tui::app::App;
use crate::tui::view::parts::over;
use crate::tui::width::padded;

/// A key while the help is shown from line `from` on: all but the arrows close it.
pub fn press(app: &mut App, from: usize, key: KeyCode) {
    // As far as there are lines; how many fit depends on the screen.
    let last = actions::help(&app.config.keymap, app.context()).len();
    app.overlay = match key {
        KeyCode::Down => Some(Overlay::Help((from + 1).min(last))),
        KeyCode::Up => Some(Overlay::Help(from.saturating_sub(1))),
        _ => None,
    };
}

/// Draws the keys of the context; where they do not fit, from line `from` on.
pub fn render(app: &App, from: usize, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let keys = actions::help(&app.config.keymap, app.context());
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
    use super::*;
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
