//! The pane of components: how the model explains one image.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::bars::{sliders, with_sliders};
use super::fields::{Fields, labelled};
use super::parts::{Sheet, inside, pane, put, title_style};
use super::picture::{Picture, brighter, digit, fitted, sized, sizes, stretch, stretched};
use super::tiles::tile;
use crate::protocol::number_or_dash;
use crate::snapshot::objects::{colours, winners};
use crate::snapshot::reconstruction;
use crate::snapshot::{Snapshot, SnapshotStep};
use crate::tui::actions::key;
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

impl Tile {
    /// Draws the label on the first line, and the picture below it.
    fn render(&self, theme: &Theme, place: Rect, sheet: &mut Sheet) {
        let below = Rect { y: place.y + 1, height: place.height - 1, ..place };
        tile(theme, &fitted(&self.label, place.width), self.style, &self.picture, below, sheet);
    }
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
    let layout = Arrangement::new(workbench, snapshot, inner);
    let tiles = sections(theme, workbench, snapshot, at).into_iter().flatten();
    let left_out = layout.tiles.iter().filter(|place| place.is_none()).count();
    for (tile, place) in tiles.zip(layout.tiles).filter_map(|(tile, place)| Some((tile, place?))) {
        tile.render(theme, place, sheet);
    }
    if left_out > 0 && inner.height > 0 {
        let note = format!("+{left_out} more: {}", key(app, "inspect"));
        let x = inner.right().saturating_sub(width(&note) as u16).max(inner.x);
        put(&Line::styled(note, theme.warning()), x, inner.bottom() - 1, inner.width, sheet.cells);
    }
    if let Some(strip) = layout.strip {
        filmstrip(theme, workbench, snapshot, at, &strip, sheet);
    }
}

/// The EM step whose picture in the filmstrip is at this place of the screen.
pub fn step(workbench: &Workbench, area: Rect, at: Position) -> Option<usize> {
    let snapshot = workbench.shown().filter(|snapshot| !snapshot.steps.is_empty())?;
    let [inner, _] = with_sliders(workbench, inside(area));
    let strip = Arrangement::new(workbench, snapshot, inner).strip?;
    strip.steps.into_iter().find(|(_, place)| place.contains(at)).map(|(step, _)| step)
}

