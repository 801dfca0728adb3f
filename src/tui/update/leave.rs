//! Leaving a run: to the shell, or to a new run with its state or its weights.

use super::{past, picker};
use crate::error::Error;
use crate::protocol::{Command, Finish};
use crate::tui::app::{App, Leave, Overlay};
use crate::tui::message::{Done, Effect};
use crate::tui::workbench::Workbench;

/// Leaves; asks first if that ends the run.
pub fn quit(app: &mut App) -> Done {
    if app.is_running() && !app.attached {
        app.overlay = Some(Overlay::Quit);
        return Ok(vec![]);
    }
    Ok(leave(app, Leave::Program))
}

/// Back: from the past to now, from a zoomed pane to all of them, or to the list.
pub fn back(app: &mut App) -> Done {
    match &mut app.workbench {
        Some(workbench) if workbench.album.is_some() => workbench.come_back(),
        Some(workbench) if workbench.zoomed => workbench.zoomed = false,
        _ => return to_runs(app),
    }
    Ok(vec![])
}

/// To the list; asks what becomes of the user's own training.
pub fn to_runs(app: &mut App) -> Done {
    if app.starting {
        return Err("a run is starting; wait a moment".into());
    }
    if app.is_running() && !app.attached {
        app.overlay = Some(Overlay::Back);
        return Ok(vec![]);
    }
    Ok(leave(app, Leave::Runs))
}

/// Shows the list, where the run that was on the screen is chosen.
fn show_runs(app: &mut App) -> Vec<Effect> {
    let left = app.workbench.take().filter(|workbench| !workbench.is_model());
    app.picker.wanted = left.map(|workbench| workbench.info.directory);
    (app.attached, app.offers, app.leaving, app.early, app.overlay) = (false, false, None, None, None);
    (app.picker.details, app.picker.clicked) = (None, None);
    // It is read again, even if its file's date has not changed meanwhile.
    if let Some(wanted) = app.picker.wanted.clone() {
        app.picker.remove(&wanted);
    }
    let mut effects = picker::read_again(app);
    effects.extend(picker::preview(app));
    effects
}

/// Ends the run, also an attached one; asks first.
pub fn end(app: &mut App) -> Done {
    if app.is_running() && app.attached {
        app.overlay = Some(Overlay::Stop);
        return Ok(vec![]);
    }
    quit(app)
}

/// A new run with these settings from the run on the screen, or from its checkpoint of this name.
pub fn fork(app: &mut App, from: Option<String>, sets: Vec<String>) -> Done {
    let workbench = free(app)?;
    let preset = workbench.preset.set(&sets).map_err(Error::problem)?;
    if !preset.has_network_of(&workbench.preset) {
        let sets = sets.join(" ");
        return Err(format!(
            "a fork keeps the weights, and {sets} needs another network; :restart {sets} begins it"
        ));
    }
    let run = workbench.info.directory.clone();
    let from = match from.as_deref() {
        Some("here") => past::shown(workbench)?.map(|(moment, point)| {
            if point < moment {
                app.message = Some(format!("no checkpoint of {moment} is kept; this forks from {point}"));
            }
            point.to_string()
        }),
        _ => from.filter(|name| name != "last"),
    };
    // What another process trains is forked from what it has saved.
    let from = from.or_else(|| app.attached.then(|| "last".into()));
    Ok(match from {
        // The checkpoint is looked up before this run is stopped for it.
        Some(name) => vec![Effect::Find(run, name, sets)],
        None => leave(app, Leave::Fork(run, sets)),
    })
}

/// A new run with these settings from the initial weights of the run on the screen.
pub fn restart(app: &mut App, sets: Vec<String>) -> Done {
    free(app)?.preset.set(&sets).map_err(Error::problem)?;
    Ok(leave(app, Leave::Restart(sets)))
}

/// The run on the screen, if a new run may take its place.
fn free(app: &App) -> Result<&Workbench, String> {
    let workbench = app.workbench.as_ref().ok_or("there is no run on the screen")?;
    if app.starting {
        return Err("another run is starting already".into());
    }
    Ok(workbench)
}

/// Leaves for `to`: an attached run at once, which continues; the user's own once it is stopped and saved.
pub fn leave(app: &mut App, to: Leave) -> Vec<Effect> {
    // What trains nothing needs not be waited for.
    if to == Leave::Runs && (app.attached || !app.is_running()) {
        return std::iter::once(Effect::Close).chain(show_runs(app)).collect();
    }
    if !app.attached {
        return stop(app, to);
    }
    match new_run(app, &to) {
        Some(next) => [Effect::Close].into_iter().chain(show_runs(app)).chain([next]).collect(),
        None => vec![Effect::Exit],
    }
}

/// Starts the new run that this one is left for, if it is.
fn new_run(app: &mut App, to: &Leave) -> Option<Effect> {
    let device = app.picker.device().to_owned();
    let effect = match to {
        Leave::Fork(from, sets) => Effect::Fork(from.clone(), sets.clone(), device),
        Leave::Restart(sets) => {
            Effect::Restart(app.workbench.as_ref()?.info.directory.clone(), sets.clone(), device)
        }
        _ => return None,
    };
    (app.starting, app.offers, app.leaving) = (true, false, None);
    Some(effect)
}

/// Stops the run, if one is running, also an attached one, and leaves for `to` once it is saved.
pub fn stop(app: &mut App, to: Leave) -> Vec<Effect> {
    let running = app.workbench.as_ref().is_some_and(|w| w.alive);
    let again = app.leaving.replace(to).is_some();
    match (running, again) {
        (true, false) => vec![Effect::Send(Command::Stop)],
        // Asked twice: close the screen; the shell waits for the save.
        (true, true) => vec![Effect::Exit],
        (false, _) => arrive(app),
    }
}

/// Leaves now: the run has been saved, or there was no run.
pub fn arrive(app: &mut App) -> Vec<Effect> {
    let workbench = app.workbench.as_ref();
    let run = workbench.map(|workbench| workbench.info.directory.clone()).unwrap_or_default();
    if let (Some(Leave::Detach), Some(workbench)) = (&app.leaving, workbench) {
        // A run that has ended by itself in the meantime is not continued.
        let continues = workbench.finish == Some(Finish::Stopped);
        let detach = continues.then(|| Effect::Detach(run, workbench.info.device.clone()));
        return detach.into_iter().chain([Effect::Exit]).collect();
    }
    if let (Some(Leave::DetachToRuns), Some(workbench)) = (&app.leaving, workbench)
        && workbench.finish == Some(Finish::Stopped)
    {
        let continues = Effect::Continue(run.clone(), workbench.info.device.clone());
        app.picker.detaching = Some(run);
        return std::iter::once(continues).chain(show_runs(app)).collect();
    }
    if let Some(Leave::Runs | Leave::DetachToRuns) = app.leaving {
        return show_runs(app);
    }
    let to = app.leaving.clone();
    vec![to.and_then(|to| new_run(app, &to)).unwrap_or(Effect::Exit)]
}

#[cfg(test)]
mod tests;
