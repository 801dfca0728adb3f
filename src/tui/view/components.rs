//! The pane of components: how the model explains one image.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::bars::{sliders, with_sliders};
use super::fields::{Fields, labelled};
use super::parts::{Sheet, pane, put, title_style};
use super::picture::{Picture, digit};
use crate::protocol::number_or_dash;
use crate::snapshot::objects::{colours, winners};
use crate::snapshot::reconstruction;
use crate::snapshot::{Snapshot, SnapshotStep};
use crate::tui::app::App;
use crate::tui::inspector::masked_delta;
use crate::tui::theme::Theme;
use crate::tui::width::width;
use crate::tui::workbench::{Masks, Rows, Workbench};

/// A component with less of the image than this holds nothing.
const EMPTY: f32 = 0.01;

/// A labelled picture.
struct Tile {
    label: String,
    style: Style,
    picture: Picture,
}

/// The pane.
pub fn render(app: &App, workbench: &Workbench, focused: bool, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let buf = &mut *sheet.cells;
    let Some(snapshot) = workbench.shown().filter(|s| !s.steps.is_empty()) else {
        let title = Line::styled(" components ", title_style(theme, focused));
        let inner = pane(title, focused, theme, area, buf);
        put(
            &Line::styled("waiting for the first picture…", theme.dim()),
            inner.x + 1,
            inner.y,
            inner.width,
            buf,
        );
        return;
    };
    let at = workbench.shown_step(snapshot);
    let inner =
        pane(title(theme, workbench, snapshot, at, focused).title(area.width), focused, theme, area, buf);
    let [inner, below] = with_sliders(workbench, inner);
    sliders(app, workbench, below, buf);
    let sections = sections(theme, workbench, snapshot, at);
    let layout = Tiling::fit(&sections, snapshot, inner);
    layout.render(theme, &sections, inner, sheet);
}

/// The columns of the bar in the title.
const BAR: usize = 20;

fn title(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    at: usize,
    focused: bool,
) -> Fields<'static> {
    let step = &snapshot.steps[at];
    let steps = snapshot.steps.len();
    let order = workbench.order();
    let mut fields = Fields::new(" ─ ");
    fields.put(9, format!("sample {}/{}", snapshot.sample + 1, order.len()), title_style(theme, focused));
    let place = order.iter().position(|sample| *sample == snapshot.sample);
    if let Some(place) = place.filter(|_| workbench.sorted) {
        fields.put(4, format!("{}. worst", place + 1), theme.dim());
    }
    fields.add(7, [labelled("AMI", number_or_dash(step.ami, 2), theme.dim(), theme.strong())]);
    fields.add(5, [labelled("ARI", number_or_dash(step.ari, 2), theme.dim(), theme.strong())]);
    let playing = if workbench.playing { "▸ " } else { "" };
    let text = format!("{playing}EM step {}/{steps}", at + 1);
    let bar = steps.min(BAR);
    let bar: String = (0..bar).map(|i| if i * steps / bar <= at { '█' } else { '░' }).collect();
    fields.add(8, [format!("{text} {bar}"), text].map(|form| vec![Span::styled(form, theme.dim())]));
    fields
}

/// The whole image, then every component's prediction, mask and, if chosen, masked delta.
fn sections(theme: &Theme, workbench: &Workbench, snapshot: &Snapshot, at: usize) -> Vec<Vec<Tile>> {
    let step = &snapshot.steps[at];
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    let white = [1.0; 3];
    let plain = |label: &str, picture| Tile { label: label.into(), style: theme.dim(), picture };
    let shades = |values: &[f32]| Picture::shades(values, width, height, white);
    let whole = vec![
        plain("input", shades(&step.target)),
        plain("noisy", shades(&step.noisy)),
        plain("recon", shades(&reconstruction(&step.preds, &step.gamma, places, values))),
        match workbench.masks {
            Masks::Blend => plain("gamma", Picture::gamma(&step.gamma, snapshot.k, width, height, theme)),
            Masks::Largest => plain("largest", argmax(theme, snapshot, step)),
        },
        plain("truth", truth(theme, snapshot, step)),
    ];
    let of = |k: usize, what: &str, from: &[f32], size: usize, empty: bool| {
        let note = if empty { " (empty)" } else { "" };
        Tile {
            label: format!("{} {what}{note}", digit(k)),
            style: theme.ink(theme.component(k)),
            picture: Picture::shades(
                from.get(k * size..(k + 1) * size).unwrap_or_default(),
                width,
                height,
                if theme.color(white).is_some() { theme.component(k) } else { white },
            ),
        }
    };
    let shares = ink_shares(step, snapshot.k, places);
    let predictions = (0..snapshot.k).map(|k| of(k, "pred", &step.preds, values, false)).collect();
    let masks = (0..snapshot.k).map(|k| of(k, "mask", &step.gamma, places, shares[k] < EMPTY)).collect();
    let mut sections = vec![whole, predictions, masks];
    if workbench.rows == Rows::Deltas {
        let delta = |k: usize| Tile {
            label: format!("{} delta", digit(k)),
            style: theme.ink(theme.component(k)),
            picture: Picture::signed(&masked_delta(snapshot, at, k).unwrap_or_default(), width, height),
        };
        sections.push((0..snapshot.k).map(delta).collect());
    }
    sections
}

