//! The lines around the pictures: the message, the hints, and the sliders of the past.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::fields::Fields;
use super::parts::{put, wrapped};
use crate::protocol::Moment;
use crate::tui::actions::{self, key};
use crate::tui::app::App;
use crate::tui::theme::Theme;
use crate::tui::width::{padded, width};
use crate::tui::workbench::Workbench;

/// The message for the user, over as many lines as it needs, above the keys where there is room.
pub fn message(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(message) = &app.message else { return };
    let area = Rect { height: area.height - u16::from(area.height > 4), ..area };
    let mut lines = wrapped(message, room(area).saturating_sub(1).max(1));
    if lines.len() > usize::from(area.height) {
        lines.truncate(area.height.into());
        lines.iter_mut().next_back().into_iter().for_each(|line| line.push('…'));
    }
    let top = area.bottom() - lines.len() as u16;
    Clear.render(Rect { y: top, height: area.bottom() - top, ..area }, buf);
    for (line, y) in lines.iter().zip(top..area.bottom()) {
        put(&Line::styled(format!(" {line}"), app.theme.warning()), area.x, y, area.width, buf);
    }
}

/// The actions that lead to all others, and out; the first is worth most.
const LEADING: [&str; 3] = ["help", "command", "quit"];
/// Those that lead back, which are worth more than the rest.
const BACK: [&str; 4] = ["done", "back", "apart", "escape"];

/// The last line: as many keys as fit, those that lead to all others before the rest.
pub fn footer(app: &App, area: Rect, buf: &mut Buffer) {
    let (strong, dim) = (app.theme.strong(), app.theme.dim());
    let lines = actions::help(&app.config.keymap, app.context());
    let hinted: Vec<_> = lines.into_iter().filter(|line| !line.hint.is_empty()).collect();
    let always = hinted.iter().filter(|line| LEADING.contains(&line.name));
    let wide: usize = always.map(|line| width(&line.label) + width(line.hint) + 4).sum();
    let is_narrow = wide > room(area) + 3;
    let mut fields = Fields::new(if is_narrow { " " } else { "   " });
    for (at, line) in hinted.into_iter().enumerate() {
        let leading = LEADING.iter().rev().position(|name| *name == line.name);
        let worth = match leading {
            Some(place) => 1002 + place as u16,
            None if BACK.contains(&line.name) => 1001,
            None => 1000_u16.saturating_sub(at as u16),
        };
        let key = Span::styled(line.label, strong);
        let hint = Span::styled(format!(" {}", line.hint), dim);
        match is_narrow && leading.is_some() {
            true => fields.add(worth, [vec![key.clone(), hint], vec![key]]),
            false => fields.add(worth, [vec![key, hint]]),
        }
    }
    put(&fields.line(room(area)), area.x + 1, area.y, area.width.saturating_sub(1), buf);
}

/// The columns of a line with a space before it.
pub fn room(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(1))
}

/// A slider's label, its bar at place `at` of `of`, counted from 1, and what stands there, in words and in short.
struct Slider<'a> {
    label: &'a str,
    place: (usize, usize),
    /// Which places have a mark on the bar; at another one the knob is empty.
    marks: Vec<bool>,
    texts: [String; 2],
}

impl Slider<'_> {
    /// The line, of which the texts take `wide` columns.
    fn line(&self, which: usize, wide: usize, columns: usize, theme: &Theme) -> Line<'_> {
        let (at, of) = self.place;
        let bar = columns.saturating_sub(width(self.label) + wide + 2).max(1);
        let column = |place: usize| if of > 1 { (place - 1) * (bar - 1) / (of - 1) } else { 0 };
        let is_marked = |place: usize| self.marks.get(place - 1).copied().unwrap_or(false);
        let mut track = vec!["─"; bar];
        for place in (1..=of).filter(|place| *place != at && is_marked(*place)) {
            track[column(place)] = "┴";
        }
        Line::from(vec![
            Span::styled(self.label, theme.dim()),
            Span::styled(format!(" {}", track[..column(at)].concat()), theme.dim()),
            Span::styled(if is_marked(at) { "●" } else { "○" }, theme.warning()),
            Span::styled(format!("{} ", track[column(at) + 1..].concat()), theme.dim()),
            Span::styled(padded(&self.texts[which], wide), theme.strong()),
        ])
    }
}

/// The shortest bar of a slider.
const BAR: usize = 6;

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
    let training = format!("iteration {moment} ({}/{})", place.0, place.1);
    let em = format!("EM step {step}/{steps}");
    let sliders = [
        Slider {
            label: " past",
            place,
            marks: album.moments().iter().map(Moment::is_kept).collect(),
            texts: [format!("{training} {}", keys("past-back", "past-on")), format!("it {moment}")],
        },
        Slider {
            label: "   EM",
            place: (step, steps),
            marks: (1..=steps).map(|place| place == step).collect(),
            texts: [format!("{em} {}", keys("em-previous", "em-next")), format!("{step}/{steps}")],
        },
    ];
    // Both bars have the same width.
    let wide = |which: usize| sliders.iter().map(|slider| width(&slider.texts[which])).max().unwrap_or(0);
    let columns = usize::from(area.width);
    let which = usize::from(columns < wide(0) + width(sliders[0].label) + 2 + BAR);
    for (slider, y) in sliders.iter().zip(area.y..area.bottom()) {
        put(&slider.line(which, wide(which), columns, theme), area.x, y, area.width, buf);
    }
}
