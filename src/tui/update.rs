//! `update`: a pure function from state and message to state and effects. No I/O, no clock, no terminal.

pub(super) mod beside;
pub(super) mod compare;
pub(super) mod draw;
pub(super) mod files;
pub(super) mod leave;
pub(super) mod log;
pub(super) mod look;
pub(super) mod overlays;
pub(super) mod past;
pub(super) mod picker;
pub(super) mod run;
pub(super) mod steer;
pub(super) mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::actions;
use super::app::{App, Leave, Overlay};
pub use super::message::{Effect, Message};
use super::message::{Target, is_typed, told};
use super::overlay::palette::Wanted;
use super::workbench::{ComparedRun, Pane, Workbench};
use crate::paths::shown;

/// Handles a message.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    let mut effects = handle(app, message);
    effects.extend(beside::follow(app));
    effects
}

fn handle(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Shelf(shelf) => {
            app.picker.stock(shelf);
            if app.workbench.is_some() { vec![] } else { picker::preview(app) }
        }
        Message::Key(key) => pressed(app, key),
        Message::Paste(text) => overlays::paste(app, &text),
        Message::Click(target) => clicked(app, target),
        Message::Drag(target) => dragged(app, target),
        Message::Wheel(target, by) => wheeled(app, target, by),
        Message::Run(event) => run::heard(app, event),
        Message::Picture(snapshot) => match &mut app.workbench {
            Some(workbench) if !app.starting => {
                workbench.show(snapshot.clone());
                draw::answered(workbench, snapshot.input.as_ref())
            }
            _ => {
                app.early = Some(snapshot);
                vec![]
            }
        },
        Message::Beside(message) => beside::heard(app, *message),
        Message::Preview(preset, sample, preview) => {
            app.picker.take_preview(*preset, sample, preview);
            picker::more(app)
        }
        Message::StartFailed(sentence) => {
            (app.starting, app.opening) = (false, None);
            app.comparing.clear();
            app.message = Some(sentence);
            vec![]
        }
        Message::Told(sentence) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Tick => app.workbench.as_mut().map_or_else(Vec::new, tick),
        Message::Moments(run, _) if !app.shows(&run) => vec![],
        Message::Moments(_, moments) => {
            if moments.is_empty() {
                app.message = Some("no moment of this run was kept yet".into());
            }
            app.workbench.as_mut().map_or_else(Vec::new, |workbench| past::open_album(workbench, moments))
        }
        // Another one is wanted by now.
        Message::Moment(run, iteration, sample, _)
            if !app
                .workbench
                .as_ref()
                .map(look::read_moment)
                .unwrap_or_default()
                .contains(&Effect::Moment(run.clone(), iteration, sample)) =>
        {
            vec![]
        }
        Message::Moment(.., moment) => {
            match (moment, &mut app.workbench) {
                (Ok(snapshot), Some(workbench)) => workbench.look_back(snapshot),
                (Err(sentence), _) => app.message = Some(sentence),
                (Ok(_), None) => {}
            }
            vec![]
        }
        Message::Runs(runs) => {
            let taken: Vec<_> = runs.into_iter().flat_map(|run| picker::take_run(app, run)).collect();
            taken.into_iter().chain(table::take_in(app)).collect()
        }
        Message::RunsGone(gone) => {
            let effects = picker::read(app, &gone);
            effects.into_iter().chain(table::take_in(app)).collect()
        }
        Message::LookAgain if app.shows_runs() => picker::read_again(app),
        Message::LookAgain => vec![],
        Message::Attached => {
            (app.attached, app.offers) = (true, false);
            vec![]
        }
        Message::Details(run, details) => {
            if app.picker.selected_run().is_some_and(|chosen| chosen.directory == run) {
                app.picker.details = Some((run, details.unwrap_or_default()));
            }
            vec![]
        }
        Message::Seconds(preset, device, seconds) => {
            app.picker.time(*preset, device, seconds);
            vec![]
        }
        Message::Deletable(run, Ok(deletion)) if app.overlay.is_none() && app.shows_runs() => {
            app.overlay = Some(Overlay::Delete(run, deletion));
            vec![]
        }
        Message::Deletable(_, Ok(_)) => vec![],
        Message::Deleted(run, Ok(())) => {
            app.message = Some(format!("{} was deleted", shown(&run)));
            picker::read(app, &[run])
        }
        Message::Renamed(run, Ok((to, sentence))) => {
            app.message = Some(sentence);
            picker::renamed(app, &run, to)
        }
        Message::Noted(_, Ok(())) if app.workbench.is_some() => {
            app.message = Some("noted; the list of runs shows it".into());
            vec![]
        }
        Message::Noted(_, Ok(())) => picker::read_again(app),
        Message::Detached(run, done) => {
            app.picker.detaching = None;
            app.message = Some(match done {
                Ok(()) => format!("{} continues in the background", shown(&run)),
                Err(sentence) => sentence,
            });
            if app.shows_runs() { picker::read_again(app) } else { vec![] }
        }
        Message::Deletable(_, Err(sentence))
        | Message::Deleted(_, Err(sentence))
        | Message::Renamed(_, Err(sentence))
        | Message::Noted(_, Err(sentence)) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::AllRuns => {
            picker::all_runs_found(app);
            vec![]
        }
        Message::Listed(listing, mut names) => {
            if listing.wants == Wanted::Weights && listing.directory.is_empty() {
                names.splice(..0, app.picker.models());
            }
            if let Some(Overlay::Palette(palette)) = &mut app.overlay {
                palette.list(&listing, names);
            }
            vec![]
        }
        Message::Log(run, _) if !app.shows(&run) => vec![],
        Message::Log(_, lines) => {
            log::take_in(app, lines);
            vec![]
        }
        Message::Reread if app.follows_log() => log::read(app),
        Message::Reread => vec![],
        Message::Compared(run, ..) if !app.shows(&run) => vec![],
        Message::Compared(_, directory, read) => {
            compare::add(app, ComparedRun::new(directory, *read));
            vec![]
        }
        Message::Found(run, ..) if !app.shows(&run) => vec![],
        Message::Found(_, Ok(_), _) if app.starting || app.leaving.is_some() => vec![],
        Message::Found(_, Ok(checkpoint), sets) => leave::leave(app, Leave::Fork(checkpoint, sets)),
        Message::Found(_, Err(sentence), _) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Terminate => leave::leave(app, Leave::Program),
        Message::RunGone => run::gone(app),
    }
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return leave::leave(app, Leave::Program);
        }
        KeyCode::Char('z') if key.modifiers.contains(KeyModifiers::CONTROL) => return vec![Effect::Suspend],
        _ => {}
    }
    let redraws =
        actions::pressed(&app.config.keymap, app.context(), key).is_some_and(|a| a.name == "redraw");
    // Also under an overlay, unless that is where a character is typed.
    if redraws && (app.overlay.is_none() || !is_typed(key)) {
        return vec![Effect::Redraw];
    }
    if app.leaving.is_some() {
        return vec![];
    }
    match app.overlay.take() {
        Some(overlay) => overlays::press(app, overlay, key),
        None => {
            app.message = None;
            let action = actions::pressed(&app.config.keymap, app.context(), key);
            let done = action.map_or(Ok(vec![]), |action| action.run(app));
            told(app, done)
        }
    }
}