/// Gamma over the EM steps, with the shown one marked.
fn filmstrip(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    at: usize,
    strip: &Filmstrip,
    sheet: &mut Sheet,
) {
    let mut title = Fields::new(" ");
    let name = if workbench.masks == Masks::Blend { "gamma" } else { "largest" };
    title.put(2, format!("{name} over the EM steps"), theme.dim());
    if strip.steps.len() < snapshot.steps.len() {
        title.put(1, format!("({} of {})", strip.steps.len(), snapshot.steps.len()), theme.warning());
    }
    let area = strip.title;
    put(&title.line(area.width.into()), area.x, area.y, area.width, sheet.cells);
    for (step, place) in &strip.steps {
        let (label, style) = match *step == at {
            true => (format!("{} ●", step + 1), theme.accent()),
            false => ((step + 1).to_string(), theme.dim()),
        };
        let picture = masks(theme, workbench, snapshot, &snapshot.steps[*step]);
        Tile { label, style, picture }.render(theme, *place, sheet);
    }
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
    let recon = reconstruction(&step.preds, &step.gamma, places, values);
    let times = stretch(&recon);
    let whole = vec![
        plain("input", shades(&step.target)),
        plain("noisy", shades(&step.noisy)),
        plain(&stretched("recon", times), shades(&brighter(&recon, times))),
        plain(
            if workbench.masks == Masks::Blend { "gamma" } else { "largest" },
            masks(theme, workbench, snapshot, step),
        ),
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
    // All predictions by the same factor, so that they can be compared.
    let times = stretch(&step.preds);
    let (name, preds) = (stretched("pred", times), brighter(&step.preds, times));
    let predictions = (0..snapshot.k).map(|k| of(k, &name, &preds, values, false)).collect();
    let masks = (0..snapshot.k).map(|k| of(k, "mask", &step.gamma, places, shares[k] < EMPTY)).collect();
    let mut sections = vec![whole, predictions, masks];
    if workbench.rows == Rows::Deltas {
        let delta = |k: usize| Tile {
            label: format!("{} error", digit(k)),
            style: theme.ink(theme.component(k)),
            picture: Picture::signed(&masked_delta(snapshot, at, k).unwrap_or_default(), width, height),
        };
        sections.push((0..snapshot.k).map(delta).collect());
    }
    sections
}

/// Gamma, as the user wants it.
pub fn masks(theme: &Theme, workbench: &Workbench, snapshot: &Snapshot, step: &SnapshotStep) -> Picture {
    match workbench.masks {
        Masks::Blend => {
            Picture::gamma(&step.gamma, snapshot.k, snapshot.image.width, snapshot.image.height, theme)
        }
        Masks::Largest => argmax(theme, snapshot, step),
    }
}

/// Every pixel that belongs to an object, or every one where no objects are known, in the colour of its largest
/// component.
fn argmax(theme: &Theme, snapshot: &Snapshot, step: &SnapshotStep) -> Picture {
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

/// Where the pictures are.
struct Arrangement {
    /// The place of each tile, section by section; `None` without room for it.
    tiles: Vec<Option<Rect>>,
    /// Gamma over the EM steps, in the rows that the tiles leave free.
    strip: Option<Filmstrip>,
}

/// Pictures of EM steps.
struct Filmstrip {
    /// The line above them.
    title: Rect,
    /// Each step and its tile; where not all fit, a choice of them.
    steps: Vec<(usize, Rect)>,
}

/// The rows of a filmstrip: its title, a label, and the lowest picture.
const STRIP: u16 = 5;

impl Arrangement {
    fn new(workbench: &Workbench, snapshot: &Snapshot, area: Rect) -> Arrangement {
        let kinds = if workbench.rows == Rows::Deltas { 3 } else { 2 };
        let sections = [&[5][..], &vec![snapshot.k; kinds]].concat();
        let tiling = Tiling::fit(&sections, snapshot, area, false);
        let tiles = tiling.places(&sections);
        let end = tiles.iter().flatten().map(|place| place.bottom()).max().unwrap_or(area.y);
        let free = Rect { y: end, height: area.bottom() - end, ..area };
        let all = tiles.iter().all(Option::is_some) && snapshot.steps.len() > 1;
        let strip = (all && free.height >= STRIP).then(|| {
            let title = Rect { height: 1, ..free };
            let below = Rect { y: free.y + 1, height: free.height - 1, ..free };
            let count = snapshot.steps.len();
            let places = Tiling::strip(count, snapshot, below);
            let at = workbench.shown_step(snapshot);
            Filmstrip { title, steps: chosen(count, at, places.len()).into_iter().zip(places).collect() }
        });
        Arrangement { tiles, strip }
    }
}

/// `room` of `count` EM steps at most: the first, the last, the one `at`, and others at equal distances.
fn chosen(count: usize, at: usize, room: usize) -> Vec<usize> {
    if count <= room {
        return (0..count).collect();
    }
    let mut steps: Vec<usize> = match room {
        0 => vec![],
        1 => vec![at],
        room => (0..room).map(|i| i * (count - 1) / (room - 1)).collect(),
    };
    // It takes the place of the nearest one, but not of the first or the last, unless there are only these.
    let inner = if room > 2 { 1..room - 1 } else { 0..room };
    if !steps.contains(&at)
        && let Some(nearest) = inner.min_by_key(|i| steps[*i].abs_diff(at))
    {
        steps[nearest] = at;
    }
    steps
}

/// Tiles in rows: sections one below the other, each wrapped into as many rows as it needs.
struct Tiling {
    /// Cells of a picture.
    width: u16,
    height: u16,
    /// Tiles in a row.
    columns: usize,
    /// Where they are.
    area: Rect,
}

impl Tiling {
    /// The largest pictures with which all tiles of each section fit: a whole number of cells a pixel wide, else
    /// shrunk; or the smallest if nothing fits. In a filmstrip each section is one row.
    fn fit(sections: &[usize], snapshot: &Snapshot, area: Rect, is_strip: bool) -> Tiling {
        let (w, h) = (snapshot.image.width.max(1), snapshot.image.height.max(1));
        let lowest = if is_strip { usize::from(STRIP - 2) } else { 1 };
        let least = 5.max(2 * lowest * w / h).min(w).max(1);
        let columns = |width: usize| ((usize::from(area.width) + 1) / (width + 1)).max(1);
        let fits = |&(width, height): &(usize, usize)| {
            let rows: usize = sections.iter().map(|tiles| tiles.div_ceil(columns(width))).sum();
            let is_whole = !is_strip || rows == sections.len();
            is_whole && width <= usize::from(area.width) && rows * (height + 1) <= usize::from(area.height)
        };
        let mut sizes = sizes(snapshot.image, usize::from(area.width) / w, least);
        let (width, height) = sizes.find(fits).unwrap_or_else(|| sized(snapshot.image, least));
        // An extreme image has no room, whatever its height.
        let height = height.min(usize::from(u16::MAX) / 2) as u16;
        Tiling { width: width as u16, height, columns: columns(width), area }
    }

    /// The places of `count` tiles in rows of about the same length, or of as many as fit.
    fn strip(count: usize, snapshot: &Snapshot, area: Rect) -> Vec<Rect> {
        let rows = |rows: usize| {
            let sections: Vec<usize> =
                (0..rows).map(|row| (row + 1) * count / rows - row * count / rows).collect();
            let tiling = Tiling::fit(&sections, snapshot, area, true);
            let places: Option<Vec<Rect>> = tiling.places(&sections).into_iter().collect();
            // One more row must make the pictures a quarter larger.
            Some((f64::from(tiling.width) / 1.25_f64.powi(rows as i32), places?))
        };
        let best = (1..=count.min(4)).filter_map(rows).max_by(|one, other| one.0.total_cmp(&other.0));
        best.map_or_else(
            || {
                let tiling = Tiling::fit(&[count], snapshot, area, true);
                tiling.places(&[count]).into_iter().flatten().collect()
            },
            |(_, places)| places,
        )
    }

    /// The place of each tile, the label included, in the middle of the area; `None` without room for it.
    fn places(&self, sections: &[usize]) -> Vec<Option<Rect>> {
        let longest = sections.iter().copied().max().unwrap_or(0).min(self.columns) as u16;
        let taken = (longest * (self.width + 1)).saturating_sub(1);
        let left = self.area.x + self.area.width.saturating_sub(taken) / 2;
        let mut row = 0;
        let mut places = Vec::new();
        for tiles in sections {
            for tile in 0..*tiles {
                let (column, below) = ((tile % self.columns) as u16, row + (tile / self.columns) as u16);
                let x = left + column * (self.width + 1);
                let y = self.area.y.saturating_add(below.saturating_mul(self.height + 1));
                let place = Rect::new(x, y, self.width, self.height + 1);
                let fits = self.width <= self.area.width && place.bottom() <= self.area.bottom();
                places.push(fits.then_some(place));
            }
            row += tiles.div_ceil(self.columns) as u16;
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_of_steps_is_fair_and_keeps_the_first_the_last_and_the_shown() {
        assert_eq!(chosen(6, 5, 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(chosen(15, 14, 5), [0, 3, 7, 10, 14]);
        assert_eq!(chosen(15, 4, 5), [0, 4, 7, 10, 14]);
        assert_eq!(chosen(15, 13, 5), [0, 3, 7, 13, 14]);
        assert_eq!([chosen(15, 6, 2), chosen(15, 9, 2)], [[6, 14], [0, 9]]);
        assert_eq!([chosen(15, 6, 1), chosen(15, 6, 0)], [vec![6], vec![]]);
        for (count, room) in (1..20).flat_map(|count| (3..20).map(move |room| (count, room))) {
            for at in 0..count {
                let steps = chosen(count, at, room);
                assert!(steps.contains(&at) && steps.is_sorted() && steps.len() == room.min(count));
                assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
                assert_eq!((steps[0], steps[steps.len() - 1]), (0, count - 1));
            }
        }
    }
}
