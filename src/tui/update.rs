//! `update`: a pure function from state and message to state and effects. No I/O, no clock, no terminal.

pub(super) mod beside;
pub(super) mod compare;
pub(super) mod draw;
pub(super) mod files;
pub(super) mod leave;
pub(super) mod log;
pub(super) mod look;
pub(super) mod overlays;
pub(super) mod past;
pub(super) mod picker;
pub(super) mod run;
pub(super) mod steer;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::actions;
use super::app::{App, Leave, Overlay};
pub use super::message::{Effect, Message};
use super::message::{Target, is_typed, told};
use super::overlay::palette::Wanted;
use super::workbench::{ComparedRun, Pane, Workbench};
use crate::paths::shown;

/// Handles a message.
pub fn update(app: &mut App, message: Message) -> Vec<Effect> {
    let mut effects = handle(app, message);
    effects.extend(beside::follow(app));
    effects
}

fn handle(app: &mut App, message: Message) -> Vec<Effect> {
    match message {
        Message::Shelf(shelf) => {
            app.picker.stock(shelf);
            if app.workbench.is_some() { vec![] } else { picker::preview(app) }
        }
        Message::Key(key) => pressed(app, key),
        Message::Paste(text) => overlays::paste(app, &text),
        Message::Click(target) => clicked(app, target),
        Message::Drag(target) => dragged(app, target),
        Message::Wheel(target, by) => wheeled(app, target, by),
        Message::Run(event) => run::heard(app, event),
        Message::Picture(snapshot) => match &mut app.workbench {
            Some(workbench) if !app.starting => {
                workbench.show(snapshot.clone());
                draw::answered(workbench, snapshot.input.as_ref())
            }
            _ => {
                app.early = Some(snapshot);
                vec![]
            }
        },
        Message::Beside(message) => beside::heard(app, *message),
        Message::Preview(preset, sample, preview) => {
            app.picker.take_preview(*preset, sample, preview);
            picker::more(app)
        }
        Message::StartFailed(sentence) => {
            (app.starting, app.opening) = (false, None);
            app.message = Some(sentence);
            vec![]
        }
        Message::Told(sentence) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Tick => app.workbench.as_mut().map_or_else(Vec::new, tick),
        Message::Moments(run, _) if !app.shows(&run) => vec![],
        Message::Moments(_, moments) => {
            if moments.is_empty() {
                app.message = Some("no moment of this run was kept yet".into());
            }
            app.workbench.as_mut().map_or_else(Vec::new, |workbench| past::open_album(workbench, moments))
        }
        // By now another one is wanted.
        Message::Moment(run, iteration, sample, _)
            if !app
                .workbench
                .as_ref()
                .map(look::read_moment)
                .unwrap_or_default()
                .contains(&Effect::Moment(run.clone(), iteration, sample)) =>
        {
            vec![]
        }
        Message::Moment(.., moment) => {
            match (moment, &mut app.workbench) {
                (Ok(snapshot), Some(workbench)) => workbench.look_back(snapshot),
                (Err(sentence), _) => app.message = Some(sentence),
                (Ok(_), None) => {}
            }
            vec![]
        }
        Message::Runs(runs) => runs.into_iter().flat_map(|run| picker::take_run(app, run)).collect(),
        Message::RunsGone(gone) => picker::read(app, &gone),
        Message::LookAgain if app.shows_runs() => picker::read_again(app),
        Message::LookAgain => vec![],
        Message::Attached => {
            (app.attached, app.offers) = (true, false);
            vec![]
        }
        Message::Details(run, details) => {
            if app.picker.selected_run().is_some_and(|chosen| chosen.directory == run) {
                app.picker.details = Some((run, details.unwrap_or_default()));
            }
            vec![]
        }
        Message::Seconds(preset, device, seconds) => {
            app.picker.seconds = Some((*preset, device, seconds));
            vec![]
        }
        Message::Deletable(run, Ok(deletion)) if app.overlay.is_none() && app.shows_runs() => {
            app.overlay = Some(Overlay::Delete(run, deletion));
            vec![]
        }
        Message::Deletable(_, Ok(_)) => vec![],
        Message::Deleted(run, Ok(())) => {
            app.message = Some(format!("{} was deleted", shown(&run)));
            picker::read(app, &[run])
        }
        Message::Renamed(run, Ok((to, sentence))) => {
            app.message = Some(sentence);
            picker::renamed(app, &run, to)
        }
        Message::Noted(_, Ok(())) if app.workbench.is_some() => {
            app.message = Some("noted; the list of runs shows it".into());
            vec![]
        }
        Message::Noted(_, Ok(())) => picker::read_again(app),
        Message::Detached(run, done) => {
            app.picker.detaching = None;
            app.message = Some(match done {
                Ok(()) => format!("{} continues in the background", shown(&run)),
                Err(sentence) => sentence,
            });
            if app.shows_runs() { picker::read_again(app) } else { vec![] }
        }
        Message::Deletable(_, Err(sentence))
        | Message::Deleted(_, Err(sentence))
        | Message::Renamed(_, Err(sentence))
        | Message::Noted(_, Err(sentence)) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::AllRuns => {
            picker::all_runs_found(app);
            vec![]
        }
        Message::Listed(listing, mut names) => {
            if listing.wants == Wanted::Weights && listing.directory.is_empty() {
                names.splice(..0, app.picker.models());
            }
            if let Some(Overlay::Palette(palette)) = &mut app.overlay {
                palette.list(&listing, names);
            }
            vec![]
        }
        Message::Log(run, _) if !app.shows(&run) => vec![],
        Message::Log(_, lines) => {
            log::take_in(app, lines);
            vec![]
        }
        Message::Reread if app.follows_log() => log::read(app),
        Message::Reread => vec![],
        Message::Compared(run, ..) if !app.shows(&run) => vec![],
        Message::Compared(_, directory, read) => {
            compare::add(app, ComparedRun::new(directory, *read));
            vec![]
        }
        Message::Found(run, ..) if !app.shows(&run) => vec![],
        Message::Found(_, Ok(_), _) if app.starting || app.leaving.is_some() => vec![],
        Message::Found(_, Ok(checkpoint), sets) => leave::leave(app, Leave::Fork(checkpoint, sets)),
        Message::Found(_, Err(sentence), _) => {
            app.message = Some(sentence);
            vec![]
        }
        Message::Terminate => leave::leave(app, Leave::Program),
        Message::RunGone => run::gone(app),
    }
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return leave::leave(app, Leave::Program);
        }
        KeyCode::Char('z') if key.modifiers.contains(KeyModifiers::CONTROL) => return vec![Effect::Suspend],
        _ => {}
    }
    let redraws =
        actions::pressed(&app.config.keymap, app.context(), key).is_some_and(|a| a.name == "redraw");
    // Also under an overlay, unless that is where a character is typed.
    if redraws && (app.overlay.is_none() || !is_typed(key)) {
        return vec![Effect::Redraw];
    }
    if app.leaving.is_some() {
        return vec![];
    }
    match app.overlay.take() {
        Some(overlay) => overlays::press(app, overlay, key),
        None => {
            app.message = None;
            let action = actions::pressed(&app.config.keymap, app.context(), key);
            let done = action.map_or(Ok(vec![]), |action| action.run(app));
            told(app, done)
        }
    }
}

