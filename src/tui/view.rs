//! From the state to a frame. Every part draws into the area it is given, whatever its size.

mod bars;
mod beside;
mod components;
mod curves;
mod draw;
pub(super) mod fields;
mod format;
mod inspector;
pub(super) mod parts;
mod picker;
mod picture;
mod profile;
mod readout;
mod table;
mod tiles;
mod workbench;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use self::bars::message;
pub use self::parts::Placed;
use self::parts::Sheet;
use super::app::{App, Overlay};
use super::health::warnings;
pub use super::message::Target;
use super::overlay::{compare, confirm, health, help, log, palette, resize};
use super::workbench::{Pane, Workbench};
use super::{actions, command_line};
use crate::paths::shown;

/// Draws the whole screen, and returns its pictures, which are already drawn as half-blocks.
pub fn draw(app: &App, frame: &mut Frame) -> Vec<Placed> {
    render(app, frame.area(), frame.buffer_mut())
}

/// Draws the whole screen into a buffer.
pub fn render(app: &App, area: Rect, buf: &mut Buffer) -> Vec<Placed> {
    // The terminal may have shrunk since its size was read.
    let area = area.intersection(buf.area);
    let mut sheet = Sheet { cells: buf, pictures: Vec::new() };
    match &app.workbench {
        Some(workbench) => {
            let inspector = workbench.inspector.as_ref();
            let drawn = inspector.and_then(|inspector| Some((inspector, inspector.drawing.as_deref()?)));
            match (&workbench.beside, drawn) {
                (Some(second), _) => beside::render(app, workbench, second, area, &mut sheet),
                (None, Some(drawn)) => draw::render(app, workbench, drawn, area, &mut sheet),
                (None, None) => workbench::render(app, workbench, area, &mut sheet),
            }
        }
        None => match &app.picker.table {
            Some(table) => table::render(app, table, area, &mut sheet),
            None => picker::render(app, area, &mut sheet),
        },
    }
    let Sheet { cells: buf, mut pictures } = sheet;
    if !matches!(app.overlay, None | Some(Overlay::Filter)) || app.leaving.is_some() {
        // They would cover the overlay.
        pictures.clear();
    }
    message(app, area, buf);
    overlay(app, area, buf);
    pictures
}

/// Draws the overlay, if there is one.
fn overlay(app: &App, area: Rect, buf: &mut Buffer) {
    let theme = &app.theme;
    let context = app.context();
    match (&app.overlay, &app.workbench) {
        (Some(Overlay::Help(from)), _) => {
            help::render(theme, &actions::all_help(&app.config.keymap, context), *from, area, buf);
        }
        (Some(Overlay::Palette(typed)), _) => {
            palette::render(theme, typed, &|line| command_line::completions(line, context), area, buf);
        }
        (Some(Overlay::Further(further)), _) => further.render(theme, area, buf),
        (Some(Overlay::Delete(run, deletion)), _) => {
            let name = shown(run.file_name().unwrap_or_default()).to_string();
            confirm::render_delete(theme, &name, deletion, area, buf);
        }
        (Some(Overlay::Back), Some(workbench)) => confirm::render_back(theme, workbench.paused, area, buf),
        // It is in the list's frame.
        (Some(Overlay::Filter), _) => {}
        (Some(Overlay::Log(read)), _) => log::render(theme, read, area, buf),
        (Some(Overlay::Stop), _) => confirm::render_stop(theme, area, buf),
        (Some(Overlay::Quit), Some(workbench)) => confirm::render_quit(theme, workbench.paused, area, buf),
        (Some(Overlay::Health(from)), Some(workbench)) => {
            health::render(theme, &warnings(workbench), *from, area, buf);
        }
        (Some(Overlay::Resize(input, size)), Some(workbench)) => {
            resize::render(theme, input, *size, workbench.preset.data.image(), area, buf);
        }
        (Some(Overlay::Compare(choice)), Some(workbench)) => {
            compare::render(theme, choice, workbench, &|run| app.located(run), area, buf);
        }
        // These are about the run on the screen.
        (
            Some(
                Overlay::Quit
                | Overlay::Back
                | Overlay::Health(_)
                | Overlay::Resize(..)
                | Overlay::Compare(_),
            ),
            None,
        )
        | (None, _) => {}
    }
    if app.leaving.is_some() {
        let is_model = app.workbench.as_ref().is_some_and(Workbench::is_model);
        confirm::render_leaving(theme, is_model, area, buf);
    }
}

/// What the screen, drawn on `area`, shows at `at`. Drawing uses the same layout.
pub fn target(app: &App, area: Rect, at: Position) -> Option<Target> {
    match &app.workbench {
        None => {
            let entry = match app.picker.table {
                Some(_) => table::entry(app, area, at),
                None => picker::entry(app, area, at),
            };
            Some(entry.map_or(Target::Picker, Target::Entry))
        }
        Some(Workbench { beside: Some(_), .. }) => Some(Target::Inspector),
        Some(workbench @ Workbench { inspector: Some(inspector), .. }) => {
            let pixel = match inspector.drawing {
                Some(_) => draw::pixel(inspector, area, at),
                None => inspector::pixel(app, workbench, inspector, area, at),
            };
            Some(pixel.map_or(Target::Inspector, |(x, y)| Target::Pixel(x, y)))
        }
        Some(workbench) => {
            let panes = workbench::panes(area, workbench);
            let (pane, area) = panes.into_iter().find(|(_, area)| area.contains(at))?;
            let step = (pane == Pane::Components).then(|| components::step(workbench, area, at)).flatten();
            Some(step.map_or(Target::Pane(pane), Target::Step))
        }
    }
}
