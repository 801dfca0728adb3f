//! What happens when: a pure function from state and message to state and effects. No I/O, no clock,
//! no terminal.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Entry, Overlay, Pane, Workbench};
use super::keymap::{self, Action, Dial};
use crate::preset::{MAX_COMPONENTS, MAX_STEPS, Preset, Setting};
use crate::protocol::{Command, Event, Finish, Preview, RunCard, RunInfo, Shelf, Snapshot};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// The shelf was read.
    Shelf(Shelf),
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
    /// Start a run of this preset on this device.
    Start(Box<Preset>, String),
    /// Show this model, computed on this device.
    Open(String, String),
    /// Go on with this run on this device.
    Resume(Box<RunCard>, String),
    /// Tell the engine.
    Send(Command),
    /// Make a preview of this sample.
    Preview(Box<Preset>, u64),
    /// Let the run in this directory, which has ended, go on without a screen on this device.
    Detach(PathBuf, String),
    /// Leave the loop.
    Exit,
}

/// Takes in a message.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Shelf(Shelf { models, presets, runs, devices }) => {
            app.picker.devices = devices;
            // The first preset is what to begin with.
            app.picker.selected = models.len();
            let models = models.into_iter().map(|model| Entry::Model(Box::new(model)));
            let presets = presets.into_iter().map(|preset| Entry::Preset(Box::new(preset)));
            let runs = runs.into_iter().map(|run| Entry::Run(Box::new(run)));
            app.picker.entries = models.chain(presets).chain(runs).collect();
            preview(app)
        }
        Message::Key(key) => pressed(app, key),
        Message::Engine(event) => heard(app, event),
        Message::Picture(snapshot) => {
            match &mut app.workbench {
                Some(workbench) => workbench.snapshot = Some(snapshot),
                None => app.early = Some(snapshot),
            }
            vec![]
        }
        Message::Preview(preview) => {
            app.picker.preview = preview;
            vec![]
        }
        Message::StartFailed(sentence) => {
            app.starting = false;
            app.message = Some(sentence);
            vec![]
        }
        Message::Terminate => leave(app),
        Message::EngineGone => {
            if app.leaving {
                return vec![Effect::Exit];
            }
            let sentence = "the training thread ended without a word; its last checkpoint is kept";
            match &mut app.workbench {
                Some(workbench) => {
                    workbench.finish = Some(Finish::Failed(sentence.into()));
                    workbench.alive = false;
                }
                None => app.message = Some(sentence.into()),
            }
            app.starting = false;
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
                KeyCode::Char('d') => {
                    app.detaching = app.workbench.as_ref().is_some_and(Workbench::is_running);
                    leave(app)
                }
                _ => vec![],
            }
        }
        Some(Overlay::Stop) => {
            app.overlay = None;
            match key.code {
                KeyCode::Char('y') | KeyCode::Enter => stop(app),
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
        (Action::Quit | Action::Stop, _) => {
            let running = app.workbench.as_ref().is_some_and(Workbench::is_running);
            match (running, app.attached, action) {
                (true, true, Action::Stop) => app.overlay = Some(Overlay::Stop),
                (true, false, _) => app.overlay = Some(Overlay::Quit),
                _ => return leave(app),
            }
        }
        // A run is on its way; a second one is not asked for.
        (_, false) if app.starting => {}
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
        Action::Profile if running || workbench.profiles.is_some() => {
            workbench.profiles = workbench.profiles.is_none().then(VecDeque::new);
            Command::Profile(workbench.profiles.is_some())
        }
        Action::Turn(dial, by) if running || workbench.is_model() => {
            match turned(&workbench.wanted, dial, by) {
                Some((setting, wanted)) => {
                    workbench.wanted = wanted;
                    Command::Set(setting)
                }
                None => return vec![],
            }
        }
        Action::Sample(by) if workbench.alive => {
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
        Dial::Noise => Setting::Noise(notch(preset.noise.probability()?, 20.0, by).clamp(0.0, 1.0)),
        Dial::LearningRate => Setting::LearningRate(rung(preset.train.learning_rate, by)),
        Dial::InterWeight => Setting::InterWeight(notch(preset.loss.inter_weight, 10.0, by).max(0.0)),
    };
    if setting.current(preset) == Some(setting) {
        return None;
    }
    let wanted = setting.apply(preset).ok()?;
    Some((setting, wanted))
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

/// Leaves: a run of another process at once; one's own, if one is running, once it is stopped and saved.
fn leave(app: &mut App) -> Vec<Effect> {
    if app.attached { vec![Effect::Exit] } else { stop(app) }
}

/// Stops the run, whoever's it is, if one is running, and leaves once it is saved.
fn stop(app: &mut App) -> Vec<Effect> {
    let running = app.workbench.as_ref().is_some_and(|w| w.alive);
    let again = std::mem::replace(&mut app.leaving, true);
    match (running, again) {
        (true, false) => vec![Effect::Send(Command::Stop)],
        // Asked twice: the screen goes, and the shell waits for the save without it.
        (true, true) => vec![Effect::Exit],
        (false, _) => vec![Effect::Exit],
    }
}

fn heard(app: &mut App, event: Event) -> Vec<Effect> {
    if let Event::Started(info) = event {
        let mut workbench = Workbench::new(*info);
        workbench.snapshot = app.early.take();
        app.workbench = Some(workbench);
        app.message = None;
        app.starting = false;
        return vec![];
    }
    let Some(workbench) = &mut app.workbench else { return vec![] };
    match event {
        Event::Started(_) => {}
        Event::Iterations(list) => list.into_iter().for_each(|i| workbench.add_iteration(i)),
        Event::Epoch(epoch) => workbench.add_epoch(epoch),
        Event::Changed(change) => workbench.add_change(change),
        Event::Stage(start) => workbench.begin_stage(start),
        Event::Floor(floor) => workbench.info.floor = floor,
        Event::Refused(sentence) => {
            workbench.wanted = workbench.preset.clone();
            app.message = Some(sentence);
        }
        Event::Paused(paused) => workbench.paused = paused,
        Event::Watched(sample) => workbench.sample = sample,
        Event::Saved { iteration, .. } => workbench.saved = Some(iteration),
        Event::Done(finish) => workbench.finish = Some(finish),
        Event::Finished(finish) => {
            workbench.alive = false;
            // A run that has ended by itself meanwhile does not go on.
            let goes_on = app.detaching && finish == Finish::Stopped;
            if let Finish::Failed(sentence) = &finish {
                // The status line may be too short for it.
                app.message = Some(sentence.clone());
            }
            workbench.finish = Some(finish);
            if app.leaving {
                let RunInfo { directory, device, .. } = &workbench.info;
                let detach = goes_on.then(|| Effect::Detach(directory.clone(), device.clone()));
                return detach.into_iter().chain([Effect::Exit]).collect();
            }
        }
    }
    vec![]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Change, Floor, Iteration, ModelCard, Past, Profile};
    use crate::tui::theme::{Depth, Theme};

    fn preset() -> Preset {
        Preset::load("quickstart").unwrap()
    }

    fn model() -> ModelCard {
        ModelCard { name: "shapes".into(), preset: preset(), iteration: 9, ami: Some((0.8, 0.5)) }
    }

    fn picker() -> App {
        let mut app = App::new(Theme { depth: Depth::True });
        let other = Preset::load("static-shapes-nem").unwrap();
        let effects = update(
            &mut app,
            Message::Shelf(Shelf {
                models: vec![model()],
                presets: vec![preset(), other],
                runs: vec![],
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
            past: Past::default(),
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
            ami: None,
            ari: None,
            seconds: 0.1,
            profile: None,
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

    /// A model has one picture until it is asked for another, so the first must not be lost.
    #[test]
    fn a_picture_before_its_training_is_kept() {
        let info = workbench().workbench.unwrap().info;
        let mut app = picker();
        let image = preset().data.image();
        let picture = Snapshot { iteration: 9, sample: 0, image, k: 4, steps: vec![] };
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
        assert_eq!(
            sent(&press(&mut app, ",.↓")),
            [Command::Watch(319), Command::Watch(0), Command::Watch(1)]
        );
        press(&mut app, "⇥z");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Loss, true));
        press(&mut app, "⇥⇥↵");
        let workbench = app.workbench.as_ref().unwrap();
        assert_eq!((workbench.focus, workbench.zoomed), (Pane::Components, false));
    }

    #[test]
    fn help_closes_with_any_key_and_swallows_it() {
        let mut app = workbench();
        press(&mut app, "?");
        assert_eq!(app.overlay, Some(Overlay::Help));
        assert!(press(&mut app, "k").is_empty());
        assert_eq!(app.overlay, None);
    }

    #[test]
    fn quitting_asks_while_a_training_runs_and_waits_for_the_save() {
        let mut app = workbench();
        update(&mut app, Message::Engine(iteration(3)));
        assert!(press(&mut app, "q").is_empty());
        assert_eq!(app.overlay, Some(Overlay::Quit));
        assert!(press(&mut app, "n").is_empty() && app.overlay.is_none() && !app.leaving);
        assert_eq!(sent(&press(&mut app, "qy")), [Command::Stop]);
        assert!(app.leaving && press(&mut app, "k").is_empty());
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
        assert!(!app.detaching, "the training ended while the question was asked");
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
        assert!(press(&mut app, "Q").is_empty() && app.overlay == Some(Overlay::Stop));
        assert!(press(&mut app, "n").is_empty() && app.overlay.is_none());
        assert_eq!(press(&mut app, "Qy"), [Effect::Send(Command::Stop)]);
        assert!(app.leaving);
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
