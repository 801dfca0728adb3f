//! What a user does with whole runs: notes, names, removal, and what of other runs depends on them.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::checkpoints::{self, CHECKPOINTS};
use super::directory::{self, RunFile};
use super::lock::{LOCK, Lock, TRAINS};
use super::metrics;
use crate::error::{Error, Result};
use crate::files::{directory_of, list, remove_directory, sync_directory, write_atomic};
use crate::paths::shown;
use crate::protocol::{Epoch, Metrics};

/// The user's line about a run.
const NOTE: &str = "note.txt";
/// What the lines of iterations begin with.
const STEP: &[u8] = br#"{"kind":"step""#;

/// The user's note about the run in `run`, if there is one.
pub fn note(run: &Path) -> Option<String> {
    let text = std::fs::read_to_string(run.join(NOTE)).ok()?;
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// When the note about the run in `run` was last written.
pub fn noted(run: &Path) -> Option<SystemTime> {
    run.join(NOTE).metadata().ok()?.modified().ok()
}

/// Notes a line about the run in `run`, also while it trains; an empty one removes the note.
///
/// # Errors
/// A directory that is not a run or cannot be written.
pub fn write_note(run: &Path, text: &str) -> Result<()> {
    RunFile::read(run)?;
    let file = run.join(NOTE);
    if !text.trim().is_empty() {
        return beside_trainer(|| write_atomic(&file, format!("{}\n", text.trim()).as_bytes()));
    }
    match std::fs::remove_file(&file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &file)(e)),
        _ => Ok(()),
    }
}

/// Writes into the directory of a run that another process may be training. When that saves, it removes temporary files;
/// if it has just removed the one of this write, the second try succeeds.
fn beside_trainer(write: impl Fn() -> Result<()>) -> Result<()> {
    write().or_else(|_| write())
}

/// What renaming a run has done.
#[derive(Debug)]
pub struct Renamed {
    /// Its new directory.
    pub directory: PathBuf,
    /// How many runs beside it began from it.
    pub children: usize,
    /// Why one of these still has the old name, or why a loss of power may undo the renaming.
    pub problem: Option<Error>,
}

/// Gives the run in `run` another name in the same directory, also in the runs beside it that began from it.
///
/// # Errors
/// A run in use, a name that is taken or invalid, a directory that cannot be written. The run then keeps its name.
pub fn rename(run: &Path, name: &str) -> Result<Renamed> {
    RunFile::read(run)?;
    if Path::new(name).file_name() != Some(name.as_ref()) || name.starts_with('.') {
        return Err(Error::Usage(format!(
            "{name:?} cannot be the name of a run; give one without / that does not begin with a dot"
        )));
    }
    let to = run.with_file_name(name);
    if to.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!("{} exists already; give another name", shown(&to))));
    }
    let lock = Lock::take(run, TRAINS)?;
    let after = whole(directory_of(&to)).join(name);
    let moved = |path: PathBuf| inside(&path, run).map_or(path, |below| after.join(below));
    let of_child = |Child { directory, file }| {
        let (from, forked) = (file.from.clone().map(moved), file.forked.clone().map(moved));
        (directory, RunFile { from, forked, ..file })
    };
    let children: Vec<_> = children(run).into_iter().map(of_child).collect();
    std::fs::rename(run, &to).map_err(Error::io("rename", run))?;
    // While it is locked, so that it is not the file of another process.
    let _ = std::fs::remove_file(to.join(LOCK));
    drop(lock);
    let flushed = sync_directory(directory_of(&to));
    let written = children.iter().map(|(directory, file)| beside_trainer(|| file.write(directory)));
    // All are written, whatever fails.
    let results: Vec<_> = std::iter::once(flushed).chain(written).collect();
    let problem = results.into_iter().find_map(Result::err);
    Ok(Renamed { directory: to, children: children.len(), problem })
}

