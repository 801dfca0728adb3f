use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::protocol::ModelCard;
use crate::snapshot::Snapshot;
use crate::tui::album::LookBack;
use crate::tui::app::{App, Leave, Overlay};
use crate::tui::overlay::compare::Choice;
use crate::tui::testing::{kept, start};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::{Message, update};

fn preset(name: &str) -> Preset {
    Preset::load(name).unwrap()
}

/// A run of that name, last changed `seconds` after 1970.
fn run(name: &str, seconds: u64) -> RunCard {
    RunCard {
        directory: PathBuf::from("runs").join(name),
        preset: preset("quickstart"),
        seed: 1,
        iteration: 1,
        ami: None,
        changed: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        trouble: None,
        ..RunCard::new("runs".into(), preset("quickstart"))
    }
}

fn picker() -> App {
    let mut app = App::new(Theme::new(Depth::True));
    let model = ModelCard { name: "m".into(), preset: preset("quickstart"), iteration: 1, ami: None };
    let presets = vec![preset("quickstart"), preset("static-shapes-nem")];
    update(&mut app, Message::Shelf(Shelf { models: vec![model], presets, devices: vec![] }));
    app
}

fn found(app: &mut App, runs: &[(&str, u64)]) {
    for (name, seconds) in runs {
        assert!(update(app, Message::Runs(vec![run(name, *seconds)])).is_empty());
    }
}

fn names(app: &App) -> Vec<String> {
    let name = |entry: &Entry| match entry {
        Entry::Model(model) => model.name.clone(),
        Entry::Preset(preset) => preset.name.clone(),
        Entry::Run(run) => run.directory.file_name().unwrap().to_string_lossy().into_owned(),
    };
    app.picker.entries.iter().map(name).collect()
}

#[test]
fn the_list_fills_newest_first_and_what_is_chosen_stays_chosen() {
    let mut app = picker();
    found(&mut app, &[("c", 3), ("a", 1), ("d", 4)]);
    assert_eq!(names(&app), ["m", "quickstart", "static-shapes-nem", "d", "c", "a"]);
    assert_eq!(app.picker.selected, 1);
    (app.picker.selected, app.picker.clicked) = (4, Some(4));
    found(&mut app, &[("e", 5), ("b", 2), ("c", 3)]);
    assert_eq!(names(&app)[3..], ["e", "d", "c", "b", "a"]);
    assert_eq!((app.picker.selected, app.picker.clicked), (5, Some(5)), "it is still c");
}

#[test]
fn the_runs_to_compare_with_fill_in_the_same_way() {
    let mut app = picker();
    start(&mut app, "runs/a");
    app.overlay = Some(Overlay::Compare(Choice::default()));
    found(&mut app, &[("b", 2), ("a", 9), ("c", 3)]);
    let Some(Overlay::Compare(choice)) = &app.overlay else { panic!("{:?}", app.overlay) };
    let directories: Vec<_> = choice.runs.iter().map(|run| run.directory.as_path()).collect();
    assert_eq!(directories, [PathBuf::from("runs/c"), PathBuf::from("runs/b")]);
    assert_eq!(choice.selected, 1, "it is still b");
    app.overlay = None;
    found(&mut app, &[("d", 4)]);
    assert!(app.overlay.is_none(), "closed, it stays closed");
}

#[test]
fn a_preview_that_is_no_longer_wanted_is_dropped() {
    let mut app = picker();
    let image = preset("quickstart").data.image();
    let of = |name: &str, sample| {
        let (clean, groups) = (vec![0.0; image.values()], vec![0; image.pixels()]);
        let preview = Preview { image, noisy: clean.clone(), clean, groups };
        Message::Preview(Box::new(preset(name)), sample, Some(preview))
    };
    let shown = |app: &App| app.picker.preview.as_ref().map(|of| (of.preset.name.clone(), of.sample));
    update(&mut app, of("quickstart", 0));
    let first = Some(("quickstart".to_owned(), 0));
    assert_eq!(shown(&app), first);
    app.picker.sample = 3;
    for stale in [of("quickstart", 2), of("static-shapes-nem", 3)] {
        update(&mut app, stale);
        assert_eq!(shown(&app), first);
    }
    update(&mut app, Message::Preview(Box::new(preset("quickstart")), 2, None));
    assert_eq!(shown(&app), first);
    update(&mut app, of("quickstart", 3));
    assert_eq!(shown(&app), Some(("quickstart".to_owned(), 3)));
}

#[test]
fn moments_that_are_no_longer_wanted_are_dropped() {
    let mut app = picker();
    start(&mut app, "runs/b");
    app.workbench.as_mut().unwrap().album = Some(LookBack::new(false));
    let image = preset("quickstart").data.image();
    let moment = |run: &str, iteration, sample| {
        let snapshot = Snapshot { iteration, sample, input: None, image, k: 4, look: vec![], steps: vec![] };
        Message::Moment(run.into(), iteration, sample, Ok(Arc::new(snapshot)))
    };
    let failed = |run: &str, iteration| Message::Moment(run.into(), iteration, 0, Err("no".into()));
    assert!(update(&mut app, Message::Moments("runs/a".into(), kept(&[0, 5]))).is_empty());
    assert_eq!(app.workbench.as_ref().unwrap().album.as_ref().unwrap().moment(), None);
    update(&mut app, Message::Moments("runs/b".into(), kept(&[0, 8])));
    let stale = [moment("runs/a", 8, 0), moment("runs/b", 0, 0), moment("runs/b", 8, 1)];
    for message in stale.into_iter().chain([failed("runs/a", 8), failed("runs/b", 0)]) {
        assert!(update(&mut app, message).is_empty());
        assert!(app.workbench.as_ref().unwrap().shown().is_none() && app.message.is_none());
    }
    update(&mut app, moment("runs/b", 8, 0));
    assert_eq!(app.workbench.as_ref().unwrap().shown().unwrap().iteration, 8);
    update(&mut app, failed("runs/b", 8));
    assert_eq!(app.message.as_deref(), Some("no"));
}

#[test]
fn what_fails_or_is_found_late_keeps_nobody_from_leaving() {
    let mut app = picker();
    app.starting = true;
    app.leaving = Some(Leave::Program);
    assert!(update(&mut app, Message::StartFailed("no disk".into())).is_empty());
    assert_eq!(app.leaving, Some(Leave::Program));
    start(&mut app, "runs/a");
    let found = Message::Found("runs/a".into(), Ok("runs/a/checkpoints/it-7".into()), vec![]);
    assert!(update(&mut app, found).is_empty());
    assert_eq!(app.leaving, Some(Leave::Program), "a fork is no longer wanted");
}
