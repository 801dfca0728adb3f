//! Where an iteration's time goes: a bar for every part.

use std::collections::VecDeque;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::parts::{pane, put, title_style};
use crate::protocol::Profile;
use crate::tui::actions::key;
use crate::tui::app::App;

/// Columns for a part's name and for its numbers.
const NAME: usize = 18;
const NUMBERS: usize = 17;

/// Draws the means of `profiles` in a pane.
pub fn render(app: &App, profiles: &VecDeque<Profile>, focused: bool, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let title = Line::from(vec![
        Span::styled(" time ", title_style(theme, focused)),
        Span::styled(format!("of an iteration, {} for the scores ", key(app, "profile")), theme.dim()),
    ]);
    let inner = pane(title, focused, theme, area, buf);
    let Some(mean) = Profile::mean(profiles.iter()) else {
        put(&Line::styled(" waiting for an iteration", theme.dim()), inner.x, inner.y, inner.width, buf);
        return;
    };
    let all: f64 = mean.parts().iter().map(|(_, seconds)| seconds).sum();
    let shares = mean.parts().map(|(name, seconds)| (name, seconds, seconds / all.max(f64::MIN_POSITIVE)));
    let room = usize::from(inner.width).saturating_sub(NAME + NUMBERS);
    // Parts that take no time, or are not in this network, are left out.
    let shown = shares.into_iter().filter(|(_, _, share)| *share >= 0.0005);
    for ((name, seconds, share), y) in shown.zip(inner.y..inner.bottom()) {
        let line = Line::from(vec![
            Span::styled(format!("{name:<NAME$}"), theme.dim()),
            Span::styled(format!("{:>4.0}% {:>8.1} ms ", 100.0 * share, 1000.0 * seconds), theme.strong()),
            Span::styled("█".repeat((share * room as f64).round() as usize), theme.accent()),
        ]);
        put(&line, inner.x, y, inner.width, buf);
    }
}
