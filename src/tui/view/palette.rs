//! The command that is being typed, and above it what it may become.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::app::App;
use super::super::palette::Palette;
use super::put;

/// Offers shown at most.
const SHOWN: usize = 8;

/// Draws it over the lowest lines.
pub fn render(app: &App, palette: &Palette, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &app.theme;
    let (offers, chosen) = palette.offers(app.context());
    let room = usize::from(area.height - 1).min(SHOWN);
    // The chosen one stays in sight.
    let from = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(room));
    let shown = &offers[from.min(offers.len())..offers.len().min(from + room)];
    let top = area.bottom() - 1 - shown.len() as u16;
    Clear.render(Rect { y: top, height: area.bottom() - top, ..area }, buf);
    for (i, (offer, y)) in shown.iter().zip(top..).enumerate() {
        let line = Line::from(vec![
            Span::styled(format!(" {} ", offer.line.trim_end()), theme.strong()),
            Span::styled(format!("{}  ", offer.takes), theme.dim()),
            Span::styled(offer.help, theme.dim()),
        ]);
        let line = if chosen == Some(from + i) { line.style(theme.selected()) } else { line };
        put(&line, area.x, y, area.width, buf);
    }
    let y = area.bottom() - 1;
    let input = &palette.input;
    // The cursor stays in sight, whatever the width.
    let scroll = input.visual_scroll(usize::from(area.width.saturating_sub(2)));
    let text: String = input.value().chars().skip(scroll).collect();
    put(&Line::from(vec![Span::styled(":", theme.accent()), Span::raw(text)]), area.x, y, area.width, buf);
    let at = area.x + 1 + input.visual_cursor().saturating_sub(scroll) as u16;
    if let Some(cell) = buf.cell_mut((at.min(area.right() - 1), y)) {
        cell.modifier.insert(Modifier::REVERSED);
    }
}
