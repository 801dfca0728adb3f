//! What the parts of the screen are drawn with: panes, lines, sliders, hints.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use crate::tui::actions::{self, key};
use crate::tui::app::App;
use crate::tui::theme::Theme;
use crate::tui::width::{padded, width};
use crate::tui::workbench::Workbench;

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
    pub fn mark(&mut self, x: usize, y: usize) {
        if let Some(pixel) = self.rgb.get_mut(3 * (y * self.width + x)..).and_then(|rgb| rgb.get_mut(..3)) {
            pixel.iter_mut().for_each(|byte| *byte = if *byte > 127 { 0 } else { 255 });
        }
    }
}

/// What is drawn on: cells, and the pictures among them.
pub struct Sheet<'a> {
    /// The cells.
    pub cells: &'a mut Buffer,
    /// The pictures, from the first drawn on.
    pub pictures: Vec<Placed>,
}

/// A pane with a title in its border; returns what is inside.
pub fn pane(title: Line, focused: bool, theme: &Theme, area: Rect, buf: &mut Buffer) -> Rect {
    let style = if focused { theme.accent() } else { theme.dim() };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(style).title(title);
    block.render(area, buf);
    inside(area)
}

/// What a pane's border leaves.
pub fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// Writes a line, cut to the area's width.
pub fn put(line: &Line, x: u16, y: u16, width: u16, buf: &mut Buffer) {
    if y < buf.area.bottom() && x < buf.area.right() {
        buf.set_line(x, y, line, width.min(buf.area.right() - x));
    }
}

/// The line in parts of at most `room` columns, split between words; a longer word stays whole.
pub fn wrapped(line: &str, room: usize) -> Vec<String> {
    if width(line) <= room {
        return vec![line.to_owned()];
    }
    line.split_whitespace().fold(Vec::new(), |mut parts: Vec<String>, word| {
        match parts.last_mut() {
            Some(part) if width(part) + 1 + width(word) <= room => {
                part.push(' ');
                part.push_str(word);
            }
            _ => parts.push(word.to_owned()),
        }
        parts
    })
}

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

/// Lines in a pane of their size, in the middle of the screen.
pub fn over(theme: &Theme, title: &str, lines: &[Line], area: Rect, buf: &mut Buffer) {
    let columns = lines.iter().map(Line::width).max().unwrap_or(0).max(width(title)) as u16 + 4;
    let columns = columns.min(area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let at =
        Rect::new(area.x + (area.width - columns) / 2, area.y + (area.height - height) / 2, columns, height);
    Clear.render(at, buf);
    let inner = pane(Line::styled(title.to_owned(), theme.accent()), true, theme, at, buf);
    let room = usize::from(inner.height);
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        put(line, inner.x, y, inner.width, buf);
    }
    if lines.len() > room && room > 0 {
        let note = format!(" +{} more in a higher terminal", lines.len() - room + 1);
        let blank = Line::raw(" ".repeat(usize::from(inner.width)));
        put(&blank, inner.x, inner.bottom() - 1, inner.width, buf);
        put(&Line::styled(note, theme.warning()), inner.x, inner.bottom() - 1, inner.width, buf);
    }
}

/// A question or a notice in the middle of the screen, with long lines wrapped.
pub fn question(theme: &Theme, title: &str, text: &str, area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.width.saturating_sub(8)).max(1);
    let text = text.lines().flat_map(|line| wrapped(line, room));
    let text = text.map(|line| Line::raw(format!("  {line}  ")));
    let blank = std::iter::once(Line::raw(""));
    let lines: Vec<Line> = blank.clone().chain(text).chain(blank).collect();
    over(theme, &format!(" {title} "), &lines, area, buf);
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

/// A label and its value.
pub fn labelled<'a>(label: &'a str, value: String, theme: &Theme) -> [Span<'a>; 2] {
    [Span::styled(label, theme.dim()), Span::styled(value, theme.strong())]
}

/// A slider of this many columns at place `at` of `of`, counted from 1, with a text.
pub fn slider<'a>(
    label: &'a str,
    (at, of): (usize, usize),
    text: String,
    columns: u16,
    theme: &Theme,
) -> Line<'a> {
    let taken = width(label) + width(&text) + 4;
    let room = usize::from(columns).saturating_sub(taken).max(1);
    let knob = if of > 1 { (at - 1) * (room - 1) / (of - 1) } else { 0 };
    Line::from(vec![
        Span::styled(label, theme.dim()),
        Span::styled(format!(" {}", "─".repeat(knob)), theme.dim()),
        Span::styled("●", theme.warning()),
        Span::styled(format!("{} ", "─".repeat(room - 1 - knob)), theme.dim()),
        Span::styled(text, theme.strong()),
    ])
}

/// What is left of `area` above the sliders, and the sliders' place, which is empty unless a past moment is shown.
pub fn with_sliders(workbench: &Workbench, area: Rect) -> [Rect; 2] {
    let height = if workbench.album.as_ref().is_some_and(|album| album.moment().is_some()) { 2 } else { 0 };
    Layout::vertical([Constraint::Min(0), Constraint::Length(height.min(area.height))]).areas(area)
}

/// The two sliders of a look into the past: the training, and the EM step.
pub fn sliders(app: &App, workbench: &Workbench, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let keys = |back, on| format!("{} {}", key(app, back), key(app, on));
    let (Some(album), Some(snapshot)) = (&workbench.album, workbench.shown()) else { return };
    let Some(moment) = album.moment() else { return };
    let (place, steps) = (album.place(), snapshot.steps.len());
    let step = workbench.shown_step(snapshot) + 1;
    let training = format!("it {moment} ({}/{}) {}", place.0, place.1, keys("past-back", "past-on"));
    let em = format!("EM step {step}/{steps} {}", keys("em-previous", "em-next"));
    // Both begin and end in the same columns.
    let wide = width(&training).max(width(&em));
    let line = |label, place, text: String| slider(label, place, padded(&text, wide), area.width, theme);
    put(&line(" past", place, training), area.x, area.y, area.width, buf);
    if area.height > 1 {
        put(&line("   EM", (step, steps), em), area.x, area.y + 1, area.width, buf);
    }
}

/// Splits off the first and the last line, where there is room for more than those.
pub fn frame_lines(area: Rect, first: u16, last: u16) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(first), Constraint::Min(0), Constraint::Length(last)]).areas(area)
}

/// The style of a title's text.
pub fn title_style(theme: &Theme, focused: bool) -> Style {
    if focused { theme.accent() } else { theme.strong() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_parted_between_words() {
        assert_eq!(wrapped("y  save", 10), ["y  save"], "what fits stays as it is");
        assert_eq!(wrapped("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("immeasurable", 4), ["immeasurable"]);
    }
}
