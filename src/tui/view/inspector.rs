//! The inspector: large pictures with a cursor, all EM steps in a grid, and the values under the cursor.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::bars::{footer, room, sliders, with_sliders};
use super::components::{masks, truth};
use super::fields::{Fields, labelled};
use super::parts::{Sheet, frame_lines, put};
use super::picture::{Picture, brighter, digit, fitted, sizes, stretch, stretched};
use super::readout;
use super::tiles::{Film, row};
use crate::paths::shown;
use crate::snapshot::reconstruction;
use crate::snapshot::{Snapshot, SnapshotStep};
use crate::tui::album::LookBack;
use crate::tui::app::App;
use crate::tui::inspector::Inspector;
use crate::tui::theme::{Rgb, Theme};
use crate::tui::workbench::{Masks, Workbench};

const WHITE: Rgb = [1.0; 3];
/// Columns of the readout.
const READOUT: u16 = 34;
/// The same where the screen is narrow.
const NARROW_READOUT: u16 = 28;
/// Columns for the names of the grid's rows, and for what they are multiplied by.
const NAMES: u16 = 5;
/// The largest number of large pictures.
const TILES: usize = 6;
/// The minimum height of a picture in the grid, in lines.
const LEAST: u16 = 3;

/// Draws the screen.
pub fn render(app: &App, workbench: &Workbench, inspector: &Inspector, area: Rect, sheet: &mut Sheet) {
    let buf = &mut *sheet.cells;
    let [status, body, bottom] = frame_lines(area, 1, 1);
    let [body, below] = with_sliders(workbench, body);
    sliders(app, workbench, below, buf);
    let snapshot = &*inspector.snapshot;
    footer(app, bottom, buf);
    if snapshot.steps.is_empty() {
        return;
    }
    let at = workbench.shown_step(snapshot);
    status_line(app, workbench, inspector, at, status, buf);
    let [pictures, readout] = halves(body, snapshot);
    let lines = readout::lines(&app.theme, inspector, &snapshot.steps[at], readout.width);
    let pages = Pages::new(inspector, pictures, lines.len(), readout);
    readout::render(app, &lines, &pages.lines, readout, buf);
    if pages.has_large {
        large(app, workbench, inspector, at, pictures, sheet);
    }
    if let Some(shown) = &pages.grid {
        grid(app, workbench, snapshot, at, shown, sheet);
    }
    if let (Some(note), true) = (readout::more(app, &pages.rows, 3 + snapshot.k), pictures.height > 0) {
        let line = Line::styled(format!(" {note}"), app.theme.warning());
        put(&line, pictures.x, pictures.bottom() - 1, pictures.width, sheet.cells);
    }
}

/// The part of the rows and of the readout that is shown. A page further shows the next part of both; after the last
/// page comes the first.
struct Pages {
    /// Whether the large pictures are shown.
    has_large: bool,
    /// The grid, unless there is no room for it on this page.
    grid: Option<Grid>,
    /// Its rows.
    rows: Range<usize>,
    /// The lines of the readout.
    lines: Range<usize>,
}

/// A grid on the screen.
struct Grid {
    area: Rect,
    /// The rows that are shown.
    rows: Range<usize>,
    /// The lines of each.
    height: u16,
}

impl Pages {
    /// `pictures` is the area of the large pictures and the grid, `readout` that of the `lines` lines.
    fn new(inspector: &Inspector, pictures: Rect, lines: usize, readout: Rect) -> Pages {
        let snapshot = &*inspector.snapshot;
        let all = 3 + snapshot.k;
        let used =
            frames(pictures, snapshot).first().map_or(0, |frame| (frame.height + 2).min(pictures.height));
        let under = Rect { y: pictures.y + used, height: pictures.height - used, ..pictures };
        let (below, whole) = (fitting(under, snapshot), fitting(pictures, snapshot));
        let is_below = below.0 > 0;
        // Without room below them, the large pictures have the first page, and the grid has the others.
        let (fit, first) = if is_below { (below, 0) } else { (whole, 1) };
        let of_rows = if fit.0 == 0 { 1 } else { first + all.div_ceil(fit.0) };
        let fit_lines = readout::fitting(lines, readout.height);
        let pages = of_rows.max(lines.div_ceil(fit_lines)).max(1);
        let page = inspector.page.rem_euclid(pages as i64) as usize;
        let has_grid = fit.0 > 0 && page >= first;
        let rows = if has_grid { readout::part(page - first, fit.0, all) } else { 0..0 };
        let area = if is_below { under } else { pictures };
        let grid = has_grid.then(|| Grid { area, rows: rows.clone(), height: fit.1 });
        Pages {
            has_large: is_below || page < first || !has_grid,
            grid,
            rows,
            lines: readout::part(page, fit_lines, lines),
        }
    }
}

