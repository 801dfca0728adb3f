//! Plausible screens without an engine, and tiny runs.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // every test file uses its own part

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossterm::event::{KeyCode, KeyEvent};
use nem_tui::preset::{Preset, Setting};
use nem_tui::protocol::{
    Change, Command, Epoch, Event, Floor, Iteration, Metrics, ModelCard, Moment, Preview, Profile, RunCard,
    RunHandle, RunInfo, RunKind, RunState, RunToCompare, Shelf,
};
use nem_tui::random::{Purpose, Stream};
use nem_tui::snapshot::{Snapshot, SnapshotStep};
use nem_tui::tui::app::App;
use nem_tui::tui::theme::{Depth, Theme};
use nem_tui::tui::update::{Effect, Message, update};

pub fn preset(name: &str) -> Preset {
    Preset::load(name).unwrap()
}

/// `quickstart` with tiny images and a tiny network, with epochs of ten iterations. It trains until it is stopped.
pub fn endless() -> Preset {
    let tiny = [
        "data.height=10",
        "data.width=12",
        "train.train_size=80",
        "train.batch=8",
        "train.validation_size=16",
        "train.max_epochs=1000000",
        "train.patience=1000000",
        "model.cell.layers.0.units=12",
    ];
    preset("quickstart").set(&tiny).unwrap()
}

/// How long to wait for something before a test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for the first picture that is `wanted`.
pub fn picture(handle: &mut RunHandle, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let seen = |picture: &Option<Arc<Snapshot>>| picture.as_deref().is_some_and(&wanted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let picture = tokio::time::timeout(PATIENCE, handle.snapshots.wait_for(seen)).await;
        picture.expect("the picture never came").unwrap().clone().unwrap()
    })
}

/// The picker with a model, three presets, a past run, and a preview.
pub fn picker(depth: Depth) -> App {
    picker_with(depth, true)
}

/// The same, with or without the past run.
pub fn picker_with(depth: Depth, past: bool) -> App {
    let mut app = App::new(Theme::new(depth));
    let presets = ["quickstart", "static-shapes-rnn-em", "static-shapes-nem"].map(preset);
    let run = RunCard {
        directory: "runs/quickstart-s1".into(),
        preset: preset("quickstart"),
        seed: 1,
        iteration: 1200,
        ami: Some(0.8512),
        changed: SystemTime::UNIX_EPOCH,
        trouble: None,
        ..RunCard::new("runs".into(), preset("quickstart"))
    };
    let model = ModelCard {
        name: "static-shapes".into(),
        preset: preset("static-shapes-rnn-em"),
        iteration: 4400,
        ami: Some((0.8012, 0.5651)),
    };
    let shelf = Shelf {
        models: vec![model],
        presets: presets.to_vec(),
        devices: vec!["flex".into(), "libtorch".into()],
    };
    update(&mut app, Message::Shelf(shelf));
    update(&mut app, Message::Runs(past.then_some(run).into_iter().collect()));
    let snapshot = snapshot(&preset("quickstart"), 4, 1);
    let step = &snapshot.steps[0];
    let preview = Preview {
        image: snapshot.image,
        clean: step.target.clone(),
        noisy: step.noisy.clone(),
        groups: step.groups.clone(),
    };
    let chosen = Box::new(app.picker.entries[app.picker.selected].preset().clone());
    update(&mut app, Message::Preview(chosen, 0, Some(preview)));
    app
}

/// The table of runs, ordered by AMI, with trials of a sweep, one of which trains and two of which are marked.
pub fn table(depth: Depth) -> App {
    let mut app = picker(depth);
    let trial = |k: usize, seed: u64| {
        let preset = preset("quickstart").set(&[format!("k={k}"), format!("noise=0.{k}")]).unwrap();
        RunCard {
            seed,
            iteration: 3000 - 100 * k as u64,
            ami: Some(0.7 + 0.03 * k as f64 - 0.05 * seed as f64),
            validation_loss: Some(120.0 + k as f64),
            state: if k == 5 && seed == 2 { RunState::Running } else { RunState::Finished },
            sweep: Some("components".into()),
            ..RunCard::new(format!("sweeps/components/k={k},seed={seed}").into(), preset)
        }
    };
    let trials = (3..=5).flat_map(|k| (1..=2).map(move |seed| trial(k, seed)));
    update(&mut app, Message::Runs(trials.collect()));
    pressed(&app, "tssss  ")
}

