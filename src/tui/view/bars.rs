//! The lines around the pictures: the message, the hints, and the sliders of the past.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::parts::{put, wrapped};
use crate::protocol::Moment;
use crate::tui::actions::{self, key};
use crate::tui::app::App;
use crate::tui::theme::Theme;
use crate::tui::width::{padded, width};
use crate::tui::workbench::Workbench;

/// The message for the user, over the last lines, as many as it needs.
pub fn message(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(message) = &app.message else { return };
    let lines = wrapped(message, usize::from(area.width.saturating_sub(2)).max(1));
    let top = area.bottom().saturating_sub(lines.len() as u16).max(area.y);
    Clear.render(Rect { y: top, height: area.bottom() - top, ..area }, buf);
    for (line, y) in lines.iter().zip(top..area.bottom()) {
        put(&Line::styled(format!(" {line}"), app.theme.warning()), area.x, y, area.width, buf);
    }
}

/// The last line: as many keys as fit.
pub fn footer(app: &App, area: Rect, buf: &mut Buffer) {
    let mut spans = vec![Span::raw(" ")];
    let mut taken = 1;
    let lines = actions::help(&app.config.keymap, app.context());
    for line in lines.into_iter().filter(|line| !line.hint.is_empty()) {
        let wide = (width(&line.label) + width(line.hint) + 4) as u16;
        if taken + wide > area.width {
            break;
        }
        taken += wide;
        spans.push(Span::styled(line.label, app.theme.strong()));
        spans.push(Span::styled(format!(" {}   ", line.hint), app.theme.dim()));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}

/// A slider of this many columns at place `at` of `of`, counted from 1, with a text. Places that `is_marked` have a mark
/// on it; at another one the knob is empty.
fn slider<'a>(
    label: &'a str,
    (at, of): (usize, usize),
    is_marked: impl Fn(usize) -> bool,
    text: String,
    columns: u16,
    theme: &Theme,
) -> Line<'a> {
    let taken = width(label) + width(&text) + 4;
    let room = usize::from(columns).saturating_sub(taken).max(1);
    let column = |place: usize| if of > 1 { (place - 1) * (room - 1) / (of - 1) } else { 0 };
    let mut track = vec!["─"; room];
    for place in (1..=of).filter(|place| *place != at && is_marked(*place)) {
        track[column(place)] = "┴";
    }
    let knob = if is_marked(at) { "●" } else { "○" };
    Line::from(vec![
        Span::styled(label, theme.dim()),
        Span::styled(format!(" {}", track[..column(at)].concat()), theme.dim()),
        Span::styled(knob, theme.warning()),
        Span::styled(format!("{} ", track[column(at) + 1..].concat()), theme.dim()),
        Span::styled(text, theme.strong()),
    ])
}

/// `area` without the sliders, and the sliders' area, which is empty unless a past moment is shown.
pub fn with_sliders(workbench: &Workbench, area: Rect) -> [Rect; 2] {
    let height = if workbench.album.as_ref().is_some_and(|album| album.moment().is_some()) { 2 } else { 0 };
    Layout::vertical([Constraint::Min(0), Constraint::Length(height.min(area.height))]).areas(area)
}

/// The two sliders of a past moment: the training and the EM step.
pub fn sliders(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let keys = |back, on| format!("{} {}", key(app, back), key(app, on));
    let (Some(album), Some(snapshot)) = (&workbench.album, workbench.shown()) else { return };
    let Some(moment) = album.moment() else { return };
    let (place, steps) = (album.place(), snapshot.steps.len());
    let step = workbench.shown_step(snapshot) + 1;
    let training = format!("it {moment} ({}/{}) {}", place.0, place.1, keys("past-back", "past-on"));
    let em = format!("EM step {step}/{steps} {}", keys("em-previous", "em-next"));
    // Both have the same width.
    let wide = width(&training).max(width(&em));
    let marked = |place: usize| album.moments().get(place - 1).is_some_and(Moment::is_kept);
    let past = slider(" past", place, marked, padded(&training, wide), area.width, theme);
    put(&past, area.x, area.y, area.width, buf);
    if area.height > 1 {
        let em = slider("   EM", (step, steps), |place| place == step, padded(&em, wide), area.width, theme);
        put(&em, area.x, area.y + 1, area.width, buf);
    }
}