/// How many rows of the grid fit, and the lines of each: all rows if they fit at the minimum height, else as many as
/// fit above a line that says how many more there are.
fn fitting(area: Rect, snapshot: &Snapshot) -> (usize, u16) {
    let most = (snapshot.image.height as u16).div_ceil(2).max(LEAST);
    let all = 3 + snapshot.k;
    let room = area.height.saturating_sub(1);
    match room / all as u16 {
        _ if area.width < NAMES + 2 * LEAST => (0, LEAST),
        // At whole cells a pixel where all steps fit beside each other.
        height @ LEAST.. if height >= most => {
            let (w, steps) = (snapshot.image.width, snapshot.steps.len());
            let fits = |times: &u16| steps * (usize::from(*times) * w + 1) <= (area.width - NAMES).into();
            (all, most * (1..=height / most).rev().find(fits).unwrap_or(1))
        }
        height @ LEAST.. => (all, height),
        _ => {
            let rows = room.saturating_sub(1) / LEAST;
            (rows.into(), (room.saturating_sub(1) / rows.max(1)).min(most))
        }
    }
}

/// The areas of the pictures and of the readout.
fn halves(body: Rect, snapshot: &Snapshot) -> [Rect; 2] {
    let wanted = if body.width >= 100 { READOUT } else { NARROW_READOUT };
    // Without room beside a picture, the readout goes below.
    let least = snapshot.image.width as u16 / 2;
    if body.width >= wanted + least.max(16) {
        Layout::horizontal([Constraint::Min(0), Constraint::Length(wanted)]).areas(body)
    } else {
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body)
    }
}

/// The areas of the large pictures under their labels: as large as fits, at most [`TILES`], all of one size.
fn frames(area: Rect, snapshot: &Snapshot) -> Vec<Rect> {
    // Two pictures side by side, at whole cells a pixel if that leaves room, in two thirds of the height at most, and
    // with lines for the labels and for what is hidden.
    let fits = |(width, height): &(usize, usize)| {
        let room = usize::from(area.height);
        2 * width < usize::from(area.width) && *height < (room * 2 / 3).max(4) && *height + 2 <= room
    };
    let mut sizes = sizes(snapshot.image, usize::from(area.width) / snapshot.image.width.max(1), 1);
    let (width, height) = sizes.find(fits).unwrap_or((1, 1));
    let (width, height) = (width as u16, height as u16);
    if area.height < height + 1 {
        return Vec::new();
    }
    let tiles = if snapshot.knows_objects() { TILES } else { TILES - 1 };
    row((width, height), tiles as u16, area)
}

/// The pixel shown at this place of the screen.
pub fn pixel(
    app: &App,
    workbench: &Workbench,
    inspector: &Inspector,
    area: Rect,
    at: Position,
) -> Option<(usize, usize)> {
    let snapshot = &*inspector.snapshot;
    let [_, body, _] = frame_lines(area, 1, 1);
    let [body, _] = with_sliders(workbench, body);
    let [pictures, readout] = halves(body, snapshot);
    let step = snapshot.steps.get(workbench.shown_step(snapshot))?;
    let lines = readout::lines(&app.theme, inspector, step, readout.width).len();
    if !Pages::new(inspector, pictures, lines, readout).has_large {
        return None;
    }
    let frame = frames(pictures, snapshot).into_iter().find(|frame| frame.contains(at))?;
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    Some((under(at.x - frame.x, frame.width, width), under(at.y - frame.y, frame.height, height)))
}