/// Shows the next moment if the album is playing, else the next EM step.
fn tick(workbench: &mut Workbench) -> Vec<Effect> {
    match &mut workbench.album {
        Some(album) if album.playing => {
            album.play_on();
            look::read_moment(workbench)
        }
        _ => {
            workbench.play_on();
            vec![]
        }
    }
}

/// Overlays take only keys, so clicks do nothing then. The filter lies over nothing: a click in the list ends its typing.
fn clicked(app: &mut App, target: Target) -> Vec<Effect> {
    if !matches!(app.overlay, None | Some(Overlay::Filter)) || app.leaving.is_some() {
        return vec![];
    }
    (app.overlay, app.message) = (None, None);
    match (target, &mut app.workbench) {
        (Target::Entry(_), None) if app.starting => {}
        (Target::Entry(entry), None) => {
            let picker = &mut app.picker;
            let before = std::mem::replace(&mut picker.selected, entry);
            return match picker.clicked.replace(entry) {
                Some(clicked) if clicked == entry && before == entry => {
                    let opened = picker::open(app);
                    told(app, opened)
                }
                _ if before == entry => vec![],
                _ => picker::preview(app),
            };
        }
        (Target::Pane(pane), Some(workbench)) => workbench.focus = pane,
        (Target::Step(step), Some(workbench)) => {
            let chosen = look::show_em_step(workbench, step);
            return told(app, chosen);
        }
        (Target::Pixel(x, y), Some(workbench)) if workbench.inspector.is_some() => {
            let pressed = draw::press(workbench, (x, y));
            return told(app, pressed);
        }
        _ => {}
    }
    vec![]
}

/// The pressed mouse has moved, or was released.
fn dragged(app: &mut App, target: Option<Target>) -> Vec<Effect> {
    if app.overlay.is_some() || app.leaving.is_some() {
        return vec![];
    }
    let done = match (target, &mut app.workbench) {
        (Some(Target::Pixel(x, y)), Some(workbench)) => draw::drag(workbench, (x, y)),
        (None, Some(workbench)) => draw::release(workbench),
        _ => Ok(vec![]),
    };
    told(app, done)
}

/// The wheel scrolls what is under it; over curves, up zooms in.
fn wheeled(app: &mut App, target: Option<Target>, by: i64) -> Vec<Effect> {
    if app.leaving.is_some() {
        return vec![];
    }
    let line = KeyEvent::from(if by < 0 { KeyCode::Up } else { KeyCode::Down });
    match (&app.overlay, target, &mut app.workbench) {
        (Some(Overlay::Help(_) | Overlay::Health(_) | Overlay::Log(_)), ..) => return pressed(app, line),
        (Some(Overlay::Filter) | None, Some(Target::Entry(_) | Target::Picker), _) if app.starting => {}
        (Some(Overlay::Filter) | None, Some(Target::Entry(_) | Target::Picker), _) => {
            let chosen = picker::step(app, by);
            return told(app, chosen);
        }
        (Some(_), ..) | (None, None, _) | (None, Some(_), None) => {}
        (None, Some(Target::Pane(Pane::Loss | Pane::Scores)), Some(workbench)) => look::scale(workbench, -by),
        (None, Some(_), Some(workbench)) => look::em_step(workbench, by),
    }
    vec![]
}

#[cfg(test)]
mod tests;
