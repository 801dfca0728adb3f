//! Opening and reading the run's log.

use crate::tui::app::{App, Overlay};
use crate::tui::message::{Done, Effect};
use crate::tui::overlay::Log;

/// Opens the log.
pub fn open(app: &mut App) -> Done {
    app.overlay = Some(Overlay::Log(Log::default()));
    Ok(read(app))
}

/// Requests its latest lines.
pub fn read(app: &App) -> Vec<Effect> {
    app.workbench.iter().map(|workbench| Effect::ReadLog(workbench.info.directory.clone())).collect()
}

/// Shows the lines that were read; on an error closes the log and says why.
pub fn take_in(app: &mut App, lines: Result<Vec<String>, String>) {
    let Some(Overlay::Log(log)) = &mut app.overlay else { return };
    match lines {
        Ok(lines) if log.below == 0 => log.lines = lines,
        Ok(_) => {}
        Err(sentence) => {
            app.overlay = None;
            app.message = Some(sentence);
        }
    }
}
