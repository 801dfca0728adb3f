//! Commands typed after `:`: parsing and completion.
//!
//! Most keys' actions can also be typed by name; actions that need an argument can only be typed.

use std::path::{Path, PathBuf};

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

use super::actions::Does::With;
use super::actions::{self, Action, Argument};
use super::app::{App, Context};
use super::message::Done;
use super::overlay::palette::{Completions, Listing, Offer, Wanted};
use super::theme::Scheme;
use super::update::steer;
use super::words::words;
use super::workbench::Workbench;
use crate::preset::{Setting, is_field};

/// A parsed command, to run once.
pub type Typed = Box<dyn FnOnce(&mut App) -> Done>;

/// The directories in a directory and, if wanted, the images that can be opened, in the order of their
/// names.
pub fn files_in(directory: &Path, images: bool) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
        let is_image =
            |end: &str| ["png", "gif", "npy", "npz"].iter().any(|known| end.eq_ignore_ascii_case(known));
        match entry.path() {
            path if path.is_dir() => Some(name + "/"),
            path => (images && path.extension()?.to_str().is_some_and(is_image)).then_some(name),
        }
    };
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort_unstable();
    names
}

/// How `typed` is completed in this context.
pub fn completions(typed: &str, context: Context) -> Completions {
    let named = || {
        let (head, file) = typed.split_once(' ')?;
        let wants = match actions::command(context, head)?.does {
            With(Argument::Image(_)) => Wanted::Image,
            With(Argument::Run(_)) => Wanted::Run,
            With(Argument::Weights(_)) => Wanted::Weights,
            _ => return None,
        };
        let slash = file.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, begun) = file.split_at(slash);
        let listing = Listing { directory: directory.to_owned(), wants };
        Some(Completions::Names { listing, before: format!("{head} {directory}"), begun: begun.to_owned() })
    };
    named().unwrap_or_else(|| Completions::Offers(offers(typed, context)))
}

/// The completions of `typed` in this context, the best match first; all commands if nothing is typed.
pub fn offers(typed: &str, context: Context) -> Vec<Offer> {
    let Some((head, rest)) = typed.split_once(' ') else {
        let offer = |action: &Action| {
            let space = if action.takes.is_empty() { "" } else { " " };
            Offer { line: format!("{}{space}", action.name), takes: action.takes, help: action.help }
        };
        return best(typed, actions::commands(context).map(|action| (action.name, offer(action))));
    };
    let Some(With(argument)) = actions::command(context, head).map(|command| command.does) else {
        return vec![];
    };
    let (done, last) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let before = &typed[..typed.len() - last.len()];
    match argument {
        Argument::Sets(_) | Argument::Checkpoint(_) if words(done).is_err() || last.contains('=') => vec![],
        Argument::Sets(_) => best(last, fields(before)),
        Argument::Checkpoint(_) => {
            let of = |(name, help)| (name, Offer { line: format!("{before}{name} "), takes: "", help });
            best(last, CHECKPOINTS.into_iter().filter(|_| done.is_empty()).map(of).chain(fields(before)))
        }
        _ if rest.contains(' ') => vec![],
        Argument::AnySetting => {
            let of = |kind: &Setting| Offer {
                line: format!("{head} {} ", kind.short()),
                takes: "VALUE",
                help: kind.field(),
            };
            best(rest, Setting::KINDS.iter().map(|kind| (kind.short(), of(kind))))
        }
        Argument::Theme(_) => {
            let of = |name| Offer { line: format!("{head} {name}"), takes: "", help: "these colours" };
            best(rest, Scheme::ALL.iter().map(|(name, _)| (*name, of(*name))))
        }
        Argument::New(_) => {
            let help = "a black image";
            best(rest, [("new", Offer { line: format!("{head} new"), takes: "", help })])
        }
        Argument::Value(_)
        | Argument::Number(_)
        | Argument::File(_)
        | Argument::Image(_)
        | Argument::Run(_)
        | Argument::Weights(_)
        | Argument::Text(_) => vec![],
    }
}

/// The checkpoints that have names, and what they are.
const CHECKPOINTS: [(&str, &str); 3] = [
    ("here", "from the moment that is shown, or the nearest earlier checkpoint"),
    ("best", "from the checkpoint with the best validation loss"),
    ("last", "from where the run is now"),
];

/// Fields of a preset that are often changed for a new run, besides the live settings.
const FIELDS: [(&str, &str); 8] = [
    ("train.max_epochs", "the maximum number of epochs"),
    ("train.patience", "epochs without a better validation loss before it stops"),
    ("train.batch", "images per iteration"),
    ("train.train_size", "images per epoch"),
    ("train.clip_norm", "the largest norm of all gradients together, or none"),
    ("train.history_mb", "disk for checkpoints to fork from later, in MB"),
    ("loss.steps", "the EM steps in the loss: last, all, a number of last steps, or a list of weights"),
    ("data.shape_set", "which shapes: paper or small"),
];

