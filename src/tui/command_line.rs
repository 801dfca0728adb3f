//! The commands that are typed after `:`: what they mean, and how they are completed.
//!
//! Whatever a key does can be typed by its name; some things need an argument and can only be typed.

use std::path::{Path, PathBuf};

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

use super::keymap::{self, Action, Context};
use super::theme::Scheme;
use crate::error::{Error, Result};
use crate::preset::Setting;

/// What a line means.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed {
    /// What a key does too.
    Do(Action),
    /// Change a value.
    Set(Setting),
    /// Show this watched sample, counted from 0.
    Sample(usize),
    /// Show this EM step, counted from 0.
    EmStep(usize),
    /// Write what is looked at to this file.
    Export(PathBuf),
    /// Draw the curves of the run in this directory beside this one's, or no longer.
    Compare(PathBuf),
    /// Other colours.
    Theme(Scheme),
    /// Look into the image in this file.
    Open(PathBuf),
    /// A new run from this one's state, or from its checkpoint of that name, with these settings of its preset.
    Fork(Option<String>, Vec<String>),
    /// A new run from this one's initial weights, with these settings of its preset.
    Restart(Vec<String>),
}

/// A command that takes an argument.
pub struct Word {
    /// What is typed.
    pub name: &'static str,
    /// What follows it.
    pub takes: &'static str,
    /// A line for the list.
    pub help: &'static str,
}

const fn word(name: &'static str, takes: &'static str, help: &'static str) -> Word {
    Word { name, takes, help }
}

/// The commands that take arguments, in the order of the list.
#[rustfmt::skip] // a table
pub const WORDS: &[Word] = &[
    word("set", "NAME VALUE", "change a value: k, noise, lr, steps, inter, objects, sigma"),
    word("k", "N", "the number of components"),
    word("noise", "P", "the probability of the input noise"),
    word("lr", "RATE", "the learning rate"),
    word("steps", "N", "the number of EM steps"),
    word("inter", "WEIGHT", "the weight of the inter-cluster loss"),
    word("objects", "N", "objects per image"),
    word("sigma", "S", "the deviation e_sigma of the Gaussian E-step"),
    word("sample", "N", "show watched sample N"),
    word("em", "N", "show EM step N"),
    word("export", "FILE", "write a .png, .gif, .npz or .safetensors of it, .svg or .csv of the curves"),
    word("compare", "RUN", "draw the curves of the run in this directory beside this one's, or no longer"),
    word("theme", "NAME", "other colours: dark, light, colour-blind"),
    word("open", "FILE", "look into an image of your own: .png, .gif or .npy"),
    word("fork", "[best] [NAME=VALUE …]", "a new run from here, or the best checkpoint, with other settings"),
    word("restart", "[NAME=VALUE …]", "a new run from the same initial weights, with other settings"),
];

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the line becomes.
    pub line: String,
    /// What follows it.
    pub takes: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// What is to be listed, so that a name can be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The directory, as it was typed.
    pub directory: String,
    /// Whether images are named in it, or only the directories themselves.
    pub images: bool,
}

/// The directories in a directory, and where they are wanted the images that can be opened, in the order of their
/// names.
pub fn files_in(directory: &Path, images: bool) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
        let is_image = |end: &str| ["png", "gif", "npy"].iter().any(|known| end.eq_ignore_ascii_case(known));
        match entry.path() {
            path if path.is_dir() => Some(name + "/"),
            path => (images && path.extension()?.to_str().is_some_and(is_image)).then_some(name),
        }
    };
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort_unstable();
    names
}

/// Where a line names a file or a directory.
pub struct Named<'a> {
    /// The command.
    pub word: &'static str,
    /// Up to the last slash.
    pub directory: &'a str,
    /// What follows it.
    pub begun: &'a str,
}

