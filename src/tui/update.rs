//! What happens when: a pure function from state and message to state and effects. No I/O, no clock,
//! no terminal.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::album::Album;
use super::app::{App, Entry, Leave, Log, Masks, Overlay, Pane, Rows, Workbench};
use super::compare::Choice;
use super::config::Notice;
use super::inspector::Inspector;
use super::keymap::{Action, Dial};
use super::palette::{self, Listing, Outcome, Typed};
use super::view::Target;
use crate::preset::{MAX_COMPONENTS, MAX_STEPS, Preset, Setting};
use crate::protocol::{ALBUM_SAMPLES, Command, Event, Finish, Preview, Rival, RunCard, Shelf, is_for_curves};
use crate::snapshot::Snapshot;
use crate::snapshot::View;

/// Why nothing can be looked into or written.
const NO_PICTURE: &str = "there is no picture yet";
/// Why no other sample can be shown.
const ENDED: &str = "the run has ended, and nothing more can be shown; open it by nem-tui --look";
/// Why nothing of a training can be steered any more.
const OVER: &str = "the training is over; :inspect looks into it, and a fork goes on from here";

/// Lines that a page key goes by.
const PAGE: usize = 10;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The shelf was read.
    Shelf(Shelf),
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was pressed here.
    Click(Target),
    /// The wheel was turned here, up (−1) or down (+1).
    Wheel(Option<Target>, i64),
    /// The engine said something.
    Engine(Event),
    /// The engine made a picture.
    Picture(Arc<Snapshot>),
    /// A preview of this sample of a preset's data was made, if it could be.
    Preview(Box<Preset>, u64, Option<Preview>),
    /// Starting or resuming failed; a sentence.
    StartFailed(String),
    /// Something was done, or could not be; a sentence.
    Told(String),
    /// The moments there are of the run in this directory.
    Moments(PathBuf, Vec<u64>),
    /// Of this run, at this iteration, this sample as it was, or a sentence that says why not.
    Moment(PathBuf, u64, usize, Result<Arc<Snapshot>, String>),
    /// Runs that were found.
    Runs(Vec<RunCard>),
    /// All runs that can be read were found.
    AllRuns,
    /// A run to compare with.
    Rival(Box<Rival>),
    /// The checkpoint to fork from with these settings, or a sentence that says that there is none.
    Found(Result<PathBuf, String>, Vec<String>),
    /// What there is in a directory that something is being named in.
    Listed(Listing, Vec<String>),
    /// The run's log was read, or could not be; a sentence.
    Log(Result<Vec<String>, String>),
    /// It is time to read the run's log again.
    Reread,
    /// It is time for the next EM step or moment, while they are played.
    Tick,
    /// The system asks the program to end.
    Terminate,
    /// The engine is gone without having said that it ended.
    EngineGone,
}

/// What the shell around the state has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a run of this preset on this device.
    Start(Box<Preset>, String),
    /// Show this model, computed on this device.
    Open(String, String),
    /// Go on with this run on this device.
    Resume(Box<RunCard>, String),
    /// Say by [`Message::Found`] which checkpoint of the run in this directory is called so, and these settings.
    Find(PathBuf, String, Vec<String>),
    /// Write the curves of the run in this directory to this file.
    SaveCurves(PathBuf, PathBuf),
    /// A new run from the state of this checkpoint or run, with these settings, on this device.
    Fork(PathBuf, Vec<String>, String),
    /// A new run from the initial weights of this one, with these settings, on this device.
    Restart(PathBuf, Vec<String>, String),
    /// Tell the engine.
    Send(Command),
    /// Make a preview of this sample.
    Preview(Box<Preset>, u64),
    /// Find out which moments the album of the run in this directory has.
    Moments(PathBuf),
    /// Read this sample at this iteration from that album.
    Moment(PathBuf, u64, usize),
    /// Find the runs there are by now.
    Runs,
    /// Read the metrics of the run in this directory.
    Rival(PathBuf),
    /// Let the run in this directory, which has ended, go on without a screen on this device.
    Detach(PathBuf, String),
    /// Write this view of the snapshot to this file.
    Save(Arc<Snapshot>, View, PathBuf),
    /// Say by [`Message::Listed`] what there is in this directory.
    List(PathBuf, Listing),
    /// Read the log of the run in this directory.
    ReadLog(PathBuf),
    /// Tell a user who looks elsewhere.
    Notify(Notice, String),
    /// Put this on the clipboard.
    Copy(String),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Stop the whole process, as the shell's user asks, and go on when they do.
    Suspend,
    /// Leave the loop.
    Exit,
}

/// Takes in a message.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Shelf(shelf) => {
            app.picker.stock(shelf);
            preview(app)
        }
        Message::Key(key) => pressed(app, key),
        Message::Click(target) => clicked(app, target),
        Message::Wheel(target, by) => wheeled(app, target, by),
        Message::Engine(event) => heard(app, event),
        Message::Picture(snapshot) => {
            match &mut app.workbench {
                Some(workbench) if !app.starting => workbench.show(snapshot),
                _ => app.early = Some(snapshot),
            }
            vec![]
        }
        Message::Preview(preset, sample, preview) => {
            app.picker.take_preview(*preset, sample, preview);
            vec![]
        }
        Message::StartFailed(sentence) => {
            app.starting = false;
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
            app.workbench.as_mut().map_or_else(Vec::new, |workbench| open_album(workbench, moments))
        }
        // Another one is wanted by now.
        Message::Moment(run, iteration, sample, _)
            if !app.workbench.as_ref().map(read_moment).unwrap_or_default().contains(&Effect::Moment(
                run.clone(),
                iteration,
                sample,
            )) =>
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
            runs.into_iter().for_each(|run| app.take_run(run));
            vec![]
        }
        Message::AllRuns => {
            app.all_runs_found();
            vec![]
        }
        Message::Listed(listing, names) => {
            if let Some(Overlay::Palette(palette)) = &mut app.overlay {
                palette.list(&listing, names);
            }
            vec![]
        }
        Message::Log(read) => {
            if let Some(Overlay::Log(log)) = &mut app.overlay {
                match read {
                    Ok(lines) if log.below == 0 => log.lines = lines,
                    Ok(_) => {}
                    Err(sentence) => {
                        app.overlay = None;
                        app.message = Some(sentence);
                    }
                }
            }
            vec![]
        }
        Message::Reread if app.follows_log() => read_log(app),
        Message::Reread => vec![],
        Message::Rival(rival) => {
            if let Some(workbench) = &mut app.workbench {
                // Asked for twice before it was read, it is still one.
                workbench.rivals.retain(|known| known.name != rival.name);
                workbench.rivals.push((*rival).into());
            }
            vec![]
        }
        Message::Found(Ok(_), _) if app.starting || app.leaving.is_some() => vec![],
        Message::Found(Ok(checkpoint), sets) => leave(app, Leave::Fork(checkpoint, sets)),
        Message::Found(Err(sentence), _) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Terminate => leave(app, Leave::Program),
        Message::EngineGone => {
            if app.leaving.is_some() {
                return arrive(app);
            }
            let sentence = "the training thread ended without a word; its last checkpoint is kept";
            match &mut app.workbench {
                Some(workbench) => {
                    let finish = Finish::Failed(sentence.into());
                    let notice = ended(app.config.notice, workbench, &finish);
                    workbench.finish = Some(finish);
                    workbench.alive = false;
                    return notice;
                }
                None => app.message = Some(sentence.into()),
            }
            app.starting = false;
            vec![]
        }
    }
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return leave(app, Leave::Program);
        }
        KeyCode::Char('z') if key.modifiers.contains(KeyModifiers::CONTROL) => return vec![Effect::Suspend],
        _ => {}
    }
    if app.leaving.is_some() {
        return vec![];
    }
    match app.overlay.take() {
        Some(Overlay::Help(line)) => {
            // As far as there are lines; how many fit is the view's affair.
            let last = app.config.keymap.of(app.context()).count();
            match key.code {
                KeyCode::Down => app.overlay = Some(Overlay::Help((line + 1).min(last))),
                KeyCode::Up => app.overlay = Some(Overlay::Help(line.saturating_sub(1))),
                _ => {}
            }
            vec![]
        }
        Some(Overlay::Log(mut log)) => {
            let most = log.lines.len().saturating_sub(1);
            log.below = match key.code {
                KeyCode::Up => (log.below + 1).min(most),
                KeyCode::Down => log.below.saturating_sub(1),
                KeyCode::PageUp => (log.below + PAGE).min(most),
                KeyCode::PageDown => log.below.saturating_sub(PAGE),
                KeyCode::Home => most,
                KeyCode::End => 0,
                _ => return vec![],
            };
            app.overlay = Some(Overlay::Log(log));
            vec![]
        }
        Some(Overlay::Health) => vec![],
        Some(Overlay::Compare(choice)) => choose_rival(app, choice, key.code),
        Some(Overlay::Quit) => match key.code {
            KeyCode::Char('y' | 'q' | 'Q') | KeyCode::Enter => leave(app, Leave::Program),
            KeyCode::Char('d') => {
                let running = app.workbench.as_ref().is_some_and(Workbench::is_running);
                leave(app, if running { Leave::Detach } else { Leave::Program })
            }
            _ => vec![],
        },
        Some(Overlay::Stop) => match key.code {
            KeyCode::Char('y') => stop(app, Leave::Program),
            _ => vec![],
        },
        Some(Overlay::Resize(input, _)) => {
            let Some(workbench) = &mut app.workbench else { return vec![] };
            match key.code {
                KeyCode::Char('y') | KeyCode::Enter => {
                    let input = workbench.ask_for(input.file, true);
                    return vec![Effect::Send(Command::Input(Some(input)))];
                }
                _ => workbench.stay(),
            }
            vec![]
        }
        Some(Overlay::Palette(mut palette)) => {
            app.message = None;
            match palette.press(key, app.context(), &app.commands) {
                Outcome::Typing => {
                    let to_list = palette.to_list(app.context());
                    app.overlay = Some(Overlay::Palette(palette));
                    let place = |listing: &Listing| located(app, Path::new(&listing.directory));
                    let list = |listing| Effect::List(place(&listing), listing);
                    return to_list.map(list).into_iter().collect();
                }
                Outcome::Closed => {}
                Outcome::Entered(line) => return entered(app, &line),
            }
            vec![]
        }
        None => {
            app.message = None;
            match app.config.keymap.action(app.context(), key) {
                Some(action) => act(app, action),
                None => vec![],
            }
        }
    }
}

/// The next moment of the past, while that is played, else the next EM step.
fn tick(workbench: &mut Workbench) -> Vec<Effect> {
    match &mut workbench.album {
        Some(album) if album.playing => {
            album.play_on();
            read_moment(workbench)
        }
        _ => {
            workbench.play_on();
            vec![]
        }
    }
}

/// What lies over the screen is the keyboard's.
fn clicked(app: &mut App, target: Target) -> Vec<Effect> {
    if app.overlay.is_some() || app.leaving.is_some() {
        return vec![];
    }
    app.message = None;
    match (target, &mut app.workbench) {
        (Target::Entry(_), None) if app.starting => {}
        (Target::Entry(entry), None) => {
            let picker = &mut app.picker;
            let before = std::mem::replace(&mut picker.selected, entry);
            return match picker.clicked.replace(entry) {
                Some(clicked) if clicked == entry && before == entry => pick(app, Action::Open),
                _ if before == entry => vec![],
                _ => preview(app),
            };
        }
        (Target::Pane(pane), Some(workbench)) => workbench.focus = pane,
        (Target::Pixel(x, y), Some(Workbench { inspector: Some(inspector), .. })) => {
            (inspector.x, inspector.y) = (x, y);
        }
        _ => {}
    }
    vec![]
}

