//! The canvas, what the model makes of it, and what the brush does.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use super::bars::footer;
use super::components::masks;
use super::fields::Fields;
use super::inspector::{cursor, under};
use super::parts::{Sheet, frame_lines, put, wrapped};
use super::picture::{Picture, digit};
use super::readout;
use super::tiles::{Film, fit, row, tile};
use crate::preset::{Data, Setting};
use crate::protocol::number_or_dash;
use crate::snapshot::{Snapshot, SnapshotStep, reconstruction};
use crate::tui::actions::key;
use crate::tui::app::App;
use crate::tui::draw::{Drawing, Pen};
use crate::tui::inspector::Inspector;
use crate::tui::theme::{Rgb, Theme};
use crate::tui::workbench::{Masks, Workbench};

const WHITE: Rgb = [1.0; 3];
/// What the brush covers.
const BRUSH: Rgb = [1.0, 0.35, 0.25];
/// What the cursor holds.
const HELD: Rgb = [0.25, 0.7, 1.0];
/// Columns of the readout.
const READOUT: u16 = 34;
/// The same where the screen is narrow.
const NARROW_READOUT: u16 = 22;
/// The height of a row of EM steps, in lines, that leaves room for another row.
const COMFORTABLE: u16 = 4;
/// The largest number of pictures in the first row.
const TILES: u16 = 4;

/// Draws the screen.
pub fn render(
    app: &App,
    workbench: &Workbench,
    (inspector, drawing): (&Inspector, &Drawing),
    area: Rect,
    sheet: &mut Sheet,
) {
    let theme = &app.theme;
    let [status, body, bottom] = frame_lines(area, 1, 1);
    footer(app, bottom, sheet.cells);
    let snapshot = &*inspector.snapshot;
    let at = workbench.shown_step(snapshot);
    status_line(theme, inspector, drawing, at, status, sheet.cells);
    let [pictures, readout] = halves(body, snapshot);
    let Some(step) = snapshot.steps.get(at) else { return };
    read(app, workbench, (inspector, drawing), step, readout, sheet.cells);
    let frames = frames(pictures, snapshot);
    let tiles = tiles(theme, workbench, (inspector, drawing), step);
    for (frame, (label, picture)) in frames.iter().zip(tiles) {
        tile(theme, label, theme.dim(), &picture, *frame, sheet);
    }
    // In a smaller picture a pixel is easily overlooked.
    if let Some(frame) = frames.first().filter(|frame| usize::from(frame.width) < snapshot.image.width) {
        cursor(inspector, *frame, sheet.cells);
    }
    let used = frames.first().map_or(0, |frame| (frame.height + 1).min(pictures.height));
    let below = Rect { y: pictures.y + used, height: pictures.height - used, ..pictures };
    film(theme, workbench, snapshot, at, below, sheet);
}

/// γ at every EM step, and the reconstruction and each component's prediction where there is room.
fn film(theme: &Theme, workbench: &Workbench, snapshot: &Snapshot, at: usize, area: Rect, sheet: &mut Sheet) {
    let image = snapshot.image;
    let fits = |rows: &usize| *rows as u16 * COMFORTABLE < area.height;
    let rows = [2 + snapshot.k, 2].into_iter().find(fits).unwrap_or(1);
    let names = ["γ".to_owned(), "r".to_owned()].into_iter().chain((0..).map(|k| digit(k).to_string()));
    let names: Vec<Vec<Line>> = names.take(rows).map(|name| vec![Line::styled(name, theme.dim())]).collect();
    let picture = |row: usize, step: usize| {
        let step = &snapshot.steps[step];
        match row {
            0 => masks(theme, workbench, snapshot, step),
            1 => {
                let recon = reconstruction(&step.preds, &step.gamma, image.pixels(), image.values());
                Picture::shades(&recon, image.width, image.height, WHITE)
            }
            _ => {
                let of = (row - 2) * image.values()..(row - 1) * image.values();
                let pred = step.preds.get(of).unwrap_or_default();
                let tint = if theme.color(WHITE).is_some() { theme.component(row - 2) } else { WHITE };
                Picture::shades(pred, image.width, image.height, tint)
            }
        }
    };
    if let Some(film) = Film::fitting(snapshot, at, 2, rows as u16, area) {
        film.render(theme, at, &names, &picture, sheet);
    }
}

/// The pixel of the canvas, or of a picture beside it, shown at this place of the screen.
pub fn pixel(inspector: &Inspector, area: Rect, at: Position) -> Option<(usize, usize)> {
    let [_, body, _] = frame_lines(area, 1, 1);
    let [pictures, _] = halves(body, &inspector.snapshot);
    let frame = frames(pictures, &inspector.snapshot).into_iter().find(|frame| frame.contains(at))?;
    let image = inspector.snapshot.image;
    Some((under(at.x - frame.x, frame.width, image.width), under(at.y - frame.y, frame.height, image.height)))
}

/// The areas of the pictures and of the readout, which goes below where there is no room beside.
fn halves(body: Rect, snapshot: &Snapshot) -> [Rect; 2] {
    let wanted = if body.width >= 100 { READOUT } else { NARROW_READOUT };
    if body.width >= wanted + (snapshot.image.width as u16 / 2).max(16) {
        Layout::horizontal([Constraint::Min(0), Constraint::Length(wanted)]).areas(body)
    } else {
        Layout::vertical([Constraint::Percentage(70), Constraint::Percentage(30)]).areas(body)
    }
}