/// The pixel, of `pixels` in a row, under the middle of cell `at` of `cells`.
pub fn under(at: u16, cells: u16, pixels: usize) -> usize {
    ((2 * usize::from(at) + 1) * pixels / (2 * usize::from(cells).max(1))).min(pixels.max(1) - 1)
}

fn status_line(
    app: &App,
    workbench: &Workbench,
    inspector: &Inspector,
    at: usize,
    area: Rect,
    buf: &mut Buffer,
) {
    let theme = &app.theme;
    let snapshot = &inspector.snapshot;
    let of = match &snapshot.input {
        Some(input) => {
            format!("{}{}", input.name(), if input.is_resized() { " resized" } else { "" })
        }
        None => format!("sample {}/{}", workbench.sample + 1, workbench.samples()),
    };
    let (dim, strong, warning) = (theme.dim(), theme.strong(), theme.warning());
    let mut fields = Fields::new("  ");
    fields.put(1, "inspector", theme.accent());
    if let (true, Some(name)) = (workbench.is_model(), workbench.info.directory.file_name()) {
        fields.text(4, shown(name).to_string(), 12, strong);
    }
    fields.text(8, of, 12, strong);
    if inspector.waits {
        fields.put(10, "computing…", warning);
    }
    let iteration = |label| labelled(label, snapshot.iteration.to_string(), dim, strong);
    match workbench.album.as_ref().and_then(LookBack::moment) {
        None => fields.add(5, [iteration("iteration"), iteration("it")]),
        Some(_) => {
            let (then, now) = (snapshot.iteration, workbench.iteration());
            let forms = [format!("the past: iteration {then} of {now}"), format!("past: it {then}")];
            fields.add(9, forms.map(|form| vec![Span::styled(form, warning)]));
        }
    }
    fields.put(7, format!("EM step {}/{}", at + 1, snapshot.steps.len()), strong);
    for setting in &inspector.look {
        fields.put(6, format!("{} {}", setting.short(), setting.value()), warning);
    }
    let trained = workbench.preset.steps;
    if at >= trained {
        let long = format!("beyond the {trained} it is trained on");
        fields.add(4, [long, "beyond training".to_owned()].map(|form| vec![Span::styled(form, warning)]));
    }
    put(&fields.line(room(area)), area.x + 1, area.y, area.width.saturating_sub(1), buf);
}

/// Draws as many pictures of one EM step as fit, as large as fits.
fn large(app: &App, workbench: &Workbench, inspector: &Inspector, at: usize, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let snapshot = &*inspector.snapshot;
    let step = &snapshot.steps[at];
    let frames = frames(area, snapshot);
    for (frame, (label, picture)) in frames.iter().zip(tiles(theme, workbench, snapshot, step)) {
        put(
            &Line::styled(fitted(&label, frame.width), theme.dim()),
            frame.x,
            area.y,
            frame.width,
            sheet.cells,
        );
        picture.render(theme, *frame, sheet);
        cursor(inspector, *frame, sheet.cells);
        if let Some(placed) = sheet.pictures.last_mut() {
            placed.mark(inspector.x, inspector.y);
        }
    }
}

/// The pictures of an EM step, the most useful first.
fn tiles(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    step: &SnapshotStep,
) -> Vec<(String, Picture)> {
    let (w, h) = (snapshot.image.width, snapshot.image.height);
    let recon = reconstruction(&step.preds, &step.gamma, snapshot.image.pixels(), snapshot.image.values());
    let error: Vec<f32> = recon.iter().zip(&step.target).map(|(r, x)| (r - x).abs()).collect();
    let shades = |name: &str, values: &[f32]| {
        let times = stretch(values);
        (stretched(name, times), Picture::shades(&brighter(values, times), w, h, WHITE))
    };
    let gamma = if workbench.masks == Masks::Blend { "gamma" } else { "largest" };
    let mut tiles = vec![
        ("target".to_owned(), Picture::shades(&step.target, w, h, WHITE)),
        (gamma.to_owned(), masks(theme, workbench, snapshot, step)),
        shades("error", &error),
        shades("recon", &recon),
        ("truth".to_owned(), truth(theme, snapshot, step)),
        ("noisy".to_owned(), Picture::shades(&step.noisy, w, h, WHITE)),
    ];
    tiles.retain(|(name, _)| snapshot.knows_objects() || name != "truth");
    tiles
}

