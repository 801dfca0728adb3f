//! The config as a file: RON text, in which every setting may be left out.

use std::collections::BTreeMap;

use ron::extensions::Extensions;
use ron::ser::PrettyConfig;
use serde::{Deserialize, Serialize};

use super::{Config, Notice, Pictures};
use crate::precision::PrecisionName;
use crate::tui::actions;
use crate::tui::theme::Scheme;

/// The file. What it leaves out has its default.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Config", deny_unknown_fields, default)]
struct File {
    theme: Scheme,
    mouse: bool,
    notice: Option<Notice>,
    pictures: Pictures,
    precision: Option<PrecisionName>,
    keys: BTreeMap<String, Keys>,
}

/// The keys of an action.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a key or a list of keys is expected here, such as \"ctrl-p\" or [\"p\", \"f2\"]"
)]
enum Keys {
    One(String),
    Many(Vec<String>),
}

impl Default for File {
    fn default() -> File {
        let Config { theme, mouse, notice, pictures, precision, .. } = Config::default();
        File { theme, mouse, notice, pictures, precision, keys: BTreeMap::new() }
    }
}

/// As in presets, `Some` is not written.
fn options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

impl Config {
    /// Reads RON text.
    ///
    /// # Errors
    /// A sentence, with line and column where the text is to blame: what is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Config, String> {
        let file: File = options().from_str(text).map_err(|e| {
            let hint = match e.code {
                ron::Error::ExpectedNamedStructLike(_)
                | ron::Error::ExpectedDifferentStructName { .. }
                | ron::Error::Eof => "; put everything in parentheses, like (theme: Light, mouse: false)",
                _ => "",
            };
            format!("line {}, column {}: {}{hint}", e.span.start.line, e.span.start.col, e.code)
        })?;
        let File { theme, mouse, notice, pictures, precision, keys } = file;
        let keys = keys.into_iter().map(|(name, keys)| match keys {
            Keys::One(key) => (name, vec![key]),
            Keys::Many(keys) => (name, keys),
        });
        Ok(Config { theme, mouse, notice, pictures, precision, keymap: actions::keymap(&keys.collect())? })
    }

    /// All of it as RON text that [`Config::parse`] reads back, with every action's name.
    pub fn to_ron(&self) -> String {
        let Config { theme, mouse, notice, pictures, precision, ref keymap } = *self;
        let keys = actions::names(keymap).into_iter().map(|(name, keys)| (name, Keys::Many(keys))).collect();
        let file = File { theme, mouse, notice, pictures, precision, keys };
        // A list of keys stays on its line.
        let pretty =
            PrettyConfig::new().indentor("    ").depth_limit(2).extensions(Extensions::IMPLICIT_SOME);
        // Plain values written into memory have no way to fail.
        options().to_string_pretty(&file, pretty).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read_with_all_it_leaves_out() {
        assert_eq!(Config::parse("()"), Ok(Config::default()));
        assert_eq!(Config::parse("(notice: None, theme: Dark)"), Ok(Config::default()));
        let text = r#"(theme: Light, mouse: false, notice: Bell, pictures: Blocks, precision: Bf16,
            keys: { "pause": "ctrl-p", "inspect": ["i", "f2"] })"#;
        let config = Config::parse(text).unwrap();
        assert_eq!((config.theme, config.mouse), (Scheme::Light, false));
        assert_eq!((config.notice, config.pictures), (Some(Notice::Bell), Pictures::Blocks));
        assert_eq!(config.precision, Some(PrecisionName::Bf16));
        let names = actions::names(&config.keymap);
        assert_eq!(
            (&names["pause"][..], &names["inspect"][..]),
            (&["ctrl-p".to_owned()][..], &["i".into(), "f2".into()][..])
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["()", r#"(theme: ColourBlind, notice: Desktop, keys: { "quit": [], "help": "f1" })"#] {
            let config = Config::parse(text).unwrap();
            let again = Config::parse(&config.to_ron()).unwrap();
            assert_eq!(again.to_ron(), config.to_ron());
            assert!(config.to_ron().starts_with("(\n    theme: "), "{}", config.to_ron());
            assert!(config.to_ron().contains("\"k-up\": [\"K\"]"), "{}", config.to_ron());
            assert!(
                config.to_ron().contains(["notice: None,", "notice: Desktop,"][usize::from(text != "()")])
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
        for (text, words) in [
            ("(\n  thema: Light)", "line 2, column 3: "),
            ("(thema: Light)", "`thema`"),
            ("(thema: Light)", "`theme`"),
            ("(theme: Pink)", "`ColourBlind`"),
            ("(mouse: 3)", "bool"),
            ("theme: Light", "in parentheses"),
            ("", "in parentheses"),
            ("(keys: { \"pause\": 3 })", "a key or a list of keys is expected"),
            ("(keys: { \"paus\": \"x\" })", "did you mean \"pause\"?"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
