//! Choosing a model, a preset or a run.

use std::path::{Path, PathBuf};

use super::compare;
use crate::paths::quoted;
use crate::protocol::{Command, RunCard, RunState};
use crate::tui::app::{App, Entry, Overlay};
use crate::tui::message::{Done, Effect};
use crate::tui::overlay::Palette;

/// Chooses the entry `by` lines below.
pub fn step(app: &mut App, by: i64) -> Done {
    let listed: Vec<usize> = app.picker.listed().collect();
    let at = listed.iter().position(|at| *at == app.picker.selected).unwrap_or(0);
    select(app, at.saturating_add_signed(by as isize))
}

/// Chooses the listed entry at this place, or the last.
pub fn select(app: &mut App, place: usize) -> Done {
    let listed: Vec<usize> = app.picker.listed().collect();
    let Some(&to) = listed.get(place).or(listed.last()) else { return Ok(vec![]) };
    let picker = &mut app.picker;
    if std::mem::replace(&mut picker.selected, to) == to {
        return Ok(vec![]);
    }
    picker.clicked = None;
    Ok(preview(app))
}

/// Shows another sample of the chosen entry's data.
pub fn sample(app: &mut App, by: i64) -> Done {
    app.picker.sample = app.picker.sample.saturating_add_signed(by);
    Ok(preview(app))
}

/// Chooses another device.
pub fn device(app: &mut App, by: i64) -> Done {
    let devices = app.picker.devices.len().max(1) as i64;
    app.picker.device = (app.picker.device as i64 + by).rem_euclid(devices) as usize;
    Ok(more(app))
}

/// Shows the chosen model, trains the chosen preset, or resumes the chosen run.
pub fn open(app: &mut App) -> Done {
    let device = app.picker.device().to_owned();
    let effect = match app.picker.chosen() {
        Some(Entry::Model(model)) => Effect::Open(model.name.clone().into(), device),
        Some(Entry::Preset(preset)) => Effect::Start(preset.clone(), device),
        Some(Entry::Run(run)) if is_detaching(app, run) => return Err(detaching(run)),
        Some(Entry::Run(run)) => match &run.state {
            RunState::Running => Effect::Attach(run.clone(), device),
            RunState::Elsewhere(holder) => {
                let (name, directory) = (run.name(), quoted(&run.directory));
                let host = holder.rsplit(' ').next().unwrap_or_default();
                return Err(format!(
                    "{holder} trains {name}; `ssh {host} -t nem-tui attach {directory}` shows it"
                ));
            }
            RunState::Stopped | RunState::Finished => Effect::Resume(run.clone(), device),
        },
        None => return Ok(vec![]),
    };
    app.starting = true;
    app.attached = false;
    app.offers = matches!(effect, Effect::Resume(..));
    Ok(vec![effect])
}

/// Shows the chosen model or run without training it.
///
/// # Errors
/// A preset, which `open` trains.
pub fn look(app: &mut App, open: &str) -> Done {
    match app.picker.chosen() {
        Some(Entry::Preset(_)) => {
            Err(format!("a preset has nothing to look at before it is trained; {open} trains it"))
        }
        entry => {
            let is_stopped = matches!(entry, Some(Entry::Run(run)) if run.state == RunState::Stopped);
            let mut effects = self::open(app)?;
            app.offers = false;
            // The run is resumed, and pauses before its first iteration.
            effects.extend(is_stopped.then_some(Effect::Send(Command::Pause)));
            Ok(effects)
        }
    }
}

/// Requests the preview of the chosen entry.
pub fn preview(app: &App) -> Vec<Effect> {
    let entry = app.picker.chosen();
    entry.map(|e| Effect::Preview(Box::new(e.preset().clone()), app.picker.sample)).into_iter().collect()
}

/// After the preview, which it must not delay, requests more about the chosen entry: of a run its curve, of a preset
/// how long it takes.
pub fn more(app: &App) -> Vec<Effect> {
    let picker = &app.picker;
    // While a training runs, times would be wrong, and would disturb it.
    let is_busy = || picker.detaching.is_some() || picker.runs().any(|run| run.state == RunState::Running);
    match picker.chosen() {
        _ if !app.shows_runs() => vec![],
        Some(Entry::Run(run)) if picker.details.as_ref().is_none_or(|(of, _)| *of != run.directory) => {
            vec![Effect::Details(run.directory.clone())]
        }
        Some(Entry::Preset(preset)) if picker.seconds_of(preset).is_none() && !is_busy() => {
            vec![Effect::Seconds(preset.clone(), picker.device().to_owned())]
        }
        _ => vec![],
    }
}

/// Adds a run that was found to the shelf, or offers it for comparison.
pub fn take_run(app: &mut App, run: RunCard) -> Vec<Effect> {
    if app.workbench.is_some() {
        compare::offer(app, run);
        return vec![];
    }
    let trains = run.state == RunState::Running;
    // Its curve grows with an epoch, and reading it takes a while.
    let epoch = |run: &RunCard| run.iteration.saturating_sub(1) / run.preset.iterations_per_epoch().max(1);
    let of = |run: &RunCard| (run.directory.clone(), epoch(run), run.state.clone());
    let seen = |app: &App| app.picker.selected_run().map(of);
    let was = seen(app);
    app.picker.add(run);
    let mut effects = match (was, seen(app)) {
        (was, is) if was == is => vec![],
        (_, None) => vec![],
        (Some((was, ..)), Some((is, ..))) if was == is => vec![Effect::Details(is)],
        _ => {
            app.picker.details = None;
            preview(app)
        }
    };
    // A training on this machine would disturb a measurement, and be disturbed.
    effects.extend(trains.then_some(Effect::Hush));
    effects
}

