//! All keys of the place one is in.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Overlay, over};
use crate::tui::app::App;

/// A key while the keys are shown from line `from` on: all but the arrows close it.
pub fn press(app: &mut App, from: usize, key: KeyCode) {
    // As far as there are lines; how many fit is the drawing's affair.
    let last = app.config.keymap.of(app.context()).count();
    app.overlay = match key {
        KeyCode::Down => Some(Overlay::Help((from + 1).min(last))),
        KeyCode::Up => Some(Overlay::Help(from.saturating_sub(1))),
        _ => None,
    };
}

/// All keys of the context, from the key table; where they do not fit, from line `from` on.
pub fn render(app: &App, from: usize, area: Rect, buf: &mut Buffer) {
    let (theme, keymap, context) = (&app.theme, &app.config.keymap, app.context());
    let keys = keymap.of(context).count();
    let room = usize::from(area.height.saturating_sub(6)).max(1);
    let from = from.min(keys.saturating_sub(room));
    let lines: Vec<Line> = keymap
        .of(context)
        .skip(from)
        .take(room)
        .map(|bound| {
            let label = format!(" {:<9} ", bound.all_keys());
            Line::from(vec![Span::styled(label, theme.strong()), Span::raw(bound.binding.help)])
        })
        .collect();
    let more = if room < keys { "↑ ↓ the other keys. " } else { "" };
    let rest = [
        Line::raw(""),
        Line::styled(" A lower-case letter lowers its value, upper case raises it.", theme.dim()),
        Line::styled(" Ctrl-C saves and leaves at once. Ctrl-Z suspends, the training too.", theme.dim()),
        Line::styled(format!(" {more}Any key closes this."), theme.dim()),
    ];
    let title = match room < keys {
        true => format!(" keys {} to {} of {keys} ", from + 1, from + lines.len()),
        false => " keys ".to_owned(),
    };
    over(theme, &title, &[lines.as_slice(), &rest].concat(), area, buf);
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