/// The wheel walks through what it is over; over curves, up is nearer.
fn wheeled(app: &mut App, target: Option<Target>, by: i64) -> Vec<Effect> {
    if app.leaving.is_some() {
        return vec![];
    }
    let line = KeyEvent::from(if by < 0 { KeyCode::Up } else { KeyCode::Down });
    match (&app.overlay, target) {
        (Some(Overlay::Help(_) | Overlay::Log(_)), _) => pressed(app, line),
        (Some(_), _) | (None, None) => vec![],
        (None, Some(Target::Entry(_) | Target::Picker)) => {
            act(app, if by < 0 { Action::Up } else { Action::Down })
        }
        (None, Some(Target::Pane(Pane::Loss | Pane::Scores))) => act(app, Action::Scale(-by)),
        (None, Some(Target::Pane(Pane::Components) | Target::Pixel(..) | Target::Inspector)) => {
            act(app, Action::EmStep(by))
        }
    }
}

/// Takes in which moments there are; without any, there is no looking back.
fn open_album(workbench: &mut Workbench, moments: Vec<u64>) -> Vec<Effect> {
    let Some(album) = &mut workbench.album else { return vec![] };
    let before = album.moment();
    album.read(moments);
    match album.moment() {
        None => {
            workbench.album = None;
            vec![]
        }
        now if now == before => vec![],
        Some(_) => {
            // Of the other samples nothing is kept.
            let of_it = workbench.sample < ALBUM_SAMPLES;
            let watched = if of_it { vec![] } else { watch(workbench, 0) };
            if watched.is_empty() { read_moment(workbench) } else { watched }
        }
    }
}

/// Asks for the moment that the album stands at.
fn read_moment(workbench: &Workbench) -> Vec<Effect> {
    let moment = workbench.album.as_ref().and_then(Album::moment);
    let run = workbench.info.directory.clone();
    moment.map(|moment| Effect::Moment(run, moment, workbench.sample)).into_iter().collect()
}

/// Looks back: the album is opened, or stands at another moment; beyond the last is now.
fn go_back(workbench: &mut Workbench, by: i64) -> Vec<Effect> {
    let Some(album) = &mut workbench.album else {
        // From now only the past lies ahead.
        if by > 0 {
            return vec![];
        }
        workbench.album = Some(Album::new(false));
        return vec![Effect::Moments(workbench.info.directory.clone())];
    };
    album.playing = false;
    let before = album.moment();
    if album.go(by) {
        if album.moment() == before { vec![] } else { read_moment(workbench) }
    } else {
        if by > 0 {
            workbench.come_back();
        }
        vec![]
    }
}

/// Plays the moments, or stands still at one.
fn play_moments(workbench: &mut Workbench) -> Vec<Effect> {
    match &mut workbench.album {
        Some(album) => {
            album.playing = !album.playing;
            vec![]
        }
        None => {
            workbench.album = Some(Album::new(true));
            vec![Effect::Moments(workbench.info.directory.clone())]
        }
    }
}

/// A key while runs to compare with are chosen.
fn choose_rival(app: &mut App, mut choice: Choice, key: KeyCode) -> Vec<Effect> {
    let last = choice.runs.len().saturating_sub(1);
    let mut effects = vec![];
    match key {
        KeyCode::Up => choice.selected = choice.selected.saturating_sub(1),
        KeyCode::Down => choice.selected = (choice.selected + 1).min(last),
        KeyCode::PageUp => choice.selected = choice.selected.saturating_sub(PAGE),
        KeyCode::PageDown => choice.selected = (choice.selected + PAGE).min(last),
        KeyCode::Home => choice.selected = 0,
        KeyCode::End => choice.selected = last,
        KeyCode::Enter | KeyCode::Char(' ') => {
            if let (Some(run), Some(workbench)) = (choice.runs.get(choice.selected), &mut app.workbench) {
                effects = compare_with(workbench, run.directory.clone());
            }
        }
        _ => return vec![],
    }
    app.overlay = Some(Overlay::Compare(choice));
    effects
}

/// Draws the run's curves beside this one's, or no longer.
fn compare_with(workbench: &mut Workbench, run: PathBuf) -> Vec<Effect> {
    let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let before = workbench.rivals.len();
    workbench.rivals.retain(|rival| rival.name != name);
    if workbench.rivals.len() < before { vec![] } else { vec![Effect::Rival(run)] }
}

/// Carries out a command that was typed.
fn entered(app: &mut App, line: &str) -> Vec<Effect> {
    if line.is_empty() {
        return vec![];
    }
    palette::remember(&mut app.commands, line);
    let typed = match palette::parse(line, app.context()) {
        Ok(typed) => typed,
        Err(error) => {
            app.message = Some(error.to_string());
            return vec![];
        }
    };
    if let Typed::Do(action) = typed {
        return act(app, action);
    }
    if let Typed::Theme(scheme) = typed {
        app.theme.scheme = scheme;
        return vec![];
    }
    let Some(workbench) = &mut app.workbench else { return vec![] };
    let done = match typed {
        Typed::Set(setting) => change(workbench, setting),
        Typed::Export(file) => {
            let file = at_home(app, &file);
            return export(app, file);
        }
        Typed::Compare(run) => {
            let run = located(app, &run);
            return app.workbench.as_mut().map_or_else(Vec::new, |workbench| compare_with(workbench, run));
        }
        Typed::Open(file) => return open(app, &file),
        Typed::Sample(n) if n < workbench.samples() => Ok(watch(workbench, n)),
        Typed::Sample(_) => Err(format!("there are samples 1 to {}", workbench.samples())),
        Typed::EmStep(n) => {
            let steps = workbench.shown().map_or(0, |snapshot| snapshot.steps.len());
            workbench.playing = false;
            workbench.em_step = (n + 1 < steps).then_some(n);
            Ok(vec![])
        }
        Typed::Fork(..) | Typed::Restart(_) if app.attached => {
            let run = workbench.info.directory.display();
            Err(format!("this run is another process's; fork it by `nem-tui train --fork {run}`"))
        }
        Typed::Fork(..) | Typed::Restart(_) if app.starting => Err("a run is on its way already".into()),
        Typed::Restart(sets) => match workbench.preset.set(&sets) {
            Err(error) => Err(error.to_string()),
            Ok(_) => return leave(app, Leave::Restart(sets)),
        },
        Typed::Fork(from, sets) => match workbench.preset.set(&sets) {
            Err(error) => Err(error.to_string()),
            Ok(preset) if !preset.has_network_of(&workbench.preset) => {
                let sets = sets.join(" ");
                Err(format!(
                    "a fork keeps the weights, and {sets} needs another network; :restart {sets} begins it"
                ))
            }
            Ok(_) => {
                let run = workbench.info.directory.clone();
                match from.filter(|name| name != "last") {
                    // Before this one is stopped for it.
                    Some(name) => Ok(vec![Effect::Find(run, name, sets)]),
                    None => return leave(app, Leave::Fork(run, sets)),
                }
            }
        },
        Typed::Do(_) | Typed::Theme(_) => Ok(vec![]),
    };
    told(app, done)
}

/// The effects, or the sentence that says why there are none.
fn told(app: &mut App, done: Result<Vec<Effect>, String>) -> Vec<Effect> {
    done.unwrap_or_else(|sentence| {
        app.message = Some(sentence);
        vec![]
    })
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match (action, app.workbench.is_some()) {
        (Action::Help, _) => app.overlay = Some(Overlay::Help(0)),
        (Action::Health, _) => app.overlay = Some(Overlay::Health),
        (Action::Log, true) => {
            app.overlay = Some(Overlay::Log(Log::default()));
            return read_log(app);
        }
        (Action::Mouse, _) => {
            app.config.mouse = !app.config.mouse;
            let key = app.key(Action::Mouse);
            app.message = Some(match app.config.mouse {
                true => format!("the mouse is the program's; {key} lets it select text"),
                false => format!("the mouse selects text; {key} gives it back to the program"),
            });
            return vec![Effect::Mouse(app.config.mouse)];
        }
        (Action::CopyCommand, true) => {
            let run =
                app.workbench.as_ref().map(|workbench| workbench.info.directory.clone()).unwrap_or_default();
            let command = format!("nem-tui train --replay {}", run.display());
            app.message = Some(format!("copied: {command}"));
            return vec![Effect::Copy(command)];
        }
        (Action::Export, true) => {
            return match app.workbench.as_ref().and_then(export_name) {
                Some(file) => export(app, file),
                None => told(app, Err(NO_PICTURE.into())),
            };
        }
        (Action::Compare, true) => {
            app.overlay = Some(Overlay::Compare(Choice { reading: true, ..Choice::default() }));
            return vec![Effect::Runs];
        }
        (Action::Command, _) => app.overlay = Some(Overlay::Palette(Box::default())),
        (Action::Quit | Action::Stop, _) => {
            let running = app.workbench.as_ref().is_some_and(Workbench::is_running);
            match (running, app.attached, action) {
                (true, true, Action::Stop) => app.overlay = Some(Overlay::Stop),
                (true, false, _) => app.overlay = Some(Overlay::Quit),
                _ => return leave(app, Leave::Program),
            }
        }
        // A run is on its way; a second one is not asked for.
        (_, false) if app.starting => {}
        (action, false) => return pick(app, action),
        (action, true) => {
            if let Some(workbench) = &mut app.workbench {
                let done = steer(workbench, action);
                return told(app, done);
            }
        }
    }
    vec![]
}

fn read_log(app: &App) -> Vec<Effect> {
    app.workbench.iter().map(|workbench| Effect::ReadLog(workbench.info.directory.clone())).collect()
}

fn pick(app: &mut App, action: Action) -> Vec<Effect> {
    let picker = &mut app.picker;
    let last = picker.entries.len().saturating_sub(1);
    let before = picker.selected;
    match action {
        Action::Up => picker.selected = before.saturating_sub(1),
        Action::Down => picker.selected = (before + 1).min(last),
        Action::First => picker.selected = 0,
        Action::Last => picker.selected = last,
        Action::Device(by) => {
            let devices = picker.devices.len().max(1) as i64;
            picker.device = (picker.device as i64 + by).rem_euclid(devices) as usize;
        }
        Action::Sample(by) => {
            picker.sample = picker.sample.saturating_add_signed(by);
            return preview(app);
        }
        Action::Open => {
            let effect = match picker.entries.get(before) {
                Some(Entry::Model(model)) => Effect::Open(model.name.clone(), picker.device().to_owned()),
                Some(Entry::Preset(preset)) => Effect::Start(preset.clone(), picker.device().to_owned()),
                Some(Entry::Run(run)) => Effect::Resume(run.clone(), picker.device().to_owned()),
                None => return vec![],
            };
            app.starting = true;
            return vec![effect];
        }
        Action::Inspect => {
            let device = picker.device().to_owned();
            let effects = match picker.entries.get(before) {
                Some(Entry::Model(model)) => vec![Effect::Open(model.name.clone(), device)],
                // It is gone on with, and pauses before it has done anything.
                Some(Entry::Run(run)) => {
                    vec![Effect::Resume(run.clone(), device), Effect::Send(Command::Pause)]
                }
                Some(Entry::Preset(_)) => {
                    let key = app.key(Action::Open);
                    app.message =
                        Some(format!("of a preset there is nothing to look at yet; {key} trains it"));
                    return vec![];
                }
                None => return vec![],
            };
            app.starting = true;
            return effects;
        }
        _ => {}
    }
    if picker.selected == before {
        return vec![];
    }
    picker.clicked = None;
    preview(app)
}

