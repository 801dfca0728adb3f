//! Warnings about a training, over the kept runs and over runs that went wrong.
//!
//! `tests/fixtures/health` has what a viewer of each run heard, with every fifth iteration. To record them again: `cargo test --release --test health -- --ignored`.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nem_tui::backend::DeviceName;
use nem_tui::live::begin::{Ending, Job, start};
use nem_tui::preset::{Preset, Setting};
use nem_tui::protocol::{Change, Epoch, Event, Floor, Iteration, Record, Watched};
use nem_tui::run::directory;
use nem_tui::run::metrics;
use nem_tui::tui::app::App;
use nem_tui::tui::health::warnings;
use nem_tui::tui::message::Message;
use nem_tui::tui::theme::{Depth, Theme};
use nem_tui::tui::update::update;

/// A recorded run of `quickstart`.
struct Recorded {
    name: &'static str,
    seed: u64,
    iterations: u64,
    sets: &'static [&'static str],
    /// How the warning that it must give begins, and by which iteration; `None` for a healthy run.
    warning: Option<(&'static str, u64)>,
}

const fn run(
    name: &'static str,
    seed: u64,
    iterations: u64,
    sets: &'static [&'static str],
    warning: Option<(&'static str, u64)>,
) -> Recorded {
    Recorded { name, seed, iterations, sets, warning }
}

/// Warnings about settings come at once, about a dead network within an epoch, all others after the wait.
const RUNS: [Recorded; 6] = [
    run("healthy", 3, 3000, &[], None),
    // It learns, but later than most.
    run("slow", 1, 800, &["noise.probability=0.3"], None),
    run("few-components", 1, 300, &["k=2"], Some(("K is 2 and there are 3 objects", 5))),
    run("noise", 1, 1000, &["noise.probability=0.45"], Some(("noise 0.45 hides the objects", 5))),
    run("saturated", 1, 300, &["train.learning_rate=10"], Some(("the network is saturated", 100))),
    run(
        "random",
        1,
        1200,
        &["train.learning_rate=0.03"],
        Some(("the components hold pixels at random", 1000)),
    ),
];
/// One iteration in this many is recorded, and the first few.
const THINNED: u64 = 5;

impl Recorded {
    fn preset(&self) -> Preset {
        Preset::load("quickstart").unwrap().set(self.sets).unwrap()
    }

