//! (state, keys, state).

use super::*;
use crate::preset::Preset;
use crate::protocol::{RunCard, RunState};
use crate::tui::app::{Context, Overlay};
use crate::tui::message::Message;
use crate::tui::table::Column;
use crate::tui::testing::{picker, press, start};
use crate::tui::update::update;

fn card(name: &str, k: &str, ami: Option<f64>) -> RunCard {
    let preset = Preset::load("quickstart").unwrap().set(&[format!("k={k}")]).unwrap();
    RunCard {
        ami,
        validation_loss: Some(9.5),
        iteration: 10,
        ..RunCard::new(format!("runs/{name}").into(), preset)
    }
}

fn trial(name: &str, k: &str, ami: Option<f64>) -> RunCard {
    let sweep = Some("widths".to_owned());
    RunCard { directory: format!("sweeps/widths/{name}").into(), sweep, ..card(name, k, ami) }
}

/// The picker with two runs and three trials, the table open.
fn table() -> App {
    let mut app = picker();
    let runs = vec![
        card("a", "4", Some(0.5)),
        card("b", "12", None),
        trial("k=3", "3", Some(0.25)),
        trial("k=5", "5", Some(0.75)),
        trial("k=10", "10", Some(f64::NAN)),
    ];
    update(&mut app, Message::Runs(runs));
    press(&mut app, "t");
    app
}

fn names(app: &App) -> String {
    let names = app.picker.listed().map(|at| app.picker.run_at(at).unwrap().name());
    names.collect::<Vec<_>>().join(" ")
}

fn chosen(app: &App) -> String {
    app.picker.selected_run().unwrap().name()
}

#[test]
fn the_list_has_no_trials_and_the_table_has_nothing_else_than_runs() {
    let mut app = table();
    assert_eq!(app.context(), Context::Table);
    assert_eq!(names(&app), "a b widths/k=3 widths/k=5 widths/k=10");
    assert_eq!(chosen(&app), "a", "a preset was chosen before");
    press(&mut app, "t");
    assert_eq!(app.context(), Context::Picker);
    assert_eq!(app.picker.listed().filter(|at| app.picker.run_at(*at).is_some()).count(), 2);
    press(&mut app, "t⎋");
    assert_eq!(app.context(), Context::Picker, "esc goes back, too");
}

#[test]
fn any_column_orders_the_rows_numbers_by_value_and_unknown_ones_last() {
    let mut app = table();
    let by = |app: &App| app.picker.table.as_ref().unwrap().by.clone();
    assert_eq!(by(&app), None);
    press(&mut app, "ssss");
    assert_eq!(by(&app), Some(Column::Ami));
    assert_eq!(names(&app), "widths/k=5 a widths/k=3 b widths/k=10", "the best first");
    press(&mut app, "o");
    assert_eq!(names(&app), "widths/k=3 a widths/k=5 b widths/k=10");
    press(&mut app, "S");
    assert_eq!(by(&app), Some(Column::Iteration));
    press(&mut app, "SSSS");
    assert_eq!(by(&app), Some(Column::Setting("k".into())), "before the first column is the last one");
    assert_eq!(names(&app), "widths/k=3 a widths/k=5 widths/k=10 b");
    press(&mut app, "so");
    assert_eq!(names(&app), "widths/k=10 widths/k=5 widths/k=3 b a", "the oldest first");
}

#[test]
fn the_chosen_run_stays_chosen_while_runs_come_change_and_go() {
    let mut app = table();
    press(&mut app, "ssss");
    assert_eq!(chosen(&app), "a");
    update(&mut app, Message::Runs(vec![trial("k=7", "7", Some(0.9)), card("a", "4", Some(0.1))]));
    assert_eq!(names(&app), "widths/k=7 widths/k=5 widths/k=3 a b widths/k=10");
    assert_eq!(chosen(&app), "a");
    update(&mut app, Message::RunsGone(vec!["runs/a".into()]));
    assert!(app.picker.selected_run().is_some());
}

#[test]
fn the_filter_knows_sweeps_and_settings() {
    let mut app = table();
    press(&mut app, "/widths k=1↵");
    assert_eq!(names(&app), "widths/k=10");
    assert_eq!(chosen(&app), "widths/k=10");
    press(&mut app, "⎋");
    assert_eq!((app.context(), app.picker.listed().count()), (Context::Table, 5));
    press(&mut app, "/k=12");
    assert!(matches!(app.overlay, Some(Overlay::Filter)));
    assert_eq!(names(&app), "b", "by its setting: it is not in the name");
}

#[test]
fn a_run_is_opened_attached_to_or_compared_with_the_marked_ones() {
    let opened = |app: &mut App, keys: &str| press(app, keys);
    let mut app = table();
    let effects = opened(&mut app, "↓↓↵");
    assert!(
        matches!(&effects[..], [.., Effect::Resume(run, _)] if run.name() == "widths/k=3"),
        "{effects:?}"
    );
    let mut app = table();
    update(&mut app, Message::Runs(vec![RunCard { state: RunState::Running, ..card("a", "4", None) }]));
    let effects = opened(&mut app, "G↵");
    assert!(matches!(&effects[..], [.., Effect::Attach(run, _)] if run.name() == "a"), "{effects:?}");
    let mut app = table();
    press(&mut app, "r");
    assert!(app.message.as_ref().is_some_and(|message| message.contains("space marks")) && !app.starting);
    press(&mut app, "  ");
    assert_eq!(chosen(&app), "widths/k=3", "each mark goes one further");
    press(&mut app, "↑ ↑↑");
    let marked = &app.picker.table.as_ref().unwrap().marked;
    assert!(
        matches!(&marked[..], [only] if only.ends_with("a")),
        "marked again, b is not any more: {marked:?}"
    );
}

#[test]
fn a_trial_keeps_its_name() {
    let mut app = table();
    for keys in ["↓↓R", ":rename x↵"] {
        assert!(press(&mut app, keys).iter().all(|effect| matches!(effect, Effect::Preview(..))));
        let said = app.message.take().unwrap_or_default();
        assert!(said.contains("its sweep, widths, finds it"), "{said}");
    }
}

#[test]
fn what_was_marked_is_compared_once_the_run_is_open() {
    let mut app = table();
    app.here = "/here".into();
    press(&mut app, " ");
    press(&mut app, "r");
    assert!(app.starting);
    let effects = start(&mut app, "runs/b");
    assert!(
        matches!(&effects[..], [Effect::Compare(own, other)] if own.ends_with("b") && other.ends_with("runs/a")),
        "{effects:?}"
    );
    let mut app = table();
    app.here = "/here".into();
    press(&mut app, " r");
    update(&mut app, Message::StartFailed("no".into()));
    assert!(app.comparing.is_empty(), "not with the next one");
}
