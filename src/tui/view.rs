//! From the state to a frame. Every part draws into the area it is given, whatever its size.

mod components;
mod curves;
mod inspector;
mod picker;
mod picture;
mod profile;
mod workbench;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::app::{App, Pane, Workbench};
use super::keymap::Action;
use super::overlay;
use super::theme::Theme;

/// A picture and its place, for a terminal that draws pictures itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The cells that it covers.
    pub area: Rect,
    /// Its pixels.
    pub width: usize,
    /// Its rows of pixels.
    pub height: usize,
    /// Three bytes a pixel, row by row.
    pub rgb: Vec<u8>,
}

impl Placed {
    /// Turns a pixel into its opposite, so that it is seen.
    fn mark(&mut self, x: usize, y: usize) {
        if let Some(pixel) = self.rgb.get_mut(3 * (y * self.width + x)..).and_then(|rgb| rgb.get_mut(..3)) {
            pixel.iter_mut().for_each(|byte| *byte = if *byte > 127 { 0 } else { 255 });
        }
    }
}

/// What is drawn on: cells, and the pictures among them.
pub struct Sheet<'a> {
    cells: &'a mut Buffer,
    pictures: Vec<Placed>,
}

/// Draws the whole screen, and returns the pictures on it, which lie in half-blocks there already.
pub fn draw(app: &App, frame: &mut Frame) -> Vec<Placed> {
    render(app, frame.area(), frame.buffer_mut())
}

/// Draws the whole screen into a buffer.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) -> Vec<Placed> {
    // A terminal that shrinks between being asked and being drawn on.
    let area = area.intersection(buf.area);
    let mut sheet = Sheet { cells: buf, pictures: Vec::new() };
    match &app.workbench {
        Some(workbench) => workbench::render(app, workbench, area, &mut sheet),
        None => picker::render(app, area, &mut sheet),
    }
    let Sheet { cells: buf, mut pictures } = sheet;
    if app.overlay.is_some() || app.leaving.is_some() {
        // They would cover what lies over the screen.
        pictures.clear();
    }
    message(app, area, buf);
    overlay::render(app, area, buf);
    pictures
}

/// What lies under a cell of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A line of the picker's shelf, by its entry.
    Entry(usize),
    /// The picker, elsewhere.
    Picker,
    /// A pane of the workbench.
    Pane(Pane),
    /// A pixel of the inspector's large pictures: column and row.
    Pixel(usize, usize),
    /// The inspector, elsewhere.
    Inspector,
}

/// What the screen, drawn on `area`, shows at `at`. Drawing goes by the same places.
pub fn target(app: &App, area: Rect, at: Position) -> Option<Target> {
    match &app.workbench {
        None => Some(picker::entry(app, area, at).map_or(Target::Picker, Target::Entry)),
        Some(workbench @ Workbench { inspector: Some(inspector), .. }) => {
            let pixel = inspector::pixel(workbench, inspector, area, at);
            Some(pixel.map_or(Target::Inspector, |(x, y)| Target::Pixel(x, y)))
        }
        Some(workbench) => {
            let panes = workbench::panes(area, workbench);
            panes.into_iter().find(|(_, area)| area.contains(at)).map(|(pane, _)| Target::Pane(pane))
        }
    }
}

/// A pane with a title in its border; returns what is inside.
pub(super) fn pane(title: Line, focused: bool, theme: &Theme, area: Rect, buf: &mut Buffer) -> Rect {
    let style = if focused { theme.accent() } else { theme.dim() };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(style).title(title);
    block.render(area, buf);
    inside(area)
}

/// What a pane's border leaves.
fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Writes a line, cut to the area's width.
pub(super) fn put(line: &Line, x: u16, y: u16, width: u16, buf: &mut Buffer) {
    if y < buf.area.bottom() && x < buf.area.right() {
        buf.set_line(x, y, line, width.min(buf.area.right() - x));
    }
}

