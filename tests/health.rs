//! Warnings about a training, over the kept runs and over runs that went wrong.
//!
//! `tests/fixtures/health` has what a viewer of each run heard, without pictures and with every fifth loss. To record
//! them again: `cargo test --release --test health -- --ignored`.
#![allow(clippy::unwrap_used)] // a test's way to fail

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nem_tui::backend::DeviceName;
use nem_tui::live::begin::{Ending, Job, start};
use nem_tui::preset::{Preset, Setting};
use nem_tui::protocol::{Change, Event, Floor, Iteration, Metrics, Record, RunInfo, RunKind};
use nem_tui::run::directory;
use nem_tui::run::metrics;
use nem_tui::tui::app::App;
use nem_tui::tui::health::warnings;
use nem_tui::tui::message::Message;
use nem_tui::tui::theme::{Depth, Theme};
use nem_tui::tui::update::update;

/// Runs of `quickstart`: the name, the iterations, the settings, and how the only warning at its end begins.
const RUNS: [(&str, u64, &[&str], Option<&str>); 7] = [
    ("healthy", 1500, &[], None),
    ("slow", 1300, &["noise.probability=0.3"], None),
    ("few-components", 300, &["k=2"], Some("K is 2 and there are 3 objects")),
    ("saturated", 300, &["train.learning_rate=10"], Some("the network is saturated")),
    ("noise", 1300, &["noise.probability=0.45"], Some("noise 0.45 hides the objects")),
    ("random", 1300, &["train.learning_rate=0.03"], Some("the components hold pixels at random")),
    ("unused", 1300, &["loss.inter_weight=4"], Some("components")),
];
/// One iteration of so many is recorded, and those with scores.
const THINNED: u64 = 5;

fn fixture(name: &str) -> PathBuf {
    Path::new("tests/fixtures/health").join(format!("{name}.jsonl.gz"))
}