/// Reads the list again, unless that is in progress.
pub fn read_again(app: &mut App) -> Vec<Effect> {
    if app.picker.reading || std::mem::replace(&mut app.picker.rereading, true) {
        return vec![];
    }
    vec![Effect::RunsAgain(app.picker.runs().cloned().collect())]
}

/// The list has been read again, and these runs are gone.
pub fn read(app: &mut App, gone: &[PathBuf]) -> Vec<Effect> {
    app.picker.rereading = false;
    let before = app.picker.selected_run().map(|run| run.directory.clone());
    gone.iter().for_each(|run| app.picker.remove(run));
    let has_gone = before.is_some_and(|before| gone.contains(&before));
    if has_gone && app.workbench.is_none() { preview(app) } else { vec![] }
}

/// Begins to type the filter.
pub fn filter(app: &mut App) -> Done {
    app.overlay = Some(Overlay::Filter);
    Ok(vec![])
}

/// Lists everything again.
pub fn clear_filter(app: &mut App) -> Done {
    Ok(set_filter(app, String::new()))
}

/// Filters the list, and chooses the first entry if the chosen one is no longer listed.
pub fn set_filter(app: &mut App, filter: String) -> Vec<Effect> {
    app.picker.filter = filter;
    choose_listed(app)
}

/// Chooses the first entry that is listed, if the chosen one is not.
pub fn choose_listed(app: &mut App) -> Vec<Effect> {
    match (app.picker.chosen(), app.picker.listed().next()) {
        (None, Some(first)) => {
            app.picker.selected = first;
            app.picker.clicked = None;
            preview(app)
        }
        _ => vec![],
    }
}

/// The run to be renamed, noted or deleted.
fn chosen_run<'a>(app: &'a App, what: &str) -> Result<&'a RunCard, String> {
    match app.picker.chosen() {
        Some(Entry::Run(run)) => Ok(run),
        _ => Err(format!("only a run can be {what}; choose one further down")),
    }
}

/// The run to be renamed.
fn renamable(app: &App) -> Result<&RunCard, String> {
    match chosen_run(app, "renamed")? {
        RunCard { sweep: Some(sweep), .. } => {
            Err(format!("a trial keeps its name, by which its sweep, {sweep}, finds it"))
        }
        run => Ok(run),
    }
}

/// Opens the command that renames the chosen run, with its name to be changed.
pub fn ask_name(app: &mut App) -> Done {
    let line = format!("rename {}", renamable(app)?.name());
    app.overlay = Some(Overlay::Palette(Box::new(Palette::with(line))));
    Ok(vec![])
}

/// Opens the command that notes a line about the chosen run, with its note to be changed.
pub fn ask_note(app: &mut App) -> Done {
    let note = chosen_run(app, "noted")?.note.as_deref().unwrap_or_default();
    let line = format!("note {note}");
    app.overlay = Some(Overlay::Palette(Box::new(Palette::with(line))));
    Ok(vec![])
}

/// Renames the chosen run.
pub fn rename(app: &mut App, name: &str) -> Done {
    renamable(app)?;
    let run = idle_run(app, "renamed")?;
    match name {
        "" => Err("rename takes a NAME".into()),
        name if name == run.name() => Ok(vec![]),
        name => Ok(vec![Effect::Rename(run.directory.clone(), name.to_owned())]),
    }
}

/// Notes a line about the run on the screen or the chosen one.
pub fn note(app: &mut App, text: &str) -> Done {
    let run = match &app.workbench {
        Some(workbench) => workbench.info.directory.clone(),
        None => chosen_run(app, "noted")?.directory.clone(),
    };
    Ok(vec![Effect::Note(run, text.to_owned())])
}

/// Asks whether to delete the chosen run, once it is known what that would delete.
pub fn delete(app: &mut App) -> Done {
    let run = idle_run(app, "deleted")?;
    Ok(vec![Effect::AskDelete(run.directory.clone())])
}

/// The same, unless a process trains it or is about to.
fn idle_run<'a>(app: &'a App, what: &str) -> Result<&'a RunCard, String> {
    let run = chosen_run(app, what)?;
    match run.state {
        _ if is_detaching(app, run) => Err(detaching(run)),
        RunState::Stopped | RunState::Finished => Ok(run),
        RunState::Running | RunState::Elsewhere(_) => {
            Err(format!("{} is training; stop it before it is {what}", run.name()))
        }
    }
}

fn is_detaching(app: &App, run: &RunCard) -> bool {
    app.picker.detaching.as_ref() == Some(&run.directory)
}

fn detaching(run: &RunCard) -> String {
    format!("{} is about to continue in the background; wait a moment", run.name())
}

/// The run was renamed.
pub fn renamed(app: &mut App, run: &Path, to: PathBuf) -> Vec<Effect> {
    app.picker.remove(run);
    app.picker.wanted = Some(to);
    read_again(app)
}

/// Notes that all runs were found.
pub fn all_runs_found(app: &mut App) {
    app.picker.reading = false;
    if let Some(Overlay::Compare(choice)) = &mut app.overlay {
        choice.reading = false;
    }
}

#[cfg(test)]
mod tests;