fn preview(app: &App) -> Vec<Effect> {
    let entry = app.picker.entries.get(app.picker.selected);
    entry.map(|e| Effect::Preview(Box::new(e.preset().clone()), app.picker.sample)).into_iter().collect()
}

fn steer(workbench: &mut Workbench, action: Action) -> Result<Vec<Effect>, String> {
    let running = workbench.finish.is_none();
    let command = match action {
        Action::TogglePause if running => {
            // Shown at once; the engine confirms after the iteration in progress.
            workbench.paused = !workbench.paused;
            if workbench.paused { Command::Pause } else { Command::Resume }
        }
        Action::StepOnce if running => {
            workbench.paused = true;
            Command::Step
        }
        Action::Checkpoint if running => Command::Checkpoint,
        Action::Profile if running || workbench.profiles.is_some() => {
            workbench.profiles = workbench.profiles.is_none().then(VecDeque::new);
            Command::Profile(workbench.profiles.is_some())
        }
        Action::Turn(dial, by) => {
            let of = workbench.inspector.as_ref().map_or(&workbench.wanted, |inspector| &inspector.preset);
            return match turned(of, dial, by) {
                Some(setting) => change(workbench, setting),
                None if kind(dial).current(of).is_none() => {
                    Err(format!("there is no {} to change in this run", kind(dial).short()))
                }
                None => Ok(vec![]),
            };
        }
        Action::TogglePause | Action::StepOnce | Action::Checkpoint | Action::Profile => {
            return Err(OVER.into());
        }
        Action::Undo => return undo(workbench),
        Action::Moment(by) => return Ok(go_back(workbench, by)),
        Action::PlayMoments => return Ok(play_moments(workbench)),
        Action::Sample(by) if workbench.alive => {
            let mut order = workbench.order();
            if workbench.album.is_some() {
                order.retain(|sample| *sample < ALBUM_SAMPLES);
            }
            let at = order.iter().position(|sample| *sample == workbench.sample).unwrap_or(0) as i64;
            let next = order[(at + by).rem_euclid(order.len() as i64) as usize];
            return Ok(watch(workbench, next));
        }
        Action::Sample(_) => return Err(ENDED.into()),
        Action::Inspect => {
            let Some(snapshot) = workbench.shown().cloned() else { return Err(NO_PICTURE.into()) };
            let mut inspector = Inspector::new(snapshot, workbench.preset.clone());
            inspector.waits = workbench.input.is_some();
            workbench.inspector = Some(inspector);
            return Ok(vec![]);
        }
        Action::LogAxis if workbench.focus == Pane::Scores => {
            return Err("scores are not drawn on a logarithmic axis".into());
        }
        Action::Back => return Ok(look_up(workbench)),
        Action::Sort if workbench.watched.amis.is_empty() => {
            return Err("no sample has a score before the first validation".into());
        }
        Action::Sort => {
            workbench.sorted = !workbench.sorted;
            let first = workbench.order()[0];
            // The worst is what one wants to see; back in their own order, what is seen stays.
            let stays = !workbench.sorted
                || first == workbench.sample
                || !workbench.alive
                || workbench.album.is_some();
            return Ok(if stays { vec![] } else { watch(workbench, first) });
        }
        _ => {
            look_at(workbench, action);
            return Ok(vec![]);
        }
    };
    Ok(vec![Effect::Send(command)])
}

/// Leaves the inspector, and with it the conditions and the image of the user's own that it was for.
fn look_up(workbench: &mut Workbench) -> Vec<Effect> {
    let looked = workbench.inspector.take().is_some_and(|inspector| !inspector.look.is_empty());
    let opened = workbench.input.take().is_some();
    let commands = [looked.then_some(Command::Look(vec![])), opened.then_some(Command::Input(None))];
    commands.into_iter().flatten().map(Effect::Send).collect()
}

/// Changes what is seen, and tells nobody.
fn look_at(workbench: &mut Workbench, action: Action) {
    let (first, last) = workbench.span();
    match action {
        Action::Now => workbench.come_back(),
        Action::Plot => match workbench.focus {
            Pane::Loss => workbench.curves.losses = workbench.curves.losses.next(),
            Pane::Scores => workbench.curves.scores = workbench.curves.scores.next(),
            Pane::Components => {}
        },
        Action::EmStep(by) => {
            workbench.playing = false;
            if let Some(snapshot) = workbench.shown() {
                let last = snapshot.steps.len().saturating_sub(1);
                let step = workbench.shown_step(snapshot).saturating_add_signed(by as isize).min(last);
                // At the end it follows the last step again, should there be more of them later.
                workbench.em_step = (step < last).then_some(step);
            }
        }
        Action::Animate => {
            workbench.playing = !workbench.playing;
            if workbench.playing && workbench.em_step.is_none() {
                workbench.em_step = Some(0);
            }
        }
        Action::Masks => {
            workbench.masks = match workbench.masks {
                Masks::Blend => Masks::Largest,
                Masks::Largest => Masks::Blend,
            };
        }
        Action::Rows => {
            workbench.rows = match workbench.rows {
                Rows::Masks => Rows::Deltas,
                Rows::Deltas => Rows::Masks,
            };
        }
        Action::NextPane => {
            let at = Pane::ALL.iter().position(|p| *p == workbench.focus).unwrap_or(0);
            workbench.focus = Pane::ALL[(at + 1) % Pane::ALL.len()];
        }
        Action::Zoom => workbench.zoomed = !workbench.zoomed,
        Action::Pixel(right, down) => {
            if let Some(inspector) = &mut workbench.inspector {
                inspector.move_by(right, down);
            }
        }
        Action::LogAxis if workbench.focus == Pane::Loss => workbench.curves.log = !workbench.curves.log,
        Action::Unit => workbench.curves.unit = workbench.curves.unit.next(),
        Action::Smooth(by) => workbench.curves.smooth_by(by),
        Action::Cursor(by) => workbench.curves.move_cursor(by, first, last),
        Action::Scale(by) => workbench.curves.scale(by, first, last),
        Action::Pan(by) => workbench.curves.pan(by, first, last),
        _ => {}
    }
}

/// The file that `e` writes: in the directory that the program was started in, and named after what it shows.
fn export_name(workbench: &Workbench) -> Option<PathBuf> {
    let run = workbench.info.directory.file_name()?.to_string_lossy().into_owned();
    if workbench.inspector.is_none() && workbench.focus != Pane::Components {
        return Some(format!("{run}-it{}-curves.svg", workbench.iteration()).into());
    }
    let snapshot = workbench.shown()?;
    let view = match workbench.inspector {
        Some(_) => "overview".to_owned(),
        None => format!("step{}", workbench.shown_step(snapshot) + 1),
    };
    let of = match snapshot.input.as_ref().and_then(|input| input.file.file_stem()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => format!("sample{}", snapshot.sample + 1),
    };
    Some(format!("{run}-it{}-{of}-{view}.png", snapshot.iteration).into())
}

/// Writes what is looked at.
fn export(app: &mut App, file: PathBuf) -> Vec<Effect> {
    let Some(workbench) = &app.workbench else { return vec![] };
    if is_for_curves(&file) {
        if workbench.is_model() {
            app.message = Some("a model has no curves; those of a run can be written".into());
            return vec![];
        }
        return vec![Effect::SaveCurves(workbench.info.directory.clone(), file)];
    }
    let Some(snapshot) = workbench.shown().cloned() else {
        return told(app, Err(NO_PICTURE.into()));
    };
    let is_png = file.extension().is_some_and(|ending| ending == "png");
    let view = match is_png && workbench.inspector.is_some() {
        true => View::Overview,
        false => View::Step(workbench.shown_step(&snapshot)),
    };
    vec![Effect::Save(snapshot, view, file)]
}

/// Asks for an image of the user's own.
fn open(app: &mut App, file: &Path) -> Vec<Effect> {
    let file = located(app, file);
    let Some(workbench) = &mut app.workbench else { return vec![] };
    if !workbench.alive {
        return told(app, Err(ENDED.into()));
    }
    vec![Effect::Send(Command::Input(Some(workbench.ask_for(file, false))))]
}

/// The whole path of what was typed.
fn located(app: &App, file: &Path) -> PathBuf {
    app.here.join(at_home(app, file))
}

/// What was typed, where it begins with `~` in the user's home.
fn at_home(app: &App, file: &Path) -> PathBuf {
    file.strip_prefix("~").map_or_else(|_| file.to_owned(), |file| app.home.join(file))
}

/// Shows another sample.
fn watch(workbench: &mut Workbench, sample: usize) -> Vec<Effect> {
    workbench.input = None;
    workbench.sample = sample;
    workbench.asked += 1;
    if let Some(inspector) = &mut workbench.inspector {
        inspector.waits = true;
    }
    let past = read_moment(workbench);
    std::iter::once(Effect::Send(Command::Watch(sample))).chain(past).collect()
}

/// Changes a value: of the training, or while the inspector is open only of what it shows.
fn change(workbench: &mut Workbench, setting: Setting) -> Result<Vec<Effect>, String> {
    if let Some(inspector) = &mut workbench.inspector {
        let look = inspector.change(setting)?;
        // Only the weights of now can be asked again.
        workbench.album = None;
        return Ok(vec![Effect::Send(Command::Look(look))]);
    }
    if workbench.finish.is_some() && !workbench.is_model() {
        return Err(OVER.into());
    }
    let Some(before) = setting.current(&workbench.wanted) else {
        return Err(format!("this run has no {}", setting.field()));
    };
    if before == setting {
        return Ok(vec![]);
    }
    workbench.wanted = setting.apply(&workbench.wanted).map_err(|e| e.to_string())?;
    workbench.undo.push(before);
    Ok(vec![Effect::Send(Command::Set(setting))])
}

/// Takes the latest change back that still makes a difference: its old value, as a new change.
fn undo(workbench: &mut Workbench) -> Result<Vec<Effect>, String> {
    while let Some(before) = workbench.undo.pop() {
        if before.current(&workbench.wanted) == Some(before) {
            continue;
        }
        let effects = change(workbench, before);
        if effects.is_ok() {
            // Taking back is no change to be taken back; the one before is next.
            workbench.undo.pop();
        }
        return effects;
    }
    Err("nothing was changed that could be taken back".into())
}

/// What a dial turns, whatever its value.
fn kind(dial: Dial) -> Setting {
    match dial {
        Dial::Components => Setting::K(0),
        Dial::Noise => Setting::Noise(0.0),
        Dial::LearningRate => Setting::LearningRate(0.0),
        Dial::Steps => Setting::Steps(0),
        Dial::InterWeight => Setting::InterWeight(0.0),
        Dial::Objects => Setting::Objects(0),
        Dial::ESigma => Setting::ESigma(0.0),
    }
}

/// The setting one notch on; `None` where the preset has no such value, or at the end of the scale.
fn turned(preset: &Preset, dial: Dial, by: i64) -> Option<Setting> {
    let count = |n: usize, most: usize| n.saturating_add_signed(by as isize).clamp(1, most);
    let setting = match dial {
        Dial::Components => Setting::K(count(preset.k, MAX_COMPONENTS)),
        Dial::Steps => Setting::Steps(count(preset.steps, MAX_STEPS)),
        Dial::Objects => Setting::Objects(count(preset.data.objects()?, 255)),
        Dial::Noise => Setting::Noise(notch(preset.noise.probability()?, 20.0, by).clamp(0.0, 1.0)),
        Dial::LearningRate => Setting::LearningRate(rung(preset.train.learning_rate, by)),
        Dial::InterWeight => Setting::InterWeight(notch(preset.loss.inter_weight, 10.0, by).max(0.0)),
        Dial::ESigma => match kind(dial).current(preset)? {
            // No component can be that sure of itself.
            Setting::ESigma(sigma) => Setting::ESigma(notch(sigma, 20.0, by).max(0.05)),
            _ => return None,
        },
    };
    (setting.current(preset) != Some(setting) && setting.apply(preset).is_ok()).then_some(setting)
}

