//! Keys: how they are compared and written, and which ones the user has changed.

use std::collections::BTreeMap;

use crokey::{KeyCombination, OneToThree};
use crossterm::event::KeyCode::Char;
use crossterm::event::KeyModifiers;

/// The keys that the user has given to actions, by the actions' names, instead of those in the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keymap(BTreeMap<&'static str, Vec<KeyCombination>>);

impl Keymap {
    /// The user's keys for this action; `None` if it has the table's.
    pub fn get(&self, action: &str) -> Option<&[KeyCombination]> {
        self.0.get(action).map(Vec::as_slice)
    }

    /// Gives keys to an action.
    pub fn set(&mut self, action: &'static str, keys: Vec<KeyCombination>) {
        self.0.insert(action, keys);
    }
}

/// The one form in which keys are compared: a capital letter has shift, and no other sign has it.
pub fn normal(key: KeyCombination) -> KeyCombination {
    let mut key = key.normalized();
    if matches!(key.codes, OneToThree::One(Char(sign)) if !sign.is_ascii_alphabetic()) {
        key.modifiers -= KeyModifiers::SHIFT;
    }
    key
}

/// Reads a key of the config, for the action of this name.
///
/// # Errors
/// A sentence for an unknown key, or one that cannot be reassigned.
pub fn parse_key(action: &str, text: &str) -> Result<KeyCombination, String> {
    let example = "write it like \"p\", \"P\", \"ctrl-p\", \"f2\" or \"left\"";
    let key = match text.as_bytes() {
        [b'A'..=b'Z'] => crokey::parse(&format!("shift-{text}")),
        _ => crokey::parse(text),
    };
    let key = key.map_err(|_| format!("keys: {text:?}, for {action:?}, is not a key; {example}"))?;
    if !key.is_ansi_compatible() {
        return Err(format!("keys: {text:?}, for {action:?}, is more than one key; {example}"));
    }
    let key = normal(key);
    match written(key).as_str() {
        "ctrl-c" => Err(format!("keys: ctrl-c always saves and leaves; give {action:?} another key")),
        "ctrl-z" => Err(format!("keys: ctrl-z always suspends; give {action:?} another key")),
        _ => Ok(key),
    }
}

/// A key as the config writes it.
pub fn written(key: KeyCombination) -> String {
    match key.codes {
        OneToThree::One(Char(letter)) if key.modifiers == KeyModifiers::SHIFT => letter.to_string(),
        _ => key.to_string().to_lowercase(),
    }
}

/// A key as the screen writes it.
pub fn shown(key: KeyCombination) -> String {
    let text = written(key);
    let signs = [("left", "←"), ("right", "→"), ("up", "↑"), ("down", "↓"), ("hyphen", "-")];
    for (name, sign) in signs {
        match text.strip_suffix(name) {
            Some(head) if head.is_empty() || head.ends_with('-') => return format!("{head}{sign}"),
            _ => {}
        }
    }
    text
}
