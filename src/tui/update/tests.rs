use super::*;
use crate::error::Error;
use crate::preset::Setting;
use crate::protocol::Command;
use crate::tui::config::Config;
use crate::tui::testing::{iteration, picker, press, sent, snapshot, workbench};
use crate::tui::theme::{Depth, Theme};

#[test]
fn typed_commands_do_what_keys_do_and_more() {
    use Setting::*;
    for (line, expected) in [
        (":set noise 0.3↵", vec![Command::Set(Noise(0.3))]),
        (":lr 5e-4↵", vec![Command::Set(LearningRate(5e-4))]),
        (":k 5↵u", vec![Command::Set(K(5)), Command::Set(K(4))]),
        (":pause↵", vec![Command::Pause]),
        (":sample 7↵", vec![Command::Watch(6)]),
        (":chec⇥↵", vec![Command::Checkpoint]),
        (":k 5⎋", vec![]),
        (":k 4↵", vec![]),
        (":k 6↵:k 4↵:↑↑↵", vec![Command::Set(K(6)), Command::Set(K(4)), Command::Set(K(6))]),
    ] {
        let mut app = workbench();
        assert_eq!(sent(&press(&mut app, line)), expected, "{line}");
        assert!(app.overlay.is_none(), "{line}");
    }
}

/// (line, message): nothing is sent.
#[test]
fn commands_that_cannot_be_are_refused_in_a_sentence() {
    for (line, words) in [
        (":k 0↵", "1 to 64"),
        (":nois 1↵", "did you mean noise"),
        (":sigma 0.3↵", "no model.distribution.e_sigma"),
        (":sample 65↵", "1 to 64"),
        (":set train.batch 3↵", "fork train.batch=3"),
        (":set noise MaskedUniform(probability: 0.1)↵", "noise cannot change while it trains; :fork noise="),
        (":set model.cell.layers.0.units=7↵", "; :restart model.cell.layers.0.units=7 starts a run with it"),
        (":set batch 3↵", "cannot be changed during training; choose from k"),
        (":fork batch=3↵", "did you mean train.batch?"),
        (":fork train.nothing=3↵", "nothing"),
        (":restart k=0↵", "1 to 64"),
        (":set noise=7↵", "noise"),
        (":fork model.cell.layers.0.units=7↵", ":restart model.cell.layers.0.units=7 begins it"),
    ] {
        let mut app = workbench();
        assert!(press(&mut app, line).is_empty(), "{line}");
        let message = app.message.clone().unwrap_or_default();
        assert!(message.contains(words), "{line}: {message}");
        assert!(!message.contains("--set"), "that is not where it was typed: {message}");
    }
}

#[test]
fn the_config_gives_actions_other_keys_or_says_why_not() {
    let mut app = workbench();
    app.configure(Ok(Config::parse(r#"(keys: { "pause": "ctrl-p", "help": "f1" })"#).unwrap()));
    assert!(press(&mut app, " ?").is_empty() && app.overlay.is_none(), "these have no meaning now");
    let pause = KeyEvent::new(KeyCode::Char('p'), KeyModifiers::CONTROL);
    assert_eq!(sent(&update(&mut app, Message::Key(pause))), [Command::Pause]);
    update(&mut app, Message::Key(KeyEvent::from(KeyCode::F(1))));
    assert!(matches!(app.overlay, Some(Overlay::Help(0))));
    press(&mut app, "⎋:pause↵");
    assert!(!app.workbench.unwrap().paused, "its name is what it was");
    let mut app = picker();
    app.configure(Err(Error::Usage("config.ron: no".into())));
    assert_eq!(app.message.as_deref(), Some("config.ron: no"));
    assert_eq!(press(&mut app, "q"), [Effect::Exit], "and the defaults are in force");
}

#[test]
fn colours_are_changed_anywhere_and_nothing_else() {
    use crate::tui::theme::Scheme;
    for mut app in [picker(), workbench()] {
        for (line, scheme) in [
            (":theme light↵", Scheme::Light),
            (":theme col⇥↵", Scheme::ColourBlind),
            (":theme pink↵", Scheme::ColourBlind),
        ] {
            assert!(press(&mut app, line).is_empty(), "{line}");
            assert_eq!(app.theme, Theme { depth: Depth::True, scheme }, "{line}");
        }
        assert!(app.message.as_deref().is_some_and(|message| message.contains("dark, light")));
    }
}

#[test]
fn a_click_chooses_and_a_second_opens() {
    let mut app = picker();
    let effects = update(&mut app, Message::Click(Target::Entry(2)));
    assert!(matches!(&effects[..], [Effect::Preview(p, 0)] if p.name == "static-shapes-nem"));
    assert!(update(&mut app, Message::Click(Target::Picker)).is_empty());
    let effects = update(&mut app, Message::Click(Target::Entry(2)));
    assert!(matches!(&effects[..], [Effect::Start(p, _)] if p.name == "static-shapes-nem"));
    assert!(update(&mut app, Message::Click(Target::Entry(2))).is_empty(), "once");
    assert!(update(&mut app, Message::Click(Target::Entry(1))).is_empty(), "while it is on its way");
    let mut app = picker();
    let chosen = Message::Click(Target::Entry(app.picker.selected));
    assert!(update(&mut app, chosen.clone()).is_empty(), "what was not chosen by a click");
    press(&mut app, "↓↑");
    assert!(update(&mut app, chosen.clone()).is_empty(), "the keyboard has come back to it");
    assert!(matches!(&update(&mut app, chosen)[..], [Effect::Start(..)]));
    let mut app = picker();
    let effects = update(&mut app, Message::Wheel(Some(Target::Picker), 1));
    assert!(matches!(&effects[..], [Effect::Preview(..)]) && app.picker.selected == 2);
}

#[test]
fn the_mouse_gives_the_focus_zooms_walks_and_points() {
    let mut app = workbench();
    for n in 1..=200 {
        update(&mut app, Message::Run(iteration(n)));
    }
    update(&mut app, Message::Picture(snapshot(0, vec![])));
    let bench = |app: &App| app.workbench.clone().unwrap();
    update(&mut app, Message::Click(Target::Pane(Pane::Scores)));
    assert_eq!(bench(&app).focus, Pane::Scores);
    update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Loss)), -1));
    assert!(bench(&app).curves.is_zoomed());
    update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Loss)), 1));
    assert!(!bench(&app).curves.is_zoomed());
    update(&mut app, Message::Wheel(Some(Target::Pane(Pane::Components)), -1));
    assert_eq!(bench(&app).em_step, Some(4));
    update(&mut app, Message::Click(Target::Step(2)));
    assert_eq!(bench(&app).em_step, Some(2));
    press(&mut app, "]]i");
    update(&mut app, Message::Click(Target::Pixel(3, 5)));
    let inspector = bench(&app).inspector.unwrap();
    assert_eq!((inspector.x, inspector.y), (3, 5));
    update(&mut app, Message::Wheel(Some(Target::Inspector), -1));
    assert_eq!(bench(&app).em_step, Some(3));
    press(&mut app, "?");
    update(&mut app, Message::Wheel(None, 1));
    assert!(matches!(app.overlay, Some(Overlay::Help(1))));
    update(&mut app, Message::Click(Target::Pixel(7, 7)));
    assert_eq!(bench(&app).inspector.unwrap().x, 3, "what lies above is not clicked through");
}