/// Marks the cells of the pixel under the cursor; where pixels are smaller than cells, the cell that it lies in.
pub fn cursor(inspector: &Inspector, frame: Rect, buf: &mut Buffer) {
    let image = &inspector.snapshot.image;
    let of = |pixel: usize, pixels: usize, cells: u16| {
        let own: Vec<u16> = (0..cells).filter(|at| under(*at, cells, pixels) == pixel).collect();
        let around = (2 * pixel + 1) * usize::from(cells) / (2 * pixels.max(1));
        if own.is_empty() { vec![around.min(usize::from(cells.max(1)) - 1) as u16] } else { own }
    };
    let (columns, rows) =
        (of(inspector.x, image.width, frame.width), of(inspector.y, image.height, frame.height));
    for (x, y) in rows.iter().flat_map(|y| columns.iter().map(move |x| (frame.x + x, frame.y + y))) {
        let Some(cell) = buf.cell_mut((x, y)) else { continue };
        let behind = cell.bg;
        let bright =
            matches!(behind, Color::Rgb(r, g, b) if u16::from(r) + u16::from(g) + u16::from(b) > 382);
        cell.set_char('┼').set_style(match behind {
            Color::Reset => Style::new(),
            _ => Style::new().fg(if bright { Color::Black } else { Color::White }),
        });
    }
}

/// Rows of pictures, one column for every EM step around the one that is shown.
fn grid(app: &App, workbench: &Workbench, snapshot: &Snapshot, at: usize, shown: &Grid, sheet: &mut Sheet) {
    let theme = &app.theme;
    let film = Film::new(snapshot, at, NAMES, shown.height, shown.area);
    // One brightness for all steps, so that they can be compared.
    let brightest = |step: &SnapshotStep| step.preds.iter().copied().fold(0.0, f32::max);
    let times = stretch(&snapshot.steps[film.steps()].iter().map(brightest).collect::<Vec<_>>());
    let name = |row: usize| {
        let name = match row {
            0 => Line::styled("x", theme.dim()),
            1 => Line::styled("γ", theme.dim()),
            2 => Line::styled("r", theme.dim()),
            _ => Line::styled(digit(row - 3).to_string(), theme.ink(theme.component(row - 3))),
        };
        let brighter = (row >= 2 && times > 1).then(|| Line::styled(format!("×{times}"), theme.dim()));
        std::iter::once(name).chain(brighter).collect()
    };
    let first = shown.rows.start;
    let picture = |row: usize, step: usize| {
        row_picture(theme, workbench, snapshot, &snapshot.steps[step], (first + row, times))
    };
    let names: Vec<Vec<Line>> = shown.rows.clone().map(name).collect();
    film.render(theme, at, &names, &picture, sheet);
}

/// The input of the EM step, gamma, the reconstruction, then each component's prediction.
fn row_picture(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    step: &SnapshotStep,
    (row, times): (usize, u32),
) -> Picture {
    let (w, h) = (snapshot.image.width, snapshot.image.height);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    match row {
        0 => Picture::shades(&step.noisy, w, h, WHITE),
        1 => masks(theme, workbench, snapshot, step),
        2 => {
            let recon = reconstruction(&step.preds, &step.gamma, places, values);
            Picture::shades(&brighter(&recon, times), w, h, WHITE)
        }
        _ => {
            let k = row - 3;
            let tint = if theme.color(WHITE).is_some() { theme.component(k) } else { WHITE };
            let pred = step.preds.get(k * values..(k + 1) * values).unwrap_or_default();
            Picture::shades(&brighter(pred, times), w, h, tint)
        }
    }
}
