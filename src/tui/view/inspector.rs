//! The inspector: large pictures with a cursor, all EM steps in a grid, and the values under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::bars::{footer, sliders, with_sliders};
use super::components::{argmax, truth};
use super::parts::{Sheet, frame_lines, put};
use super::picture::{Picture, digit};
use crate::protocol::why_unscored;
use crate::snapshot::objects::{colours, objects};
use crate::snapshot::reconstruction;
use crate::snapshot::{Snapshot, SnapshotStep};
use crate::tui::app::App;
use crate::tui::inspector::Inspector;
use crate::tui::theme::{Rgb, Theme};
use crate::tui::width::wrapped;
use crate::tui::workbench::{Masks, Workbench};

const WHITE: Rgb = [1.0; 3];
/// Columns of the readout.
const READOUT: u16 = 34;
/// The same where the screen is narrow.
const NARROW_READOUT: u16 = 25;
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
    read(&app.theme, inspector, &snapshot.steps[at], readout, buf);
    let below = large(app, workbench, inspector, at, pictures, sheet);
    grid(app, workbench, snapshot, at, below, sheet);
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
    let (w, h) = (snapshot.image.width.max(1), snapshot.image.height.max(1));
    let sized = |width: usize| (width, (width * h).div_ceil(2 * w).max(1));
    // Two pictures side by side, at a cell a pixel if that leaves room, in two thirds of the height at most.
    let fits = |(width, height): &(usize, usize)| {
        2 * width < usize::from(area.width) && *height < (usize::from(area.height) * 2 / 3).max(4)
    };
    let (width, height) = [2 * w, w].into_iter().chain((1..w).rev()).map(sized).find(fits).unwrap_or((1, 1));
    let (width, height) = (width as u16, height as u16);
    if area.height < height + 1 {
        return Vec::new();
    }
    let tiles = if snapshot.knows_objects() { TILES } else { TILES - 1 };
    let lefts = (0..tiles as u16).map(|i| area.x + i * (width + 1)).take_while(|x| x + width <= area.right());
    lefts.map(|x| Rect::new(x, area.y + 1, width, height)).collect()
}

/// The pixel shown at this place of the screen.
pub fn pixel(
    workbench: &Workbench,
    inspector: &Inspector,
    area: Rect,
    at: Position,
) -> Option<(usize, usize)> {
    let snapshot = &*inspector.snapshot;
    let [_, body, _] = frame_lines(area, 1, 1);
    let [body, _] = with_sliders(workbench, body);
    let [pictures, _] = halves(body, snapshot);
    let frame = frames(pictures, snapshot).into_iter().find(|frame| frame.contains(at))?;
    // The middle of the cell.
    let pixel = |at: u16, cells: u16, pixels: usize| {
        ((2 * usize::from(at) + 1) * pixels / (2 * usize::from(cells).max(1))).min(pixels.max(1) - 1)
    };
    let (width, height) = (snapshot.image.width, snapshot.image.height);
    Some((pixel(at.x - frame.x, frame.width, width), pixel(at.y - frame.y, frame.height, height)))
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
    let mut spans = vec![
        Span::styled(" inspector  ", theme.accent()),
        Span::styled(of, theme.strong()),
        Span::styled(format!("  it {}", snapshot.iteration), theme.dim()),
        Span::styled(format!("  EM step {}/{}", at + 1, snapshot.steps.len()), theme.strong()),
    ];
    for setting in &inspector.look {
        spans.push(Span::styled(format!("  {} {}", setting.short(), setting.value()), theme.warning()));
    }
    let trained = workbench.preset.steps;
    if at >= trained {
        spans.push(Span::styled(format!("  beyond the {trained} it is trained on"), theme.warning()));
    }
    if inspector.waits {
        spans.push(Span::styled("  …", theme.warning()));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}

/// Draws as many pictures of one EM step as fit, as large as fits; returns the area below them.
fn large(
    app: &App,
    workbench: &Workbench,
    inspector: &Inspector,
    at: usize,
    area: Rect,
    sheet: &mut Sheet,
) -> Rect {
    let theme = &app.theme;
    let snapshot = &*inspector.snapshot;
    let step = &snapshot.steps[at];
    let frames = frames(area, snapshot);
    for (frame, (label, picture)) in frames.iter().zip(tiles(theme, workbench, snapshot, step)) {
        put(&Line::styled(label, theme.dim()), frame.x, area.y, frame.width, sheet.cells);
        picture.render(theme, *frame, sheet);
        cursor(inspector, *frame, sheet.cells);
        if let Some(placed) = sheet.pictures.last_mut() {
            placed.mark(inspector.x, inspector.y);
        }
    }
    let used = frames.first().map_or(0, |frame| (frame.height + 2).min(area.height));
    Rect { y: area.y + used, height: area.height - used, ..area }
}

/// The pictures of an EM step, the most useful first.
fn tiles<'a>(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    step: &SnapshotStep,
) -> Vec<(&'a str, Picture)> {
    let (w, h) = (snapshot.image.width, snapshot.image.height);
    let recon = reconstruction(&step.preds, &step.gamma, snapshot.image.pixels(), snapshot.image.values());
    let error: Vec<f32> = recon.iter().zip(&step.target).map(|(r, x)| (r - x).abs()).collect();
    let mut tiles = vec![
        ("target", Picture::shades(&step.target, w, h, WHITE)),
        (
            if workbench.masks == Masks::Blend { "gamma" } else { "largest" },
            masks(theme, workbench, snapshot, step),
        ),
        ("error", Picture::shades(&error, w, h, WHITE)),
        ("recon", Picture::shades(&recon, w, h, WHITE)),
        ("truth", truth(theme, snapshot, step)),
        ("noisy", Picture::shades(&step.noisy, w, h, WHITE)),
    ];
    tiles.retain(|(name, _)| snapshot.knows_objects() || *name != "truth");
    tiles
}