/// Removes the run in `run` with everything in its directory.
///
/// # Errors
/// A directory that is not a run, one in use, a link to one elsewhere, or one that cannot be removed.
pub fn remove(run: &Path) -> Result<()> {
    RunFile::read(run)?;
    if run.is_symlink() {
        return Err(Error::content(
            run,
            format!("a link, and the run is in {}; remove both by hand", shown(&whole(run))),
        ));
    }
    let _lock = Lock::take(run, TRAINS)?;
    remove_directory(run).map_err(Error::io("remove", run))
}

/// The names of the runs beside `run` that began with its weights, and cannot be repeated without them. Forks have a
/// copy of what they began with.
pub fn dependents(run: &Path) -> Vec<String> {
    let with_weights = children(run).into_iter().filter(|child| child.file.from.is_some());
    with_weights.map(|child| file_name(&child.directory)).collect()
}

/// A run that began from another.
struct Child {
    directory: PathBuf,
    file: RunFile,
}

/// The runs beside `run` that began from it.
fn children(run: &Path) -> Vec<Child> {
    let beside = list(directory_of(run)).unwrap_or_default().into_iter();
    let read =
        beside.filter_map(|directory| Some(Child { file: RunFile::read(&directory).ok()?, directory }));
    let began = |child: &Child| {
        let origins = [&child.file.from, &child.file.forked].into_iter().flatten();
        origins.into_iter().any(|path| inside(path, run).is_some())
    };
    read.filter(began).collect()
}

/// The rest of `path` below `directory`, by whichever links they are named; `None` if it is not inside. What is inside
/// need not exist any more.
pub(super) fn inside(path: &Path, directory: &Path) -> Option<PathBuf> {
    let directory = whole(directory);
    let above = path.ancestors().find(|above| whole(above) == directory)?;
    path.strip_prefix(above).ok().map(Path::to_owned)
}

/// The path without links, if it exists.
fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn file_name(path: &Path) -> String {
    shown(path.file_name().unwrap_or(path.as_os_str())).to_string()
}

/// Where the run in `run` began, if not with its seed's weights: "fork of quickstart-s1 at 747".
pub fn parent(run: &Path, file: &RunFile) -> Option<String> {
    let (what, checkpoint) = match (&file.forked, &file.from) {
        (Some(forked), _) => ("fork", forked),
        (None, Some(from)) => ("weights", from),
        (None, None) => return None,
    };
    let folder = checkpoint.parent().filter(|folder| folder.ends_with(CHECKPOINTS));
    let Some(parent) = folder.and_then(Path::parent) else {
        return Some(format!("{what} of {}", file_name(checkpoint)));
    };
    let at = checkpoints::iteration_of(checkpoint).map_or(String::new(), |at| format!(" at {at}"));
    let is_gone = !parent.exists() || file.forked.is_some() && !is_parent(parent, run);
    let gone = if is_gone { ", which is gone" } else { "" };
    Some(format!("{what} of {}{at}{gone}", file_name(parent)))
}

/// Whether the fork in `fork` was made from the run in `parent`, and not from a removed one of the same name. A fork's
/// metrics begin with its parent's, and no two runs take the same times.
pub(super) fn is_parent(parent: &Path, fork: &Path) -> bool {
    let first = |run: &Path| {
        let mut line = Vec::new();
        let file = File::open(run.join(metrics::FILE)).ok()?;
        BufReader::new(file.take(1 << 16)).read_until(b'\n', &mut line).ok()?;
        line.starts_with(STEP).then_some(line)
    };
    match (first(parent), first(fork)) {
        (Some(parent), Some(fork)) => parent == fork,
        // An archived run, or a fork from before the first iteration.
        _ => true,
    }
}

/// The bytes that the files in `directory` hold.
pub fn size(directory: &Path) -> u64 {
    let of = |path: &PathBuf| match path.symlink_metadata() {
        Ok(file) if file.is_dir() => size(path),
        Ok(file) => file.len(),
        Err(_) => 0,
    };
    list(directory).unwrap_or_default().iter().map(of).sum()
}

