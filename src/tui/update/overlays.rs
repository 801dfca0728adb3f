//! Keys while an overlay is open.

use std::path::Path;

use crossterm::event::KeyEvent;

use super::leave::{leave, stop};
use super::{beside, compare, files};
use crate::snapshot::Source;
use crate::tui::actions;
use crate::tui::app::{App, Leave, Overlay};
use crate::tui::command_line::{completions, parse};
use crate::tui::message::{Effect, told};
use crate::tui::overlay::compare::Pressed;
use crate::tui::overlay::confirm::{self, QuitAnswer};
use crate::tui::overlay::palette::{Listing, Outcome, Palette, remember};
use crate::tui::overlay::{help, resize};

/// Gives a key to `overlay`, which was taken out of the state and is put back if it stays open.
pub fn press(app: &mut App, overlay: Overlay, key: KeyEvent) -> Vec<Effect> {
    let code = key.code;
    match overlay {
        Overlay::Help(from) => {
            let lines = actions::help(&app.config.keymap, app.context()).len();
            app.overlay = help::press(from, lines, code).map(Overlay::Help);
        }
        Overlay::Health => {}
        Overlay::Log(mut log) => app.overlay = log.press(code).then_some(Overlay::Log(log)),
        Overlay::Quit => match confirm::press_quit(code) {
            QuitAnswer::Detach if app.is_running() => return leave(app, Leave::Detach),
            QuitAnswer::Leave | QuitAnswer::Detach => return leave(app, Leave::Program),
            QuitAnswer::Stay => {}
        },
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
            let pressed = choice.press(code);
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

/// Pasted text is typed, where something is typed; elsewhere its letters are no keys.
pub fn paste(app: &mut App, text: &str) -> Vec<Effect> {
    match app.overlay.take() {
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