/// The areas of the first row: the canvas and γ if both fit at a cell a pixel, and the others beside them.
fn frames(area: Rect, snapshot: &Snapshot) -> Vec<Rect> {
    let upper = Rect { height: (area.height * 3 / 4).max(area.height.min(15)), ..area };
    let size = [2, 1].into_iter().find_map(|count| fit(snapshot.image, count, upper));
    size.map_or(Vec::new(), |size| row(size, TILES, area))
}

fn status_line(
    theme: &Theme,
    inspector: &Inspector,
    drawing: &Drawing,
    at: usize,
    area: Rect,
    buf: &mut Buffer,
) {
    let snapshot = &inspector.snapshot;
    // In words and in short.
    let (forms, style) = match () {
        () if drawing.changed || inspector.waits => {
            (["clustering of an older drawing…", "older clustering…"], theme.warning())
        }
        () if snapshot.input.is_none() => {
            (["clustering of the sample, with its noise", "the sample"], theme.dim())
        }
        () => (["clustering of this drawing", "this drawing"], theme.good()),
    };
    let mut line = Fields::new("  ");
    line.text(1, " draw", area.width.into(), theme.accent());
    line.add(0, forms.map(|form| vec![Span::styled(form, style)]));
    line.put(0, format!("EM step {}/{}", at + 1, snapshot.steps.len()), theme.strong());
    for setting in &inspector.look {
        line.put(0, format!("{} {}", setting.short(), setting.value()), theme.warning());
    }
    put(&line.line(area.width.into()), area.x, area.y, area.width, buf);
}

/// The canvas, then what the model makes of it, the most useful first.
fn tiles(
    theme: &Theme,
    workbench: &Workbench,
    (inspector, drawing): (&Inspector, &Drawing),
    step: &SnapshotStep,
) -> Vec<(&'static str, Picture)> {
    let snapshot = &*inspector.snapshot;
    let (w, h) = (snapshot.image.width, snapshot.image.height);
    let mut canvas = Picture::shades(&drawing.canvas.values(), w, h, WHITE);
    if let Some(piece) = drawing.held.and_then(|held| drawing.canvas.pieces().get(held)) {
        canvas.tint(piece.pixels(snapshot.image).map(|(pixel, _)| pixel), HELD, 'o');
    }
    canvas.tint(drawing.canvas.under((inspector.x, inspector.y), drawing.size), BRUSH, '┼');
    let recon = reconstruction(&step.preds, &step.gamma, snapshot.image.pixels(), snapshot.image.values());
    let error: Vec<f32> = recon.iter().zip(&step.target).map(|(r, x)| (r - x).abs()).collect();
    vec![
        ("drawing", canvas),
        (
            if workbench.masks == Masks::Blend { "gamma" } else { "largest" },
            masks(theme, workbench, snapshot, step),
        ),
        ("recon", Picture::shades(&recon, w, h, WHITE)),
        ("error", Picture::shades(&error, w, h, WHITE)),
    ]
}

/// The brush, the pixel under it, and the scores.
fn read(
    app: &App,
    workbench: &Workbench,
    (inspector, drawing): (&Inspector, &Drawing),
    step: &SnapshotStep,
    area: Rect,
    buf: &mut Buffer,
) {
    let (theme, snapshot) = (&app.theme, &*inspector.snapshot);
    let room = usize::from(area.width.saturating_sub(2)).max(1);
    let title = |text: String| Line::styled(text, theme.accent());
    let dim = |text: &str| wrapped(text, room).into_iter().map(|line| Line::styled(line, theme.dim()));
    let (x, y) = (inspector.x, inspector.y);
    let does = match (drawing.held, drawing.pen) {
        (Some(_), _) => "holds an object",
        (None, Pen::Up) => "pen up",
        (None, Pen::Paint) => "pen down: it paints",
        (None, Pen::Erase) => "eraser down",
    };
    let shade = if drawing.value < 1.0 { format!("  value {:.1}", drawing.value) } else { String::new() };
    let mut lines = vec![
        title(format!("pixel {x}, {y}")),
        Line::raw(format!("x {:.2}", drawing.canvas.at(x, y))),
        Line::raw(format!("brush {0}x{0}{shade}", drawing.size)),
        Line::styled(does, if does == "pen up" { theme.dim() } else { theme.warning() }),
        title("scores of this step".into()),
    ];
    lines.push(Line::raw(format!("AMI {}", number_or_dash(step.ami, 3))));
    lines.push(Line::raw(format!("ARI {}", number_or_dash(step.ari, 3))));
    if let (Some(why), None) = (drawing.canvas.why_unknown(), step.ami) {
        lines.extend(dim(why));
    }
    lines.push(title(format!("γ at {x}, {y}")));
    let places = snapshot.image.pixels();
    let of = |k: usize| {
        let gamma = step.gamma.get(k * places + inspector.pixel()).copied().unwrap_or(f32::NAN);
        let bar = "█".repeat((gamma.clamp(0.0, 1.0) * 6.0).round() as usize);
        let ink = theme.ink(theme.component(k));
        Line::from(vec![
            Span::styled(format!("{} ", digit(k)), ink),
            Span::raw(format!("{gamma:.2} ")),
            Span::styled(bar, ink),
        ])
    };
    lines.extend((0..snapshot.k).map(of));
    if matches!(workbench.preset.data, Data::FlyingShapes { .. } | Data::FlyingMnist { .. }) {
        lines.extend(dim("a drawing stands still: its frame repeats in every EM step"));
    }
    if !inspector.look.iter().any(|setting| matches!(setting, Setting::Noise(_))) {
        lines.extend(dim(&format!("a drawing has no noise; {} adds some", key(app, "noise-up"))));
    }
    let shown = readout::page(inspector.page, lines.len(), area.height);
    readout::render(app, &lines, &shown, area, buf);
}
