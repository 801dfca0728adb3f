//! Comparing the run on the screen with others.

use std::path::Path;

use crate::protocol::RunCard;
use crate::tui::app::{App, Overlay};
use crate::tui::message::{Done, Effect};
use crate::tui::overlay::Choice;
use crate::tui::workbench::{ComparedRun, is_same};

/// Opens the list, which fills as runs are found.
pub fn open(app: &mut App) -> Done {
    app.overlay = Some(Overlay::Compare(Choice { reading: true, ..Choice::default() }));
    Ok(vec![Effect::Runs])
}

/// Adds the run in this directory to the comparison, or removes it.
pub fn toggle(app: &mut App, run: &Path) -> Vec<Effect> {
    let run = app.located(run);
    let Some(workbench) = &mut app.workbench else { return vec![] };
    let before = workbench.compared.len();
    workbench.compared.retain(|compared| !compared.is_in(&run));
    if workbench.compared.len() < before {
        return vec![];
    }
    vec![Effect::Compare(workbench.info.directory.clone(), run)]
}

/// The same for a directory that was typed.
pub fn toggle_named(app: &mut App, run: &Path) -> Done {
    Ok(toggle(app, run))
}

/// Offers a run that was found, unless it is the one on the screen.
pub fn offer(app: &mut App, run: RunCard) {
    let Some(workbench) = &app.workbench else { return };
    let is_own = is_same(&app.located(&run.directory), &app.located(&workbench.info.directory));
    if let (false, Some(Overlay::Compare(choice))) = (is_own, &mut app.overlay) {
        choice.add(run);
    }
}

/// Draws a run that was read beside the one on the screen, or no longer.
pub fn add(app: &mut App, run: ComparedRun) {
    let Some(workbench) = &mut app.workbench else { return };
    let compared = &mut workbench.compared;
    match compared.iter().position(|other| other.real == run.real) {
        None => compared.push(run),
        Some(at) if is_same(&compared[at].directory, &run.directory) => compared[at] = run,
        // It was reached by another path, which could not be seen when it was chosen again.
        Some(at) => drop(compared.remove(at)),
    }
}
