//! The inspector's readout: the values under the cursor, the scores, and the objects.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::fields::Fields;
use super::parts::{put, wrapped};
use super::picture::digit;
use crate::protocol::{number_or_dash, why_unscored};
use crate::snapshot::objects::{colours, objects};
use crate::snapshot::{SnapshotStep, reconstruction};
use crate::tui::actions::key;
use crate::tui::app::App;
use crate::tui::inspector::Inspector;
use crate::tui::theme::Theme;

/// The columns that the table of objects needs with all of its columns.
const WIDE: usize = 32;

/// The lines, each at most this wide.
pub fn lines(theme: &Theme, inspector: &Inspector, step: &SnapshotStep, columns: u16) -> Vec<Line<'static>> {
    let columns = usize::from(columns.saturating_sub(1));
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
    let fields = |texts: &[&str]| {
        let mut line = Fields::new("  ");
        texts.iter().for_each(|text| line.put(0, *text, Style::new()));
        line.line(columns)
    };
    let title = |text: &str| Line::styled(text.to_owned(), theme.accent());
    let mut lines = vec![
        title(&format!("pixel {}, {}", inspector.x, inspector.y)),
        fields(&[&format!("x {:.2}", value(&step.target)), &format!("noisy {:.2}", value(&step.noisy))]),
        fields(&[&format!("recon {:.2}", value(&recon)), &whose]),
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
    let score = |value| number_or_dash(value, 3);
    lines.push(title("scores of this step"));
    lines.push(fields(&[&format!("AMI {}", score(step.ami)), &format!("ARI {}", score(step.ari))]));
    lines.push(Line::raw(format!("confidence {}", score(step.confidence))));
    if known && step.ami.is_none() {
        let why = wrapped(why_unscored(0.0, step.confidence), columns);
        lines.extend(why.into_iter().map(|line| Line::styled(line, theme.dim())));
    }
    lines.push(Line::raw(""));
    let is_wide = columns >= WIDE;
    if known {
        lines.push(title("objects"));
        let iou = if is_wide { "   IoU" } else { "" };
        lines.push(Line::styled(format!("   component{iou} purity pixels"), theme.dim()));
    }
    let colours = colours(snapshot);
    for object in objects(step, snapshot.k) {
        let (by, style) = match object.component {
            Some(k) => (digit(k).to_string(), theme.ink(theme.component(k))),
            None => ("none".to_owned(), theme.warning()),
        };
        let ink = theme.component(colours[usize::from(object.group)].unwrap_or_default());
        let iou = if is_wide { format!(" {:>5.2}", object.iou) } else { String::new() };
        lines.push(Line::from(vec![
            Span::styled(format!("{:>2} ", object.group), theme.ink(ink)),
            Span::styled(format!("{by:<9}"), style),
            Span::raw(format!("{iou} {:>6.2} {:>6}", object.purity, object.pixels)),
        ]));
    }
    lines
}

/// How many of the lines fit on a page: all of them, or those above a line that says how many more there are.
pub fn fitting(lines: usize, room: u16) -> usize {
    let room = usize::from(room);
    if lines <= room { lines } else { room.saturating_sub(1) }.max(1)
}

/// What page `page` shows of `all`, if `fit` fit on each. The last one is as full as the others.
pub fn part(page: usize, fit: usize, all: usize) -> Range<usize> {
    let from = (page * fit).min(all.saturating_sub(fit));
    from..(from + fit).min(all)
}

/// The lines on page `page`; after the last one comes the first.
pub fn page(page: i64, lines: usize, room: u16) -> Range<usize> {
    let fit = fitting(lines, room);
    part(page.rem_euclid(lines.div_ceil(fit).max(1) as i64) as usize, fit, lines)
}

/// Draws the lines in `shown`, and how many more there are.
pub fn render(app: &App, lines: &[Line], shown: &Range<usize>, area: Rect, buf: &mut Buffer) {
    let (x, width) = (area.x + u16::from(area.width > 1), area.width.saturating_sub(1));
    for (line, y) in lines[shown.clone()].iter().zip(area.y..area.bottom()) {
        put(line, x, y, width, buf);
    }
    if let (Some(note), true) = (more(app, shown, lines.len()), area.height > 1) {
        put(&Line::styled(note, app.theme.warning()), x, area.bottom() - 1, width, buf);
    }
}

/// What is hidden of `all` rows or lines when those in `shown` are shown, and the key that shows more.
pub fn more(app: &App, shown: &Range<usize>, all: usize) -> Option<String> {
    match (all.saturating_sub(shown.end), shown.start) {
        (0, 0) => None,
        (0, above) => Some(format!("+{above} above: {}", key(app, "page-up"))),
        (below, _) => Some(format!("+{below} more: {}", key(app, "page-down"))),
    }
}
