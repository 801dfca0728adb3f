//! States of the screen, and keys, for the tests of what they do.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;
use super::theme::{Depth, Theme};
use super::update::{Effect, Message, update};
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Command, Event, Floor, Iteration, Metrics, ModelCard, Moment, RunInfo, RunKind, Shelf,
};
use crate::snapshot::{Input, Snapshot, SnapshotStep};

pub fn preset() -> Preset {
    Preset::load("quickstart").unwrap()
}

pub fn model() -> ModelCard {
    ModelCard { name: "shapes".into(), preset: preset(), iteration: 9, ami: Some((0.8, 0.5)) }
}

pub fn picker() -> App {
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

pub fn workbench() -> App {
    let mut app = picker();
    start(&mut app, "runs/quickstart-s1");
    app
}

/// A new run in `directory` appears on the screen.
pub fn start(app: &mut App, directory: &str) -> Vec<Effect> {
    let info = RunInfo {
        kind: RunKind::Training,
        directory: directory.into(),
        preset: preset(),
        seed: 1,
        device: "flex".into(),
        iteration: 0,
        parameters: 1,
        floor: Floor::default(),
        metrics: Metrics::default(),
    };
    update(app, Message::Run(Event::Started(Box::new(info))))
}

pub fn iteration(n: u64) -> Event {
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
pub fn press(app: &mut App, keys: &str) -> Vec<Effect> {
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

pub fn sent(effects: &[Effect]) -> Vec<Command> {
    let command = |effect: &Effect| match effect {
        Effect::Send(command) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

pub fn snapshot(sample: usize, look: Vec<Setting>) -> Arc<Snapshot> {
    let image = preset().data.image();
    let step = SnapshotStep {
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

pub fn own(file: &str, resize: bool, request: u64) -> Input {
    Input::file(file, resize, request)
}

pub fn picture_of(input: &Input, steps: usize, look: Vec<Setting>) -> Message {
    let mut snapshot = Arc::unwrap_or_clone(snapshot(0, look));
    snapshot.steps.resize(steps, snapshot.steps[0].clone());
    Message::Picture(Arc::new(Snapshot { input: Some(input.clone()), ..snapshot }))
}

/// The workbench with a sample on the screen, in the directory `/here`.
pub fn with_a_sample() -> App {
    let mut app = workbench();
    (app.here, app.home) = ("/here".into(), "/home/me".into());
    update(&mut app, Message::Picture(snapshot(0, vec![])));
    app
}

/// What the inspector shows, if it is open: the user's own image, and whether another picture is awaited.
pub fn inspected(app: &App) -> Option<(Option<Input>, bool)> {
    let inspector = app.workbench.as_ref()?.inspector.as_ref()?;
    Some((inspector.snapshot.input.clone(), inspector.waits))
}

pub fn attached() -> App {
    let mut app = workbench();
    app.attached = true;
    update(&mut app, Message::Run(iteration(3)));
    app
}

pub fn past(iteration: u64, sample: usize) -> Message {
    let moment = Snapshot { iteration, ..(*snapshot(sample, vec![])).clone() };
    Message::Moment("runs/quickstart-s1".into(), iteration, sample, Ok(Arc::new(moment)))
}

/// Moments of these iterations, with checkpoints.
pub fn kept(iterations: &[u64]) -> Vec<Moment> {
    iterations.iter().map(|iteration| Moment { iteration: *iteration, fork: Some(*iteration) }).collect()
}

pub fn seen(app: &App) -> Option<u64> {
    app.workbench.as_ref()?.shown().map(|snapshot| snapshot.iteration)
}
