//! What lies over the screen: each in one room with its state, its keys and its drawing.

pub(super) mod compare;
pub(super) mod confirm;
pub(super) mod health;
pub(super) mod help;
pub(super) mod log;
pub(super) mod palette;
pub(super) mod resize;

pub use self::compare::Choice;
pub use self::log::Log;
pub use self::palette::Palette;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::app::App;
use super::theme::Theme;
use super::update::Effect;
use super::view::parts::{pane, put, wrapped};
use super::width::width;
use crate::snapshot::Input;

/// Lines that a page key goes by.
const PAGE: usize = 10;

/// What can lie over the screen.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// All keys, from this line on.
    Help(usize),
    /// What looks wrong.
    Health,
    /// "Save and leave?"
    Quit,
    /// "End the run?", of one that is attached to.
    Stop,
    /// "Resize it?", of an image of this width and height.
    Resize(Input, [usize; 2]),
    /// The run's log.
    Log(Log),
    /// A command that is being typed.
    Palette(Box<Palette>),
    /// Other runs to compare this one with, and how their settings differ.
    Compare(Choice),
}

/// A key while `overlay`, which was taken off the screen for it, has the keyboard.
pub fn press(app: &mut App, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
    match overlay {
        Overlay::Help(from) => help::press(app, from, key.code),
        Overlay::Health => {}
        Overlay::Log(log) => log::press(app, log, key.code),
        Overlay::Quit => return confirm::press_quit(app, key.code),
        Overlay::Stop => return confirm::press_stop(app, key.code),
        Overlay::Resize(input, _) => return resize::press(app, input, key.code),
        Overlay::Palette(palette) => return palette::press(app, palette, key),
        Overlay::Compare(choice) => return compare::press(app, choice, key.code),
    }
    vec![]
}

/// Draws what lies over the screen, if anything does.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) {
    match &app.overlay {
        Some(Overlay::Help(from)) => help::render(app, *from, area, buf),
        Some(Overlay::Health) => health::render(app, area, buf),
        Some(Overlay::Log(read)) => log::render(app, read, area, buf),
        Some(Overlay::Quit) => confirm::render_quit(app, area, buf),
        Some(Overlay::Stop) => confirm::render_stop(app, area, buf),
        Some(Overlay::Resize(input, size)) => resize::render(app, input, *size, area, buf),
        Some(Overlay::Palette(typed)) => palette::render(app, typed, area, buf),
        Some(Overlay::Compare(choice)) => compare::render(app, choice, area, buf),
        None => {}
    }
    if app.leaving.is_some() {
        confirm::render_leaving(app, area, buf);
    }
}

/// A question, or a notice, in the middle of the screen; lines that are too long for it go on in the next.
pub fn question(theme: &Theme, title: &str, text: &str, area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.width.saturating_sub(8)).max(1);
    let text = text.lines().flat_map(|line| wrapped(line, room));
    let text = text.map(|line| Line::raw(format!("  {line}  ")));
    let blank = std::iter::once(Line::raw(""));
    let lines: Vec<Line> = blank.clone().chain(text).chain(blank).collect();
    over(theme, &format!(" {title} "), &lines, area, buf);
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