    /// What its viewer heard after the start.
    fn events(&self) -> Vec<Event> {
        let lines = BufReader::new(GzDecoder::new(File::open(fixture(self.name)).unwrap())).lines();
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new("tests/fixtures/health").join(format!("{name}.jsonl.gz"))
}

#[test]
#[ignore = "trains for minutes, to record fixtures"]
fn record() {
    for run in RUNS {
        let directory = tempfile::tempdir().unwrap();
        let job = Job {
            out: Some(directory.path().join("run")),
            ending: Ending { max_iterations: Some(run.iterations), ..Ending::default() },
            ..Job::new(run.preset(), run.seed, DeviceName::Flex)
        };
        let mut handle = start(&job).unwrap();
        let mut file = GzEncoder::new(File::create(fixture(run.name)).unwrap(), Compression::best());
        while let Some(event) = handle.events.blocking_recv() {
            let kept = match event {
                Event::Iterations(mut list) => {
                    list.retain(|done| done.iteration % THINNED == 0 || done.iteration < THINNED);
                    Event::Iterations(list)
                }
                Event::Epoch(_) | Event::WatchedScores(_) => event,
                _ => continue,
            };
            writeln!(file, "{}", serde_json::to_string(&kept).unwrap()).unwrap();
        }
        file.finish().unwrap();
    }
}

/// A viewer of `preset` that has heard nothing yet.
fn viewer(preset: Preset) -> App {
    let mut app = App::new(Theme::new(Depth::True));
    let info = support::info("runs/r", &preset, 0, Floor::default());
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
    assert!(runs > 8);
}

#[test]
fn a_recorded_run_warns_of_what_is_wrong_with_it_soon_and_of_nothing_else() {
    for run in RUNS {
        let mut app = viewer(run.preset());
        let warned = follow(&mut app, run.events());
        assert_eq!(iteration(&app), run.iterations, "{}", run.name);
        let Some((begins, by)) = run.warning else {
            assert_eq!(warned, [], "{}", run.name);
            continue;
        };
        let (first, warning) = warned.first().unwrap_or_else(|| panic!("{}: no warning", run.name));
        assert!(warning.starts_with(begins) && (1..=by).contains(first), "{}: {warned:?}", run.name);
        assert!(said(&app)[0].starts_with(begins), "it stays: {:?}", said(&app));
        // Noise also keeps gamma even; else there is one cause.
        assert!(warned.len() == 1 || run.name == "noise", "{}: {warned:?}", run.name);
    }
}

/// A run that learned is changed to another task: its losses and γ are those of a beginner again.
#[test]
fn a_change_of_the_task_makes_the_rules_wait() {
    let mut app = viewer(RUNS[0].preset());
    assert_eq!(follow(&mut app, RUNS[0].events()), []);
    let high = |n: u64, loss: f64| {
        let done = Iteration { iteration: n, epoch: n / 100 + 1, loss, seconds: 0.1, ..Iteration::default() };
        Event::Iterations(vec![done])
    };
    let mut jumped = app.clone();
    let warned = follow(&mut jumped, (3001..3020).map(|n| high(n, 4000.0)));
    assert!(warned[0].1.starts_with("the loss has jumped to 4000.0") && warned[0].0 == 3003, "{warned:?}");
    // It stays until the loss is back.
    assert!(said(&jumped)[0].starts_with("the loss has jumped"));
    assert!(follow(&mut jumped, (3020..3030).map(|n| high(n, 600.0))).is_empty() && said(&jumped).is_empty());
    // One high loss is an outlier.
    assert_eq!(follow(&mut app.clone(), [high(3001, 4000.0), high(3002, 500.0)]), []);
    let changes = [(Setting::K(4), Setting::K(5)), (Setting::Noise(0.1), Setting::Noise(0.3))];
    for (from, to) in changes {
        let mut app = app.clone();
        update(&mut app, Message::Run(Event::Changed(Change { iteration: 3001, from, to })));
        assert_eq!(follow(&mut app, (3001..3100).map(|n| high(n, 4000.0))), []);
    }
}

/// (state, events, state): gamma chooses and the scores are good, but two of four components hold nothing any more.
#[test]
fn components_that_die_while_gamma_chooses_are_named() {
    let mut app = viewer(RUNS[0].preset());
    assert_eq!(follow(&mut app, RUNS[0].events()), []);
    let validated = |n: u64, held: [f64; 4]| {
        let done =
            Iteration { iteration: n, epoch: n / 100, loss: 500.0, seconds: 0.1, ..Iteration::default() };
        let last = app.workbench.as_ref().unwrap().epoch.unwrap();
        let epoch = Epoch { epoch: n / 100, iteration: n, ami: Some(0.6), confidence: Some(0.9), ..last };
        let watched = Watched { held: held.to_vec(), ..Watched::default() };
        [Event::Iterations(vec![done]), Event::Epoch(epoch), Event::WatchedScores(watched)]
    };
    let dead = [0.7, 0.0, 0.295, 0.005];
    let twice: Vec<Event> = [3100, 3200].into_iter().flat_map(|n| validated(n, dead)).collect();
    let thrice = validated(3300, dead);
    let alive = validated(3400, [0.4, 0.3, 0.2, 0.1]);
    assert_eq!(follow(&mut app, twice), [], "it may pass");
    let warned = follow(&mut app, thrice);
    let begins = "components 1 and 3 are unused: each holds under 1 % of the object pixels";
    assert!(matches!(&warned[..], [(3300, said)] if said.starts_with(begins)), "{warned:?}");
    follow(&mut app, alive);
    assert_eq!(said(&app), [""; 0], "they hold something again");
}
