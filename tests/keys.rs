//! What every key does in every state: what it changes, and what it asks the engine for. The tables are made from
//! the key table, so no binding is left out; a key that does nothing in any state of its context fails the test.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use crossterm::event::KeyCode;
use nem_tui::preset::{Preset, Setting};
use nem_tui::protocol::{Command, Event, Finish, RunCard, RunKind, Watched};
use nem_tui::tui::actions;
use nem_tui::tui::app::{App, Context, Entry, Overlay};
use nem_tui::tui::draw::Drawing;
use nem_tui::tui::theme::Depth;
use nem_tui::tui::update::{Effect, Message, update};

/// The parts of the state that are compared, by name. What a key only asks for shows in its effects.
fn seen(app: &App) -> Vec<(&'static str, String)> {
    let overlay = app.overlay.as_ref().map(|overlay| match overlay {
        Overlay::Help(line) => format!("help from line {line}"),
        Overlay::Palette(palette) => format!("palette {:?}", palette.input.value()),
        Overlay::Log(log) => format!("log, {} lines below", log.below),
        Overlay::Health(line) => format!("health from line {line}"),
        Overlay::Quit => "save and leave?".into(),
        Overlay::Stop => "end the run?".into(),
        Overlay::Resize(..) => "resize it?".into(),
        Overlay::Compare(choice) => format!("other runs, at {}", choice.selected),
        Overlay::Back => "back to the list?".into(),
        Overlay::Further(further) => format!("train {} further?", further.epochs),
        Overlay::Filter => "filter".into(),
        Overlay::Delete(run, _) => format!("delete {}?", run.display()),
    });
    let mut seen = vec![
        ("said", app.message.clone().unwrap_or_default()),
        ("over", overlay.unwrap_or_default()),
        ("leaving", format!("{:?}", app.leaving)),
        ("starting", app.starting.to_string()),
        ("mouse", app.config.mouse.to_string()),
        ("selected", app.picker.selected.to_string()),
        ("preview", app.picker.sample.to_string()),
        ("device", app.picker.device().to_owned()),
        ("filter", app.picker.filter.clone()),
        (
            "table",
            app.picker.table.as_ref().map_or(String::new(), |table| {
                format!(
                    "by {}, reversed {}, {} marked, {} left",
                    table.by.as_ref().map_or("age", |column| column.heading()),
                    table.reversed,
                    table.marked.len(),
                    table.skipped
                )
            }),
        ),
    ];
    let Some(workbench) = &app.workbench else { return seen };
    let value = |kind: &Setting, preset: &Preset| {
        kind.current(preset).map_or("none".to_owned(), |setting| setting.value().to_string())
    };
    let inspector = workbench.inspector.as_ref();
    let conditions = inspector.map_or(String::new(), |inspector| {
        let of = |kind: Setting| format!("{} {}", kind.short(), value(&kind, &inspector.preset));
        Setting::KINDS.map(of).join(", ")
    });
    let past = workbench.album.as_ref().map_or("now".to_owned(), |album| {
        let (at, of) = album.place();
        format!("moment {at}/{of}, {}", if album.playing { "played" } else { "still" })
    });
    seen.extend(Setting::KINDS.iter().map(|kind| (kind.short(), value(kind, &workbench.wanted))));
    seen.extend([
        ("sample", workbench.sample.to_string()),
        ("EM step", format!("{:?}", workbench.em_step)),
        ("playing", workbench.playing.to_string()),
        ("masks", format!("{:?}", workbench.masks)),
        ("rows", format!("{:?}", workbench.rows)),
        ("sorted", workbench.sorted.to_string()),
        ("undo", workbench.undo.len().to_string()),
        ("past", past),
        ("paused", workbench.paused.to_string()),
        ("profile", workbench.profiles.is_some().to_string()),
        ("focus", format!("{:?}", workbench.focus)),
        ("zoomed", workbench.zoomed.to_string()),
        ("curves", format!("{:?}", workbench.curves)),
        (
            "drawing",
            inspector.and_then(|inspector| inspector.drawing.as_deref()).map_or(String::new(), drawn),
        ),
        (
            "beside",
            workbench.beside.as_ref().map_or(String::new(), |beside| beside.what.display().to_string()),
        ),
        ("pixel", inspector.map_or(String::new(), |at| format!("x {}, y {}, page {}", at.x, at.y, at.page))),
        ("here", conditions),
    ]);
    seen
}