/// A training of `preset`, as announced.
pub fn info(directory: &str, preset: &Preset, iteration: u64, floor: Floor) -> RunInfo {
    RunInfo {
        kind: RunKind::Training,
        directory: directory.into(),
        preset: preset.clone(),
        seed: 1,
        device: "flex".into(),
        iteration,
        parameters: 110_920,
        floor,
        metrics: Metrics::default(),
    }
}

/// A run of `preset` after `iterations`, with a snapshot of `k` components and `steps` EM steps.
pub fn workbench(depth: Depth, preset: Preset, iterations: u64, k: usize, steps: usize) -> App {
    let mut app = App::new(Theme::new(depth));
    let per_epoch = 100;
    let directory = format!("runs/{}-s1", preset.name);
    let info = info(&directory, &preset, 0, Floor { ami: Some(0.58), ari: Some(0.55) });
    update(&mut app, Message::Run(Event::Started(Box::new(info))));
    let mut stream = Stream::new(9, Purpose::Order, 0, 0);
    let mut list = Vec::new();
    for n in 1..=iterations {
        let x = n as f64;
        let noise = f64::from(stream.uniform()) * 20.0;
        let loss = 480.0 + 900.0 * (-x / 400.0).exp() + noise;
        let scored = n % 10 == 0;
        list.push(Iteration {
            iteration: n,
            epoch: n.div_ceil(per_epoch),
            loss,
            intra: 0.6 * loss,
            inter: 0.4 * loss,
            ami: scored.then(|| 0.87 / (1.0 + (-(x - 400.0) / 90.0).exp())),
            ari: scored.then(|| 0.88 / (1.0 + (-(x - 420.0) / 90.0).exp())),
            gradient_norm: scored.then_some(12.0),
            seconds: 0.04,
            profile: None,
        });
    }
    update(&mut app, Message::Run(Event::Iterations(list)));
    for epoch in 1..=iterations / per_epoch {
        let x = (epoch * per_epoch) as f64;
        let event = Event::Epoch(Epoch {
            epoch,
            iteration: epoch * per_epoch,
            train_loss: 500.0,
            validation_loss: 470.0 + 900.0 * (-x / 400.0).exp(),
            ami: Some(0.86 / (1.0 + (-(x - 400.0) / 90.0).exp())),
            ami_all_steps: Some(0.75 / (1.0 + (-(x - 400.0) / 90.0).exp())),
            ari_all_steps: Some(0.75),
            ami_arithmetic: Some(0.87),
            ari: Some(0.87),
            confidence: Some(0.93),
            upper_bound: Some(440.0 + 800.0 * (-x / 300.0).exp()),
            best: true,
            seconds: 4.0,
        });
        update(&mut app, Message::Run(event));
    }
    if iterations > 500 {
        let before = preset.noise.probability().unwrap();
        let (from, to) = (Setting::Noise(before), Setting::Noise((20.0 * before + 1.0) / 20.0));
        let change = Change { iteration: 451, from, to };
        update(&mut app, Message::Run(Event::Changed(change)));
        update(&mut app, Message::Run(Event::Saved { iteration: iterations - 50, best: true }));
    }
    update(&mut app, Message::Picture(Arc::new(snapshot(&preset, k, steps))));
    app
}

