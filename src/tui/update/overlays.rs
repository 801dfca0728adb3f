//! Keys while an overlay is open.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent};

use super::leave::{leave, stop};
use super::{beside, compare, files, picker};
use crate::protocol::Command;
use crate::snapshot::Source;
use crate::tui::actions;
use crate::tui::app::{App, Leave, Overlay};
use crate::tui::command_line::{completions, parse};
use crate::tui::health::warnings;
use crate::tui::message::{Effect, is_typed, told};
use crate::tui::overlay::compare::{Pressed, rows};
use crate::tui::overlay::confirm::{self, QuitAnswer};
use crate::tui::overlay::further::Chosen;
use crate::tui::overlay::palette::{Listing, Outcome, Palette, remember};
use crate::tui::overlay::{health, help, resize};

/// Gives a key to `overlay`, which was taken out of the state and is put back if it stays open.
pub fn press(app: &mut App, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
    let code = key.code;
    match overlay {
        Overlay::Help(from) => {
            let help = actions::all_help(&app.config.keymap, app.context());
            app.overlay = help::press(from, &help, app.screen, code).map(Overlay::Help);
        }
        Overlay::Health(from) => {
            let warnings = app.workbench.as_ref().map(warnings).unwrap_or_default();
            app.overlay = health::press(from, &warnings, app.screen, &app.theme, code).map(Overlay::Health);
        }
        Overlay::Log(mut log) => app.overlay = log.press(code).then_some(Overlay::Log(log)),
        Overlay::Quit => match confirm::press_quit(code) {
            QuitAnswer::Detach if app.is_running() => return leave(app, Leave::Detach),
            QuitAnswer::Leave | QuitAnswer::Detach => return leave(app, Leave::Program),
            QuitAnswer::Stay => {}
        },
        Overlay::Back => match confirm::press_quit(code) {
            QuitAnswer::Detach if app.is_running() => return leave(app, Leave::DetachToRuns),
            QuitAnswer::Leave | QuitAnswer::Detach => return leave(app, Leave::Runs),
            QuitAnswer::Stay => {}
        },
        Overlay::Further(further) => match further.press(code) {
            Chosen::Open(further) => app.overlay = Some(Overlay::Further(further)),
            Chosen::Train(epochs) => return vec![Effect::Send(Command::Train(epochs))],
            Chosen::Look => {}
        },
        Overlay::Filter => return filtering(app, key),
        Overlay::Delete(run, _) if confirm::press_delete(code) => return vec![Effect::Delete(run)],
        Overlay::Delete(..) => {}
        Overlay::Stop if confirm::press_stop(code) => return stop(app, Leave::Program),
        Overlay::Stop => {}
        Overlay::Resize(input, _) => {
            let Some(workbench) = &mut app.workbench else { return vec![] };
            if let (true, Source::File { path, .. }) = (resize::press(code), input.source) {
                let asked = files::ask_for(workbench, path, true);
                return told(app, asked);
            }
            return workbench.stay().into_iter().map(Effect::Send).collect();
        }
        Overlay::Palette(palette) => return typed(app, palette, key),
        Overlay::Compare(mut choice) => {
            let rows = app.workbench.as_ref().map_or(0, |workbench| rows(workbench).len());
            let pressed = choice.press(code, rows, app.screen.height);
            let stays = matches!(pressed, Pressed::Stay | Pressed::Toggle(_));
            app.overlay = stays.then_some(Overlay::Compare(choice));
            match pressed {
                Pressed::Toggle(run) => return compare::toggle(app, &run),
                Pressed::Beside(run) => {
                    let opened = beside::open(app, &run);
                    return told(app, opened);
                }
                Pressed::Stay | Pressed::Close => {}
            }
        }
    }
    vec![]
}

/// A key while the filter of the list is typed.
fn filtering(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let mut filter = app.picker.filter.clone();
    match key.code {
        KeyCode::Enter => return vec![],
        KeyCode::Esc => return picker::set_filter(app, String::new()),
        KeyCode::Backspace if filter.is_empty() => return vec![],
        KeyCode::Backspace => drop(filter.pop()),
        KeyCode::Char(letter) if is_typed(key) => filter.push(letter),
        _ => {
            app.overlay = Some(Overlay::Filter);
            let by = match key.code {
                KeyCode::Up => -1,
                KeyCode::Down => 1,
                _ => return vec![],
            };
            let chosen = picker::step(app, by);
            return told(app, chosen);
        }
    }
    app.overlay = Some(Overlay::Filter);
    picker::set_filter(app, filter)
}

/// Pasted text is typed, where something is typed; elsewhere its letters are not keys.
pub fn paste(app: &mut App, text: &str) -> Vec<Effect> {
    match app.overlay.take() {
        Some(Overlay::Filter) => {
            app.overlay = Some(Overlay::Filter);
            let text: String = text.chars().filter(|letter| !letter.is_control()).take(200).collect();
            picker::set_filter(app, app.picker.filter.clone() + &text)
        }
        Some(Overlay::Palette(mut palette)) if app.leaving.is_none() => {
            palette.paste(text);
            typing(app, palette)
        }
        overlay => {
            app.overlay = overlay;
            app.message = Some("pasted text does nothing here; it goes into a command".into());
            vec![]
        }
    }
}

/// The line has changed, and perhaps what completes it.
fn typing(app: &mut App, mut palette: Box<Palette>) -> Vec<Effect> {
    let context = app.context();
    let listing = palette.to_list(&|line: &str| completions(line, context));
    app.overlay = Some(Overlay::Palette(palette));
    let list = |listing: Listing| Effect::List(app.located(Path::new(&listing.directory)), listing);
    listing.map(list).into_iter().collect()
}

/// A key while a command is typed.
fn typed(app: &mut App, mut palette: Box<Palette>, key: KeyEvent) -> Vec<Effect> {
    app.message = None;
    let context = app.context();
    let complete = |line: &str| completions(line, context);
    match palette.press(key, &complete, &app.commands) {
        Outcome::Typing => typing(app, palette),
        Outcome::Closed => vec![],
        Outcome::Entered(line) if line.is_empty() => vec![],
        Outcome::Entered(line) => {
            remember(&mut app.commands, &line);
            let done = parse(&line, context).and_then(|call| call(app));
            told(app, done)
        }
    }
}