/// The next multiple of 1/`per_unit` up or down. Multiples are computed from whole numbers, so that 0.1
/// and not 0.1000001 comes back.
fn notch(value: f64, per_unit: f64, by: i64) -> f64 {
    let at = value * per_unit;
    let near = (at - at.round()).abs() < 1e-6;
    let next = match (near, by > 0) {
        (true, true) => at.round() + 1.0,
        (true, false) => at.round() - 1.0,
        (false, true) => at.ceil(),
        (false, false) => at.floor(),
    };
    next / per_unit
}

/// The next value up or down on the ladder …, 1, 2, 5, 10, …
fn rung(value: f64, by: i64) -> f64 {
    let ladder = (-8..=0).flat_map(|exponent| [1, 2, 5].map(|digit| format!("{digit}e{exponent}")));
    let ladder: Vec<f64> = ladder.filter_map(|text| text.parse().ok()).collect();
    let near = |rung: f64| (rung / value - 1.0).abs() < 1e-6;
    let next = match by {
        1.. => ladder.iter().find(|rung| **rung > value && !near(**rung)),
        _ => ladder.iter().rev().find(|rung| **rung < value && !near(**rung)),
    };
    next.copied().unwrap_or(value)
}

/// Goes on to `to`: from a run of another process at once; from one's own, if one is running, once it is stopped
/// and saved.
fn leave(app: &mut App, to: Leave) -> Vec<Effect> {
    if !app.attached {
        return stop(app, to);
    }
    // Others go on looking, and at the training's own samples.
    let back = app.workbench.as_mut().map(look_up).unwrap_or_default();
    back.into_iter().chain([Effect::Exit]).collect()
}

/// Stops the run, whoever's it is, if one is running, and goes on to `to` once it is saved.
fn stop(app: &mut App, to: Leave) -> Vec<Effect> {
    let running = app.workbench.as_ref().is_some_and(|w| w.alive);
    let again = app.leaving.replace(to).is_some();
    match (running, again) {
        (true, false) => vec![Effect::Send(Command::Stop)],
        // Asked twice: the screen goes, and the shell waits for the save without it.
        (true, true) => vec![Effect::Exit],
        (false, _) => arrive(app),
    }
}

/// The run is saved, or there is none.
fn arrive(app: &mut App) -> Vec<Effect> {
    let workbench = app.workbench.as_ref();
    let run = workbench.map(|workbench| workbench.info.directory.clone()).unwrap_or_default();
    if let (Some(Leave::Detach), Some(workbench)) = (&app.leaving, workbench) {
        // A run that has ended by itself meanwhile does not go on.
        let goes_on = workbench.finish == Some(Finish::Stopped);
        let detach = goes_on.then(|| Effect::Detach(run, workbench.info.device.clone()));
        return detach.into_iter().chain([Effect::Exit]).collect();
    }
    let device = app.picker.device().to_owned();
    let effect = match app.leaving.take() {
        Some(Leave::Fork(from, sets)) => Effect::Fork(from, sets, device),
        Some(Leave::Restart(sets)) => Effect::Restart(run, sets, device),
        to => {
            app.leaving = to;
            return vec![Effect::Exit];
        }
    };
    app.starting = true;
    vec![effect]
}

fn heard(app: &mut App, event: Event) -> Vec<Effect> {
    if let Event::Started(info) = event {
        let mut workbench = Workbench::new(*info);
        workbench.snapshot = app.early.take();
        app.workbench = Some(workbench);
        app.starting = false;
        return app.opening.take().map_or_else(Vec::new, |file| open(app, &file));
    }
    let Some(workbench) = &mut app.workbench else { return vec![] };
    match event {
        Event::Started(_) => {}
        Event::Iterations(list) => list.into_iter().for_each(|i| workbench.add_iteration(i)),
        Event::Epoch(epoch) => {
            workbench.add_epoch(epoch);
            if workbench.album.is_some() {
                // It has a moment more, and perhaps others less.
                return vec![Effect::Moments(workbench.info.directory.clone())];
            }
        }
        Event::Changed(change) => workbench.add_change(change),
        Event::Stage(start) => workbench.begin_stage(start),
        Event::Floor(floor) => workbench.info.floor = floor,
        Event::Watched(sample) => {
            if workbench.asked == 0 {
                // Somebody else's wish, in the place of one's own image.
                workbench.input = None;
            }
            // While one's own wishes are on their way, an earlier one does not undo the latest.
            workbench.asked = workbench.asked.saturating_sub(1);
            if workbench.asked == 0 {
                workbench.sample = sample;
            }
        }
        Event::WatchedScores(scores) => workbench.watched = scores,
        Event::Refused(sentence) => {
            workbench.wanted = workbench.preset.clone();
            workbench.stay();
            app.message = Some(sentence);
        }
        // Of others' images others are asked.
        Event::WrongSize { input, .. } if workbench.input.as_ref() != Some(&input) => {}
        Event::WrongSize { input, size } if app.overlay.is_none() => {
            app.overlay = Some(Overlay::Resize(input, size));
        }
        Event::WrongSize { input, size: [width, height] } => {
            workbench.stay();
            let file = input.file.display();
            app.message = Some(format!("{file} is {width}x{height}; open it again, to be asked about that"));
        }
        Event::Paused(paused) => workbench.paused = paused,
        Event::Saved { iteration, .. } => workbench.saved = Some(iteration),
        Event::Done(finish) => {
            let notice = ended(app.config.notice, workbench, &finish);
            workbench.finish = Some(finish);
            return notice;
        }
        Event::Finished(finish) => {
            workbench.alive = false;
            // Whoever leaves knows, and so does who was told when it was done.
            let told = app.leaving.is_some() || workbench.finish.is_some();
            let notice = if told { vec![] } else { ended(app.config.notice, workbench, &finish) };
            if let Finish::Failed(sentence) = &finish {
                // The status line may be too short for it.
                app.message = Some(sentence.clone());
            }
            workbench.finish = Some(finish);
            if app.leaving.is_some() {
                return arrive(app);
            }
            return notice;
        }
    }
    vec![]
}

