//! Two models or runs side by side: what each makes of the same image, and where they differ.

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::bars::footer;
use super::fields::Fields;
use super::parts::{Sheet, frame_lines, put};
use super::picture::Picture;
use super::tiles::{Film, fit, row, tile};
use crate::paths::shown;
use crate::protocol::{RunInfo, number_or_dash};
use crate::snapshot::difference::ComponentMatch;
use crate::snapshot::objects::winners;
use crate::snapshot::{Snapshot, SnapshotStep, reconstruction};
use crate::tui::app::App;
use crate::tui::beside::Beside;
use crate::tui::theme::{Rgb, Theme};
use crate::tui::width::{cut, width};
use crate::tui::workbench::{Masks, Workbench, short_names};

const WHITE: Rgb = [1.0; 3];
/// Where the two differ.
const DIFFERS: Rgb = [1.0, 0.35, 0.25];
/// How bright the rest is.
const SAME: Rgb = [0.35; 3];
/// Lines above each side's pictures.
const HEAD: u16 = 2;
/// The least height of everything below the two sides.
const BELOW: u16 = 8;

/// One of the two sides.
struct Side<'a> {
    name: String,
    /// What is known of it: K, iterations, the steps that it was trained with.
    about: Vec<String>,
    snapshot: &'a Snapshot,
    /// γ at an EM step, with the components in the order of the first side's.
    gamma: &'a dyn Fn(&SnapshotStep) -> Vec<f32>,
    k: usize,
}

/// Draws the screen.
pub fn render(app: &App, workbench: &Workbench, second: &Beside, area: Rect, sheet: &mut Sheet) {
    let theme = &app.theme;
    let [status, body, bottom] = frame_lines(area, 1, 1);
    footer(app, bottom, sheet.cells);
    let Some(first) = workbench.shown().filter(|snapshot| !snapshot.steps.is_empty()) else { return };
    let at = workbench.shown_step(first);
    let other = second.shown().filter(|other| other.steps.len() == first.steps.len());
    status_line(theme, workbench, (first, at, second, other.is_some()), status, sheet);
    let theirs = second.info.as_ref().map_or(&*second.what, |info| &*info.directory);
    let names = short_names([&*workbench.info.directory, theirs].into_iter());
    let as_it_is = |step: &SnapshotStep| step.gamma.clone();
    let last = first.steps.len() - 1;
    let matched =
        other.map(|other| ComponentMatch::of((&first.steps[last], first.k), (&other.steps[last], other.k)));
    let places = first.image.pixels();
    let moved = |step: &SnapshotStep| match &matched {
        Some(matched) => matched.moved(&step.gamma, places),
        None => Vec::new(),
    };
    let mut sides = vec![Side {
        name: names[0].clone(),
        about: about(&workbench.info, workbench.preset.steps, first),
        snapshot: first,
        gamma: &as_it_is,
        k: first.k,
    }];
    if let (Some(other), Some(matched), Some(info)) = (other, &matched, &second.info) {
        sides.push(Side {
            name: names[1].clone(),
            about: about(info, info.preset.steps, other),
            snapshot: other,
            gamma: &moved,
            k: matched.k,
        });
    }
    let size = size(first, body);
    let height = size.map_or(0, |(_, height)| height + 1 + HEAD).min(body.height);
    let [upper, below] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(body);
    let halves = halves(upper);
    for (side, area) in sides.iter().zip(halves) {
        draw_side(theme, workbench, side, at, size, area, sheet);
    }
    if sides.len() < 2 {
        let area = halves[1];
        let name = cut(&format!("{}  waiting for its picture…", names[1]), usize::from(area.width));
        put(&Line::styled(name, theme.dim()), area.x, area.y, area.width, sheet.cells);
    }
    let differ = other.zip(matched.as_ref());
    let left = match differ {
        Some((other, matched)) => differing(theme, (first, other, matched), at, below, sheet),
        None => 0,
    };
    // Beside the picture of the differences, under its line of text.
    let line = below.height.min(1);
    let film = Rect::new(below.x + left, below.y + line, below.width - left, below.height - line);
    let picture = |row: usize, step: usize| match sides.get(row) {
        Some(side) => masks(theme, workbench, side, &side.snapshot.steps[step]),
        None => Picture::shades(&[], first.image.width, first.image.height, WHITE),
    };
    let names = ["γ 1", "γ 2"].map(|name| vec![Line::styled(name, theme.dim())]);
    if let Some(film) = Film::fitting(first, at, 4, sides.len() as u16, film) {
        film.render(theme, at, &names[..sides.len()], &picture, sheet);
    } else {
        let note = "+ EM steps: enlarge the terminal";
        let x = body.right().saturating_sub(width(note) as u16).max(body.x);
        put(
            &Line::styled(note, theme.warning()),
            x,
            body.bottom().saturating_sub(1),
            body.width,
            sheet.cells,
        );
    }
}

/// The size of the pictures of a side: the input, γ and the reconstruction, or as many of them as there is room for.
fn size(snapshot: &Snapshot, body: Rect) -> Option<(u16, u16)> {
    let half = halves(body)[0];
    let least = if body.height > 2 * BELOW { BELOW } else { 0 };
    let height = body.height.saturating_sub(HEAD + least).min((body.height * 3 / 5).max(6));
    let room = Rect { height, ..half };
    [3, 2, 1].into_iter().find_map(|count| fit(snapshot.image, count, room))
}

/// The two sides, with a column between them.
fn halves(area: Rect) -> [Rect; 2] {
    let width = area.width.saturating_sub(1) / 2;
    [
        Rect { width, ..area },
        Rect { x: area.x + width + 1, width: area.width.saturating_sub(width + 1), ..area },
    ]
}

