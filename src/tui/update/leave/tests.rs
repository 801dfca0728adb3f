use super::*;
use crate::protocol::{Event, RunCard, RunInfo};
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

/// (state, keys, state): a run of another process continues while a new one begins with what it has saved.
#[test]
fn an_attached_run_is_forked_and_continues() {
    let run = || PathBuf::from("runs/quickstart-s1");
    let sets = || vec!["k=5".to_owned()];
    for (line, name) in [(":fork k=5↵", "last"), (":fork last k=5↵", "last"), (":fork best k=5↵", "best")]
    {
        let mut app = attached();
        assert_eq!(press(&mut app, line), [Effect::Find(run(), name.into(), sets())], "{line}");
        let checkpoint = run().join("checkpoints/it-00000100");
        let effects = update(&mut app, Message::Found(run(), Ok(checkpoint.clone()), sets()));
        assert_eq!(effects.first(), Some(&Effect::Close), "and not a command to stop");
        assert_eq!(effects.last(), Some(&Effect::Fork(checkpoint, sets(), "libtorch".into())));
        assert!(is_list(&effects[1..effects.len() - 1]) && app.starting && !app.attached);
        let mut failed = app.clone();
        update(&mut failed, Message::StartFailed("no disk".into()));
        assert!(failed.shows_runs() && failed.message.as_deref() == Some("no disk"));
        let info = RunInfo { directory: "runs/fork".into(), ..workbench().workbench.unwrap().info };
        update(&mut app, Message::Run(Event::Started(Box::new(info))));
        assert!(app.shows("runs/fork".as_ref()) && !app.starting && !app.attached);
    }
    let effects = press(&mut attached(), ":restart↵");
    assert_eq!(effects.first(), Some(&Effect::Close));
    assert_eq!(effects.last(), Some(&Effect::Restart(run(), vec![], "libtorch".into())));
}

/// What follows when the list is shown again: it is read, and the chosen entry is previewed.
fn is_list(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::RunsAgain(_), Effect::Preview(..)])
}

#[test]
fn escape_goes_back_one_thing_at_a_time() {
    let mut app = attached();
    update(&mut app, Message::Run(iteration(9)));
    press(&mut app, "z");
    assert!(press(&mut app, "⎋").is_empty() && !app.workbench.as_ref().unwrap().zoomed);
    press(&mut app, ":");
    assert!(press(&mut app, "⎋").is_empty() && app.workbench.is_some(), "a command is closed first");
    let effects = press(&mut app, "⎋");
    assert_eq!(effects[0], Effect::Close, "an attached run continues");
    assert!(is_list(&effects[1..]) && app.workbench.is_none() && !app.attached);
}

#[test]
fn the_list_asks_what_becomes_of_a_training() {
    let running = || {
        let mut app = workbench();
        update(&mut app, Message::Run(iteration(3)));
        app
    };
    let finished = |app: &mut App| update(app, Message::Run(Event::Finished(Finish::Stopped)));
    for open in ["⎋", ":runs↵", "⇥⎋", "i:runs↵"] {
        let mut app = running();
        assert!(press(&mut app, open).is_empty());
        assert!(matches!(app.overlay, Some(Overlay::Back)), "{open}");
        assert!(press(&mut app, "⎋").is_empty() && app.workbench.is_some(), "it stays");
        assert_eq!(sent(&press(&mut app, ":runs↵y")), [Command::Stop]);
        assert!(is_list(&finished(&mut app)) && app.workbench.is_none(), "once it is saved");
        assert_eq!(app.picker.wanted, Some(PathBuf::from("runs/quickstart-s1")));
        assert!(app.leaving.is_none() && app.overlay.is_none());
    }
    let mut app = running();
    assert_eq!(sent(&press(&mut app, "⎋d")), [Command::Stop]);
    let effects = finished(&mut app);
    assert_eq!(effects[0], Effect::Continue("runs/quickstart-s1".into(), "flex".into()));
    assert!(is_list(&effects[1..]));
    let run = RunCard::new("runs/quickstart-s1".into(), crate::tui::testing::preset());
    update(&mut app, Message::Runs(vec![run]));
    assert_eq!(app.picker.selected_run().unwrap().name(), "quickstart-s1", "it is chosen");
    assert!(press(&mut app, "↵").is_empty() && app.message.as_ref().unwrap().contains("wait a moment"));
    update(&mut app, Message::RunsGone(vec![]));
    let effects = update(&mut app, Message::Detached("runs/quickstart-s1".into(), Ok(())));
    assert!(matches!(&effects[..], [Effect::RunsAgain(_)]));
    assert!(app.message.unwrap().contains("continues in the background"));

    // What has ended meanwhile is not continued, and a failure is said in the list.
    let mut app = running();
    press(&mut app, "⎋d");
    let effects = update(&mut app, Message::Run(Event::Finished(Finish::Failed("no disk".into()))));
    assert!(is_list(&effects));
    assert_eq!(app.message.as_deref(), Some("no disk"));
}

#[test]
fn what_trains_nothing_is_left_for_the_list_at_once() {
    let mut over = workbench();
    update(&mut over, Message::Run(Event::Done(Finish::MaxEpochs)));
    let mut model = workbench();
    model.workbench.as_mut().unwrap().info.kind = crate::protocol::RunKind::Model;
    let mut starting = workbench();
    starting.starting = true;
    for mut app in [over, model] {
        let effects = press(&mut app, "⎋");
        assert_eq!(effects[0], Effect::Close);
        assert!(is_list(&effects[1..]));
    }
    assert!(press(&mut starting, "⎋").is_empty() && starting.workbench.is_some());
}