/// Every pixel that belongs to an object, or every one where no objects are known, in the colour of its largest
/// component.
pub fn argmax(theme: &Theme, snapshot: &Snapshot, step: &SnapshotStep) -> Picture {
    let winners = winners(step, snapshot.k);
    Picture::labels(|pixel| *winners.get(pixel)?, snapshot.image.width, snapshot.image.height, theme)
}

/// The true objects, each in the colour of the component that holds it in the end; the others in colours that no
/// component has.
pub fn truth(theme: &Theme, snapshot: &Snapshot, step: &SnapshotStep) -> Picture {
    let colours = colours(snapshot);
    let of = |pixel: usize| colours[usize::from(*step.groups.get(pixel)?)];
    Picture::labels(of, snapshot.image.width, snapshot.image.height, theme)
}

/// How much of what is drawn in the image each component holds, by γ on pixels that are on.
fn ink_shares(step: &SnapshotStep, k: usize, places: usize) -> Vec<f32> {
    let ink: f32 = step.target.iter().take(places).sum();
    (0..k)
        .map(|k| {
            let mask = step.gamma.get(k * places..(k + 1) * places).unwrap_or_default();
            mask.iter().zip(&step.target).map(|(g, x)| g * x).sum::<f32>() / ink.max(1.0)
        })
        .collect()
}

/// The tiles' layout: sections one below the other, each wrapped into as many rows as it needs.
struct Tiling {
    /// Cells of a picture.
    width: u16,
    height: u16,
    /// Tiles in a row.
    columns: usize,
}

impl Tiling {
    /// The largest pictures that all fit: at three, two or one cell a pixel, else shrunk; or the
    /// smallest if nothing fits.
    fn fit(sections: &[Vec<Tile>], snapshot: &Snapshot, area: Rect) -> Tiling {
        let (w, h) = (snapshot.image.width.max(1), snapshot.image.height.max(1));
        let least = 5.min(w).max(1);
        let widths = [3 * w, 2 * w].into_iter().chain((least..=w).rev());
        let sized = |width: usize| {
            let height = (width * h).div_ceil(2 * w).max(1);
            let columns = ((usize::from(area.width) + 1) / (width + 1)).max(1);
            (width, height, columns)
        };
        let fits = |&(width, height, columns): &(usize, usize, usize)| {
            let rows: usize = sections.iter().map(|s| s.len().div_ceil(columns)).sum();
            width <= usize::from(area.width) && rows * (height + 1) <= usize::from(area.height)
        };
        let (width, height, columns) = widths.map(sized).find(fits).unwrap_or_else(|| sized(least));
        Tiling { width: width as u16, height: height as u16, columns }
    }

    fn render(&self, theme: &Theme, sections: &[Vec<Tile>], area: Rect, sheet: &mut Sheet) {
        let mut y = area.y;
        let mut left_out = 0;
        for tiles in sections {
            for row in tiles.chunks(self.columns) {
                if y + self.height + 1 > area.bottom() || self.width > area.width {
                    left_out += row.len();
                    continue;
                }
                for (i, tile) in row.iter().enumerate() {
                    let x = area.x + i as u16 * (self.width + 1);
                    put(&Line::styled(tile.label.as_str(), tile.style), x, y, self.width, sheet.cells);
                    tile.picture.render(theme, Rect::new(x, y + 1, self.width, self.height), sheet);
                }
                y += self.height + 1;
            }
        }
        if left_out > 0 && area.height > 0 {
            let note = format!("+{left_out} more");
            let x = area.right().saturating_sub(width(&note) as u16).max(area.x);
            put(&Line::styled(note, theme.warning()), x, area.bottom() - 1, area.width, sheet.cells);
        }
    }
}
