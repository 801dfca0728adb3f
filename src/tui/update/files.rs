//! Writing files and the clipboard, and opening the user's own images.

use std::path::{Path, PathBuf};

use super::look::answers;
use crate::paths::{quoted, shown};
use crate::protocol::{Command, is_for_curves};
use crate::snapshot::{Source, View};
use crate::tui::app::App;
use crate::tui::message::{Done, Effect, NO_PICTURE, NewFile};
use crate::tui::workbench::{Pane, Workbench};

/// The file that `e` writes: in the directory where the program was started, named after what it shows.
fn name_of_seen(workbench: &Workbench) -> Option<PathBuf> {
    let run = shown(workbench.info.directory.file_name()?);
    if workbench.inspector.is_none() && workbench.focus != Pane::Components {
        return Some(format!("{run}-it{}-curves.svg", workbench.iteration()).into());
    }
    let snapshot = workbench.shown()?;
    let view = match workbench.inspector {
        Some(_) => "overview".to_owned(),
        None => format!("step{}", workbench.shown_step(snapshot) + 1),
    };
    let of = match &snapshot.input {
        Some(input) => input.stem(),
        None => format!("sample{}", snapshot.sample + 1),
    };
    Some(format!("{run}-it{}-{of}-{view}.png", snapshot.iteration).into())
}

/// Writes the view to a file named after it.
pub fn export_seen(app: &mut App) -> Done {
    let file = app.workbench.as_ref().and_then(name_of_seen).ok_or(NO_PICTURE)?;
    save(app, NewFile::Suggested(file))
}

/// Writes the view to this file. A PNG has all EM steps in the inspector, elsewhere the one shown.
pub fn export(app: &mut App, file: &Path) -> Done {
    save(app, NewFile::Typed(app.at_home(file)))
}

fn save(app: &App, to: NewFile) -> Done {
    let (NewFile::Typed(file) | NewFile::Suggested(file)) = &to;
    let Some(workbench) = &app.workbench else { return Ok(vec![]) };
    if is_for_curves(file) {
        if workbench.is_model() {
            return Err("a model has no curves; export those of a run".into());
        }
        return Ok(vec![Effect::SaveCurves(workbench.info.directory.clone(), to)]);
    }
    let snapshot = workbench.shown().cloned().ok_or(NO_PICTURE)?;
    let is_png = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let view = match is_png && workbench.inspector.is_some() {
        true => View::Overview,
        false => View::Step(workbench.shown_step(&snapshot)),
    };
    Ok(vec![Effect::Save(snapshot, view, to)])
}

/// Requests the user's own image in this file.
pub fn open(app: &mut App, file: &Path) -> Done {
    let file = app.located(file);
    app.workbench.as_mut().map_or(Ok(vec![]), |workbench| ask_for(workbench, file, false))
}

/// Asks for the image in this file, resized if its size is not the model's.
pub fn ask_for(workbench: &mut Workbench, file: PathBuf, resize: bool) -> Done {
    answers(workbench)?;
    // It is shown instead of a drawing in progress.
    workbench.inspector.iter_mut().for_each(|inspector| inspector.drawing = None);
    let input = workbench.ask_for(Source::File { path: file, resize });
    Ok(vec![Effect::Send(Command::Input(Some(input)))])
}

/// Puts the command that repeats this run on the clipboard.
pub fn copy_command(app: &mut App) -> Done {
    let Some(workbench) = &app.workbench else { return Ok(vec![]) };
    let command = format!("nem-tui train --replay {}", quoted(&workbench.info.directory));
    app.message = Some(format!("copied: {command}"));
    Ok(vec![Effect::Copy(command)])
}

#[cfg(test)]
mod tests;