/// Shows the next moment if the album is playing, else the next EM step.
fn tick(workbench: &mut Workbench) -> Vec<Effect> {
    match &mut workbench.album {
        Some(album) if album.playing => {
            album.play_on();
            look::read_moment(workbench)
        }
        _ => {
            workbench.play_on();
            vec![]
        }
    }
}

/// Overlays take only keys, so clicks do nothing then. The filter lies over nothing: a click in the list ends its typing.
fn clicked(app: &mut App, target: Target) -> Vec<Effect> {
    if !matches!(app.overlay, None | Some(Overlay::Filter)) || app.leaving.is_some() {
        return vec![];
    }
    (app.overlay, app.message) = (None, None);
    match (target, &mut app.workbench) {
        (Target::Entry(_), None) if app.starting => {}
        (Target::Entry(entry), None) => {
            let picker = &mut app.picker;
            let before = std::mem::replace(&mut picker.selected, entry);
            return match picker.clicked.replace(entry) {
                Some(clicked) if clicked == entry && before == entry => {
                    let opened = picker::open(app);
                    told(app, opened)
                }
                _ if before == entry => vec![],
                _ => picker::preview(app),
            };
        }
        (Target::Pane(pane), Some(workbench)) => workbench.focus = pane,
        (Target::Step(step), Some(workbench)) => {
            let chosen = look::show_em_step(workbench, step);
            return told(app, chosen);
        }
        (Target::Pixel(x, y), Some(workbench)) if workbench.inspector.is_some() => {
            let pressed = draw::press(workbench, (x, y));
            return told(app, pressed);
        }
        _ => {}
    }
    vec![]
}

/// The pressed mouse has moved, or was released.
fn dragged(app: &mut App, target: Option<Target>) -> Vec<Effect> {
    if app.overlay.is_some() || app.leaving.is_some() {
        return vec![];
    }
    let done = match (target, &mut app.workbench) {
        (Some(Target::Pixel(x, y)), Some(workbench)) => draw::drag(workbench, (x, y)),
        (None, Some(workbench)) => draw::release(workbench),
        _ => Ok(vec![]),
    };
    told(app, done)
}

/// The wheel scrolls what is under it; over curves, up zooms in.
fn wheeled(app: &mut App, target: Option<Target>, by: i64) -> Vec<Effect> {
    if app.leaving.is_some() {
        return vec![];
    }
    let line = KeyEvent::from(if by < 0 { KeyCode::Up } else { KeyCode::Down });
    match (&app.overlay, target, &mut app.workbench) {
        (Some(Overlay::Help(_) | Overlay::Health(_) | Overlay::Log(_)), ..) => return pressed(app, line),
        (Some(Overlay::Filter) | None, Some(Target::Entry(_) | Target::Picker), _) if app.starting => {}
        (Some(Overlay::Filter) | None, Some(Target::Entry(_) | Target::Picker), _) => {
            let chosen = picker::step(app, by);
            return told(app, chosen);
        }
        (Some(_), ..) | (None, None, _) | (None, Some(_), None) => {}
        (None, Some(Target::Pane(Pane::Loss | Pane::Scores)), Some(workbench)) => look::scale(workbench, -by),
        (None, Some(_), Some(workbench)) => look::em_step(workbench, by),
    }
    vec![]
}

#[cfg(test)]
mod tests {
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
            (
                ":set noise MaskedUniform(probability: 0.1)↵",
                "noise cannot change while it trains; :fork noise=",
            ),
            (
                ":set model.cell.layers.0.units=7↵",
                "; :restart model.cell.layers.0.units=7 starts a run with it",
            ),
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
}