/// An open trained model.
pub fn model(depth: Depth) -> App {
    let preset = preset("static-shapes-rnn-em");
    let mut app = App::new(Theme::new(depth));
    let info = info("static-shapes", &preset, 4400, Floor { ami: Some(0.56), ari: Some(0.55) });
    update(&mut app, Message::Run(Event::Started(Box::new(info))));
    app.workbench.as_mut().unwrap().info.kind = RunKind::Model;
    update(&mut app, Message::Picture(Arc::new(snapshot(&preset, 4, 15))));
    app
}

/// Adds two runs that differ from the one on the screen in K and in the learning rate.
pub fn compare(app: &mut App) {
    let rival = |name: &str, sets: &[&str], by: f64| {
        let mut metrics = Metrics::default();
        for epoch in 1u32..=8 {
            let x = f64::from(epoch);
            metrics.epochs.push(Epoch {
                epoch: epoch.into(),
                iteration: u64::from(epoch) * 100,
                train_loss: 500.0,
                validation_loss: 500.0 + by * 900.0 * (-x / 4.0).exp(),
                ami: Some(0.8 / by * (1.0 - (-x / 3.0).exp())),
                ami_all_steps: None,
                ari_all_steps: None,
                ami_arithmetic: Some(0.8),
                ari: Some(0.8),
                confidence: Some(0.9),
                upper_bound: None,
                best: true,
                seconds: 4.0,
            });
        }
        let preset = preset("quickstart").set(sets).unwrap();
        Box::new(RunToCompare { directory: format!("runs/{name}").into(), preset, seed: 2, metrics })
    };
    let run = |name: &str, iteration| RunCard {
        directory: format!("runs/{name}").into(),
        preset: preset("quickstart"),
        seed: 2,
        iteration,
        ami: Some(0.7312),
        changed: SystemTime::UNIX_EPOCH,
        trouble: None,
        ..RunCard::new("runs".into(), preset("quickstart"))
    };
    let own = app.workbench.as_ref().unwrap().info.directory.clone();
    let runs = vec![run("quickstart-s2", 800), run("quickstart-k6", 800), run("static-shapes-nem-s3", 3166)];
    update(
        app,
        Message::Compared(
            own.clone(),
            "runs/quickstart-s2".into(),
            rival("quickstart-s2", &["train.learning_rate=0.01"], 1.3),
        ),
    );
    update(
        app,
        Message::Compared(
            own.clone(),
            "runs/quickstart-k6".into(),
            rival("quickstart-k6", &["k=6", "train.learning_rate=0.005"], 1.7),
        ),
    );
    update(app, Message::Key(KeyEvent::from(KeyCode::Char('r'))));
    update(app, Message::Runs(runs));
}

/// Shows the sixth of nine moments of the run's past.
pub fn look_back(app: &mut App) {
    update(app, Message::Key(KeyEvent::from(KeyCode::Char('{'))));
    let run = app.workbench.as_ref().unwrap().info.directory.clone();
    let fork = |until| [100, 400, 620].into_iter().rfind(|kept| *kept <= until);
    let moment = |iteration| Moment { iteration, fork: fork(iteration) };
    update(app, Message::Moments(run.clone(), [0, 1, 4, 16, 64, 100, 200, 400, 620].map(moment).into()));
    for _ in 0..3 {
        update(app, Message::Key(KeyEvent::from(KeyCode::Char('{'))));
    }
    let mut past = snapshot(&preset("quickstart"), 4, 6);
    past.steps.iter_mut().for_each(|step| step.ami = Some(0.31));
    let moment = Snapshot { iteration: 100, sample: 0, ..past };
    update(app, Message::Moment(run, 100, 0, Ok(Arc::new(moment))));
}

/// Asks for the profile and receives one.
pub fn profile(app: &mut App) {
    update(app, Message::Key(KeyEvent::from(KeyCode::Char('p'))));
    let profile = Profile {
        data: 0.001,
        em: 0.006,
        encoder: 0.0,
        decoder: 0.021,
        backward: 0.051,
        optimizer: 0.001,
        scores: 0.0,
    };
    let done = Iteration { iteration: 621, loss: 500.0, profile: Some(profile), ..Iteration::default() };
    update(app, Message::Run(Event::Iterations(vec![done])));
}