fn masks(theme: &Theme, workbench: &Workbench, snapshot: &Snapshot, step: &SnapshotStep) -> Picture {
    match workbench.masks {
        Masks::Blend => {
            Picture::gamma(&step.gamma, snapshot.k, snapshot.image.width, snapshot.image.height, theme)
        }
        Masks::Largest => argmax(theme, snapshot, step),
    }
}

/// Marks the cell under the cursor.
pub fn cursor(inspector: &Inspector, frame: Rect, buf: &mut Buffer) {
    let image = &inspector.snapshot.image;
    let cell = |at: usize, pixels: usize, cells: u16| {
        ((2 * at + 1) * usize::from(cells) / (2 * pixels.max(1))).min(usize::from(cells.max(1)) - 1) as u16
    };
    let x = frame.x + cell(inspector.x, image.width, frame.width);
    let y = frame.y + cell(inspector.y, image.height, frame.height);
    if let Some(cell) = buf.cell_mut((x, y)) {
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
fn grid(app: &App, workbench: &Workbench, snapshot: &Snapshot, at: usize, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let (w, h) = (snapshot.image.width.max(1), snapshot.image.height.max(1));
    let names = 2;
    if area.height < LEAST + 1 || area.width < names + 2 * LEAST {
        return;
    }
    let rows = 3 + snapshot.k;
    // All rows if they fit at the minimum height, else as many as fit.
    let room = area.height - 1;
    let height = (room / rows as u16).clamp(LEAST, (h as u16).div_ceil(2).max(LEAST));
    let rows = rows.min(usize::from(room / height));
    let width = ((usize::from(height) * 2 * w) / h).max(1) as u16;
    let columns = usize::from((area.width - names) / (width + 1)).clamp(1, snapshot.steps.len());
    let from = (at + 1).saturating_sub(columns.div_ceil(2)).min(snapshot.steps.len() - columns);
    for column in 0..columns {
        let number = from + column;
        let step = &snapshot.steps[number];
        let x = area.x + names + column as u16 * (width + 1);
        let style = if number == at { theme.accent() } else { theme.dim() };
        put(&Line::styled((number + 1).to_string(), style), x, area.y, width, sheet.cells);
        for row in 0..rows {
            let y = area.y + 1 + row as u16 * height;
            row_picture(theme, workbench, snapshot, step, row).render(
                theme,
                Rect::new(x, y, width, height),
                sheet,
            );
        }
    }
    for row in 0..rows {
        let (name, style) = match row {
            0 => ('x', theme.dim()),
            1 => ('γ', theme.dim()),
            2 => ('r', theme.dim()),
            _ => (digit(row - 3), theme.ink(theme.component(row - 3))),
        };
        let y = area.y + 1 + row as u16 * height + height / 2;
        put(&Line::styled(name.to_string(), style), area.x, y, names, sheet.cells);
    }
}

/// The input of the EM step, gamma, the reconstruction, then each component's prediction.
fn row_picture(
    theme: &Theme,
    workbench: &Workbench,
    snapshot: &Snapshot,
    step: &SnapshotStep,
    row: usize,
) -> Picture {
    let (w, h) = (snapshot.image.width, snapshot.image.height);
    let (places, values) = (snapshot.image.pixels(), snapshot.image.values());
    match row {
        0 => Picture::shades(&step.noisy, w, h, WHITE),
        1 => masks(theme, workbench, snapshot, step),
        2 => Picture::shades(&reconstruction(&step.preds, &step.gamma, places, values), w, h, WHITE),
        _ => {
            let k = row - 3;
            let tint = if theme.color(WHITE).is_some() { theme.component(k) } else { WHITE };
            Picture::shades(step.preds.get(k * values..(k + 1) * values).unwrap_or_default(), w, h, tint)
        }
    }
}

/// The values under the cursor, the objects, and the scores.
fn read(theme: &Theme, inspector: &Inspector, step: &SnapshotStep, area: Rect, buf: &mut Buffer) {
    let snapshot = &*inspector.snapshot;
    let (places, values) = (snapshot.image.pixels().max(1), snapshot.image.values());
    let pixel = inspector.pixel();
    let channels = values / places;
    // The mean over the channels where there are several.
    let value = |of: &[f32]| {
        let sum: f32 = (0..channels).filter_map(|c| of.get(c * places + pixel)).sum();
        sum / channels.max(1) as f32
    };
    let recon = reconstruction(&step.preds, &step.gamma, places, values);
    let group = step.groups.get(pixel).copied().unwrap_or(0);
    let known = snapshot.knows_objects();
    let whose = match group {
        _ if !known => String::new(),
        0 => "no object".to_owned(),
        group => format!("object {group}"),
    };
    let title = |text: &str| Line::styled(text.to_owned(), theme.accent());
    let mut lines = vec![
        title(&format!("pixel {}, {}", inspector.x, inspector.y)),
        Line::raw(format!("x {:.2}  noisy {:.2}", value(&step.target), value(&step.noisy))),
        Line::raw(format!("recon {:.2}  {whose}", value(&recon))),
        Line::styled("  γ           ψ", theme.dim()),
    ];
    let bar = |share: f32| {
        let eighths = (share.clamp(0.0, 1.0) * 6.0).round() as usize;
        format!("{:<6}", "█".repeat(eighths))
    };
    for k in 0..snapshot.k {
        let gamma = step.gamma.get(k * places + pixel).copied().unwrap_or(f32::NAN);
        let pred = value(step.preds.get(k * values..(k + 1) * values).unwrap_or_default());
        lines.push(Line::from(vec![
            Span::styled(format!("{} ", digit(k)), theme.ink(theme.component(k))),
            Span::raw(format!("{gamma:.2} ")),
            Span::styled(bar(gamma), theme.ink(theme.component(k))),
            Span::raw(format!(" {pred:.2}")),
        ]));
    }
    lines.push(Line::raw(""));
    let score = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    lines.push(title("scores of this step"));
    lines.push(Line::raw(format!("AMI {}  ARI {}", score(step.ami), score(step.ari))));
    lines.push(Line::raw(format!("confidence {}", score(step.confidence))));
    if known && step.ami.is_none() {
        let why = wrapped(why_unscored(0.0, step.confidence), usize::from(area.width.saturating_sub(1)));
        lines.extend(why.into_iter().map(|line| Line::styled(line, theme.dim())));
    }
    lines.push(Line::raw(""));
    if known {
        lines.push(title("objects"));
        lines.push(Line::styled("    by    IoU pure   px", theme.dim()));
    }
    let colours = colours(snapshot);
    for object in objects(step, snapshot.k) {
        let (by, style) = match object.component {
            Some(k) => (digit(k).to_string(), theme.ink(theme.component(k))),
            None => ("none".to_owned(), theme.warning()),
        };
        lines.push(Line::from(vec![
            Span::styled(
                format!("{:>3} ", object.group),
                theme.ink(theme.component(colours[usize::from(object.group)].unwrap_or_default())),
            ),
            Span::styled(format!("{by:<4}"), style),
            Span::raw(format!(" {:.2} {:.2} {:>4}", object.iou, object.purity, object.pixels)),
        ]));
    }
    let x = area.x + u16::from(area.width > 1);
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        put(line, x, y, area.width.saturating_sub(1), buf);
    }
}
