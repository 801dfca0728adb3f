//! Pictures of one image in rows, as large as fits.

use std::ops::Range;

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

/// Rows of pictures with a column for every EM step, or for those around the shown one where there is no room for all.
pub struct Film {
    area: Rect,
    /// Columns for the names of the rows.
    names: u16,
    /// Cells of a picture.
    width: u16,
    height: u16,
    steps: Range<usize>,
}

impl Film {
    /// With pictures of this height around step `at`.
    pub fn new(snapshot: &Snapshot, at: usize, names: u16, height: u16, area: Rect) -> Film {
        let (width, count) = (wide(snapshot.image, height), snapshot.steps.len());
        let room = usize::from(area.width.saturating_sub(names)) + 1;
        let columns = (room / (usize::from(width) + 1)).clamp(1, count.max(1));
        let from = (at + 1).saturating_sub(columns.div_ceil(2)).min(count.saturating_sub(columns));
        Film { area, names, width, height, steps: from..(from + columns).min(count) }
    }

    /// With `rows` rows, as high as they can be with all steps side by side; `None` without room for rows of the minimum
    /// height.
    pub fn fitting(snapshot: &Snapshot, at: usize, names: u16, rows: u16, area: Rect) -> Option<Film> {
        let (image, count) = (snapshot.image, snapshot.steps.len());
        let room = area.height.saturating_sub(1) / rows.max(1);
        if room < LEAST || area.width < names + 2 * LEAST || count == 0 {
            return None;
        }
        let all = |height: &u16| {
            usize::from(names) + count * (usize::from(wide(image, *height)) + 1)
                <= usize::from(area.width) + 1
        };
        let most = room.min(image.height.div_ceil(2).clamp(LEAST.into(), u16::MAX.into()) as u16);
        let height = (LEAST..=most).rev().find(all).unwrap_or(LEAST);
        Some(Film::new(snapshot, at, names, height, area))
    }

    /// The steps that are shown.
    pub fn steps(&self) -> Range<usize> {
        self.steps.clone()
    }

    /// Draws the rows, each with the lines of its name. `picture` makes the picture of a row and a step; step `at` is
    /// marked.
    pub fn render(
        &self,
        theme: &Theme,
        at: usize,
        names: &[Vec<Line>],
        picture: &dyn Fn(usize, usize) -> Picture,
        sheet: &mut Sheet,
    ) {
        let Film { area, height, width, .. } = *self;
        for (column, step) in (0..).zip(self.steps()) {
            let x = area.x + self.names + column * (width + 1);
            let style = if step == at { theme.accent() } else { theme.dim() };
            put(&Line::styled((step + 1).to_string(), style), x, area.y, width, sheet.cells);
            for (row, y) in (0..names.len()).zip((area.y + 1..).step_by(height.into())) {
                let frame = Rect::new(x, y, width, height).intersection(area);
                picture(row, step).render(theme, frame, sheet);
            }
        }
        for (lines, y) in names.iter().zip((area.y + 1 + height / 2..).step_by(height.into())) {
            for (line, y) in lines.iter().zip(y..) {
                put(line, area.x, y, self.names, sheet.cells);
            }
        }
    }
}

/// The columns of a picture of this height.
fn wide(image: ImageSize, height: u16) -> u16 {
    let (w, h) = (image.width.max(1), image.height.max(1));
    (usize::from(height) * 2 * w).div_ceil(h).clamp(1, 1 << 14) as u16
}
