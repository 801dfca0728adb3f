//! Pictures of one image in rows, as large as fits.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::parts::{Sheet, put};
use super::picture::{Picture, sizes};
use crate::preset::ImageSize;
use crate::snapshot::Snapshot;
use crate::tui::theme::Theme;

/// The minimum height of a picture, in lines.
const LEAST: u16 = 3;
/// The largest number of cells for a pixel's width.
const LARGEST: usize = 6;

/// Width and height in cells of `count` labelled pictures of an image side by side: the largest that fit, at whole cells
/// a pixel if possible. `None` if even small ones do not.
pub fn fit(image: ImageSize, count: u16, area: Rect) -> Option<(u16, u16)> {
    let fits = |(width, height): &(usize, usize)| {
        usize::from(count) * (width + 1) <= usize::from(area.width) + 1
            && *height < usize::from(area.height)
            && (*height >= usize::from(LEAST) || *width >= image.width)
    };
    let found = sizes(image, LARGEST, 1).find(fits);
    found.map(|(width, height)| (width as u16, height as u16))
}

/// The areas of pictures of this size side by side, under their labels, from the upper left corner on; as many as fit.
pub fn row((width, height): (u16, u16), count: u16, area: Rect) -> Vec<Rect> {
    let lefts = (0..count).map(|i| area.x + i * (width + 1)).take_while(|x| x + width <= area.right());
    lefts.map(|x| Rect::new(x, area.y + 1, width, height)).collect()
}

/// Draws a picture under its label.
pub fn tile(theme: &Theme, label: &str, style: Style, picture: &Picture, area: Rect, sheet: &mut Sheet) {
    put(&Line::styled(label.to_owned(), style), area.x, area.y.saturating_sub(1), area.width, sheet.cells);
    picture.render(theme, area, sheet);
}

/// Draws rows of pictures with a column for every EM step, or those around step `at` where there is no room for all.
/// `rows` draws the picture of a row and a step. Returns whether there was room for any.
pub fn filmstrip(
    theme: &Theme,
    snapshot: &Snapshot,
    at: usize,
    (labels, rows): (&[&str], &dyn Fn(usize, usize) -> Picture),
    area: Rect,
    sheet: &mut Sheet,
) -> bool {
    let (w, h) = (snapshot.image.width.max(1) as u32, snapshot.image.height.max(1) as u32);
    let count = labels.len() as u16;
    let names = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0) as u16 + 1;
    let steps = snapshot.steps.len() as u16;
    let room = area.height.saturating_sub(1) / count.max(1);
    if room < LEAST || area.width < names + 2 * LEAST || steps == 0 {
        return false;
    }
    let wide = |height: u16| ((u32::from(height) * 2 * w).div_ceil(h)).clamp(1, 1 << 14) as u16;
    let all = |height: &u16| names + steps * (wide(*height) + 1) <= area.width + 1;
    // All steps if they fit, and as large as fits then; else the steps around the one that is shown.
    let height = (LEAST..=room.min(h.div_ceil(2).max(3) as u16)).rev().find(all).unwrap_or(LEAST);
    let width = wide(height);
    let columns = ((area.width - names + 1) / (width + 1)).clamp(1, steps);
    let from = (at as u16 + 1).saturating_sub(columns.div_ceil(2)).min(steps - columns);
    for (column, number) in (from..from + columns).enumerate() {
        let x = area.x + names + column as u16 * (width + 1);
        let shown = usize::from(number) == at;
        let style = if shown { theme.selected() } else { theme.dim() };
        put(&Line::styled(format!("{}", number + 1), style), x, area.y, width, sheet.cells);
        for row in 0..count {
            let frame = Rect::new(x, area.y + 1 + row * height, width, height).intersection(area);
            rows(usize::from(row), usize::from(number)).render(theme, frame, sheet);
        }
    }
    for (row, label) in (0..).zip(labels) {
        let y = area.y + 1 + row * height + height / 2;
        put(&Line::styled((*label).to_owned(), theme.dim()), area.x, y, names, sheet.cells);
    }
    true
}
