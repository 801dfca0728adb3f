//! What looks wrong with the training.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::scroll;
use crate::tui::theme::Theme;
use crate::tui::view::parts::wrapped;

/// The lines of all warnings on a screen of this width; one that says that nothing looks wrong.
fn lines(warnings: &[String], screen: Rect, theme: &Theme) -> Vec<Line<'static>> {
    if warnings.is_empty() {
        return vec![Line::raw(" nothing looks wrong")];
    }
    let marks = std::iter::once(" ! ").chain(std::iter::repeat("   "));
    let of = |warning: &String| wrapped(warning, scroll::columns(screen).saturating_sub(2)).into_iter();
    let marked = |warning| marks.clone().zip(of(warning));
    let line = |(mark, text)| Line::from(vec![Span::styled(mark, theme.warning()), Span::raw(text)]);
    warnings.iter().flat_map(marked).map(line).collect()
}

/// A key while the warnings are shown from line `from` on. Returns the new first line; keys that do not scroll close
/// them.
pub fn press(from: usize, warnings: &[String], screen: Rect, theme: &Theme, key: KeyCode) -> Option<usize> {
    scroll::press(from, lines(warnings, screen, theme).len(), screen, key)
}

/// Draws every warning, from line `from` on.
pub fn render(theme: &Theme, warnings: &[String], from: usize, area: Rect, buf: &mut Buffer) {
    scroll::render(theme, "warnings", &lines(warnings, area, theme), from, area, buf);
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use crate::tui::app::{App, Overlay};
    use crate::tui::testing::{iteration, press, workbench};
    use crate::tui::update::{Message, update};

    /// (state, keys, state): the last line of many warnings can be reached on any screen.
    #[test]
    fn warnings_that_do_not_fit_are_scrolled() {
        let from = |app: &App| match app.overlay {
            Some(Overlay::Health(from)) => Some(from),
            _ => None,
        };
        let mut app = workbench();
        let bench = app.workbench.as_mut().unwrap();
        bench.preset = bench.preset.set(&["k=2", "noise=0.5"]).unwrap();
        update(&mut app, Message::Run(iteration(3)));
        press(&mut app, "hj");
        assert_eq!(from(&app), Some(0), "both fit");
        app.screen = Rect::new(0, 0, 40, 6);
        press(&mut app, "jj");
        assert_eq!(from(&app), Some(2));
        press(&mut app, "G");
        let last = from(&app).unwrap();
        assert!(last > 2);
        press(&mut app, "j");
        assert_eq!(from(&app), Some(last));
        press(&mut app, "g");
        assert_eq!(from(&app), Some(0));
        assert!(press(&mut app, "K").is_empty() && app.overlay.is_none(), "any other key closes them");
        assert_eq!(app.workbench.unwrap().wanted.k, 4, "and does nothing else");
    }
}
