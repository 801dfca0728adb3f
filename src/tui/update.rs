//! What happens when: a pure function from state and message to state and effects. No I/O, no clock,
//! no terminal.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Entry, Overlay, Pane, Workbench};
use super::keymap::{self, Action, Dial};
use crate::preset::{MAX_COMPONENTS, MAX_STEPS, Preset, Setting};
use crate::protocol::{Command, Event, Preview, RunCard, Snapshot};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The shelf was read.
    Shelf(Vec<Preset>, Vec<RunCard>),
    /// A key was pressed.
    Key(KeyEvent),
    /// The engine said something.
    Engine(Event),
    /// The engine made a picture.
    Picture(Arc<Snapshot>),
    /// A preview is there.
    Preview(Option<Preview>),
    /// Starting or resuming failed; a sentence.
    StartFailed(String),
    /// The system asks the program to end.
    Terminate,
    /// The engine is gone without having said that it ended.
    EngineGone,
}

/// What the shell around the state has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a run of this preset.
    Start(Box<Preset>),
    /// Go on with this run.
    Resume(Box<RunCard>),
    /// Tell the engine.
    Send(Command),
    /// Make a preview of this sample.
    Preview(Box<Preset>, u64),
    /// Leave the loop.
    Exit,
}

/// Takes in a message.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Shelf(presets, runs) => {
            let presets = presets.into_iter().map(|p| Entry::Preset(Box::new(p)));
            app.picker.entries = presets.chain(runs.into_iter().map(|r| Entry::Run(Box::new(r)))).collect();
            app.picker.selected = 0;
            preview(app)
        }
        Message::Key(key) => pressed(app, key),
        Message::Engine(event) => heard(app, event),
        Message::Picture(snapshot) => {
            if let Some(workbench) = &mut app.workbench {
                workbench.snapshot = Some(snapshot);
            }
            vec![]
        }
        Message::Preview(preview) => {
            app.picker.preview = preview;
            vec![]
        }
        Message::StartFailed(sentence) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Terminate => leave(app),
        Message::EngineGone => {
            if app.leaving {
                return vec![Effect::Exit];
            }
            app.message = Some("the training thread is gone; its last checkpoint is kept".into());
            vec![]
        }
    }
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return leave(app);
    }
    if app.leaving {
        return vec![];
    }
    match app.overlay {
        Some(Overlay::Help) => {
            app.overlay = None;
            vec![]
        }
        Some(Overlay::Quit) => {
            app.overlay = None;
            match key.code {
                KeyCode::Char('y' | 'q') | KeyCode::Enter => leave(app),
                _ => vec![],
            }
        }
        None => {
            app.message = None;
            match keymap::action(app.context(), key) {
                Some(action) => act(app, action),
                None => vec![],
            }
        }
    }
}

fn act(app: &mut App, action: Action) -> Vec<Effect> {
    match (action, app.workbench.is_some()) {
        (Action::Help, _) => app.overlay = Some(Overlay::Help),
        (Action::Quit, _) => {
            if app.workbench.as_ref().is_some_and(Workbench::is_unsaved) {
                app.overlay = Some(Overlay::Quit);
            } else {
                return leave(app);
            }
        }
        (action, false) => return pick(app, action),
        (action, true) => {
            if let Some(workbench) = &mut app.workbench {
                return steer(workbench, action);
            }
        }
    }
    vec![]
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
        Action::Sample(by) => {
            picker.sample = picker.sample.saturating_add_signed(by);
            return preview(app);
        }
        Action::Open => {
            return match picker.entries.get(before) {
                Some(Entry::Preset(preset)) => vec![Effect::Start(preset.clone())],
                Some(Entry::Run(run)) => vec![Effect::Resume(run.clone())],
                None => vec![],
            };
        }
        _ => {}
    }
    if picker.selected == before { vec![] } else { preview(app) }
}

fn preview(app: &App) -> Vec<Effect> {
    let entry = app.picker.entries.get(app.picker.selected);
    entry.map(|e| Effect::Preview(Box::new(e.preset().clone()), app.picker.sample)).into_iter().collect()
}