/// The epochs of the run in `run`, without its iterations, which are many more, and without scores that mean nothing.
///
/// # Errors
/// A file that cannot be read.
pub fn epochs(run: &Path) -> Result<Vec<Epoch>> {
    let file = run.join(metrics::FILE);
    let Ok(open) = File::open(&file) else { return Ok(metrics::read(run)?.epochs) };
    let lines = BufReader::new(open).split(b'\n').map_while(Result::ok);
    let mut metrics = Metrics::default();
    lines
        .filter(|line| !line.starts_with(STEP))
        .filter_map(|line| serde_json::from_slice(&line).ok())
        .for_each(|record| metrics.add(record));
    if let Ok(preset) = directory::preset(run) {
        metrics.drop_meaningless_scores(&preset);
    }
    Ok(metrics.epochs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::{Preset, Setting};
    use crate::protocol::{Change, Iteration, Record};

    fn run(parent: &Path, name: &str, more: serde_json::Value) -> PathBuf {
        let run = parent.join(name);
        std::fs::create_dir(&run).unwrap();
        let mut file = serde_json::json!({"seed": 1, "device": "flex", "version": "0"});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(run.join("run.json"), file.to_string()).unwrap();
        run
    }

    #[test]
    fn a_renamed_run_is_still_the_parent_of_its_children() {
        let runs = tempfile::tempdir().unwrap();
        let runs = std::fs::canonicalize(runs.path()).unwrap();
        let none = serde_json::json!({});
        let own = run(&runs, "a", none.clone());
        let checkpoint = own.join("checkpoints/it-00000747");
        std::fs::create_dir_all(&checkpoint).unwrap();
        let fork = run(&runs, "fork", serde_json::json!({"forked": checkpoint}));
        let heir = run(&runs, "heir", serde_json::json!({"from": checkpoint}));
        run(&runs, "ab", none);
        assert_eq!(dependents(&own), ["heir"]);
        let told = |run: &Path| parent(run, &RunFile::read(run).unwrap());
        assert_eq!(told(&fork).as_deref(), Some("fork of a at 747"));
        for (name, words) in
            [("ab", "exists already"), ("x/y", "name"), ("..", "name"), ("", "name"), (".a", "name")]
        {
            let error = rename(&own, name).unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
        let lock = Lock::take(&own, TRAINS).unwrap();
        assert!(matches!(rename(&own, "b"), Err(Error::InUse { .. })));
        assert!(matches!(remove(&own), Err(Error::InUse { .. })));
        drop(lock);
        let renamed = rename(&own, "b").unwrap();
        assert_eq!((renamed.directory, renamed.children), (runs.join("b"), 2));
        assert!(renamed.problem.is_none());
        assert_eq!(told(&fork).as_deref(), Some("fork of b at 747"));
        assert_eq!(told(&heir).as_deref(), Some("weights of b at 747"));
        assert!(!own.exists() && !runs.join("b/lock").exists());
        // What a killed removal has left is not in the way.
        std::fs::create_dir_all(runs.join(".nem-tui-b/rest")).unwrap();
        remove(&runs.join("b")).unwrap();
        assert!(!runs.join("b").exists() && !runs.join(".nem-tui-b").exists());
        assert_eq!(told(&fork).as_deref(), Some("fork of b at 747, which is gone"));
        assert!(remove(&runs).is_err(), "no run");
    }

    #[test]
    fn a_note_is_a_line_that_can_be_taken_back() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path(), "a", serde_json::json!({}));
        assert_eq!(note(&run), None);
        assert_eq!(noted(&run), None);
        write_note(&run, " the good one ").unwrap();
        assert!(noted(&run).is_some());
        assert_eq!(note(&run).as_deref(), Some("the good one"));
        assert!(size(&run) > 13);
        write_note(&run, "").unwrap();
        write_note(&run, "").unwrap();
        assert_eq!(note(&run), None);
        assert!(write_note(runs.path(), "no run").is_err());
        // The run's trainer has removed the temporary file of the first try.
        let mut tries = [Err(Error::Stopped), Ok(())].into_iter();
        let tries = std::cell::RefCell::new(&mut tries);
        beside_trainer(|| tries.borrow_mut().next().unwrap()).unwrap();
    }

    /// `runs`, or a run in it, may be a link to another disk.
    #[cfg(unix)]
    #[test]
    fn links_do_not_hide_what_began_from_a_run() {
        let disk = tempfile::tempdir().unwrap();
        let disk = std::fs::canonicalize(disk.path()).unwrap();
        std::fs::create_dir(disk.join("runs")).unwrap();
        let runs = disk.join("link");
        std::os::unix::fs::symlink(disk.join("runs"), &runs).unwrap();
        let own = run(&disk, "elsewhere", serde_json::json!({}));
        std::os::unix::fs::symlink(&own, runs.join("a")).unwrap();
        // Checkpoints that have been thinned out since then.
        let paths =
            [runs.join("a"), disk.join("runs/a"), own.clone()].map(|run| run.join("checkpoints/it-00000747"));
        for (name, path) in ["x", "y", "z"].iter().zip(&paths) {
            run(&runs, name, serde_json::json!({"from": path}));
        }
        let error = remove(&runs.join("a")).unwrap_err().to_string();
        assert!(error.contains("a link, and the run is in") && own.exists(), "{error}");
        let mut found = dependents(&runs.join("a"));
        found.sort();
        assert_eq!(found, ["x", "y", "z"]);
        assert_eq!(rename(&runs.join("a"), "b").unwrap().children, 3);
        for name in ["x", "y", "z"] {
            let from = RunFile::read(&runs.join(name)).unwrap().from.unwrap();
            assert_eq!(from, disk.join("runs/b/checkpoints/it-00000747"), "{name}");
        }
        assert!(runs.join("b").is_symlink() && own.join("run.json").exists());
    }

    /// A run that is removed gives its name to the next one, from which the forks were not made.
    #[test]
    fn another_run_of_the_same_name_is_not_the_parent() {
        let runs = tempfile::tempdir().unwrap();
        let runs = runs.path();
        let own = run(runs, "a", serde_json::json!({}));
        let fork = run(runs, "fork", serde_json::json!({"forked": own.join("checkpoints/it-00000747")}));
        let told = || parent(&fork, &RunFile::read(&fork).unwrap()).unwrap();
        let step = |seconds: f64| format!("{{\"kind\":\"step\",\"seconds\":{seconds}}}\n");
        for run in [&own, &fork] {
            std::fs::write(run.join(metrics::FILE), step(0.125) + &step(0.5)).unwrap();
        }
        assert_eq!(told(), "fork of a at 747");
        std::fs::write(own.join(metrics::FILE), step(0.25)).unwrap();
        assert_eq!(told(), "fork of a at 747, which is gone");
        std::fs::write(own.join(metrics::FILE), "").unwrap();
        assert_eq!(told(), "fork of a at 747", "nothing speaks against it");
    }

    #[test]
    fn epochs_are_read_without_iterations_and_without_meaningless_scores() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path(), "a", serde_json::json!({}));
        let epoch =
            |epoch, iteration| Record::Epoch(Epoch { epoch, iteration, ami: Some(1.0), ..Epoch::default() });
        let step = Record::Step(Iteration { iteration: 1, ..Iteration::default() });
        let change = |iteration, from, to| {
            Record::Change(Change { iteration, from: Setting::K(from), to: Setting::K(to) })
        };
        let records = [step, epoch(1, 10), change(11, 4, 1), epoch(2, 20), change(21, 1, 4), epoch(3, 30)];
        let lines: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
        assert!(lines.as_bytes().starts_with(STEP));
        std::fs::write(run.join(metrics::FILE), lines).unwrap();
        let amis = || epochs(&run).unwrap().iter().map(|epoch| epoch.ami).collect::<Vec<_>>();
        assert_eq!(amis(), [Some(1.0); 3], "as recorded, without a preset");
        std::fs::write(run.join("preset.ron"), Preset::load("quickstart").unwrap().to_ron()).unwrap();
        assert_eq!(amis(), [Some(1.0), None, Some(1.0)]);
        assert_eq!(epochs(&run).unwrap(), metrics::read(&run).unwrap().epochs);
    }
}