/// The app after some keys; an arrow stands for its key.
pub fn pressed(app: &App, keys: &str) -> App {
    let mut app = app.clone();
    for key in keys.chars() {
        let code = match key {
            '←' => KeyCode::Left,
            '→' => KeyCode::Right,
            '↑' => KeyCode::Up,
            '\t' => KeyCode::Tab,
            key => KeyCode::Char(key),
        };
        update(&mut app, Message::Key(KeyEvent::from(code)));
    }
    app
}

/// A model with a drawing in progress: an object of its sample is held, and the worker has not answered yet.
pub fn drawing(depth: Depth) -> App {
    let mut app = pressed(&model(depth), "id←1");
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Enter)));
    pressed(&app, "↑")
}

/// A model beside a run whose components are in another order, and which has one more.
pub fn beside(depth: Depth) -> App {
    let mut app = pressed(&model(depth), ":beside runs/other");
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::Enter)));
    let preset = preset("static-shapes-rnn-em").set(&["k=5", "steps=20"]).unwrap();
    let info = RunInfo { kind: RunKind::Model, ..info("runs/other", &preset, 800, Floor::default()) };
    let started = Message::Run(Event::Started(Box::new(info)));
    let effects = update(&mut app, Message::Beside(Box::new(started)));
    let Some(Effect::SendBeside(Command::Input(input))) = effects.into_iter().next() else {
        panic!("it was not asked for the sample");
    };
    let mut other = Snapshot { input, iteration: 800, ..snapshot(&preset, 5, 15) };
    let places = other.image.pixels();
    for step in &mut other.steps {
        step.gamma.rotate_left(places);
        step.gamma[2 * places + places / 2..3 * places].fill(0.99);
        step.ami = Some(0.72);
    }
    update(&mut app, Message::Beside(Box::new(Message::Picture(Arc::new(other)))));
    app
}

/// A snapshot of three bars that the components have nearly found.
pub fn snapshot(preset: &Preset, k: usize, steps: usize) -> Snapshot {
    let image = preset.data.image();
    let places = image.pixels();
    let group = |pixel: usize| {
        let (y, x) = (pixel / image.width, pixel % image.width);
        let on = y * 4 / image.height.max(1) != 0 && (x * 8 / image.width.max(1)) % 2 == 1;
        if on { (x * 8 / image.width / 2) as u8 % 3 + 1 } else { 0 }
    };
    let groups: Vec<u8> = (0..places).map(group).collect();
    let target: Vec<f32> = groups.iter().map(|g| if *g > 0 { 1.0 } else { 0.0 }).collect();
    let mut stream = Stream::new(3, Purpose::TrainNoise, 0, 0);
    let noisy: Vec<f32> = target.iter().map(|x| if stream.coin(0.1) { 1.0 - x } else { *x }).collect();
    let step = |t: usize| {
        let sure = (t + 1) as f32 / steps as f32;
        let own = |component: usize, pixel: usize| match groups[pixel] {
            0 => component == 0,
            g => component == usize::from(g) % k,
        };
        let even = 1.0 / k as f32;
        let gamma = (0..k * places).map(|i| {
            let mine = if own(i / places, i % places) { 1.0 } else { 0.0 };
            even + sure * 0.9 * (mine - even)
        });
        let preds = (0..k * places)
            .map(|i| if own(i / places, i % places) { target[i % places] * sure } else { 0.05 });
        SnapshotStep {
            target: target.clone(),
            noisy: noisy.clone(),
            groups: groups.clone(),
            preds: preds.collect(),
            gamma: gamma.collect(),
            ami: Some(0.81),
            ari: Some(0.84),
            confidence: Some(0.9),
        }
    };
    Snapshot {
        iteration: 600,
        sample: 6,
        input: None,
        image,
        k,
        look: vec![],
        steps: (0..steps).map(step).collect(),
    }
}

pub mod cli;
pub mod readers;
pub mod server;
