use super::*;
use crate::protocol::{Event, RunInfo};
use crate::tui::testing::{attached, iteration, picker, press, sent, workbench};
use crate::tui::update::{Message, update};
use std::path::PathBuf;

#[test]
fn quitting_asks_while_a_training_runs_and_waits_for_the_save() {
    let mut app = workbench();
    update(&mut app, Message::Run(iteration(3)));
    assert!(press(&mut app, "q").is_empty());
    assert!(matches!(app.overlay, Some(Overlay::Quit)));
    assert!(press(&mut app, "n").is_empty() && app.overlay.is_none() && app.leaving.is_none());
    assert_eq!(sent(&press(&mut app, "qy")), [Command::Stop]);
    assert!(app.leaving.is_some() && press(&mut app, "k").is_empty());
    let effects = update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
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
        assert_eq!(update(&mut app, Message::Run(Event::Finished(finish))), expected);
    }
    let mut app = workbench();
    press(&mut app, "q");
    update(&mut app, Message::Run(Event::Done(Finish::EarlyStop)));
    assert_eq!(sent(&press(&mut app, "d")), [Command::Stop]);
    assert_eq!(app.leaving, Some(Leave::Program), "the training ended while the question was asked");
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
    let effects = update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
    assert_eq!(effects, [Effect::Exit]);
    assert!(press(&mut workbench(), "Q").is_empty(), "one's own asks as q does");
    let mut over = attached();
    update(&mut over, Message::Run(Event::Finished(Finish::MaxEpochs)));
    assert_eq!(press(&mut over, "Q"), [Effect::Exit]);
}

#[test]
fn quitting_what_is_finished_asks_nothing() {
    let mut app = workbench();
    update(&mut app, Message::Run(iteration(3)));
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    assert_eq!(press(&mut app, "q"), [Effect::Exit]);
}

#[test]
fn a_training_that_is_over_can_still_be_looked_at() {
    let mut app = workbench();
    update(&mut app, Message::Run(iteration(3)));
    update(&mut app, Message::Run(Event::Done(Finish::EarlyStop)));
    assert_eq!(sent(&press(&mut app, ".")), [Command::Watch(1)]);
    assert_eq!(sent(&press(&mut app, "K sc")), [], "but not changed");
    assert_eq!(sent(&press(&mut app, "q")), [Command::Stop]);
    assert_eq!(update(&mut app, Message::Run(Event::Finished(Finish::EarlyStop))), [Effect::Exit]);
}

#[test]
fn control_c_and_signals_save_and_leave_without_asking() {
    for message in [None, Some(Message::Terminate)] {
        let mut app = workbench();
        update(&mut app, Message::Run(iteration(3)));
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
fn a_fork_waits_for_the_save_and_then_takes_the_screen() {
    for (line, restart) in [(":fork k=5↵", false), (":restart↵", true)] {
        let mut app = workbench();
        update(&mut app, Message::Run(iteration(3)));
        assert_eq!(press(&mut app, line), [Effect::Send(Command::Stop)]);
        assert!(press(&mut app, "k").is_empty(), "nothing until it is saved");
        let effects = update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
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
        update(&mut app, Message::Run(Event::Started(Box::new(info))));
        assert_eq!(app.workbench.as_ref().map(|w| (w.iteration(), w.alive)), Some((3, true)));
        assert!(!app.starting && app.leaving.is_none());
    }
}

/// A checkpoint is looked up before the training is stopped for it.
#[test]
fn a_fork_begins_at_any_checkpoint() {
    let mut app = workbench();
    let run = PathBuf::from("runs/quickstart-s1");
    let sets = vec!["k=5".to_owned()];
    assert_eq!(press(&mut app, ":fork best k=5↵"), [Effect::Find(run.clone(), "best".into(), sets.clone())]);
    assert!(update(&mut app, Message::Found(run.clone(), Err("no such".into()), sets.clone())).is_empty());
    assert!(app.leaving.is_none() && app.message.as_deref() == Some("no such"));
    let best = PathBuf::from("runs/quickstart-s1/checkpoints/it-00000100");
    let other = Message::Found("runs/other".into(), Ok(best.clone()), sets.clone());
    assert!(update(&mut app, other).is_empty() && app.leaving.is_none(), "of a run that has left the screen");
    let effects = update(&mut app, Message::Found(run, Ok(best.clone()), sets.clone()));
    assert_eq!(effects, [Effect::Send(Command::Stop)]);
    let effects = update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
    assert_eq!(effects, [Effect::Fork(best, sets, "libtorch".into())]);
}