fn drawn(drawing: &Drawing) -> String {
    let lit = drawing.canvas.values().iter().filter(|value| **value > 0.0).count();
    let (objects, known) = (drawing.canvas.pieces().len(), drawing.canvas.why_unknown().is_none());
    format!(
        "{lit} lit, {objects} objects, known {known}, pen {:?}, brush {}, value {}, held {:?}",
        drawing.pen, drawing.size, drawing.value, drawing.held
    )
}

/// An effect, without the whole preset or picture.
fn asked(effect: &Effect) -> String {
    match effect {
        Effect::Start(preset, device) => format!("Start({}, {device})", preset.name),
        Effect::Preview(preset, index) => format!("Preview({}, {index})", preset.name),
        Effect::Resume(run, device) => format!("Resume({}, {device})", run.directory.display()),
        Effect::RunsAgain(_) => "RunsAgain".into(),
        Effect::Seconds(preset, device) => format!("Seconds({}, {device})", preset.name),
        Effect::Save(_, view, file) => format!("Save({view:?}, {file:?})"),
        Effect::Send(Command::Input(Some(input))) => format!("Send(Input({}))", input.name()),
        other => format!("{other:?}"),
    }
}

/// What a key changes and asks for; empty if nothing.
fn row(app: &App, key: KeyCode) -> String {
    let mut after = app.clone();
    let effects = update(&mut after, Message::Key(actions::event(key)));
    let changed = |((name, before), (_, after)): (&(&str, String), &(&str, String))| {
        let (before, after) = apart(before, after)?;
        Some(match (before.is_empty(), after.is_empty()) {
            (true, _) => format!("{name}: {after}"),
            (_, true) => format!("{name} gone"),
            _ => format!("{name}: {before} → {after}"),
        })
    };
    let goes_back = app.workbench.is_some() && after.workbench.is_none();
    let (before, after) = (seen(app), seen(&after));
    // Only one of the two screens shows a run.
    assert_eq!(before.len() != after.len(), goes_back);
    let list = goes_back.then(|| "the list".to_owned());
    let changes = before.iter().zip(&after).filter_map(changed);
    list.into_iter().chain(changes).chain(effects.iter().map(asked)).collect::<Vec<_>>().join("; ")
}

/// The words in which two texts differ, or `None` if they are equal.
fn apart(before: &str, after: &str) -> Option<(String, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split(", ").collect(), after.split(", ").collect());
    if old.len() != new.len() {
        return Some((before.to_owned(), after.to_owned()));
    }
    let different: Vec<(&str, &str)> = old.into_iter().zip(new).filter(|(old, new)| old != new).collect();
    let (old, new): (Vec<&str>, Vec<&str>) = different.into_iter().unzip();
    (!old.is_empty()).then(|| (old.join(", "), new.join(", ")))
}

