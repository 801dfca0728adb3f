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
use super::overlay::palette::{Completions, Listing, Offer};
use super::theme::Scheme;
use super::update::steer;
use super::workbench::Workbench;
use crate::preset::Setting;

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
        let images = match actions::command(context, head)?.does {
            With(Argument::Image(_)) => true,
            With(Argument::Run(_)) => false,
            _ => return None,
        };
        let slash = file.rfind('/').map_or(0, |slash| slash + 1);
        let (directory, begun) = file.split_at(slash);
        let listing = Listing { directory: directory.to_owned(), images };
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
    let argument = match actions::command(context, head).map(|command| command.does) {
        Some(With(argument)) if !rest.contains(' ') => argument,
        _ => return vec![],
    };
    match argument {
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
        Argument::Checkpoint(_) => {
            let help = "from the checkpoint with the best validation loss";
            best(rest, [("best", Offer { line: format!("{head} best "), takes: "", help })])
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
        | Argument::Sets(_) => vec![],
    }
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
    let (head, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
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
    let words: Vec<&str> = rest.split_whitespace().collect();
    let one = || if let [word] = words[..] { Ok(word) } else { Err(usage()) };
    let path = || if rest.is_empty() { Err(usage()) } else { Ok(PathBuf::from(rest)) };
    let sets = |words: &[&str]| words.iter().map(|set| (*set).to_owned()).collect::<Vec<String>>();
    let set = |name: &str, value: &str| -> Result<Typed, String> {
        let setting = Setting::parse(name, value).map_err(|error| error.to_string())?;
        Ok(on_screen(move |workbench| steer::change(workbench, setting)))
    };
    Ok(match argument {
        Argument::Value(kind) => set(kind.short(), one()?)?,
        Argument::AnySetting => match words[..] {
            [name, value] if Setting::named(name).is_some() => set(name, value)?,
            [name, value] => return Err(not_live(name, value, context)),
            _ => return Err(usage()),
        },
        Argument::New(act) => match words[..] {
            [] => on_screen(move |workbench| act(workbench, false)),
            ["new"] => on_screen(move |workbench| act(workbench, true)),
            _ => return Err(usage()),
        },
        Argument::Number(show) => match one()?.parse::<usize>() {
            Ok(number @ 1..) => on_screen(move |workbench| show(workbench, number - 1)),
            _ => return Err(format!("{head} takes a number from 1, not {rest:?}")),
        },
        Argument::File(act) | Argument::Image(act) | Argument::Run(act) => {
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
        Argument::Sets(act) => {
            let sets = sets(&words);
            Box::new(move |app| act(app, sets))
        }
        Argument::Checkpoint(act) => {
            let (from, rest) = match &words[..] {
                [from, rest @ ..] if !from.contains('=') => (Some((*from).to_owned()), rest),
                rest => (None, rest),
            };
            let sets = sets(rest);
            Box::new(move |app| act(app, from, sets))
        }
    })
}

/// A command for the run on the screen.
fn on_screen(act: impl FnOnce(&mut Workbench) -> Done + 'static) -> Typed {
    Box::new(|app| app.workbench.as_mut().map_or(Ok(vec![]), act))
}

/// Why a setting cannot be changed during training, and what to do instead.
fn not_live(name: &str, value: &str, context: Context) -> String {
    let live = Setting::KINDS.map(|kind| kind.short()).join(", ");
    let instead = match actions::command(context, "fork") {
        Some(_) => {
            format!("; fork {name}={value} starts a run with it, or restart if it needs another network")
        }
        None => String::new(),
    };
    format!("{name:?} cannot be changed while the run trains, only {live} can{instead}")
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
        assert_eq!(sent(&done("sample 3").1), [Command::Watch(2)]);
        let image = own("/here/a  b.png", false, 1);
        assert_eq!(sent(&done(" open a  b.png ").1), [Command::Input(Some(image))]);
        assert_eq!(sent(&done("pause").1), [Command::Pause]);
        let run = || PathBuf::from("runs/quickstart-s1");
        let settings = vec!["k=5".to_owned(), "train.batch=8".to_owned()];
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
