//! What an action is: its name, keys, contexts, texts and function.

use std::path::Path;

use crokey::KeyCombination;
use crossterm::event::KeyCode::{self, Char};
use crossterm::event::{KeyEvent, KeyModifiers};

use self::Does::{Act, Pick, See, Steer, With};
use super::app::{App, Context};
use super::keymap::{Keymap, normal};
use super::message::Done;
use super::theme::Scheme;
use super::workbench::Workbench;
use crate::preset::Setting;

/// Something that a user can do.
pub struct Action {
    /// Its name after `:` and in the config.
    pub name: &'static str,
    /// Whether it can be typed; actions that move one step only have keys.
    pub typed: bool,
    /// The contexts where it applies.
    pub contexts: &'static [Context],
    /// Its keys, unless the config names others. A control character is Ctrl and its letter, as in ASCII.
    pub keys: &'static [KeyCode],
    /// At most two words for the hints; empty to leave it out.
    pub hint: &'static str,
    /// A line for the help. Neighbours with the same help share their line.
    pub help: &'static str,
    /// The argument after its name, for the help.
    pub takes: &'static str,
    /// What it does.
    pub does: Does,
}

/// What an action does.
#[derive(Clone, Copy)]
pub enum Does {
    /// Acts on the whole program.
    Act(fn(&mut App) -> Done),
    /// Acts on the picker, unless a run is already starting.
    Pick(fn(&mut App) -> Done),
    /// Acts on the run on the screen.
    Steer(fn(&mut Workbench) -> Done),
    /// Changes only the view of that run.
    See(fn(&mut Workbench)),
    /// Needs an argument, so it can only be typed.
    With(Argument),
}

/// How an argument is parsed, completed and used.
#[derive(Clone, Copy)]
pub enum Argument {
    /// A new value for a setting of this kind; the value here is ignored.
    Value(Setting),
    /// The name of a setting and its new value.
    AnySetting,
    /// Optionally the word "new".
    New(fn(&mut Workbench, bool) -> Done),
    /// A number from 1, passed on counted from 0.
    Number(fn(&mut Workbench, usize) -> Done),
    /// A file to write.
    File(fn(&mut App, &Path) -> Done),
    /// An image to read.
    Image(fn(&mut App, &Path) -> Done),
    /// The directory of a run.
    Run(fn(&mut App, &Path) -> Done),
    /// The name of a model, or the directory of a run or a checkpoint.
    Weights(fn(&mut App, &Path) -> Done),
    /// The name of a colour scheme.
    Theme(fn(&mut App, Scheme) -> Done),
    /// Any text, also none.
    Text(fn(&mut App, &str) -> Done),
    /// Settings of the preset, as NAME=VALUE.
    Sets(fn(&mut App, Vec<String>) -> Done),
    /// Optionally the name of a checkpoint, then settings of the preset.
    Checkpoint(fn(&mut App, Option<String>, Vec<String>) -> Done),
}

/// An action that takes an argument.
pub const fn typed(
    name: &'static str,
    contexts: &'static [Context],
    takes: &'static str,
    help: &'static str,
    argument: Argument,
) -> Action {
    Action { name, typed: true, contexts, keys: &[], hint: "", help, takes, does: With(argument) }
}

/// An action that has keys and can be typed.
pub const fn named(
    name: &'static str,
    contexts: &'static [Context],
    keys: &'static [KeyCode],
    hint: &'static str,
    help: &'static str,
    does: Does,
) -> Action {
    Action { name, typed: true, contexts, keys, hint, help, takes: "", does }
}

/// An action that only has keys; its name is for the config.
pub const fn bound(
    name: &'static str,
    contexts: &'static [Context],
    keys: &'static [KeyCode],
    hint: &'static str,
    help: &'static str,
    does: Does,
) -> Action {
    Action { typed: false, ..named(name, contexts, keys, hint, help, does) }
}

impl Action {
    /// Runs it, without an argument.
    ///
    /// # Errors
    /// A sentence: why it cannot be done.
    pub fn run(&self, app: &mut App) -> Done {
        match (self.does, &mut app.workbench) {
            (Act(act), _) => act(app),
            (Pick(_), _) if app.starting => Ok(vec![]),
            (Pick(pick), _) => pick(app),
            (Steer(steer), Some(workbench)) => steer(workbench),
            (See(see), Some(workbench)) => {
                see(workbench);
                Ok(vec![])
            }
            (Steer(_) | See(_), None) => Ok(vec![]),
            (With(_), _) => Err(format!("{} takes {}", self.name, self.takes)),
        }
    }

    /// Whether it can be given keys.
    pub fn is_bindable(&self) -> bool {
        !matches!(self.does, With(_))
    }

    /// Its keys, as configured.
    pub fn keys_in(&self, keymap: &Keymap) -> Vec<KeyCombination> {
        match keymap.get(self.name) {
            Some(keys) if self.is_bindable() => keys.to_vec(),
            _ => self.keys.iter().map(|code| normal(event(*code).into())).collect(),
        }
    }
}

/// Ctrl-L, as in ASCII.
pub const CONTROL_L: KeyCode = Char('\x0c');

/// The event of a key in the table.
pub fn event(code: KeyCode) -> KeyEvent {
    match code {
        Char(control @ '\x01'..='\x1a') => {
            KeyEvent::new(Char(char::from(control as u8 + b'a' - 1)), KeyModifiers::CONTROL)
        }
        code => KeyEvent::from(code),
    }
}
