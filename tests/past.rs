//! The past of a run: which checkpoints are kept, and forks from them.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::{Path, PathBuf};

use nem_tui::backend::DeviceName;
use nem_tui::live::begin::{Ending, Job, fork, resume, start};
use nem_tui::live::model;
use nem_tui::preset::Preset;
use nem_tui::protocol::{Command, Event, RunHandle};
use nem_tui::run::verify::verify;
use nem_tui::run::{album, past};
use support::endless;

/// All events until the end.
fn ended(mut handle: RunHandle) -> Vec<Event> {
    std::iter::from_fn(|| handle.events.blocking_recv()).collect()
}

fn to(max_iterations: u64) -> Ending {
    Ending { max_iterations: Some(max_iterations), ..Ending::default() }
}

/// Trains a new run in `out`, or resumes the one there, up to `iterations` in all.
fn train(out: &Path, sets: &[&str], iterations: u64) {
    let ending = to(iterations);
    if out.exists() {
        ended(resume(out, DeviceName::Flex, |preset| Ok(preset.clone()), ending).unwrap());
    } else {
        let job = Job {
            out: Some(out.to_owned()),
            ending,
            ..Job::new(endless().set(sets).unwrap(), 1, DeviceName::Flex)
        };
        ended(start(&job).unwrap());
    }
}

fn forked(from: &Path, out: &Path, sets: &'static [&'static str], iterations: u64) -> Vec<Event> {
    let change = |preset: &Preset| preset.set(sets);
    ended(fork(from, DeviceName::Flex, change, Some(out.to_owned()), vec![], to(iterations)).unwrap())
}

fn notes<'a>(events: &'a [Event]) -> Vec<&'a str> {
    let note = |event: &'a Event| if let Event::Note(note) = event { Some(note.as_str()) } else { None };
    events.iter().filter_map(note).collect()
}

/// The iterations of all checkpoints.
fn kept(run: &Path) -> Vec<u64> {
    past::checkpoints(run).into_keys().collect()
}

/// What is kept depends neither on time nor on interruptions, each has its moment in the album, and all of it is whole.
#[test]
fn a_repeated_run_keeps_the_same_past() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    train(&at("whole"), &[], 95);
    let thinned = [10, 20, 30, 40, 50, 60, 70, 80];
    let and_last = [&thinned[..], &[90, 95]].concat();
    assert_eq!(kept(&at("whole")), and_last);
    for iterations in [7, 25, 30, 61, 95] {
        train(&at("parts"), &["train.checkpoint_minutes=0"], iterations);
    }
    // The one before the last was written by time.
    assert_eq!(kept(&at("parts")), [&thinned[..], &[90, 94, 95]].concat());
    let moments: Vec<u64> =
        past::moments(&at("whole")).iter().filter(|m| m.is_kept()).map(|m| m.iteration).collect();
    assert_eq!(moments, [&thinned[..], &[90]].concat());
    let moments = album::moments(&at("whole"));
    assert_eq!(moments, album::moments(&at("parts")));
    assert!(moments.contains(&0) && moments.contains(&1), "{moments:?}");
    let verified = verify(&at("whole")).unwrap();
    assert!(verified.is_good(), "{verified:?}");
    assert!(thinned.iter().all(|n| {
        verified.findings.iter().any(|finding| finding.file == format!("checkpoints/it-{n:08}"))
    }));
}

fn size(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn the_past_keeps_to_its_room() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    train(&at("none"), &["train.history_mb=0"], 45);
    assert_eq!(kept(&at("none")), [40, 45]);
    train(&at("some"), &["train.history_mb=5"], 45);
    let checkpoints: Vec<PathBuf> = past::checkpoints(&at("some")).into_values().collect();
    let (all, one) = (checkpoints.iter().map(|path| size(path)).sum::<u64>(), size(&checkpoints[0]));
    let pointed = 3;
    assert!(checkpoints.len() > 3 && all - pointed * one <= 5_000_000, "{all} bytes, {one} each");
    assert_eq!(kept(&at("some"))[0], 10, "the first");
}

#[test]
fn a_fork_begins_at_any_moment_and_says_what_it_made() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    train(&at("parent"), &[], 45);
    let of = |run: &str, name: &str| past::named(&at(run), name).map_err(|e| e.to_string());
    let its = |run: &str, name: &str| Ok(at(run).join("checkpoints").join(name));
    assert_eq!(of("parent", "20"), its("parent", "it-00000020"));
    assert_eq!(of("parent", "39"), its("parent", "it-00000030"), "the nearest earlier one");
    assert!(of("parent", "9").unwrap_err().contains("there are: best, it-00000010"));
    let events = forked(&of("parent", "27").unwrap(), &at("child"), &["noise=0.3", "k=5"], 33);
    assert_eq!(notes(&events)[0], "child, forked at 20 of parent, with k 5, noise.probability 0.3");
    // The ancestor's past is the fork's, up to where it began.
    assert_eq!(kept(&at("child")), [10, 20, 30, 33]);
    assert_eq!(of("child", "15"), its("parent", "it-00000010"));
    assert_eq!(of("child", "20"), its("child", "it-00000020"));
    assert!(past::moments(&at("child")).iter().any(|moment| moment.iteration == 10 && moment.is_kept()));
    let events = forked(&of("child", "15").unwrap(), &at("grandchild"), &[], 12);
    assert_eq!(notes(&events)[0], "grandchild, forked at 10 of parent");
    // The limit that the last stage shares with the others is not a setting that the fork has changed.
    train(&at("staged"), &["train.stages=[(learning_rate: 0.001)]"], 25);
    let events = forked(&at("staged"), &at("in stages"), &[], 33);
    assert_eq!(notes(&events)[0], "in stages, forked at 25 of staged");
    // Without its parent, it has its own; and so it has if another run takes the parent's name.
    std::fs::remove_dir_all(at("parent")).unwrap();
    assert_eq!(kept(&at("child")), [20, 30, 33]);
    train(&at("parent"), &["k=2"], 25);
    assert_eq!(kept(&at("child")), [20, 30, 33]);
}

/// A run's weights are known by the run, not by the checkpoint's name.
#[test]
fn weights_on_show_are_titled_by_their_run() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("mine");
    train(&run, &[], 12);
    for path in [run.clone(), run.join("checkpoints/it-00000010")] {
        let mut handle = model::open(&path, DeviceName::Flex).unwrap();
        let Some(Event::Started(info)) = handle.events.blocking_recv() else { panic!("not opened") };
        assert_eq!((info.directory, info.iteration), (run.clone(), 10));
        handle.send(Command::Stop);
    }
}