/// Tells that the training ended, as the user wants it told.
fn ended(notice: Option<Notice>, workbench: &Workbench, finish: &Finish) -> Vec<Effect> {
    let Some(notice) = notice.filter(|_| *finish != Finish::Shown) else { return vec![] };
    let run = workbench.info.directory.file_name().unwrap_or_default().to_string_lossy();
    let what = if matches!(finish, Finish::Failed(_)) { "has failed" } else { "is over" };
    let ami = workbench.epoch.map_or(String::new(), |epoch| format!(", AMI {:.2}", epoch.ami));
    vec![Effect::Notify(notice, format!("the training of {run} {what}{ami}"))]
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::error::Error;
    use crate::protocol::{Change, Epoch, Floor, Iteration, Metrics, ModelCard, Profile, RunInfo, Watched};
    use crate::snapshot::Input;
    use crate::tui::config::Config;
    use crate::tui::curve_view::{LossPlot, ScorePlot};
    use crate::tui::theme::{Depth, Theme};

    fn preset() -> Preset {
        Preset::load("quickstart").unwrap()
    }

    fn model() -> ModelCard {
        ModelCard { name: "shapes".into(), preset: preset(), iteration: 9, ami: Some((0.8, 0.5)) }
    }

    fn picker() -> App {
        let mut app = App::new(Theme::new(Depth::True));
        let other = Preset::load("static-shapes-nem").unwrap();
        let effects = update(
            &mut app,
            Message::Shelf(Shelf {
                models: vec![model()],
                presets: vec![preset(), other],
                devices: vec!["libtorch".into(), "flex".into()],
            }),
        );
        assert!(matches!(&effects[..], [Effect::Preview(p, 0)] if p.name == "quickstart"));
        app
    }

    fn workbench() -> App {
        let mut app = picker();
        let info = RunInfo {
            directory: "runs/quickstart-s1".into(),
            preset: preset(),
            seed: 1,
            device: "flex".into(),
            iteration: 0,
            parameters: 1,
            floor: Floor::default(),
            metrics: Metrics::default(),
        };
        update(&mut app, Message::Engine(Event::Started(Box::new(info))));
        app
    }

    fn iteration(n: u64) -> Event {
        Event::Iterations(vec![Iteration {
            iteration: n,
            epoch: 1,
            loss: 1.0,
            intra: 1.0,
            inter: 0.0,
            seconds: 0.1,
            ..Iteration::default()
        }])
    }

    /// Presses keys, written as a string: `↵` is enter, `⇥` tab, `⎋` escape, `^` Ctrl-C, arrows themselves.
    fn press(app: &mut App, keys: &str) -> Vec<Effect> {
        let effects = keys.chars().flat_map(|c| {
            let (code, modifiers) = match c {
                '↵' => (KeyCode::Enter, KeyModifiers::NONE),
                '⇥' => (KeyCode::Tab, KeyModifiers::NONE),
                '⎋' => (KeyCode::Esc, KeyModifiers::NONE),
                '↑' => (KeyCode::Up, KeyModifiers::NONE),
                '↓' => (KeyCode::Down, KeyModifiers::NONE),
                '←' => (KeyCode::Left, KeyModifiers::NONE),
                '→' => (KeyCode::Right, KeyModifiers::NONE),
                '^' => (KeyCode::Char('c'), KeyModifiers::CONTROL),
                c => (KeyCode::Char(c), KeyModifiers::NONE),
            };
            update(app, Message::Key(KeyEvent::new(code, modifiers)))
        });
        effects.collect()
    }

    fn sent(effects: &[Effect]) -> Vec<Command> {
        let command = |effect: &Effect| match effect {
            Effect::Send(command) => Some(command.clone()),
            _ => None,
        };
        effects.iter().filter_map(command).collect()
    }

    #[test]
    fn the_picker_chooses_previews_and_starts_once() {
        let mut app = picker();
        assert!(matches!(&press(&mut app, "↑")[..], [Effect::Preview(..)]), "the model above the presets");
        assert!(press(&mut app, "↑").is_empty(), "nothing above the first");
        assert_eq!(press(&mut app.clone(), "↵"), [Effect::Open("shapes".into(), "libtorch".into())]);
        press(&mut app, "↓");
        assert!(
            matches!(&press(&mut app, "↓")[..], [Effect::Preview(p, 0)] if p.name == "static-shapes-nem")
        );
        assert!(matches!(&press(&mut app, "→")[..], [Effect::Preview(_, 1)]));
        assert!(matches!(&press(&mut app, "←←")[..], [Effect::Preview(_, 0), Effect::Preview(_, 0)]));
        assert!(
            matches!(&press(&mut app, "↵↵")[..], [Effect::Start(p, d)] if p.name == "static-shapes-nem" && d == "libtorch")
        );
        update(&mut app, Message::StartFailed("no disk".into()));
        assert_eq!(app.message.as_deref(), Some("no disk"));
        assert!(matches!(&press(&mut app, "↵")[..], [Effect::Start(..)]), "and may be tried again");
        assert_eq!(press(&mut picker(), "q"), [Effect::Exit]);
    }

    /// A run that is only looked at is paused before its first iteration.
    #[test]
    fn the_picker_opens_runs_to_look_at_them() {
        let mut app = picker();
        assert!(press(&mut app, "i").is_empty() && app.message.is_some(), "a preset");
        let run = RunCard {
            directory: "runs/a".into(),
            preset: preset(),
            seed: 1,
            iteration: 5,
            ami: None,
            changed: SystemTime::UNIX_EPOCH,
        };
        app.picker.entries.push(Entry::Run(Box::new(run.clone())));
        app.picker.selected = 3;
        let effects = press(&mut app, "i");
        let resumed = Effect::Resume(Box::new(run), "libtorch".into());
        assert_eq!(effects, [resumed, Effect::Send(Command::Pause)]);
        let mut app = picker();
        press(&mut app, "↑");
        assert_eq!(press(&mut app, "i"), [Effect::Open("shapes".into(), "libtorch".into())]);
    }

    /// A model has one picture until it is asked for another, so the first must not be lost.
    #[test]
    fn a_picture_before_its_training_is_kept() {
        let info = workbench().workbench.unwrap().info;
        let mut app = picker();
        let image = preset().data.image();
        let picture =
            Snapshot { iteration: 9, sample: 0, input: None, image, k: 4, look: vec![], steps: vec![] };
        update(&mut app, Message::Picture(Arc::new(picture.clone())));
        update(&mut app, Message::Engine(Event::Started(Box::new(info))));
        assert_eq!(app.workbench.unwrap().snapshot.as_deref(), Some(&picture));
    }

    /// A model takes what changes its view of an image, and nothing of a training.
    #[test]
    fn a_model_is_looked_at_and_not_trained() {
        use Setting::*;
        let mut app = workbench();
        update(&mut app, Message::Engine(Event::Done(Finish::Shown)));
        for (keys, expected) in [
            ("K", vec![Command::Set(K(5))]),
            ("n", vec![Command::Set(Noise(0.05))]),
            ("T", vec![Command::Set(Steps(7))]),
            ("O", vec![Command::Set(Objects(4))]),
            (".", vec![Command::Watch(1)]),
            ("lLwWsc p⇥", vec![]),
        ] {
            assert_eq!(sent(&press(&mut app.clone(), keys)), expected, "{keys}");
        }
        assert_eq!(press(&mut app, "q"), [Effect::Send(Command::Stop)], "and is left without a question");
    }

    #[test]
    fn the_picker_turns_through_the_devices() {
        for (keys, chosen) in [("d", "flex"), ("dd", "libtorch"), ("D", "flex"), ("dD", "libtorch")] {
            let mut app = picker();
            assert!(press(&mut app, keys).is_empty());
            let effects = press(&mut app, "↵");
            assert!(matches!(&effects[..], [Effect::Start(_, device)] if device == chosen), "{keys}");
        }
    }

    #[test]
    fn the_profile_is_asked_for_averaged_and_given_up() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, "p")), [Command::Profile(true)]);
        let profile = |data| Some(Profile { data, ..Profile::default() });
        for (n, profile) in [(1, None), (2, profile(1.0)), (3, profile(3.0))] {
            let done = Iteration { iteration: n, profile, ..Iteration::default() };
            update(&mut app, Message::Engine(Event::Iterations(vec![done])));
        }
        let profiles = app.workbench.as_ref().unwrap().profiles.as_ref().unwrap();
        assert_eq!(Profile::mean(profiles.iter()), profile(2.0));
        assert_eq!(sent(&press(&mut app, "p")), [Command::Profile(false)]);
        assert!(app.workbench.unwrap().profiles.is_none());
    }

    fn past(iteration: u64, sample: usize) -> Message {
        let moment = Snapshot { iteration, ..(*snapshot(sample, vec![])).clone() };
        Message::Moment("runs/quickstart-s1".into(), iteration, sample, Ok(Arc::new(moment)))
    }

    fn seen(app: &App) -> Option<u64> {
        app.workbench.as_ref()?.shown().map(|snapshot| snapshot.iteration)
    }

    #[test]
    fn looking_back_goes_through_the_moments_and_returns_to_now() {
        let run = || PathBuf::from("runs/quickstart-s1");
        let mut app = workbench();
        let now = Snapshot { iteration: 90, ..(*snapshot(0, vec![])).clone() };
        update(&mut app, Message::Picture(Arc::new(now)));
        assert!(press(&mut app, "}").is_empty(), "there is nothing after now");
        assert_eq!(press(&mut app, "{"), [Effect::Moments(run())]);
        let read = update(&mut app, Message::Moments("runs/quickstart-s1".into(), vec![0, 8, 64]));
        assert_eq!(read, [Effect::Moment(run(), 64, 0)]);
        assert_eq!(seen(&app), Some(90), "until the moment is read");
        update(&mut app, past(64, 0));
        assert_eq!(seen(&app), Some(64));
        assert_eq!(press(&mut app, "{{{"), [8, 0].map(|moment| Effect::Moment(run(), moment, 0)));
        update(&mut app, past(8, 0));
        assert_eq!(seen(&app), Some(64), "that is not the one asked for last");
        // Another sample, of those that are kept.
        let watched = |sample| Effect::Send(Command::Watch(sample));
        assert_eq!(press(&mut app, ","), [watched(7), Effect::Moment(run(), 0, 7)]);
        update(&mut app, past(0, 7));
        // The inspector looks at the past too, and its changes at the present.
        press(&mut app, "i");
        assert_eq!(press(&mut app, "}"), [Effect::Moment(run(), 8, 7)]);
        update(&mut app, past(8, 7));
        assert_eq!(seen(&app), Some(8));
        let mut changed = app.clone();
        assert_eq!(sent(&press(&mut changed, "K")), [Command::Look(vec![Setting::K(5)])]);
        assert!(changed.workbench.unwrap().album.is_none());
        press(&mut app, "⎋");
        let mut escaped = app.clone();
        press(&mut escaped, "⎋");
        press(&mut app, "}");
        assert_eq!((seen(&app), app.workbench.as_ref().unwrap().album.is_some()), (Some(8), true));
        press(&mut app, "}");
        assert_eq!((seen(&app), seen(&escaped)), (Some(90), Some(90)), "beyond the last is now");
    }

    #[test]
    fn the_training_is_played_from_its_first_moment_on() {
        let mut app = workbench();
        let run = PathBuf::from("runs/quickstart-s1");
        assert_eq!(press(&mut app, "A"), [Effect::Moments(run.clone())]);
        let first = update(&mut app, Message::Moments("runs/quickstart-s1".into(), vec![0, 8]));
        assert_eq!(first, [Effect::Moment(run.clone(), 0, 0)]);
        assert!(app.is_playing());
        for moment in [8, 0] {
            assert_eq!(update(&mut app, Message::Tick), [Effect::Moment(run.clone(), moment, 0)]);
        }
        press(&mut app, "A");
        assert!(!app.is_playing());
        // A run without an album says so.
        let mut app = workbench();
        press(&mut app, "{");
        assert!(update(&mut app, Message::Moments("runs/quickstart-s1".into(), vec![])).is_empty());
        assert!(app.message.is_some() && app.workbench.unwrap().album.is_none());
    }

    /// What is kept while one looks back is looked at too, and a sample that is not kept gives way to one that is.
    #[test]
    fn the_album_grows_and_has_only_some_samples() {
        let mut app = workbench();
        app.workbench.as_mut().unwrap().sample = 30;
        press(&mut app, "{");
        let effects = update(&mut app, Message::Moments("runs/quickstart-s1".into(), vec![0, 8]));
        let run = PathBuf::from("runs/quickstart-s1");
        assert_eq!(effects, [Effect::Send(Command::Watch(0)), Effect::Moment(run.clone(), 8, 0)]);
        let epoch = Epoch { iteration: 9, ..Epoch::default() };
        assert_eq!(update(&mut app, Message::Engine(Event::Epoch(epoch))), [Effect::Moments(run)]);
        assert!(update(&mut app, Message::Moments("runs/quickstart-s1".into(), vec![0, 8, 9])).is_empty());
        assert_eq!(app.workbench.unwrap().album.unwrap().place(), (2, 3));
    }

    #[test]
    fn runs_are_drawn_beside_and_taken_away() {
        let mut app = workbench();
        assert_eq!(press(&mut app, "r"), [Effect::Runs]);
        let card = |name: &str| RunCard {
            directory: PathBuf::from("runs").join(name),
            preset: preset(),
            seed: 2,
            iteration: 9,
            ami: None,
            changed: SystemTime::UNIX_EPOCH,
        };
        update(&mut app, Message::Runs(["quickstart-s1", "a", "b"].map(card).into()));
        assert_eq!(press(&mut app, "↓ "), [Effect::Rival("runs/b".into())], "the run itself is not offered");
        let rival = Rival { name: "b".into(), preset: preset(), seed: 2, metrics: Metrics::default() };
        update(&mut app, Message::Rival(Box::new(rival)));
        assert_eq!(app.workbench.as_ref().unwrap().rivals.len(), 1);
        assert!(press(&mut app, "↵").is_empty());
        assert!(app.workbench.as_ref().unwrap().rivals.is_empty(), "chosen again, it goes");
        press(&mut app, "q");
        assert!(app.overlay.is_none() && app.leaving.is_none());
        let named = press(&mut app, ":compare docs/runs/x↵");
        assert_eq!(named.last(), Some(&Effect::Rival("docs/runs/x".into())));
    }

    #[test]
    fn panes_of_curves_show_other_quantities() {
        let mut app = workbench();
        press(&mut app, "⇥f");
        assert_eq!(app.workbench.as_ref().unwrap().curves.losses, LossPlot::UpperBound);
        press(&mut app, "ffff⇥f");
        let curves = &app.workbench.as_ref().unwrap().curves;
        assert_eq!((curves.losses, curves.scores), (LossPlot::UpperBound, ScorePlot::Confidence));
    }

    /// (state, keys, what is sent)
    #[test]
    fn letters_lower_and_raise_values() {
        use Setting::*;
        for (keys, expected) in [
            ("k", vec![K(3)]),
            ("KK", vec![K(5), K(6)]),
            ("kkkkk", vec![K(3), K(2), K(1)]),
            ("n", vec![Noise(0.05)]),
            ("nnn", vec![Noise(0.05), Noise(0.0)]),
            ("N", vec![Noise(0.15)]),
            ("l", vec![LearningRate(2e-3)]),
            ("LL", vec![LearningRate(5e-3), LearningRate(1e-2)]),
            ("tT", vec![Steps(5), Steps(6)]),
            ("wW", vec![InterWeight(0.9), InterWeight(1.0)]),
            ("oO", vec![Objects(2), Objects(3)]),
        ] {
            let mut app = workbench();
            let expected: Vec<Command> = expected.into_iter().map(Command::Set).collect();
            assert_eq!(sent(&press(&mut app, keys)), expected, "{keys}");
        }
    }

    #[test]
    fn values_between_notches_go_to_the_next_one() {
        assert_eq!(notch(0.13, 20.0, 1), 0.15);
        assert_eq!(notch(0.12, 20.0, -1), 0.1);
        assert_eq!((rung(0.004, 1), rung(0.004, -1), rung(0.005, 1)), (0.005, 0.002, 0.01));
    }

    #[test]
    fn a_wanted_value_is_shown_until_the_engine_takes_or_refuses_it() {
        let mut app = workbench();
        press(&mut app, "KK");
        let values = |app: &App| app.workbench.as_ref().map(|w| (w.preset.k, w.wanted.k)).unwrap();
        assert_eq!(values(&app), (4, 6));
        let change =
            |from, to| Event::Changed(Change { iteration: 7, from: Setting::K(from), to: Setting::K(to) });
        update(&mut app, Message::Engine(change(4, 5)));
        assert_eq!(values(&app), (5, 6));
        update(&mut app, Message::Engine(Event::Refused("no".into())));
        assert_eq!((values(&app), app.message.as_deref()), ((5, 5), Some("no")));
        update(&mut app, Message::Engine(change(5, 6)));
        assert_eq!(values(&app), (6, 6));
        assert_eq!(app.workbench.unwrap().history.changes.len(), 2);
    }

    #[test]
    fn undo_brings_old_values_back_as_new_changes() {
        use Setting::*;
        let mut app = workbench();
        assert_eq!(
            sent(&press(&mut app, "KNNuuu")),
            [K(5), Noise(0.15), Noise(0.2), Noise(0.15), Noise(0.1), K(4)].map(Command::Set)
        );
        assert!(sent(&press(&mut app, "u")).is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("nothing")));
        // What came to nothing is not brought back.
        assert_eq!(sent(&press(&mut app, "KkNu")).last(), Some(&Command::Set(Noise(0.1))));
        assert_eq!(sent(&press(&mut app, "u")), [Command::Set(K(5))]);
    }

    #[test]
    fn typed_commands_do_what_keys_do_and_more() {
        use Setting::*;
        for (line, expected) in [
            (":set noise 0.3↵", vec![Command::Set(Noise(0.3))]),
            (":lr 5e-4↵", vec![Command::Set(LearningRate(5e-4))]),
            (":k 5↵u", vec![Command::Set(K(5)), Command::Set(K(4))]),
            (":pause↵", vec![Command::Pause]),
            (":sample 7↵", vec![Command::Watch(6)]),
            (":chec⇥↵", vec![Command::Checkpoint]),
            (":k 5⎋", vec![]),
            (":k 4↵", vec![]),
            (":k 6↵:k 4↵:↑↑↵", vec![Command::Set(K(6)), Command::Set(K(4)), Command::Set(K(6))]),
        ] {
            let mut app = workbench();
            assert_eq!(sent(&press(&mut app, line)), expected, "{line}");
            assert!(app.overlay.is_none(), "{line}");
        }
    }

    /// (line, what is said), and nothing is sent.
    #[test]
    fn commands_that_cannot_be_are_refused_in_a_sentence() {
        for (line, words) in [
            (":k 0↵", "1 to 64"),
            (":nois 1↵", "did you mean noise"),
            (":sigma 0.3↵", "no model.distribution.e_sigma"),
            (":sample 65↵", "1 to 64"),
            (":set train.batch 3↵", "fork train.batch=3"),
            (":fork train.nothing=3↵", "train.nothing"),
            (":fork model.cell.layers.0.units=7↵", ":restart model.cell.layers.0.units=7 begins it"),
        ] {
            let mut app = workbench();
            assert!(press(&mut app, line).is_empty(), "{line}");
            let message = app.message.clone().unwrap_or_default();
            assert!(message.contains(words), "{line}: {message}");
        }
    }

    #[test]
    fn a_fork_waits_for_the_save_and_then_takes_the_screen() {
        for (line, restart) in [(":fork k=5↵", false), (":restart↵", true)] {
            let mut app = workbench();
            update(&mut app, Message::Engine(iteration(3)));
            assert_eq!(press(&mut app, line), [Effect::Send(Command::Stop)]);
            assert!(press(&mut app, "k").is_empty(), "nothing until it is saved");
            let effects = update(&mut app, Message::Engine(Event::Finished(Finish::Stopped)));
            let run = PathBuf::from("runs/quickstart-s1");
            let expected = match restart {
                true => Effect::Restart(run, vec![], "libtorch".into()),
                false => Effect::Fork(run, vec!["k=5".into()], "libtorch".into()),
            };
            assert_eq!(effects, [expected]);
            let mut failed = app.clone();
            update(&mut failed, Message::StartFailed("no disk".into()));
            assert_eq!((failed.message.as_deref(), failed.starting), (Some("no disk"), false));
            let info = RunInfo { iteration: 3, ..workbench().workbench.unwrap().info };
            update(&mut app, Message::Engine(Event::Started(Box::new(info))));
            assert_eq!(app.workbench.as_ref().map(|w| (w.iteration(), w.alive)), Some((3, true)));
            assert!(!app.starting && app.leaving.is_none());
        }
    }

    /// A checkpoint is looked for before the training is stopped for it.
    #[test]
    fn a_fork_begins_at_any_checkpoint() {
        let mut app = workbench();
        let run = PathBuf::from("runs/quickstart-s1");
        let sets = vec!["k=5".to_owned()];
        assert_eq!(press(&mut app, ":fork best k=5↵"), [Effect::Find(run, "best".into(), sets.clone())]);
        assert!(update(&mut app, Message::Found(Err("no such".into()), sets.clone())).is_empty());
        assert!(app.leaving.is_none() && app.message.as_deref() == Some("no such"));
        let best = PathBuf::from("runs/quickstart-s1/checkpoints/it-00000100");
        let effects = update(&mut app, Message::Found(Ok(best.clone()), sets.clone()));
        assert_eq!(effects, [Effect::Send(Command::Stop)]);
        let effects = update(&mut app, Message::Engine(Event::Finished(Finish::Stopped)));
        assert_eq!(effects, [Effect::Fork(best, sets, "libtorch".into())]);
    }

    fn snapshot(sample: usize, look: Vec<Setting>) -> Arc<Snapshot> {
        let image = preset().data.image();
        let step = crate::snapshot::SnapshotStep {
            target: vec![0.0; image.values()],
            noisy: vec![0.0; image.values()],
            groups: vec![0; image.pixels()],
            preds: vec![],
            gamma: vec![],
            ami: None,
            ari: None,
            confidence: None,
        };
        Arc::new(Snapshot { iteration: 3, sample, input: None, image, k: 4, look, steps: vec![step; 6] })
    }

    #[test]
    fn em_steps_are_played_round_and_round() {
        let mut app = workbench();
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        assert!(!app.is_playing());
        press(&mut app, "a");
        let mut seen = vec![];
        for _ in 0..7 {
            seen.push(app.workbench.as_ref().unwrap().em_step.unwrap());
            update(&mut app, Message::Tick);
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 0]);
        press(&mut app, "[");
        assert!(!app.is_playing(), "a step by hand ends it");
    }

    #[test]
    fn the_worst_samples_come_first_when_asked() {
        let mut app = workbench();
        let mut scores: Vec<Option<f64>> = (0..64).map(|i| Some(0.9 - f64::from(i) / 1000.0)).collect();
        scores[5] = Some(0.1);
        scores[63] = None;
        let watched = Watched { amis: scores, ..Watched::default() };
        update(&mut app, Message::Engine(Event::WatchedScores(watched)));
        assert_eq!(sent(&press(&mut app, "b")), [Command::Watch(5)], "the worst");
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(62)]);
        assert_eq!(
            sent(&press(&mut app, ",,")),
            [Command::Watch(5), Command::Watch(63)],
            "the unscored last"
        );
        assert_eq!(sent(&press(&mut app, "b,")), [Command::Watch(62)], "their own order again");
    }

    /// The inspector holds its picture still, and what is changed there is no change of the training.
    #[test]
    fn the_inspector_looks_and_changes_nothing() {
        use Setting::*;
        let mut app = workbench();
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        press(&mut app, "i");
        let inspector = |app: &App| app.workbench.as_ref().unwrap().inspector.clone().unwrap();
        let held = inspector(&app).snapshot;
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        assert!(Arc::ptr_eq(&held, &inspector(&app).snapshot), "held still");
        assert_eq!(sent(&press(&mut app, "K")), [Command::Look(vec![K(5)])]);
        assert_eq!(sent(&press(&mut app, "N")), [Command::Look(vec![K(5), Noise(0.15)])]);
        assert_eq!(app.workbench.as_ref().unwrap().wanted.k, 4);
        update(&mut app, Message::Picture(snapshot(0, vec![K(5)])));
        assert!(inspector(&app).waits, "that was not the one asked for");
        let asked = snapshot(0, vec![K(5), Noise(0.15)]);
        update(&mut app, Message::Picture(asked.clone()));
        assert!(Arc::ptr_eq(&asked, &inspector(&app).snapshot) && !inspector(&app).waits);
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(1)]);
        assert!(sent(&press(&mut app, "l c")).is_empty(), "no training is steered from here");
        let before = (inspector(&app).x, inspector(&app).y);
        press(&mut app, "→→↓");
        assert_eq!((inspector(&app).x, inspector(&app).y), (before.0 + 2, before.1 + 1));
        assert_eq!(sent(&press(&mut app, "⎋")), [Command::Look(vec![])]);
        assert!(app.workbench.unwrap().inspector.is_none());
    }

    fn own(file: &str, resize: bool, request: u64) -> Input {
        Input { file: file.into(), resize, request }
    }

    fn picture_of(input: &Input, steps: usize, look: Vec<Setting>) -> Message {
        let mut snapshot = Arc::unwrap_or_clone(snapshot(0, look));
        snapshot.steps.resize(steps, snapshot.steps[0].clone());
        Message::Picture(Arc::new(Snapshot { input: Some(input.clone()), ..snapshot }))
    }

    /// The workbench with a sample on the screen, in the directory `/here`.
    fn with_a_sample() -> App {
        let mut app = workbench();
        (app.here, app.home) = ("/here".into(), "/home/me".into());
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        app
    }

    /// What the inspector shows, if it is open: the image of one's own, and whether another is on its way.
    fn inspected(app: &App) -> Option<(Option<Input>, bool)> {
        let inspector = app.workbench.as_ref()?.inspector.as_ref()?;
        Some((inspector.snapshot.input.clone(), inspector.waits))
    }

    #[test]
    fn an_image_of_ones_own_is_looked_into_when_it_is_there() {
        let mut app = with_a_sample();
        let image = own("/here/a b.png", false, 1);
        assert_eq!(sent(&press(&mut app, ":open a b.png↵")), [Command::Input(Some(image.clone()))]);
        assert_eq!(inspected(&app), None);
        update(&mut app, picture_of(&own("/here/c.png", false, 1), 6, vec![]));
        assert_eq!(inspected(&app), None, "that was somebody else's");
        update(&mut app, picture_of(&image, 9, vec![]));
        assert_eq!(inspected(&app), Some((Some(image.clone()), false)));
        let workbench = app.workbench.as_ref().unwrap();
        assert!(workbench.snapshot.as_ref().unwrap().input.is_none(), "behind it the sample is still there");
        let saved = press(&mut app, "e");
        assert!(
            matches!(&saved[..], [Effect::Save(_, _, file)] if file.ends_with("quickstart-s1-it3-a b-overview.png"))
        );

        // Its frames say how many EM steps there are, and a refused change of that leaves it as it is.
        let more = vec![Setting::Steps(10)];
        assert_eq!(sent(&press(&mut app, "T")), [Command::Look(more)]);
        update(&mut app, Message::Engine(Event::Refused("10 frames".into())));
        assert_eq!(
            (inspected(&app), app.message.as_deref()),
            (Some((Some(image.clone()), false)), Some("10 frames"))
        );
        assert_eq!(sent(&press(&mut app, "t")), [Command::Look(vec![Setting::Steps(8)])]);
        update(&mut app, picture_of(&image, 8, vec![Setting::Steps(8)]));
        assert!(sent(&press(&mut app, "o")).is_empty(), "its objects are what they are");

        // The same file again may hold another image; the older picture of it does not do.
        let again = own("/here/a b.png", false, 2);
        assert_eq!(sent(&press(&mut app, ":open a b.png↵")), [Command::Input(Some(again.clone()))]);
        update(&mut app, picture_of(&image, 8, vec![Setting::Steps(8)]));
        assert_eq!(inspected(&app), Some((Some(image), true)));
        update(&mut app, picture_of(&again, 8, vec![Setting::Steps(8)]));
        assert_eq!(inspected(&app), Some((Some(again), false)));

        for (keys, back) in [
            (".", vec![Command::Watch(1)]),
            (":sample 7↵", vec![Command::Watch(6)]),
            ("⎋", vec![Command::Look(vec![]), Command::Input(None)]),
        ] {
            let mut app = app.clone();
            assert_eq!(sent(&press(&mut app, keys)), back, "{keys}");
            let workbench = app.workbench.as_ref().unwrap();
            assert!(workbench.input.is_none(), "{keys}");
            assert_eq!(workbench.inspector.is_none(), keys == "⎋", "{keys}");
        }
        assert_eq!(
            sent(&press(&mut with_a_sample(), ":open ~/b.gif↵")),
            [Command::Input(Some(own("/home/me/b.gif", false, 1)))]
        );
        assert_eq!(
            sent(&press(&mut with_a_sample(), ":open /b.npy↵")),
            [Command::Input(Some(own("/b.npy", false, 1)))]
        );
    }

    #[test]
    fn a_file_that_is_being_named_is_completed() {
        let mut app = with_a_sample();
        let of = |directory: &str| Listing { directory: directory.into(), images: true };
        assert_eq!(press(&mut app, ":open "), [Effect::List("/here".into(), of(""))]);
        update(&mut app, Message::Listed(of(""), vec!["a.png".into(), "my/".into()]));
        assert_eq!(press(&mut app, "m⇥"), [Effect::List("/here/my".into(), of("my/"))]);
        update(&mut app, Message::Listed(of("my/"), vec!["b.png".into()]));
        let image = own("/here/my/b.png", false, 1);
        assert_eq!(sent(&press(&mut app, "⇥↵")), [Command::Input(Some(image))]);
        assert_eq!(press(&mut app, ":open ~/").last(), Some(&Effect::List("/home/me".into(), of("~/"))));
        let runs = Listing { directory: "runs/".into(), images: false };
        assert_eq!(press(&mut app, "⎋:compare runs/").last(), Some(&Effect::List("/here/runs".into(), runs)));
    }

    #[test]
    fn another_size_is_a_question() {
        let mut app = with_a_sample();
        press(&mut app, ":open a.png↵");
        let image = own("/here/a.png", false, 1);
        let wrong =
            |input: &Input| Message::Engine(Event::WrongSize { input: input.clone(), size: [640, 480] });
        update(&mut app, wrong(&own("/here/b.png", false, 1)));
        assert!(app.overlay.is_none(), "that is for somebody else");
        update(&mut app, wrong(&image));
        assert!(matches!(&app.overlay, Some(Overlay::Resize(of, [640, 480])) if *of == image));

        let mut yes = app.clone();
        let resized = own("/here/a.png", true, 2);
        assert_eq!(sent(&press(&mut yes, "y")), [Command::Input(Some(resized.clone()))]);
        update(&mut yes, picture_of(&resized, 6, vec![]));
        assert_eq!(inspected(&yes), Some((Some(resized.clone()), false)));
        // From the inspector, where no leaves what is shown.
        press(&mut yes, ":open a.png↵");
        update(&mut yes, wrong(&own("/here/a.png", false, 3)));
        assert!(press(&mut yes, "n").is_empty() && yes.overlay.is_none());
        assert_eq!(inspected(&yes), Some((Some(resized.clone()), false)));
        assert_eq!(yes.workbench.unwrap().input, Some(resized));

        let mut no = app.clone();
        assert!(press(&mut no, "n").is_empty() && no.overlay.is_none());
        assert!(no.workbench.unwrap().input.is_none());

        // What is being typed is not lost over it.
        let mut typing = with_a_sample();
        press(&mut typing, ":open a.png↵:noi");
        update(&mut typing, wrong(&image));
        assert!(matches!(typing.overlay, Some(Overlay::Palette(_))));
        assert!(typing.message.is_some_and(|message| message.contains("640x480")));
        assert!(typing.workbench.unwrap().input.is_none());
    }

    #[test]
    fn an_image_that_cannot_be_is_a_sentence() {
        let mut app = with_a_sample();
        press(&mut app, ":open a.png↵");
        update(&mut app, Message::Engine(Event::Refused("no PNG".into())));
        assert_eq!((app.message.as_deref(), inspected(&app)), (Some("no PNG"), None));
        assert!(app.workbench.as_ref().unwrap().input.is_none());
        assert!(press(&mut app, ":open↵").is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("open takes FILE")));
        update(&mut app, Message::Engine(Event::Finished(Finish::MaxEpochs)));
        assert!(sent(&press(&mut app, ":open a.png↵")).is_empty());
        assert!(app.message.as_deref().is_some_and(|message| message.contains("--look")));
    }

    #[test]
    fn a_model_comes_with_the_image_that_was_named() {
        let info = workbench().workbench.unwrap().info;
        let mut app = picker();
        (app.here, app.opening) = ("/here".into(), Some("a.png".into()));
        let effects = update(&mut app, Message::Engine(Event::Started(Box::new(info))));
        assert_eq!(sent(&effects), [Command::Input(Some(own("/here/a.png", false, 1)))]);
        assert!(app.opening.is_none());
    }

    /// Who leaves an attached run leaves its samples to the others.
    #[test]
    fn leaving_from_the_inspector_puts_the_samples_back() {
        let mut app = with_a_sample();
        app.attached = true;
        press(&mut app, ":open a.png↵");
        update(&mut app, picture_of(&own("/here/a.png", false, 1), 6, vec![]));
        press(&mut app, "K");
        let back = [Command::Look(vec![]), Command::Input(None)].map(Effect::Send);
        assert_eq!(press(&mut app, "q"), [&back[..], &[Effect::Exit]].concat());
    }

    #[test]
    fn anothers_sample_takes_the_place_of_ones_image() {
        let mut app = with_a_sample();
        press(&mut app, ":open a.png↵");
        let image = own("/here/a.png", false, 1);
        update(&mut app, picture_of(&image, 6, vec![]));
        update(&mut app, Message::Engine(Event::Watched(4)));
        assert_eq!(inspected(&app), Some((Some(image), false)), "held still");
        press(&mut app, "K");
        update(&mut app, Message::Picture(snapshot(4, vec![Setting::K(5)])));
        assert_eq!(inspected(&app), Some((None, false)));
        // One's own wish for a sample does not take away the image that was asked for after it.
        let mut app = with_a_sample();
        press(&mut app, ".:open a.png↵");
        update(&mut app, Message::Engine(Event::Watched(1)));
        assert!(app.workbench.unwrap().input.is_some());
    }

    #[test]
    fn what_is_looked_at_is_written() {
        let mut app = workbench();
        assert!(press(&mut app, "e").is_empty() && app.message.is_some(), "nothing to see yet");
        let picture = snapshot(0, vec![]);
        update(&mut app, Message::Picture(picture.clone()));
        let saved = |view, file: &str| [Effect::Save(picture.clone(), view, file.into())];
        assert_eq!(press(&mut app, "[e"), saved(View::Step(4), "quickstart-s1-it3-sample1-step5.png"));
        assert_eq!(press(&mut app, ":export a b.gif↵"), saved(View::Step(4), "a b.gif"));
        assert_eq!(press(&mut app, "ie"), saved(View::Overview, "quickstart-s1-it3-sample1-overview.png"));
        press(&mut app, "⎋");
        update(&mut app, Message::Told("written: x".into()));
        assert_eq!(app.message.as_deref(), Some("written: x"));
        let curves = |file: &str| [Effect::SaveCurves("runs/quickstart-s1".into(), file.into())];
        assert_eq!(
            press(&mut app, "⇥e"),
            curves("quickstart-s1-it0-curves.svg"),
            "the curves where they are looked at"
        );
        app.home = "/home/me".into();
        assert_eq!(press(&mut app, ":export ~/a.csv↵"), curves("/home/me/a.csv"));
        let copied = Effect::Copy("nem-tui train --replay runs/quickstart-s1".into());
        assert_eq!(press(&mut app, "C"), [copied]);
    }

    #[test]
    fn curves_are_read_scaled_and_smoothed_where_they_have_the_focus() {
        let mut app = workbench();
        for n in 1..=200 {
            update(&mut app, Message::Engine(iteration(n)));
        }
        press(&mut app, "⇥yxV←←+");
        let view = &app.workbench.as_ref().unwrap().curves;
        assert!(view.log && view.smoothing() > 0.0 && view.is_zoomed());
        assert_eq!(view.unit, crate::tui::curve_view::Unit::Epochs);
        assert!(view.cursor(1.0, 200.0).is_some_and(|at| (190.0..200.0).contains(&at)));
        let mut pictures = workbench();
        press(&mut pictures, "yxV+");
        assert_eq!(pictures.workbench.unwrap().curves, Default::default(), "and only there");
    }

    #[test]
    fn space_s_and_c_steer_the_training() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, " ")), [Command::Pause]);
        assert_eq!(sent(&press(&mut app, " ")), [Command::Resume]);
        assert_eq!(sent(&press(&mut app, "sc")), [Command::Step, Command::Checkpoint]);
        assert!(app.workbench.unwrap().paused, "a single step pauses");
    }

    #[test]
    fn samples_wrap_around_and_panes_take_turns() {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, ",.↓")), [Command::Watch(63), Command::Watch(0), Command::Watch(1)]);
        press(&mut app, "⇥z");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Loss, true));
        press(&mut app, "⇥⇥↵");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Components, false));
    }

    #[test]
    fn the_config_gives_actions_other_keys_or_says_why_not() {
        let mut app = workbench();
        app.configure(Ok(Config::parse(r#"(keys: { "pause": "ctrl-p", "help": "f1" })"#).unwrap()));
        assert!(press(&mut app, " ?").is_empty() && app.overlay.is_none(), "these have no meaning now");
        let pause = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::CONTROL);
        assert_eq!(sent(&update(&mut app, Message::Key(pause))), [Command::Pause]);
        update(&mut app, Message::Key(KeyEvent::from(KeyCode::F(1))));
        assert!(matches!(app.overlay, Some(Overlay::Help(0))));
        press(&mut app, "⎋:pause↵");
        assert!(!app.workbench.unwrap().paused, "its name is what it was");
        let mut app = picker();
        app.configure(Err(Error::Usage("config.ron: no".into())));
        assert_eq!(app.message.as_deref(), Some("config.ron: no"));
        assert_eq!(press(&mut app, "q"), [Effect::Exit], "and the defaults are in force");
    }

    #[test]
    fn colours_are_changed_anywhere_and_nothing_else() {
        use crate::tui::theme::Scheme;
        for mut app in [picker(), workbench()] {
            for (line, scheme) in [
                (":theme light↵", Scheme::Light),
                (":theme col⇥↵", Scheme::ColourBlind),
                (":theme pink↵", Scheme::ColourBlind),
            ] {
                assert!(press(&mut app, line).is_empty(), "{line}");
                assert_eq!(app.theme, Theme { depth: Depth::True, scheme }, "{line}");
            }
            assert!(app.message.as_deref().is_some_and(|message| message.contains("dark, light")));
        }
    }

    #[test]
    fn a_click_chooses_and_a_second_opens() {
        let mut app = picker();
        let effects = update(&mut app, Message::Click(Target::Entry(2)));
        assert!(matches!(&effects[..], [Effect::Preview(p, 0)] if p.name == "static-shapes-nem"));
        assert!(update(&mut app, Message::Click(Target::Picker)).is_empty());
        let effects = update(&mut app, Message::Click(Target::Entry(2)));
        assert!(matches!(&effects[..], [Effect::Start(p, _)] if p.name == "static-shapes-nem"));
        assert!(update(&mut app, Message::Click(Target::Entry(2))).is_empty(), "once");
        assert!(update(&mut app, Message::Click(Target::Entry(1))).is_empty(), "while it is on its way");
        let mut app = picker();
        let chosen = Message::Click(Target::Entry(app.picker.selected));
        assert!(update(&mut app, chosen.clone()).is_empty(), "what was not chosen by a click");
        press(&mut app, "↓↑");
        assert!(update(&mut app, chosen.clone()).is_empty(), "the keyboard has come back to it");
        assert!(matches!(&update(&mut app, chosen)[..], [Effect::Start(..)]));
        let mut app = picker();
        let effects = update(&mut app, Message::Wheel(Some(Target::Picker), 1));
        assert!(matches!(&effects[..], [Effect::Preview(..)]) && app.picker.selected == 2);
    }

    #[test]
    fn the_mouse_gives_the_focus_zooms_walks_and_points() {
        let mut app = workbench();
        for n in 1..=200 {
            update(&mut app, Message::Engine(iteration(n)));
        }
        update(&mut app, Message::Picture(snapshot(0, vec![])));
        let bench = |app: &App| app.workbench.clone().unwrap();
        update(&mut app, Message::Click(Target::Pane(Pane::Scores)));
        assert_eq!(bench(&app).focus, Pane::Scores);
        update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Loss)), -1));
        assert!(bench(&app).curves.is_zoomed());
        update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Loss)), 1));
        assert!(!bench(&app).curves.is_zoomed());
        update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Components)), -1));
        assert_eq!(bench(&app).em_step, Some(4));
        press(&mut app, "i");
        update(&mut app, Message::Click(Target::Pixel(3, 5)));
        let inspector = bench(&app).inspector.unwrap();
        assert_eq!((inspector.x, inspector.y), (3, 5));
        update(&mut app, Message::Wheel(Some(Target::Inspector), -1));
        assert_eq!(bench(&app).em_step, Some(3));
        press(&mut app, "?");
        update(&mut app, Message::Wheel(None, 1));
        assert!(matches!(app.overlay, Some(Overlay::Help(1))));
        update(&mut app, Message::Click(Target::Pixel(7, 7)));
        assert_eq!(bench(&app).inspector.unwrap().x, 3, "what lies above is not clicked through");
    }

    #[test]
    fn the_mouse_is_given_to_the_terminal_and_taken_back() {
        for mut app in [picker(), workbench()] {
            assert_eq!(press(&mut app, "M"), [Effect::Mouse(false)]);
            assert!(app.message.as_deref().is_some_and(|message| message.contains("selects text; M")));
            assert_eq!(press(&mut app, "M"), [Effect::Mouse(true)]);
        }
    }

    #[test]
    fn control_z_suspends_whatever_is_on_the_screen() {
        let key = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
        for keys in ["", "?", ":k", "q", "qy"] {
            let mut app = workbench();
            press(&mut app, keys);
            let before = format!("{app:?}");
            assert_eq!(update(&mut app, Message::Key(key)), [Effect::Suspend], "{keys}");
            assert_eq!(format!("{app:?}"), before, "{keys}");
        }
    }

    /// It follows what is written, stands still while older lines are read, and follows again at the end.
    #[test]
    fn the_log_is_read_followed_and_scrolled() {
        let lines = |n: usize| Message::Log(Ok((0..n).map(|n| format!("line {n}")).collect()));
        let read = || vec![Effect::ReadLog("runs/quickstart-s1".into())];
        let log = |app: &App| match &app.overlay {
            Some(Overlay::Log(log)) => (log.lines.len(), log.below),
            other => panic!("{other:?} in the place of the log"),
        };
        for keys in ["!", ":log↵", "⇥!"] {
            let mut app = workbench();
            assert_eq!(press(&mut app, keys), read(), "{keys}");
            update(&mut app, lines(3));
            assert_eq!(update(&mut app, Message::Reread), read());
            update(&mut app, lines(30));
            assert_eq!(log(&app), (30, 0));
            press(&mut app, "↑↑↑↓");
            update(&mut app, Message::Wheel(None, -1));
            assert_eq!(log(&app), (30, 3));
            assert!(update(&mut app, Message::Reread).is_empty());
            update(&mut app, lines(40));
            assert_eq!(log(&app), (30, 3), "stands still");
            press(&mut app, &"↑".repeat(50));
            assert_eq!(log(&app), (30, 29));
            press(&mut app, &"↓".repeat(29));
            assert_eq!(update(&mut app, Message::Reread), read(), "follows again");
            assert!(press(&mut app, "k").is_empty() && app.overlay.is_none(), "any other key closes it");
            assert!(update(&mut app, Message::Reread).is_empty());
        }
        let mut app = workbench();
        press(&mut app, "!");
        update(&mut app, Message::Log(Err("cannot read it".into())));
        assert!(app.overlay.is_none() && app.message.as_deref() == Some("cannot read it"));
        assert!(press(&mut picker(), "!").is_empty());
    }

    #[test]
    fn the_end_of_a_training_is_told_once_to_whoever_wants_that() {
        let told = |effects: Vec<Effect>| effects.iter().filter(|e| matches!(e, Effect::Notify(..))).count();
        let done = || Message::Engine(Event::Done(Finish::MaxEpochs));
        let finished = |finish| Message::Engine(Event::Finished(finish));
        assert_eq!(told(update(&mut workbench(), done())), 0, "unless asked");
        let asked = || {
            let mut app = workbench();
            app.configure(Ok(Config::parse("(notice: Desktop)").unwrap()));
            app
        };
        let mut app = asked();
        let sentence = "the training of quickstart-s1 is over".to_owned();
        assert_eq!(update(&mut app, done()), [Effect::Notify(Notice::Desktop, sentence)]);
        assert_eq!(told(update(&mut app, finished(Finish::MaxEpochs))), 0, "once");
        let failed = update(&mut asked(), finished(Finish::Failed("no disk".into())));
        assert!(matches!(&failed[..], [Effect::Notify(_, sentence)] if sentence.contains("has failed")));
        assert_eq!(told(update(&mut asked(), Message::EngineGone)), 1);
        assert_eq!(told(update(&mut asked(), Message::Engine(Event::Done(Finish::Shown)))), 0, "a model");
        let mut app = asked();
        press(&mut app, "qy");
        assert_eq!(update(&mut app, finished(Finish::Stopped)), [Effect::Exit], "whoever leaves knows");
    }

    #[test]
    fn help_closes_with_any_key_and_swallows_it() {
        let mut app = workbench();
        press(&mut app, "?");
        assert!(matches!(app.overlay, Some(Overlay::Help(0))));
        press(&mut app, "↓↓↑");
        assert!(matches!(app.overlay, Some(Overlay::Help(1))));
        assert!(press(&mut app, "k").is_empty());
        assert!(app.overlay.is_none());
    }

    #[test]
    fn quitting_asks_while_a_training_runs_and_waits_for_the_save() {
        let mut app = workbench();
        update(&mut app, Message::Engine(iteration(3)));
        assert!(press(&mut app, "q").is_empty());
        assert!(matches!(app.overlay, Some(Overlay::Quit)));
        assert!(press(&mut app, "n").is_empty() && app.overlay.is_none() && app.leaving.is_none());
        assert_eq!(sent(&press(&mut app, "qy")), [Command::Stop]);
        assert!(app.leaving.is_some() && press(&mut app, "k").is_empty());
        let effects = update(&mut app, Message::Engine(Event::Finished(Finish::Stopped)));
        assert_eq!(effects, [Effect::Exit]);
    }

    #[test]
    fn detaching_stops_the_run_and_lets_it_go_on_without_a_screen() {
        let detach = Effect::Detach("runs/quickstart-s1".into(), "flex".into());
        for (finish, expected) in [
            (Finish::Stopped, vec![detach, Effect::Exit]),
            (Finish::MaxEpochs, vec![Effect::Exit]),
            (Finish::Failed("no disk".into()), vec![Effect::Exit]),
        ] {
            let mut app = workbench();
            assert_eq!(sent(&press(&mut app, "qd")), [Command::Stop]);
            assert_eq!(update(&mut app, Message::Engine(Event::Finished(finish))), expected);
        }
        let mut app = workbench();
        press(&mut app, "q");
        update(&mut app, Message::Engine(Event::Done(Finish::EarlyStop)));
        assert_eq!(sent(&press(&mut app, "d")), [Command::Stop]);
        assert_eq!(app.leaving, Some(Leave::Program), "the training ended while the question was asked");
    }

    fn attached() -> App {
        let mut app = workbench();
        app.attached = true;
        update(&mut app, Message::Engine(iteration(3)));
        app
    }

    #[test]
    fn an_attached_workbench_is_left_at_once_and_the_run_goes_on() {
        for keys in ["q", "^"] {
            assert_eq!(press(&mut attached(), keys), [Effect::Exit], "{keys}");
        }
        assert_eq!(update(&mut attached(), Message::Terminate), [Effect::Exit]);
    }

    #[test]
    fn an_attached_run_is_stopped_when_asked_twice() {
        let mut app = attached();
        assert!(press(&mut app, "Q").is_empty() && matches!(app.overlay, Some(Overlay::Stop)));
        assert!(press(&mut app, "n").is_empty() && app.overlay.is_none());
        assert_eq!(press(&mut app, "Qy"), [Effect::Send(Command::Stop)]);
        assert!(app.leaving.is_some());
        let effects = update(&mut app, Message::Engine(Event::Finished(Finish::Stopped)));
        assert_eq!(effects, [Effect::Exit]);
        assert!(press(&mut workbench(), "Q").is_empty(), "one's own asks as q does");
        let mut over = attached();
        update(&mut over, Message::Engine(Event::Finished(Finish::MaxEpochs)));
        assert_eq!(press(&mut over, "Q"), [Effect::Exit]);
    }

    #[test]
    fn everybody_sees_the_sample_that_anybody_asked_for() {
        let mut app = attached();
        update(&mut app, Message::Engine(Event::Watched(7)));
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(8)]);
    }

    #[test]
    fn quitting_what_is_finished_asks_nothing() {
        let mut app = workbench();
        update(&mut app, Message::Engine(iteration(3)));
        update(&mut app, Message::Engine(Event::Finished(Finish::MaxEpochs)));
        assert_eq!(press(&mut app, "q"), [Effect::Exit]);
    }

    #[test]
    fn a_training_that_is_over_can_still_be_looked_at() {
        let mut app = workbench();
        update(&mut app, Message::Engine(iteration(3)));
        update(&mut app, Message::Engine(Event::Done(Finish::EarlyStop)));
        assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(1)]);
        assert_eq!(sent(&press(&mut app, "K sc")), [], "but not changed");
        assert_eq!(sent(&press(&mut app, "q")), [Command::Stop]);
        assert_eq!(update(&mut app, Message::Engine(Event::Finished(Finish::EarlyStop))), [Effect::Exit]);
    }

    #[test]
    fn control_c_and_signals_save_and_leave_without_asking() {
        for message in [None, Some(Message::Terminate)] {
            let mut app = workbench();
            update(&mut app, Message::Engine(iteration(3)));
            let effects = match message {
                Some(message) => update(&mut app, message),
                None => press(&mut app, "^"),
            };
            assert_eq!(effects, [Effect::Send(Command::Stop)]);
            assert_eq!(press(&mut app, "^"), [Effect::Exit], "asked twice");
        }
        assert_eq!(update(&mut picker(), Message::Terminate), [Effect::Exit]);
    }

    #[test]
    fn an_engine_that_vanishes_is_a_failed_run() {
        let mut app = workbench();
        update(&mut app, Message::EngineGone);
        assert!(matches!(app.workbench.as_ref().unwrap().finish, Some(Finish::Failed(_))));
        assert_eq!(press(&mut app, "q"), [Effect::Exit]);
    }
}
