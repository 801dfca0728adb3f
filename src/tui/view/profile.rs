//! Where an iteration's time goes: a bar for every part.

use std::collections::VecDeque;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::fields::Fields;
use super::parts::{pane, put, title_style};
use crate::protocol::Profile;
use crate::tui::actions::key;
use crate::tui::app::App;

/// Columns for a part's name and for its numbers.
const NAME: usize = 18;
const NUMBERS: usize = 19;

/// Draws the means of `profiles` in a pane.
pub fn render(app: &App, profiles: &VecDeque<Profile>, focused: bool, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let mut title = Fields::new(" ─ ");
    title.put(3, "time of an iteration", title_style(theme, focused));
    title.put(1, format!("{} back to the scores", key(app, "profile")), theme.dim());
    let inner = pane(title.title(area.width), focused, theme, area, buf);
    let Some(mean) = Profile::mean(profiles.iter()) else {
        put(
            &Line::styled(" waiting for the next iteration…", theme.dim()),
            inner.x,
            inner.y,
            inner.width,
            buf,
        );
        return;
    };
    let all: f64 = mean.parts().iter().map(|(_, seconds)| seconds).sum();
    let shares = mean.parts().map(|(name, seconds)| (name, seconds, seconds / all.max(f64::MIN_POSITIVE)));
    let columns = usize::from(inner.width);
    // Parts that take no time, or are not in this network, are left out.
    let parts: Vec<_> = shares.into_iter().filter(|(_, _, share)| *share >= 0.0005).collect();
    let room = usize::from(inner.height);
    let shown = if parts.len() > room { room.saturating_sub(1) } else { parts.len() };
    if shown < parts.len() && room > 0 {
        let note = format!("+{} more; {} enlarges the pane", parts.len() - shown, key(app, "zoom"));
        put(&Line::styled(note, theme.warning()), inner.x, inner.bottom() - 1, inner.width, buf);
    }
    for ((name, seconds, share), y) in parts.into_iter().take(shown).zip(inner.y..) {
        let mut fields = Fields::new("");
        fields.text(2, format!("{name:<NAME$}"), 8, theme.dim());
        fields.put(3, format!("{:>4.0} %", 100.0 * share), theme.strong());
        fields.put(1, format!("{:>9.1} ms ", 1000.0 * seconds), theme.strong());
        let bar = "█".repeat((share * columns.saturating_sub(NAME + NUMBERS) as f64).round() as usize);
        fields.put(0, bar, theme.accent());
        put(&fields.line(columns), inner.x, y, inner.width, buf);
    }
}