impl<'a> Named<'a> {
    /// The name in a line, where the command takes one.
    pub fn in_line(line: &'a str) -> Option<Named<'a>> {
        let (head, file) = line.split_once(' ')?;
        let word = ["open", "compare"].into_iter().find(|word| *word == head)?;
        let (directory, begun) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
        Some(Named { word, directory, begun })
    }

    /// What is to be listed to complete it.
    pub fn listing(&self) -> Listing {
        Listing { directory: self.directory.to_owned(), images: self.word == "open" }
    }
}

/// What `typed` may become in this context, the best match first; everything where nothing is typed.
pub fn offers(typed: &str, context: Context) -> Vec<Offer> {
    let (head, rest) = typed.split_once(' ').unwrap_or((typed, ""));
    if typed.contains(' ') {
        return match head {
            "set" if !rest.contains(' ') => {
                let of = |kind: &Setting| Offer {
                    line: format!("set {} ", kind.short()),
                    takes: "VALUE",
                    help: kind.field(),
                };
                best(rest, Setting::KINDS.iter().map(|kind| (kind.short(), of(kind))).collect())
            }
            "theme" if !rest.contains(' ') => {
                let of = |name| Offer { line: format!("theme {name}"), takes: "", help: "these colours" };
                best(rest, Scheme::ALL.iter().map(|(name, _)| (*name, of(*name))).collect())
            }
            "fork" if !rest.contains(' ') && has_word(context, head) => {
                let help = "from the checkpoint with the best validation loss";
                best(rest, vec![("best", Offer { line: "fork best ".into(), takes: "", help })])
            }
            _ => vec![],
        };
    }
    let words = WORDS.iter().filter(|word| is_offered(word, context)).map(|word| {
        (word.name, Offer { line: format!("{} ", word.name), takes: word.takes, help: word.help })
    });
    let actions =
        keymap::named(context).map(|(name, help)| (name, Offer { line: name.to_owned(), takes: "", help }));
    best(head, words.chain(actions).collect())
}

/// Whether a command of that name with arguments has a meaning here.
pub fn has_word(context: Context, name: &str) -> bool {
    WORDS.iter().any(|word| word.name == name && is_offered(word, context))
}

/// Whether a command with arguments has a meaning here.
fn is_offered(word: &Word, context: Context) -> bool {
    match context {
        _ if word.name == "theme" => true,
        Context::Picker => false,
        Context::Model | Context::ModelInspector => {
            !["lr", "inter", "compare", "fork", "restart"].contains(&word.name)
        }
        _ => true,
    }
}

/// Those that `text` matches, the best first, and equals in their own order.
fn best(text: &str, all: Vec<(&'static str, Offer)>) -> Vec<Offer> {
    let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Offer)> = Vec::new();
    for (name, offer) in all {
        let haystack = nucleo_matcher::Utf32Str::new(name, &mut buffer);
        if let Some(score) = pattern.score(haystack, &mut matcher) {
            // A name that is typed whole is meant, however many longer ones there are.
            scored.push((if name == text { u32::MAX } else { score }, offer));
        }
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, offer)| offer).collect()
}

/// The name that `text` may be a misspelling of: it has these letters in this order, or all of them but one.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut best = |text: &str| {
        let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
        let found = pattern.match_list(names.iter().copied(), &mut matcher);
        found.into_iter().next().filter(|_| !text.is_empty())
    };
    let without = |(at, letter): (usize, char)| text[..at].to_owned() + &text[at + letter.len_utf8()..];
    let whole = best(text);
    let found = whole.or_else(|| {
        text.char_indices()
            .map(without)
            .filter_map(|text| best(&text))
            .min_by_key(|(name, _)| name.len().abs_diff(text.len()))
    });
    found.map(|(name, _)| name)
}