/// Offers a field of the preset after `before`, each with what it is matched by.
fn fields(before: &str) -> impl Iterator<Item = (&'static str, Offer)> {
    let live = Setting::KINDS.map(|kind| (kind.short(), kind.field()));
    let of = move |(name, help)| (name, Offer { line: format!("{before}{name}="), takes: "VALUE", help });
    live.into_iter().chain(FIELDS).map(of)
}

/// Those that `text` matches, best first; ties keep their order.
fn best(text: &str, all: impl IntoIterator<Item = (&'static str, Offer)>) -> Vec<Offer> {
    let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, Offer)> = Vec::new();
    for (name, offer) in all {
        let haystack = nucleo_matcher::Utf32Str::new(name, &mut buffer);
        if let Some(score) = pattern.score(haystack, &mut matcher) {
            // A complete name means itself, even if longer names begin with it.
            scored.push((if name == text { u32::MAX } else { score }, offer));
        }
    }
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, offer)| offer).collect()
}

/// Parses a line in this context.
///
/// # Errors
/// A sentence for an unknown command, with the command that may have been meant.
pub fn parse(line: &str, context: Context) -> Result<Typed, String> {
    let line = line.trim();
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (head, rest) = line.split_at(end);
    // A file's name may contain spaces.
    let rest = rest.trim_start();
    let Some(action) = actions::command(context, head) else {
        let near = actions::nearest(head, actions::commands(context).map(|action| action.name));
        let hint = near.map_or("Tab lists the commands".to_owned(), |near| format!("did you mean {near}?"));
        return Err(format!("there is no command {head:?} here; {hint}"));
    };
    let With(argument) = action.does else {
        return match rest {
            "" => Ok(Box::new(|app| action.run(app))),
            _ => Err(format!("{head} takes no argument")),
        };
    };
    let usage = || format!("{head} takes {}", action.takes);
    let one = || if rest.is_empty() || rest.contains(char::is_whitespace) { Err(usage()) } else { Ok(rest) };
    let path = || if rest.is_empty() { Err(usage()) } else { Ok(PathBuf::from(rest)) };
    Ok(match argument {
        Argument::Value(kind) => set(kind.short(), rest.strip_prefix('=').unwrap_or(rest), usage)?,
        Argument::AnySetting => match &words(rest)?[..] {
            [name, ..] if !name.contains('=') => {
                set(name, rest.split_once(char::is_whitespace).map_or("", |(_, value)| value), usage)?
            }
            sets => {
                let each = |(name, value): (String, String)| set(&name, &value, usage);
                let calls = assignments(sets, usage)?.into_iter().map(each).collect::<Result<Vec<_>, _>>()?;
                Box::new(|app| {
                    calls.into_iter().try_fold(vec![], |mut effects, call| {
                        effects.extend(call(app)?);
                        Ok(effects)
                    })
                })
            }
        },
        Argument::New(act) => match rest.trim() {
            "" => on_screen(move |workbench| act(workbench, false)),
            "new" => on_screen(move |workbench| act(workbench, true)),
            _ => return Err(usage()),
        },
        Argument::Number(show) => match one()?.parse::<usize>() {
            Ok(number @ 1..) => on_screen(move |workbench| show(workbench, number - 1)),
            _ => return Err(format!("{head} takes a number from 1, not {rest:?}")),
        },
        Argument::File(act) | Argument::Image(act) | Argument::Run(act) | Argument::Weights(act) => {
            let path = path()?;
            Box::new(move |app| act(app, &path))
        }
        Argument::Theme(act) => {
            let name = one()?;
            let scheme = Scheme::ALL.into_iter().find(|(known, _)| *known == name);
            let unknown = || format!("there is no theme {name:?}; there are dark, light and colour-blind");
            let (_, scheme) = scheme.ok_or_else(unknown)?;
            Box::new(move |app| act(app, scheme))
        }
        Argument::Text(act) => {
            let text = rest.trim_end().to_owned();
            Box::new(move |app| act(app, &text))
        }
        Argument::Sets(act) => {
            let sets = words(rest)?;
            assignments(&sets, usage)?;
            Box::new(move |app| act(app, sets))
        }
        Argument::Checkpoint(act) => {
            let mut sets = words(rest)?;
            let is_name =
                |word: &String| !word.contains('=') && Setting::named(word).is_none() && !is_field(word);
            let from = if sets.first().is_some_and(is_name) { Some(sets.remove(0)) } else { None };
            assignments(&sets, usage)?;
            Box::new(move |app| act(app, from, sets))
        }
    })
}

/// The names and values of words that are NAME=VALUE.
fn assignments(words: &[String], usage: impl Fn() -> String) -> Result<Vec<(String, String)>, String> {
    let each = |word: &String| match word.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{}; {word:?} is not NAME=VALUE, such as k=5", usage())),
    };
    words.iter().map(each).collect()
}