/// What is known of a side, the most important first.
fn about(info: &RunInfo, trained: usize, snapshot: &Snapshot) -> Vec<String> {
    let steps = (snapshot.steps.len() != trained).then(|| format!("trained on {trained} steps"));
    let known = [format!("K {}", snapshot.k), format!("it {}", snapshot.iteration)];
    known.into_iter().chain(steps).chain([format!("seed {}", info.seed)]).collect()
}

fn status_line(
    theme: &Theme,
    workbench: &Workbench,
    (first, at, second, is_shown): (&Snapshot, usize, &Beside, bool),
    area: Rect,
    sheet: &mut Sheet,
) {
    let of = match &first.input {
        Some(input) => input.name(),
        None => format!("sample {}/{}", first.sample + 1, workbench.samples()),
    };
    let playing = if workbench.playing { "▸ " } else { "" };
    let mut line = Fields::new("  ");
    line.text(1, " side by side", area.width.into(), theme.accent());
    line.put(0, of, theme.strong());
    line.put(0, format!("{playing}EM step {}/{}", at + 1, first.steps.len()), theme.strong());
    match (&second.info, is_shown) {
        (None, _) => line.put(0, format!("opening {}…", shown(&second.what)), theme.warning()),
        (Some(_), false) => line.put(0, "…", theme.warning()),
        (Some(_), true) => line.put(0, "same image, same noise", theme.dim()),
    }
    put(&line.line(area.width.into()), area.x, area.y, area.width, sheet.cells);
}

/// A side's name and scores over its pictures.
fn draw_side(
    theme: &Theme,
    workbench: &Workbench,
    side: &Side,
    at: usize,
    size: Option<(u16, u16)>,
    area: Rect,
    sheet: &mut Sheet,
) {
    let room = usize::from(area.width);
    let last = side.snapshot.steps.last().and_then(|step| step.ami);
    let step = &side.snapshot.steps[at];
    let mut head = Fields::new("  ");
    head.text(1, &side.name, room, theme.strong());
    side.about.iter().for_each(|field| head.put(0, field, theme.dim()));
    put(&head.line(room), area.x, area.y, area.width, sheet.cells);
    let (last, this) = (number_or_dash(last, 2), number_or_dash(step.ami, 2));
    // The words in full where there is room.
    let [gap, of_last, of_this] =
        if room >= 38 { ["  ", "AMI (last step)", "this step"] } else { [" ", "AMI last", "this"] };
    let mut scores = Fields::new(gap);
    scores.text(1, format!("{of_last} {last}"), room, Style::new());
    scores.put(0, format!("{of_this} {this}"), Style::new());
    put(&scores.line(room), area.x, area.y + 1, area.width, sheet.cells);
    let (w, h) = (side.snapshot.image.width, side.snapshot.image.height);
    let (places, values) = (side.snapshot.image.pixels(), side.snapshot.image.values());
    let recon = reconstruction(&step.preds, &step.gamma, places, values);
    let tiles = [
        (
            if workbench.masks == Masks::Blend { "gamma" } else { "largest" },
            masks(theme, workbench, side, step),
        ),
        ("input", Picture::shades(&step.noisy, w, h, WHITE)),
        ("recon", Picture::shades(&recon, w, h, WHITE)),
    ];
    let below = Rect { y: area.y + HEAD, height: area.height.saturating_sub(HEAD), ..area };
    let frames = size.map_or(Vec::new(), |size| row(size, 3, below));
    for ((label, picture), frame) in tiles.iter().zip(frames) {
        tile(theme, label, theme.dim(), picture, frame, sheet);
    }
}

/// γ of a side at an EM step in the colours of the first side's components.
fn masks(theme: &Theme, workbench: &Workbench, side: &Side, step: &SnapshotStep) -> Picture {
    let (w, h) = (side.snapshot.image.width, side.snapshot.image.height);
    let gamma = (side.gamma)(step);
    match workbench.masks {
        Masks::Blend => Picture::gamma(&gamma, side.k, w, h, theme),
        Masks::Largest => {
            let winners = winners(&SnapshotStep { gamma, ..step.clone() }, side.k);
            Picture::labels(|pixel| *winners.get(pixel)?, w, h, theme)
        }
    }
}

/// Where the two clusterings differ, and how much; returns the columns it takes.
fn differing(
    theme: &Theme,
    (first, other, matched): (&Snapshot, &Snapshot, &ComponentMatch),
    at: usize,
    area: Rect,
    sheet: &mut Sheet,
) -> u16 {
    let step = &first.steps[at];
    let difference = matched.difference((step, first.k), (&other.steps[at], other.k));
    let (differing, compared) = difference.count();
    let share = 100.0 * differing as f64 / compared.max(1) as f64;
    let what = if first.knows_objects() { "object pixels" } else { "pixels" };
    let text = format!("differ: {differing} of {compared} {what} ({share:.0} %)");
    put(
        &Line::styled(cut(&text, usize::from(area.width)), theme.warning()),
        area.x,
        area.y,
        area.width,
        sheet.cells,
    );
    let room = Rect { y: area.y + 1, height: area.height.saturating_sub(1), width: area.width / 3, ..area };
    let Some((wide, height)) = fit(first.image, 1, Rect { height: room.height + 1, ..room }) else {
        return 0;
    };
    let (w, h) = (first.image.width, first.image.height);
    let mut picture = Picture::shades(&step.target, w, h, SAME);
    let differs = (0..).zip(&difference.pixels).filter(|(_, differs)| **differs == Some(true));
    picture.tint(differs.map(|(pixel, _)| pixel), DIFFERS, 'x');
    picture.render(theme, Rect::new(room.x, room.y, wide, height), sheet);
    (wide + 2).min(area.width)
}