/// What there is to tell, in the place of the last line, or of as many as it needs.
fn message(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(message) = &app.message else { return };
    let lines = overlay::wrapped(message, usize::from(area.width.saturating_sub(2)).max(1));
    let top = area.bottom().saturating_sub(lines.len() as u16).max(area.y);
    Clear.render(Rect { y: top, height: area.bottom() - top, ..area }, buf);
    for (line, y) in lines.iter().zip(top..area.bottom()) {
        put(&Line::styled(format!(" {line}"), app.theme.warning()), area.x, y, area.width, buf);
    }
}

/// The last line: as many keys as fit.
fn footer(app: &App, area: Rect, buf: &mut Buffer) {
    let mut spans = vec![Span::raw(" ")];
    let mut width = 1;
    let keys = app.config.keymap.of(app.context());
    for (label, hint) in
        keys.map(|bound| (bound.label(), bound.binding.hint)).filter(|(_, hint)| !hint.is_empty())
    {
        let wide = (label.chars().count() + hint.chars().count() + 4) as u16;
        if width + wide > area.width {
            break;
        }
        width += wide;
        spans.push(Span::styled(label, app.theme.strong()));
        spans.push(Span::styled(format!(" {hint}   "), app.theme.dim()));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}

/// A label and its value.
fn labelled<'a>(label: &'a str, value: String, theme: &Theme) -> [Span<'a>; 2] {
    [Span::styled(label, theme.dim()), Span::styled(value, theme.strong())]
}

/// A slider of `width` columns that stands at `at` of `of` places, counted from 1, with what it says.
fn slider<'a>(label: &'a str, (at, of): (usize, usize), text: String, width: u16, theme: &Theme) -> Line<'a> {
    let taken = label.chars().count() + text.chars().count() + 4;
    let room = usize::from(width).saturating_sub(taken).max(1);
    let knob = if of > 1 { (at - 1) * (room - 1) / (of - 1) } else { 0 };
    Line::from(vec![
        Span::styled(label, theme.dim()),
        Span::styled(format!(" {}", "─".repeat(knob)), theme.dim()),
        Span::styled("●", theme.warning()),
        Span::styled(format!("{} ", "─".repeat(room - 1 - knob)), theme.dim()),
        Span::styled(text, theme.strong()),
    ])
}

/// What is left of `area` above the sliders, and their place: none where nobody looks back.
fn with_sliders(workbench: &Workbench, area: Rect) -> [Rect; 2] {
    let height = if workbench.album.as_ref().is_some_and(|album| album.moment().is_some()) { 2 } else { 0 };
    Layout::vertical([Constraint::Min(0), Constraint::Length(height.min(area.height))]).areas(area)
}

/// The two sliders of a look into the past: the training, and the EM step.
fn sliders(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let keys = |back: Action, on: Action| format!("{} {}", app.key(back), app.key(on));
    let (Some(album), Some(snapshot)) = (&workbench.album, workbench.shown()) else { return };
    let Some(moment) = album.moment() else { return };
    let (place, steps) = (album.place(), snapshot.steps.len());
    let step = workbench.shown_step(snapshot) + 1;
    let training =
        format!("it {moment} ({}/{}) {}", place.0, place.1, keys(Action::Moment(-1), Action::Moment(1)));
    let em = format!("EM step {step}/{steps} {}", keys(Action::EmStep(-1), Action::EmStep(1)));
    // Both begin and end in the same columns.
    let wide = training.chars().count().max(em.chars().count());
    let line = |label, place, text: String| slider(label, place, format!("{text:<wide$}"), area.width, theme);
    put(&line(" past", place, training), area.x, area.y, area.width, buf);
    if area.height > 1 {
        put(&line("   EM", (step, steps), em), area.x, area.y + 1, area.width, buf);
    }
}

/// Splits off the first and the last line, where there is room for more than those.
fn frame_lines(area: Rect, first: u16, last: u16) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(first), Constraint::Min(0), Constraint::Length(last)]).areas(area)
}

/// The style of a title's text.
fn title_style(theme: &Theme, focused: bool) -> Style {
    if focused { theme.accent() } else { theme.strong() }
}
