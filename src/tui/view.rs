//! From the state to a frame. Every part draws into the area it is given, whatever its size.

mod components;
mod curves;
mod format;
mod inspector;
pub(super) mod parts;
mod picker;
mod picture;
mod profile;
mod workbench;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

pub use self::parts::Placed;
use self::parts::{Sheet, message};
use super::app::App;
use super::overlay;
use super::workbench::{Pane, Workbench};

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
