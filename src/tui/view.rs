//! From the state to a frame. Every part draws into the area it is given, whatever its size.

mod components;
mod curves;
mod help;
mod inspector;
mod palette;
mod picker;
mod picture;
mod profile;
mod workbench;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use super::app::{App, Overlay};
use super::theme::Theme;
use super::{health, keymap};

/// Draws the whole screen.
pub fn draw(app: &App, frame: &mut Frame) {
    render(app, frame.area(), frame.buffer_mut());
}

/// Draws the whole screen into a buffer.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) {
    match &app.workbench {
        Some(workbench) => workbench::render(app, workbench, area, buf),
        None => picker::render(app, area, buf),
    }
    match &app.overlay {
        Some(Overlay::Help(line)) => help::render(&app.theme, app.context(), *line, area, buf),
        Some(Overlay::Health) => {
            let found = app.workbench.as_ref().map(health::warnings).unwrap_or_default();
            let text = match found.is_empty() {
                true => "nothing looks wrong".to_owned(),
                false => found.join("\n"),
            };
            help::question(&app.theme, "health", &text, area, buf);
        }
        Some(Overlay::Quit) => {
            let paused = app.workbench.as_ref().is_some_and(|workbench| workbench.paused);
            let detach = if paused { "detach: it ends its pause and" } else { "detach: it" };
            let text = format!("y  save, then leave\nd  {detach} trains on without a screen\nn  stay");
            help::question(&app.theme, "Save and leave?", &text, area, buf);
        }
        Some(Overlay::Stop) => {
            let text = "y  save and end it, for all who look\nn  let it go on";
            help::question(&app.theme, "End the run?", text, area, buf);
        }
        Some(Overlay::Resize(input, [width, height])) => {
            let model = app.workbench.as_ref().map(|workbench| workbench.preset.data.image());
            let model = model.map_or_else(String::new, |image| format!("{}x{}", image.width, image.height));
            let name = input.file.file_name().unwrap_or_default().to_string_lossy();
            let text = format!(
                "{name} has {width}x{height} pixels; the model's images have {model}\n\n\
                 y  resize it, in its proportions, on black\nn  leave it"
            );
            help::question(&app.theme, "Resize it?", &text, area, buf);
        }
        Some(Overlay::Palette(typed)) => palette::render(app, typed, area, buf),
        None => {}
    }
    if app.leaving.is_some() {
        let model = app.workbench.as_ref().is_some_and(|workbench| workbench.is_model());
        let (title, text) = if model {
            ("Leaving…", "the picture in progress ends")
        } else {
            ("Saving…", "the run is being saved")
        };
        help::question(&app.theme, title, text, area, buf);
    }
}

/// A pane with a title in its border; returns what is inside.
fn pane(title: Line, focused: bool, theme: &Theme, area: Rect, buf: &mut Buffer) -> Rect {
    let style = if focused { theme.accent() } else { theme.dim() };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(style).title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// Writes a line, cut to the area's width.
fn put(line: &Line, x: u16, y: u16, width: u16, buf: &mut Buffer) {
    if y < buf.area.bottom() && x < buf.area.right() {
        buf.set_line(x, y, line, width.min(buf.area.right() - x));
    }
}

/// The last line: a message if there is one, else as many keys as fit.
fn footer(app: &App, area: Rect, buf: &mut Buffer) {
    if let Some(message) = &app.message {
        put(&Line::styled(format!(" {message}"), app.theme.warning()), area.x, area.y, area.width, buf);
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    let mut width = 1;
    for binding in keymap::of(app.context()).filter(|b| !b.hint.is_empty()) {
        let wide = (binding.label.chars().count() + binding.hint.chars().count() + 4) as u16;
        if width + wide > area.width {
            break;
        }
        width += wide;
        spans.push(Span::styled(binding.label, app.theme.strong()));
        spans.push(Span::styled(format!(" {}   ", binding.hint), app.theme.dim()));
    }
    put(&Line::from(spans), area.x, area.y, area.width, buf);
}

/// A label and its value.
fn labelled<'a>(label: &'a str, value: String, theme: &Theme) -> [Span<'a>; 2] {
    [Span::styled(label, theme.dim()), Span::styled(value, theme.strong())]
}

/// Splits off the first and the last line, where there is room for more than those.
fn frame_lines(area: Rect, first: u16, last: u16) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(first), Constraint::Min(0), Constraint::Length(last)]).areas(area)
}

/// The style of a title's text.
fn title_style(theme: &Theme, focused: bool) -> Style {
    if focused { theme.accent() } else { theme.strong() }
}