#[test]
fn the_mouse_is_given_to_the_terminal_and_taken_back() {
    for mut app in [picker(), workbench()] {
        assert_eq!(press(&mut app, "M"), [Effect::Mouse(false)]);
        assert!(app.message.as_deref().is_some_and(|message| message.contains("selects text; M")));
        assert_eq!(press(&mut app, "M"), [Effect::Mouse(true)]);
    }
}

#[test]
fn control_l_draws_everything_anew_whatever_is_on_the_screen() {
    let key = KeyEvent::new(KeyCode::Char('l'), KeyModifiers::CONTROL);
    for keys in ["", "?", ":k", "q", "qy", "i"] {
        for mut app in [picker(), workbench()] {
            press(&mut app, keys);
            let before = format!("{app:?}");
            assert_eq!(update(&mut app, Message::Key(key)), [Effect::Redraw], "{keys}");
            assert_eq!(format!("{app:?}"), before, "{keys}");
        }
    }
    let mut app = workbench();
    app.configure(Ok(Config::parse(r#"(keys: { "redraw": "Z" })"#).unwrap()));
    assert_eq!(press(&mut app, "Z"), [Effect::Redraw]);
    assert!(press(&mut app, ":Z").is_empty(), "it is typed");
    assert_eq!(press(&mut app, "⎋:redraw↵"), [Effect::Redraw]);
}

/// Text that is pasted is typed into a line that is open, or does nothing.
#[test]
fn pasted_text_steers_nothing() {
    let paste = |app: &mut App, text: &str| update(app, Message::Paste(text.into()));
    for keys in ["", "?", "q", "Q", "i", "r", "h", "\t"] {
        for mut app in [picker(), workbench()] {
            press(&mut app, keys);
            let before = format!("{:?}", (&app.workbench, &app.overlay, &app.leaving));
            assert!(paste(&mut app, "kK lL\rqy\u{3}").is_empty(), "{keys}");
            assert_eq!(format!("{:?}", (&app.workbench, &app.overlay, &app.leaving)), before, "{keys}");
        }
    }
    let mut app = workbench();
    press(&mut app, ":set ");
    assert!(paste(&mut app, "noise\r\n0.3\u{1b}\u{3}\n").is_empty(), "a line break runs nothing");
    assert_eq!(sent(&press(&mut app, "↵")), [Command::Set(Setting::Noise(0.3))]);
    let mut app = workbench();
    press(&mut app, ":open ");
    let effects = paste(&mut app, "my pictures/");
    assert!(matches!(&effects[..], [Effect::List(..)]), "{effects:?}");
}

#[test]
fn control_z_suspends_whatever_is_on_the_screen() {
    let key = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
    for keys in ["", "?", ":k", "q", "qy"] {
        let mut app = workbench();
        press(&mut app, keys);
        let before = format!("{app:?}");
        assert_eq!(update(&mut app, Message::Key(key)), [Effect::Suspend], "{keys}");
        assert_eq!(format!("{app:?}"), before, "{keys}");
    }
}