/// What a line means in this context.
///
/// # Errors
/// A line that means nothing, with the command that comes nearest.
pub fn parse(line: &str, context: Context) -> Result<Typed> {
    let mut parts = line.split_whitespace();
    let head = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let word = WORDS.iter().find(|word| word.name == head && is_offered(word, context));
    let Some(word) = word else {
        return match keymap::action_named(context, head) {
            Some(action) if rest.is_empty() => Ok(Typed::Do(action)),
            Some(_) => Err(Error::Usage(format!("{head} takes nothing after it"))),
            None => Err(Error::Usage(match offers(head, context).first() {
                Some(near) => {
                    format!("there is no command {head:?} here; did you mean {}?", near.line.trim())
                }
                None => format!("there is no command {head:?} here; Tab lists those that there are"),
            })),
        };
    };
    let usage = || Error::Usage(format!("{} takes {}", word.name, word.takes));
    let number = |text: &str| match text.parse::<usize>() {
        Ok(n @ 1..) => Ok(n - 1),
        _ => Err(Error::Usage(format!("{head} takes a number from 1, and {text:?} is none"))),
    };
    let owned = |sets: &[&str]| sets.iter().map(|set| (*set).to_owned()).collect::<Vec<String>>();
    // With the spaces that its name has.
    let named = || PathBuf::from(line.trim()[head.len()..].trim_start());
    match (head, rest.as_slice()) {
        ("set", [name, value]) if Setting::named(name).is_none() => {
            let live = Setting::KINDS.map(|kind| kind.short()).join(", ");
            let instead = match has_word(context, "fork") {
                true => format!(
                    ": fork {name}={value} begins a run with it, or restart, where that needs another network"
                ),
                false => String::new(),
            };
            Err(Error::Usage(format!("no live value is {name:?}{instead}; live are {live}")))
        }
        ("set", [name, value]) => Setting::parse(name, value).map(Typed::Set),
        ("set", _) => Err(usage()),
        ("sample", [n]) => number(n).map(Typed::Sample),
        ("em", [n]) => number(n).map(Typed::EmStep),
        ("export", [_, ..]) => Ok(Typed::Export(named())),
        ("export", _) => Err(usage()),
        ("compare", [_, ..]) => Ok(Typed::Compare(named())),
        ("compare", _) => Err(usage()),
        ("theme", [name]) => match Scheme::ALL.iter().find(|(known, _)| known == name) {
            Some((_, scheme)) => Ok(Typed::Theme(*scheme)),
            None => Err(Error::Usage(format!(
                "there is no theme {name:?}; there are dark, light and colour-blind"
            ))),
        },
        ("open", [_, ..]) => Ok(Typed::Open(named())),
        ("open", _) => Err(usage()),
        ("fork", [from, sets @ ..]) if !from.contains('=') => {
            Ok(Typed::Fork(Some((*from).into()), owned(sets)))
        }
        ("fork", sets) => Ok(Typed::Fork(None, owned(sets))),
        ("restart", sets) => Ok(Typed::Restart(owned(sets))),
        ("sample" | "em" | "theme", _) => Err(usage()),
        (name, [value]) => Setting::parse(name, value).map(Typed::Set),
        _ => Err(usage()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_say() {
        let parse = |line| parse(line, Context::Workbench).unwrap();
        assert_eq!(parse("set noise 0.3"), Typed::Set(Setting::Noise(0.3)));
        assert_eq!(parse("set loss.inter_weight 2"), Typed::Set(Setting::InterWeight(2.0)));
        assert_eq!(parse("lr 5e-4"), Typed::Set(Setting::LearningRate(5e-4)));
        assert_eq!(parse("k 5"), Typed::Set(Setting::K(5)));
        assert_eq!(parse("sample 3"), Typed::Sample(2));
        assert_eq!(parse(" open a  b.png "), Typed::Open("a  b.png".into()));
        assert_eq!(parse("pause"), Typed::Do(Action::TogglePause));
        assert_eq!(
            parse("fork k=5 train.batch=8"),
            Typed::Fork(None, vec!["k=5".into(), "train.batch=8".into()])
        );
        assert_eq!(parse("fork best k=5"), Typed::Fork(Some("best".into()), vec!["k=5".into()]));
        assert_eq!(parse("compare my  run"), Typed::Compare("my  run".into()));
    }

    #[test]
    fn what_means_nothing_says_what_would() {
        for (line, words) in [
            ("nois 0.3", "did you mean noise"),
            ("set foo 1", "k, noise, lr"),
            ("k many", "whole number"),
            ("noise", "noise takes P"),
            ("sample 0", "from 1"),
            ("pause now", "nothing after"),
            ("zzz", "Tab lists"),
        ] {
            let error = parse(line, Context::Workbench).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
        assert!(parse("lr 1e-3", Context::Model).is_err(), "a model is not trained");
    }

    #[test]
    fn only_images_and_directories_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.gif", "c.npy", "d.txt", ".hidden.png", "png"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("d.d")).unwrap();
        assert_eq!(files_in(directory.path(), true), ["a.gif", "b.PNG", "c.npy", "d.d/"]);
        assert_eq!(files_in(directory.path(), false), ["d.d/"]);
        assert!(files_in(Path::new("/nowhere/at/all"), true).is_empty());
    }

    #[test]
    fn a_word_typed_whole_comes_first() {
        for word in WORDS {
            assert_eq!(offers(word.name, Context::Workbench)[0].line.trim(), word.name);
        }
    }

    #[test]
    fn what_was_meant_is_guessed_from_a_letter_too_few_too_many_or_wrong() {
        let names = ["health", "help", "pause", "profile"];
        for (text, name) in [("paus", "pause"), ("puase", "pause"), ("halp", "help"), ("heallth", "health")] {
            assert_eq!(nearest(text, &names), Some(name), "{text}");
        }
        for text in ["", "x", "zzz"] {
            assert_eq!(nearest(text, &names), None, "{text}");
        }
    }
}