/// What the viewer of a recorded run heard.
fn heard(name: &str) -> Vec<Event> {
    let lines = BufReader::new(GzDecoder::new(File::open(fixture(name)).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
#[ignore = "trains for minutes, to record fixtures"]
fn record() {
    for (name, most, sets, _) in RUNS {
        let directory = tempfile::tempdir().unwrap();
        let job = Job {
            out: Some(directory.path().join("run")),
            ending: Ending { max_iterations: Some(most), stay: false },
            ..Job::new(Preset::load("quickstart").unwrap().set(sets).unwrap(), 1, DeviceName::Flex)
        };
        let mut handle = start(&job).unwrap();
        let mut file = GzEncoder::new(File::create(fixture(name)).unwrap(), Compression::best());
        while let Some(event) = handle.events.blocking_recv() {
            let kept = match event {
                Event::Iterations(mut list) => {
                    list.retain(|done| done.iteration % THINNED == 0 || done.iteration < THINNED);
                    Event::Iterations(list)
                }
                Event::Started(mut info) => {
                    info.directory = format!("runs/{name}").into();
                    Event::Started(info)
                }
                // They name the temporary directory.
                Event::Note(_) | Event::Saved { .. } => continue,
                other => other,
            };
            writeln!(file, "{}", serde_json::to_string(&kept).unwrap()).unwrap();
        }
        file.finish().unwrap();
    }
}

/// A viewer of `preset` that has heard nothing yet.
fn viewer(preset: Preset) -> App {
    let mut app = App::new(Theme::new(Depth::True));
    let info = RunInfo {
        kind: RunKind::Training,
        directory: "runs/r".into(),
        preset,
        seed: 1,
        device: "flex".into(),
        iteration: 0,
        parameters: 1,
        floor: Floor::default(),
        metrics: Metrics::default(),
    };
    update(&mut app, Message::Run(Event::Started(Box::new(info))));
    app
}

fn said(app: &App) -> Vec<String> {
    warnings(app.workbench.as_ref().unwrap())
}

fn iteration(app: &App) -> u64 {
    app.workbench.as_ref().unwrap().iteration()
}

/// Hears `events`; returns each new warning with the iteration that brought it.
fn follow(app: &mut App, events: impl IntoIterator<Item = Event>) -> Vec<(u64, String)> {
    let (mut all, mut before) = (Vec::new(), Vec::new());
    for event in events {
        update(app, Message::Run(event));
        let now = if app.workbench.is_some() { said(app) } else { Vec::new() };
        // Without its numbers, a warning is the same one.
        let name = |warning: &String| warning.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let new = now.iter().filter(|warning| !before.contains(&name(warning)));
        all.extend(new.map(|warning| (iteration(app), warning.clone())));
        before = now.iter().map(name).collect();
    }
    all
}

/// What the viewer of a kept run heard, record by record.
fn events(records: Vec<Record>) -> impl Iterator<Item = Event> {
    records.into_iter().filter_map(|record| match record {
        Record::Step(iteration) => Some(Event::Iterations(vec![iteration])),
        Record::Epoch(epoch) => Some(Event::Epoch(epoch)),
        Record::Change(change) => Some(Event::Changed(change)),
        Record::Stage(start) => Some(Event::Stage(start)),
        Record::Fork { .. } | Record::Failed(_) | Record::Other => None,
    })
}

#[test]
fn no_record_of_a_kept_run_warns() {
    let mut runs = 0;
    for entry in std::fs::read_dir("docs/runs").unwrap() {
        let run = entry.unwrap().path();
        let preset = directory::preset(&run).unwrap();
        let mut app = viewer(preset.at_first_stage());
        let warned = follow(&mut app, events(metrics::records(&run).unwrap()));
        assert_eq!(warned, [], "{}", run.display());
        assert!(iteration(&app) > 300);
        // And for a viewer that joins at the end.
        let mut app = viewer(preset.clone());
        let mut info = app.workbench.as_ref().unwrap().info.clone();
        info.metrics = metrics::read(&run).unwrap();
        app.starting = true;
        update(&mut app, Message::Run(Event::Started(Box::new(info))));
        assert_eq!(said(&app), [""; 0], "{}", run.display());
        runs += 1;
    }
    assert!(runs > 10);
}

#[test]
fn a_recorded_run_warns_of_what_is_wrong_with_it_and_of_nothing_else() {
    for (name, most, _, expected) in RUNS {
        let mut app = App::new(Theme::new(Depth::True));
        app.starting = true;
        let warned = follow(&mut app, heard(name));
        assert_eq!(iteration(&app), most, "{name}");
        let of_what: Vec<&str> = warned.iter().map(|(_, warning)| warning.as_str()).collect();
        match expected {
            None => assert!(warned.is_empty(), "{name}: {warned:?}"),
            Some(begins) => {
                assert!(said(&app).iter().any(|warning| warning.starts_with(begins)), "{name}: {warned:?}");
                assert!(of_what.first().is_some_and(|first| first.starts_with(begins)), "{name}: {warned:?}");
            }
        }
    }
}

/// How soon: what is known from the settings at once, a dead network within an epoch, the rest after the wait.
#[test]
fn a_warning_comes_soon_enough_to_be_of_use() {
    for (name, latest) in
        [("few-components", 5), ("noise", 5), ("saturated", 100), ("random", 1100), ("unused", 1300)]
    {
        let mut app = App::new(Theme::new(Depth::True));
        app.starting = true;
        let (first, warning) = follow(&mut app, heard(name)).swap_remove(0);
        assert!(first > 0 && first <= latest, "{name} at {first}: {warning}");
    }
}

/// A run that learned is changed to another task: its losses and γ are those of a beginner again.
#[test]
fn a_change_of_the_task_makes_the_rules_wait() {
    let mut app = App::new(Theme::new(Depth::True));
    app.starting = true;
    assert_eq!(follow(&mut app, heard("healthy")), []);
    app.workbench.as_mut().unwrap().finish = None;
    let high = |n: u64, loss: f64| {
        let done = Iteration { iteration: n, epoch: n / 100 + 1, loss, seconds: 0.1, ..Iteration::default() };
        Event::Iterations(vec![done])
    };
    let mut jumped = app.clone();
    let warned = follow(&mut jumped, (1501..1520).map(|n| high(n, 4000.0)));
    assert!(warned[0].1.starts_with("the loss has jumped to 4000.0") && warned[0].0 == 1503, "{warned:?}");
    // It stays until the loss is back.
    assert!(said(&jumped)[0].starts_with("the loss has jumped"));
    assert!(follow(&mut jumped, (1520..1530).map(|n| high(n, 600.0))).is_empty() && said(&jumped).is_empty());
    // One high loss is an outlier.
    assert_eq!(follow(&mut app.clone(), [high(1501, 4000.0), high(1502, 500.0)]), []);
    let changes = [(Setting::K(4), Setting::K(5)), (Setting::Noise(0.1), Setting::Noise(0.3))];
    for (from, to) in changes {
        let mut app = app.clone();
        update(&mut app, Message::Run(Event::Changed(Change { iteration: 1501, from, to })));
        assert_eq!(follow(&mut app, (1501..1600).map(|n| high(n, 4000.0))), []);
    }
}

#[test]
fn explore() {
    let Ok(dir) = std::fs::read_dir("/tmp/words/rec") else { return };
    for entry in dir {
        let path = entry.unwrap().path();
        let mut app = App::new(Theme::new(Depth::True));
        app.starting = true;
        let (mut before, mut n) = (Vec::new(), 0);
        println!("== {}", path.display());
        for line in BufReader::new(File::open(&path).unwrap()).lines() {
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("{\"Snapshot\":") {
                let Ok(s) = serde_json::from_str(&rest[..rest.len() - 1]) else { continue };
                n += 1;
                update(&mut app, Message::Picture(std::sync::Arc::new(s)));
            } else {
                let Ok(e) = serde_json::from_str(&line) else { continue };
                update(&mut app, Message::Run(e));
            }
            if app.workbench.is_none() {
                continue;
            }
            let now = said(&app);
            let name = |warning: &String| warning.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            let names: Vec<_> = now.iter().map(name).collect();
            if names != before {
                println!("{} ({n}): {now:?}", iteration(&app));
                before = names;
            }
        }
    }
}
