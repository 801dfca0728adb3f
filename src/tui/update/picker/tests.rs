use super::*;
use crate::preset::Preset;
use crate::protocol::{Deletion, Event, Finish, RunDetails};
use crate::tui::testing::{iteration, picker, preset, press, sent, start};
use crate::tui::update::{Message, Target, update};
use crossterm::event::KeyCode;

#[test]
fn the_picker_chooses_previews_and_starts_once() {
    let mut app = picker();
    assert!(matches!(&press(&mut app, "↑")[..], [Effect::Preview(..)]), "the model above the presets");
    assert!(press(&mut app, "↑").is_empty(), "nothing above the first");
    assert_eq!(press(&mut app.clone(), "↵"), [Effect::Open("shapes".into(), "libtorch".into())]);
    press(&mut app, "↓");
    assert!(matches!(&press(&mut app, "↓")[..], [Effect::Preview(p, 0)] if p.name == "static-shapes-nem"));
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

/// A run that is only looked at is paused before its first iteration.
#[test]
fn the_picker_opens_runs_to_look_at_them() {
    let mut app = picker();
    assert!(press(&mut app, "i").is_empty() && app.message.is_some(), "a preset");
    let run = RunCard { iteration: 5, ..RunCard::new("runs/a".into(), preset()) };
    app.picker.entries.push(Entry::Run(Box::new(run.clone())));
    app.picker.selected = 3;
    let effects = press(&mut app, "i");
    let resumed = Effect::Resume(Box::new(run), "libtorch".into());
    assert_eq!(effects, [resumed, Effect::Send(Command::Pause)]);
    let mut app = picker();
    press(&mut app, "↑");
    assert_eq!(press(&mut app, "i"), [Effect::Open("shapes".into(), "libtorch".into())]);
}

#[test]
fn the_picker_turns_through_the_devices() {
    for (keys, chosen) in [("d", "flex"), ("dd", "libtorch"), ("D", "flex"), ("dD", "libtorch")] {
        let mut app = picker();
        let measured = press(&mut app, keys);
        assert!(measured.iter().all(|effect| matches!(effect, Effect::Seconds(..))), "{keys}: {measured:?}");
        let effects = press(&mut app, "↵");
        assert!(matches!(&effects[..], [Effect::Start(_, device)] if device == chosen), "{keys}");
    }
}

/// A run of that name in this state.
fn card(name: &str, state: RunState) -> RunCard {
    RunCard { state, iteration: 5, ..RunCard::new(format!("runs/{name}").into(), preset()) }
}

/// The picker, with these runs, the first of which is chosen.
fn with_runs(runs: &[RunCard]) -> App {
    let mut app = picker();
    update(&mut app, Message::Runs(runs.to_vec()));
    let first = &runs[0].directory;
    let is_first = |entry: &Entry| matches!(entry, Entry::Run(run) if run.directory == *first);
    app.picker.selected = app.picker.entries.iter().position(is_first).unwrap();
    app
}

#[test]
fn a_run_that_trains_is_attached_to() {
    let own = card("a", RunState::Running);
    let attach = Effect::Attach(Box::new(own.clone()), "libtorch".into());
    for keys in ["↵", "i"] {
        let mut app = with_runs(std::slice::from_ref(&own));
        assert_eq!(press(&mut app, keys), std::slice::from_ref(&attach), "{keys}: and it is not paused");
        update(&mut app, Message::Attached);
        start(&mut app, "runs/a");
        assert!(app.attached && app.workbench.is_some());
        assert_eq!(press(&mut app, "q"), [Effect::Exit], "it continues");
    }
    // Its process has died: it is one's own.
    let mut app = with_runs(&[own]);
    press(&mut app, "↵");
    start(&mut app, "runs/a");
    assert!(!app.attached);

    let mut app = with_runs(&[card("a", RunState::Elsewhere("process 7 on room".into()))]);
    assert!(press(&mut app, "↵").is_empty() && !app.starting);
    let message = app.message.unwrap();
    assert!(message.contains("process 7 on room") && message.contains("nem-tui attach runs/a"), "{message}");
}

#[test]
fn a_run_that_is_over_is_shown_and_offers_more() {
    let opened = |keys: &str| {
        let mut app = with_runs(&[card("a", RunState::Finished)]);
        let effects = press(&mut app, keys);
        assert!(matches!(&effects[..], [Effect::Resume(..)]), "{effects:?}");
        start(&mut app, "runs/a");
        update(&mut app, Message::Run(Event::Done(Finish::MaxEpochs)));
        app
    };
    let mut app = opened("↵");
    assert!(matches!(app.overlay, Some(Overlay::Further(_))));
    assert_eq!(sent(&press(&mut app, "↑↑↵")), [Command::Train(20)]);
    assert!(app.overlay.is_none());
    let mut app = opened("↵");
    assert!(press(&mut app, "⎋").is_empty() && app.overlay.is_none() && app.workbench.is_some());
    assert_eq!(sent(&press(&mut app, ":train 7↵")), [Command::Train(7)]);
    assert!(opened("i").overlay.is_none(), "it is only looked at");

    // One that ends while it is watched offers nothing unasked.
    let mut app = with_runs(&[card("a", RunState::Stopped)]);
    press(&mut app, "↵");
    start(&mut app, "runs/a");
    update(&mut app, Message::Run(iteration(6)));
    update(&mut app, Message::Run(Event::Done(Finish::MaxEpochs)));
    assert!(app.overlay.is_none());
    assert!(press(&mut app, "c").is_empty() && app.message.unwrap().contains(":train N"));
}

#[test]
fn the_list_is_filtered_by_words() {
    let mut noted = card("good", RunState::Finished);
    noted.note = Some("the Best one".into());
    let mut fork = card("k6", RunState::Running);
    fork.parent = Some("fork of good at 747".into());
    let app = with_runs(&[noted, fork, card("bad", RunState::Stopped)]);
    let names = |app: &App| -> Vec<String> {
        let name = |at: usize| match &app.picker.entries[at] {
            Entry::Model(model) => model.name.clone(),
            Entry::Preset(preset) => preset.name.clone(),
            Entry::Run(run) => run.name(),
        };
        app.picker.listed().map(name).collect()
    };
    for (filter, expected) in [
        ("best", vec!["good"]),
        ("running", vec!["k6"]),
        ("fork GOOD", vec!["k6"]),
        ("good", vec!["good", "k6"]),
        ("static", vec!["static-shapes-nem"]),
        ("model", vec!["shapes"]),
        ("nothing", vec![]),
    ] {
        let mut app = app.clone();
        press(&mut app, "/");
        press(&mut app, filter);
        assert_eq!(names(&app), expected, "{filter}");
        press(&mut app, "↵");
        assert!(app.overlay.is_none());
        match expected.is_empty() {
            true => assert!(press(&mut app, "↵").is_empty(), "nothing is chosen"),
            false => assert!(app.picker.chosen().is_some()),
        }
        press(&mut app, "⎋");
        assert_eq!(names(&app).len(), 6, "esc lists all");
    }
    let mut app = app;
    press(&mut app, "/good");
    press(&mut app, "↓");
    assert_eq!(app.picker.selected_run().unwrap().name(), "k6", "arrows choose while it is typed");
    press(&mut app, "⎋");
    assert!(app.overlay.is_none() && app.picker.filter.is_empty());
    press(&mut app, "gG");
    assert_eq!(app.picker.selected, 5);
    press(&mut app, "g");
    assert_eq!(app.picker.selected, 0);
    press(&mut app, "jjk");
    assert_eq!(app.picker.selected, 1);
    update(&mut app, Message::Key(KeyCode::PageDown.into()));
    assert_eq!(app.picker.selected, 5);
    update(&mut app, Message::Key(KeyCode::PageUp.into()));
    assert_eq!(app.picker.selected, 0);
}

/// (state, events, state): something listed is always chosen.
#[test]
fn what_the_filter_hides_is_not_chosen() {
    let mut app = with_runs(&[card("a", RunState::Running), card("b", RunState::Running)]);
    press(&mut app, "/running");
    press(&mut app, "↵");
    assert_eq!(app.picker.selected_run().unwrap().name(), "a");
    update(&mut app, Message::Runs(vec![card("a", RunState::Finished)]));
    assert_eq!(app.picker.selected_run().unwrap().name(), "b", "a is no longer listed");
    // What was on the screen is shown, whatever the filter.
    start(&mut app, "runs/c");
    press(&mut app, "⎋y");
    update(&mut app, Message::Run(Event::Finished(Finish::Stopped)));
    update(&mut app, Message::Runs(vec![card("c", RunState::Stopped)]));
    assert_eq!(app.picker.selected_run().unwrap().name(), "c");
    assert!(app.picker.filter.is_empty());
}

/// (state, mouse, state): the list is used with the mouse while its filter is typed.
#[test]
fn the_mouse_works_while_the_filter_is_typed() {
    let mut app = with_runs(&[card("a", RunState::Stopped), card("b", RunState::Stopped)]);
    press(&mut app, "/run");
    update(&mut app, Message::Wheel(Some(Target::Picker), 1));
    assert_eq!(app.picker.selected_run().unwrap().name(), "b");
    assert!(matches!(app.overlay, Some(Overlay::Filter)));
    let first = app.picker.listed().next().unwrap();
    update(&mut app, Message::Click(Target::Entry(first)));
    assert_eq!((app.picker.selected, app.picker.filter.as_str()), (first, "run"));
    assert!(app.overlay.is_none());
}

#[test]
fn a_run_that_is_about_to_continue_is_left_alone() {
    let mut app = with_runs(&[card("a", RunState::Stopped)]);
    app.picker.detaching = Some("runs/a".into());
    for keys in ["↵", "i", "X", ":rename c↵"] {
        assert!(press(&mut app, keys).is_empty() && !app.starting, "{keys}");
        assert!(app.message.as_ref().unwrap().contains("wait a moment"), "{keys}: {:?}", app.message);
    }
}

#[test]
fn runs_are_renamed_noted_and_deleted() {
    let runs = [card("a", RunState::Stopped), card("b", RunState::Running)];
    let mut app = with_runs(&runs);
    assert!(press(&mut app, "R").is_empty());
    assert_eq!(press(&mut app, "2↵"), [Effect::Rename("runs/a".into(), "a2".into())], "its name is there");
    let renamed = Ok(("runs/a2".into(), "runs/a is now runs/a2".into()));
    let effects = update(&mut app, Message::Renamed("runs/a".into(), renamed));
    assert!(matches!(&effects[..], [Effect::RunsAgain(known)] if known.len() == 1), "{effects:?}");
    update(&mut app, Message::Runs(vec![card("a2", RunState::Stopped)]));
    assert_eq!(app.picker.selected_run().unwrap().name(), "a2");

    let mut app = with_runs(&runs);
    assert_eq!(press(&mut app, "n"), []);
    assert_eq!(press(&mut app, "the good one↵"), [Effect::Note("runs/a".into(), "the good one".into())]);
    assert_eq!(press(&mut app, ":note↵"), [Effect::Note("runs/a".into(), String::new())], "and none");

    assert_eq!(press(&mut app, "X"), [Effect::AskDelete("runs/a".into())]);
    let deletion = Deletion { bytes: 12_000_000, ..Deletion::default() };
    let asked = Message::Deletable("runs/a".into(), Ok(deletion));
    update(&mut app, asked.clone());
    assert!(press(&mut app, "↵").is_empty() && app.overlay.is_none(), "only y deletes");
    update(&mut app, asked);
    assert_eq!(press(&mut app, "y"), [Effect::Delete("runs/a".into())]);
    update(&mut app, Message::Deleted("runs/a".into(), Ok(())));
    assert_eq!(app.picker.runs().count(), 1);

    // What trains keeps its name and stays; a preset has neither.
    let mut app = with_runs(&[runs[1].clone()]);
    for keys in ["X", ":rename c↵"] {
        assert!(press(&mut app, keys).is_empty());
        assert!(app.message.as_ref().unwrap().contains("b is training"), "{keys}");
    }
    for keys in ["X", "R", "n"] {
        let mut app = picker();
        assert!(press(&mut app, keys).is_empty() && app.overlay.is_none());
        assert!(app.message.unwrap().contains("only a run"), "{keys}");
    }
}

/// What is chosen is described after its preview; a preset is timed unless a run trains.
#[test]
fn what_is_chosen_is_described() {
    let previewed = |app: &mut App| update(app, Message::Preview(Box::new(preset()), 0, None));
    let mut app = picker();
    let asked = Effect::Seconds(Box::new(preset()), "libtorch".into());
    assert_eq!(previewed(&mut app), [asked]);
    update(&mut app, Message::Seconds(Box::new(preset()), "libtorch".into(), Some(40.0)));
    assert!(previewed(&mut app).is_empty(), "once");
    assert_eq!(app.picker.seconds_of(&preset()), Some(Some(40.0)));
    let mut hushed = app.clone();
    let other = Preset::load("static-shapes-nem").unwrap();
    for (preset, seconds) in [(&other, None), (&other, Some(9.0)), (&preset(), None)] {
        update(&mut hushed, Message::Seconds(Box::new(preset.clone()), "libtorch".into(), seconds));
        assert_eq!(hushed.picker.seconds_of(preset), Some(seconds));
    }
    assert_eq!(hushed.picker.seconds_of(&other), Some(Some(9.0)), "it is not measured twice");
    assert!(matches!(&press(&mut app, "d")[..], [Effect::Seconds(_, device)] if device == "flex"));

    let mut app = with_runs(&[card("a", RunState::Running)]);
    assert_eq!(previewed(&mut app), [Effect::Details("runs/a".into())]);
    update(&mut app, Message::Details("runs/a".into(), Some(RunDetails::default())));
    assert!(previewed(&mut app).is_empty(), "once");
    let at = |iteration| Message::Runs(vec![RunCard { iteration, ..card("a", RunState::Running) }]);
    assert_eq!(update(&mut app, at(6)), [Effect::Hush], "an epoch takes longer");
    let effects = update(&mut app, at(1 + preset().iterations_per_epoch()));
    assert_eq!(effects, [Effect::Details("runs/a".into()), Effect::Hush], "its curve has grown");
    assert!(app.picker.details.is_some(), "the old one is shown until the new one is read");
    app.picker.selected = 1;
    assert!(previewed(&mut app).is_empty(), "while a run trains, nothing is timed");
}

#[test]
fn the_list_is_read_again_now_and_then() {
    let mut app = with_runs(&[card("a", RunState::Running), card("b", RunState::Stopped)]);
    let effects = update(&mut app, Message::LookAgain);
    assert!(matches!(&effects[..], [Effect::RunsAgain(known)] if known.len() == 2));
    assert!(update(&mut app, Message::LookAgain).is_empty(), "one at a time");
    let effects = update(&mut app, Message::RunsGone(vec!["runs/a".into()]));
    assert!(matches!(&effects[..], [Effect::Preview(..)]), "another is chosen now");
    assert_eq!(app.picker.runs().count(), 1);
    assert_eq!(update(&mut app, Message::LookAgain).len(), 1);
    start(&mut app, "runs/b");
    update(&mut app, Message::RunsGone(vec![]));
    assert!(update(&mut app, Message::LookAgain).is_empty(), "not behind a run");
}