/// The change of the setting called `name` to the value that was typed.
fn set(name: &str, value: &str, usage: impl Fn() -> String) -> Result<Typed, String> {
    let value = words(value)?.join(" ");
    if value.is_empty() {
        return Err(usage());
    }
    match (Setting::named(name), Setting::parse(name, &value)) {
        (_, Ok(setting)) => Ok(on_screen(move |workbench| steer::change(workbench, setting))),
        // A noise may be written out.
        (Some(kind), Err(e)) if !matches!(kind, Setting::Noise(_)) => Err(e.to_string()),
        (None, Err(e)) if !is_field(name) => {
            let near = actions::nearest(name, Setting::KINDS.iter().map(Setting::short));
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            Err(format!("{e}{hint}"))
        }
        _ => {
            let name = name.to_owned();
            Ok(on_screen(move |workbench| steer::set(workbench, &name, &value)))
        }
    }
}

/// A command for the run on the screen.
fn on_screen(act: impl FnOnce(&mut Workbench) -> Done + 'static) -> Typed {
    Box::new(|app| app.workbench.as_mut().map_or(Ok(vec![]), act))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Command;
    use crate::tui::app::Leave;
    use crate::tui::testing::{own, sent, workbench};
    use crate::tui::update::Effect;

    /// The effects of a line on a run on the screen.
    fn done(line: &str) -> (App, Vec<Effect>) {
        let mut app = workbench();
        app.here = "/here".into();
        let effects = parse(line, Context::Workbench).unwrap()(&mut app).unwrap();
        (app, effects)
    }

    #[test]
    fn lines_mean_what_they_say() {
        let sets = |line: &str, setting| assert_eq!(sent(&done(line).1), [Command::Set(setting)], "{line}");
        sets("set noise 0.3", Setting::Noise(0.3));
        sets("set loss.inter_weight 2", Setting::InterWeight(2.0));
        sets("lr 5e-4", Setting::LearningRate(5e-4));
        sets("k 5", Setting::K(5));
        for line in ["k=5", "k = 5", "set k=5", "set k = 5", "set 'k' 5"] {
            sets(line, Setting::K(5));
        }
        for line in [
            "noise 0.3",
            "noise Bitflip(probability: 0.3)",
            "set noise Bitflip( probability : 0.3 )",
            "set noise=bitflip(probability: 0.3)",
            "set noise.probability 0.3",
        ] {
            sets(line, Setting::Noise(0.3));
        }
        let both = [Setting::K(5), Setting::LearningRate(0.1)].map(Command::Set);
        assert_eq!(sent(&done("set k=5 train.learning_rate=0.1").1), both);
        assert_eq!(sent(&done("sample 3").1), [Command::Watch(2)]);
        let image = own("/here/a  b.png", false, 1);
        assert_eq!(sent(&done(" open a  b.png ").1), [Command::Input(Some(image))]);
        assert_eq!(sent(&done("pause").1), [Command::Pause]);
        let run = || PathBuf::from("runs/quickstart-s1");
        let settings = vec!["k=5".to_owned(), "train.batch=8".to_owned()];
        let spaced = vec!["noise=Bitflip(probability: 0.2)".to_owned(), "k=3".to_owned()];
        for line in ["noise=Bitflip(probability: 0.2) k=3", "last 'noise=Bitflip(probability: 0.2)' k = 3"] {
            let (app, _) = done(&format!("fork {line}"));
            assert_eq!(app.leaving, Some(Leave::Fork(run(), spaced.clone())), "{line}");
        }
        let (app, effects) = done("fork k=5 train.batch=8");
        assert_eq!((sent(&effects), app.leaving), (vec![Command::Stop], Some(Leave::Fork(run(), settings))));
        assert_eq!(done("fork best k=5").1, [Effect::Find(run(), "best".into(), vec!["k=5".into()])]);
        assert_eq!(done("compare my  run").1, [Effect::Compare(run(), "/here/my  run".into())]);
    }

    #[test]
    fn what_means_nothing_says_what_would() {
        for (line, words) in [
            ("nois 0.3", "did you mean noise"),
            ("set foo 1", "k, noise, lr"),
            ("k many", "whole number"),
            ("noise", "noise takes P"),
            ("sample 0", "from 1"),
            ("pause now", "no argument"),
            ("zzz", "Tab lists"),
            ("fork k 5", "\"k\" is not NAME=VALUE, such as k=5"),
            ("fork best 5", "\"5\" is not NAME=VALUE"),
            ("restart here", "\"here\" is not NAME=VALUE"),
            ("fork noise=Bitflip(probability: 0.2", "a ) is missing"),
            ("set nois 0.3", "did you mean noise?"),
            ("set noise", "set takes NAME VALUE"),
        ] {
            let error = parse(line, Context::Workbench).err().unwrap();
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
        for command in actions::commands(Context::Workbench) {
            assert_eq!(offers(command.name, Context::Workbench)[0].line.trim(), command.name);
        }
    }
}
