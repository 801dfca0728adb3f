//! The run's log, over the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::super::app::{App, Log};
use super::help::wrapped;
use super::{pane, put};

/// Draws as many of the latest lines as fit, the newest at the bottom.
pub fn render(app: &App, log: &Log, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    // Small screens have no room for what lies around it.
    let margin = if area.width >= 60 && area.height >= 16 { Margin::new(2, 1) } else { Margin::new(0, 0) };
    let at = area.inner(margin);
    Clear.render(at, buf);
    let title = match log.below {
        0 => " log ─ ↑ ↓ ".to_owned(),
        below => format!(" log ─ ↑ ↓ ─ stands still, {below} below "),
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
        put(&Line::styled("nothing is written there", theme.dim()), inner.x, inner.y, inner.width, buf);
    }
    let skip = rows.len().saturating_sub(room);
    for (row, y) in rows[skip..].iter().zip(inner.y..) {
        put(&Line::raw(row.as_str()), inner.x, y, inner.width, buf);
    }
}
