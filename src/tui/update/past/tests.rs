use super::*;
use crate::preset::Setting;
use crate::protocol::{Command, Epoch, Event, Moment};
use crate::snapshot::Snapshot;
use crate::tui::app::Leave;
use crate::tui::testing::{kept, past, press, seen, sent, snapshot, workbench};
use crate::tui::update::{Message, update};
use std::path::PathBuf;
use std::sync::Arc;

#[test]
fn looking_back_goes_through_the_moments_and_returns_to_now() {
    let run = || PathBuf::from("runs/quickstart-s1");
    let mut app = workbench();
    let now = Snapshot { iteration: 90, ..(*snapshot(0, vec![])).clone() };
    update(&mut app, Message::Picture(Arc::new(now)));
    assert!(press(&mut app, "}").is_empty(), "there is nothing after now");
    assert_eq!(press(&mut app, "{"), [Effect::Moments(run())]);
    let read = update(&mut app, Message::Moments("runs/quickstart-s1".into(), kept(&[0, 8, 64])));
    assert_eq!(read, [Effect::Moment(run(), 64, 0)]);
    assert_eq!(seen(&app), Some(90), "until the moment is read");
    update(&mut app, past(64, 0));
    assert_eq!(seen(&app), Some(64));
    assert_eq!(press(&mut app, "{{{"), [8, 0].map(|moment| Effect::Moment(run(), moment, 0)));
    update(&mut app, past(8, 0));
    assert_eq!(seen(&app), Some(64), "that is not the one asked for last");
    // Another sample of the album.
    let watched = |sample| Effect::Send(Command::Watch(sample));
    assert_eq!(press(&mut app, ","), [watched(7), Effect::Moment(run(), 0, 7)]);
    update(&mut app, past(0, 7));
    // The inspector shows the past too; its changes need the present.
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
    let first = update(&mut app, Message::Moments("runs/quickstart-s1".into(), kept(&[0, 8])));
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
    assert!(update(&mut app, Message::Moments("runs/quickstart-s1".into(), kept(&[]))).is_empty());
    assert!(app.message.is_some() && app.workbench.unwrap().album.is_none());
}

/// New moments join an open album, and a sample that is not in it is replaced by one that is.
#[test]
fn the_album_grows_and_has_only_some_samples() {
    let mut app = workbench();
    app.workbench.as_mut().unwrap().sample = 30;
    press(&mut app, "{");
    let effects = update(&mut app, Message::Moments("runs/quickstart-s1".into(), kept(&[0, 8])));
    let run = PathBuf::from("runs/quickstart-s1");
    assert_eq!(effects, [Effect::Send(Command::Watch(0)), Effect::Moment(run.clone(), 8, 0)]);
    let epoch = Epoch { iteration: 9, ..Epoch::default() };
    assert_eq!(update(&mut app, Message::Run(Event::Epoch(epoch))), [Effect::Moments(run)]);
    assert!(update(&mut app, Message::Moments("runs/quickstart-s1".into(), kept(&[0, 8, 9]))).is_empty());
    assert_eq!(app.workbench.unwrap().album.unwrap().place(), (2, 3));
}

/// (state, keys, state): a fork begins at the moment that is shown, or the nearest earlier one that has a checkpoint.
#[test]
fn a_fork_begins_with_the_moment_that_is_shown() {
    let run = || PathBuf::from("runs/quickstart-s1");
    let mut app = workbench();
    press(&mut app, "{");
    let moments = [0, 8, 64, 90].map(|n| Moment { iteration: n, fork: (n > 8).then_some(n) });
    update(&mut app, Message::Moments(run(), moments.into()));
    let found = |iteration: &str, sets: &[&str]| {
        [Effect::Find(run(), iteration.into(), sets.iter().map(|set| (*set).to_owned()).collect())]
    };
    assert_eq!(press(&mut app.clone(), ":fork here↵"), found("90", &[]));
    press(&mut app, "{");
    let mut exact = app.clone();
    assert_eq!(press(&mut exact, ":fork here noise=0.3 k=5↵"), found("64", &["noise=0.3", "k=5"]));
    assert!(exact.message.is_none());
    // Thinned since.
    update(&mut app, Message::Moments(run(), [8, 64].map(|n| Moment { iteration: n, fork: Some(8) }).into()));
    assert_eq!(press(&mut app, ":fork here↵"), found("8", &[]));
    assert_eq!(app.message.as_deref(), Some("no checkpoint of 64 is kept; this forks from 8"));
    let checkpoint = run().join("checkpoints/it-00000008");
    let effects = update(&mut app, Message::Found(run(), Ok(checkpoint.clone()), vec![]));
    assert_eq!((sent(&effects), app.leaving), (vec![Command::Stop], Some(Leave::Fork(checkpoint, vec![]))));
    // Nothing is kept.
    let mut app = workbench();
    press(&mut app, "{");
    update(&mut app, Message::Moments(run(), vec![Moment { iteration: 8, fork: None }]));
    assert!(press(&mut app, ":fork here↵").is_empty());
    let message = app.message.clone().unwrap();
    assert!(message.contains("no checkpoint is kept of iteration 8 or before; :restart"), "{message}");
    // Now is where the run is.
    press(&mut app, "⎋");
    let effects = press(&mut app, ":fork here k=5↵");
    let to = Leave::Fork(run(), vec!["k=5".into()]);
    assert_eq!((sent(&effects), app.leaving), (vec![Command::Stop], Some(to)));
}

/// A checkpoint may give a moment its mark.
#[test]
fn an_open_album_is_read_again_when_a_checkpoint_is_written() {
    let saved = || Message::Run(Event::Saved { iteration: 9, best: false });
    let mut app = workbench();
    assert!(update(&mut app, saved()).is_empty());
    press(&mut app, "{");
    assert_eq!(update(&mut app, saved()), [Effect::Moments("runs/quickstart-s1".into())]);
}