fn name(key: KeyCode) -> String {
    match key {
        KeyCode::Char(' ') => "space".into(),
        KeyCode::Char('\x0c') => "^L".into(),
        KeyCode::Char(letter) => letter.to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The states of a context: the first in full, the others where they differ from it.
fn table(context: Context, states: &[(&str, App)]) -> String {
    let keys: Vec<KeyCode> = actions::of(context).flat_map(|action| action.keys).copied().collect();
    let mut table = String::new();
    for (at, (title, app)) in states.iter().enumerate() {
        assert_eq!(app.context(), context, "{title}");
        table += &format!("{title}\n");
        for key in &keys {
            let done = row(app, *key);
            if at == 0 || done != row(&states[0].1, *key) {
                table += format!("  {:<6}{done}", name(*key)).trim_end();
                table.push('\n');
            }
        }
    }
    for key in keys {
        let does = states.iter().any(|(_, app)| !row(app, key).is_empty());
        assert!(does, "{} does nothing in {context:?}:\n{table}", name(key));
    }
    table
}

fn changed(app: &App) -> App {
    support::pressed(app, "K")
}

fn attached(app: &App) -> App {
    App { attached: true, ..app.clone() }
}

fn in_the_past(app: &App) -> App {
    let mut app = app.clone();
    support::look_back(&mut app);
    app
}

fn over(app: &App) -> App {
    let mut app = app.clone();
    update(&mut app, Message::Run(Event::Done(Finish::EarlyStop)));
    app
}

fn gone(app: &App) -> App {
    let mut app = app.clone();
    update(&mut app, Message::Run(Event::Finished(Finish::MaxEpochs)));
    app
}

fn scored(app: &App) -> App {
    let mut app = app.clone();
    let amis = (0..64).map(|sample| Some(if sample == 9 { 0.1 } else { 0.9 })).collect();
    update(&mut app, Message::Run(Event::WatchedScores(Watched { amis, ..Watched::default() })));
    app
}

#[test]
fn every_key_in_the_picker() {
    let picker = support::picker(Depth::True);
    let at = |entry: usize| App {
        picker: nem_tui::tui::app::Picker { selected: entry, ..picker.picker.clone() },
        ..picker.clone()
    };
    let last = picker.picker.entries.len() - 1;
    assert!(matches!(picker.picker.entries[0], Entry::Model(_)));
    assert!(matches!(picker.picker.entries[last], Entry::Run(_)));
    let mut filtered = at(last);
    filtered.picker.filter = "run".into();
    let states = [
        ("a preset", picker.clone()),
        ("a model, the first", at(0)),
        ("a run, the last", at(last)),
        ("a run, filtered", filtered),
    ];
    insta::assert_snapshot!("picker", table(Context::Picker, &states));
}

#[test]
fn every_key_in_the_table_of_runs() {
    let table_of_runs = support::table(Depth::True);
    let mut filtered = table_of_runs.clone();
    filtered.picker.filter = "k=5".into();
    let states = [
        ("two are marked", table_of_runs.clone()),
        ("none is marked", support::pressed(&table_of_runs, "tt")),
        ("filtered", filtered),
        ("scrolled", support::pressed(&table_of_runs, "→→")),
    ];
    insta::assert_snapshot!("table", table(Context::Table, &states));
}

#[test]
fn every_key_in_the_workbench_and_on_its_curves() {
    let workbench = support::workbench(Depth::True, support::preset("quickstart"), 620, 4, 6);
    let digits = support::workbench(Depth::True, support::preset("flying-mnist-2"), 620, 2, 6);
    let states = [
        ("a training, K changed", changed(&workbench)),
        ("a look into its past", in_the_past(&workbench)),
        ("nothing changed", workbench.clone()),
        ("an EM step back", support::pressed(&workbench, "[")),
        ("Gaussian pixels", digits.clone()),
        ("another process's", attached(&workbench)),
        ("it is over", over(&workbench)),
        ("its engine is gone", gone(&workbench)),
        ("its samples have scores", scored(&workbench)),
    ];
    insta::assert_snapshot!("workbench", table(Context::Workbench, &states));
    let focused = |(title, app): &(&'static str, App)| (*title, support::pressed(app, "\t"));
    let mut curves: Vec<(&str, App)> = states.iter().map(focused).collect();
    curves.push(("zoomed, and read", support::pressed(&curves[0].1, "+++←←<")));
    curves.push(("the scores", support::pressed(&curves[0].1, "\tV")));
    insta::assert_snapshot!("curves", table(Context::Curves, &curves));
}

#[test]
fn every_key_in_the_inspector() {
    let workbench = support::workbench(Depth::True, support::preset("quickstart"), 620, 4, 6);
    let digits = support::workbench(Depth::True, support::preset("flying-mnist-2"), 620, 2, 6);
    let states = [
        ("a sample", support::pressed(&workbench, "i")),
        ("an EM step back", support::pressed(&workbench, "i[")),
        ("under other conditions", support::pressed(&workbench, "iK")),
        ("in the past", support::pressed(&in_the_past(&workbench), "i")),
        ("Gaussian pixels", support::pressed(&digits, "i")),
    ];
    insta::assert_snapshot!("inspector", table(Context::Inspector, &states));
}

#[test]
fn every_key_at_a_model() {
    let model = support::model(Depth::True);
    let mut digits = support::workbench(Depth::True, support::preset("flying-mnist-2"), 0, 2, 6);
    digits.workbench.as_mut().unwrap().info.kind = RunKind::Model;
    let states = [
        ("a model", model.clone()),
        ("an EM step back", support::pressed(&model, "[")),
        ("Gaussian pixels", digits.clone()),
    ];
    insta::assert_snapshot!("model", table(Context::Model, &states));
    let states = [
        ("a model's sample", support::pressed(&model, "i")),
        ("an EM step back", support::pressed(&model, "i[")),
        ("Gaussian pixels", support::pressed(&digits, "i")),
    ];
    insta::assert_snapshot!("model_inspector", table(Context::ModelInspector, &states));
}

#[test]
fn every_key_while_drawing() {
    let workbench = support::workbench(Depth::True, support::preset("quickstart"), 620, 4, 6);
    let mut digits = support::workbench(Depth::True, support::preset("flying-mnist-2"), 620, 2, 6);
    digits.workbench.as_mut().unwrap().info.kind = RunKind::Model;
    let states = [
        ("on a sample", support::pressed(&workbench, "id")),
        ("a shape is stamped", support::pressed(&workbench, "id1")),
        ("a shape is held", support::drawing(Depth::True)),
        ("the pen is down", support::pressed(&workbench, "idp")),
        ("a stroke is undone", support::pressed(&workbench, "id1u")),
        ("a larger brush", support::pressed(&workbench, "id++")),
        ("an EM step back", support::pressed(&workbench, "id[")),
        ("grey digits, a darker brush", support::pressed(&digits, "id<<")),
    ];
    insta::assert_snapshot!("draw", table(Context::Draw, &states));
}

#[test]
fn every_key_side_by_side() {
    let beside = support::beside(Depth::True);
    let states = [("two models", beside.clone()), ("an EM step back", support::pressed(&beside, "["))];
    insta::assert_snapshot!("beside", table(Context::Beside, &states));
}

/// An overlay takes the keys first.
#[test]
fn every_key_over_the_screen() {
    let workbench = support::workbench(Depth::True, support::preset("quickstart"), 620, 4, 6);
    let mut runs = workbench.clone();
    let run = |name: &str| RunCard {
        directory: format!("runs/{name}").into(),
        preset: support::preset("quickstart"),
        seed: 2,
        iteration: 9,
        ami: None,
        changed: std::time::SystemTime::UNIX_EPOCH,
        trouble: None,
        ..RunCard::new("runs".into(), support::preset("quickstart"))
    };
    runs = support::pressed(&runs, "r");
    update(&mut runs, Message::Runs(vec![run("a"), run("b")]));
    let mut log = support::pressed(&workbench, "!");
    let own = log.workbench.as_ref().unwrap().info.directory.clone();
    update(&mut log, Message::Log(own, Ok((0..30).map(|n| format!("line {n}")).collect())));
    let places = [
        ("help", support::pressed(&workbench, "?")),
        ("health", support::pressed(&workbench, "h")),
        ("save and leave?", support::pressed(&workbench, "q")),
        ("end the run?", support::pressed(&attached(&workbench), "Q")),
        ("other runs", runs),
        ("log", log),
        ("palette", support::pressed(&workbench, ":k 5")),
    ];
    let keys = [
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::Char(' '),
        KeyCode::Char('b'),
        KeyCode::Char('d'),
        KeyCode::Char('n'),
        KeyCode::Char('q'),
        KeyCode::Char('y'),
    ];
    let mut table = String::new();
    for (title, app) in &places {
        table += &format!("{title}\n");
        for key in keys {
            let done = row(app, key);
            table += format!("  {:<9}{done}", name(key)).trim_end();
            table.push('\n');
        }
    }
    insta::assert_snapshot!("over_the_screen", table);
}