fn steer(workbench: &mut Workbench, action: Action) -> Vec<Effect> {
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
        Action::Turn(dial, by) if running => match turned(&workbench.wanted, dial, by) {
            Some((setting, wanted)) => {
                workbench.wanted = wanted;
                Command::Set(setting)
            }
            None => return vec![],
        },
        Action::Sample(by) if running => {
            let samples = workbench.preset.train.validation_size as i64;
            workbench.sample = (workbench.sample as i64 + by).rem_euclid(samples.max(1)) as usize;
            Command::Watch(workbench.sample)
        }
        Action::EmStep(by) => {
            if let Some(snapshot) = &workbench.snapshot {
                let last = snapshot.steps.len().saturating_sub(1);
                let step = workbench.shown_step(snapshot).saturating_add_signed(by as isize).min(last);
                // At the end it follows the last step again, should there be more of them later.
                workbench.em_step = (step < last).then_some(step);
            }
            return vec![];
        }
        Action::NextPane => {
            let at = Pane::ALL.iter().position(|p| *p == workbench.focus).unwrap_or(0);
            workbench.focus = Pane::ALL[(at + 1) % Pane::ALL.len()];
            return vec![];
        }
        Action::Zoom => {
            workbench.zoomed = !workbench.zoomed;
            return vec![];
        }
        _ => return vec![],
    };
    vec![Effect::Send(command)]
}

/// The setting one notch on, and the preset with it; `None` at the end of the scale.
fn turned(preset: &Preset, dial: Dial, by: i64) -> Option<(Setting, Preset)> {
    let count = |n: usize, most: usize| n.saturating_add_signed(by as isize).clamp(1, most);
    let setting = match dial {
        Dial::Components => Setting::K(count(preset.k, MAX_COMPONENTS)),
        Dial::Steps => Setting::Steps(count(preset.steps, MAX_STEPS)),
        Dial::Objects => Setting::Objects(count(preset.data.objects()?, 255)),
        Dial::Noise => {
            // In twentieths, so that 0.1 and not 0.1000001 comes back.
            let notch = (preset.noise.probability() * 20.0).round() as i64 + by;
            Setting::Noise(notch.clamp(0, 20) as f64 / 20.0)
        }
        Dial::LearningRate => Setting::LearningRate(rung(preset.train.learning_rate, by)),
        Dial::InterWeight => {
            let notch = (preset.loss.inter_weight * 10.0).round() as i64 + by;
            Setting::InterWeight(notch.clamp(0, 1000) as f64 / 10.0)
        }
    };
    if setting.current(preset) == Some(setting) {
        return None;
    }
    let wanted = setting.apply(preset).ok()?;
    Some((setting, wanted))
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

/// Stops the run, if one is running, and leaves once it is saved.
fn leave(app: &mut App) -> Vec<Effect> {
    let running = app.workbench.as_ref().is_some_and(|w| w.finish.is_none());
    let again = std::mem::replace(&mut app.leaving, true);
    match (running, again) {
        (true, false) => vec![Effect::Send(Command::Stop)],
        (true, true) => vec![],
        (false, _) => vec![Effect::Exit],
    }
}

fn heard(app: &mut App, event: Event) -> Vec<Effect> {
    if let Event::Started(info) = event {
        app.workbench = Some(Workbench::new(*info));
        app.message = None;
        return vec![];
    }
    let Some(workbench) = &mut app.workbench else { return vec![] };
    match event {
        Event::Started(_) => {}
        Event::Iterations(list) => list.into_iter().for_each(|i| workbench.add_iteration(i)),
        Event::Epoch(epoch) => workbench.add_epoch(epoch),
        Event::Changed(change) => workbench.add_change(change),
        Event::Refused(sentence) => {
            workbench.wanted = workbench.preset.clone();
            app.message = Some(sentence);
        }
        Event::Paused(paused) => workbench.paused = paused,
        Event::Saved { iteration, .. } => workbench.saved = Some(iteration),
        Event::Finished(finish) => {
            workbench.finish = Some(finish);
            if app.leaving {
                return vec![Effect::Exit];
            }
        }
    }
    vec![]
}
