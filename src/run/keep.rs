//! What a user does with whole runs: notes, names, removal, and what of other runs depends on them.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::directory::RunFile;
use super::lock::{LOCK, Lock, TRAINS};
use super::metrics;
use crate::error::{Error, Result};
use crate::files::{self, directory_of, list, remove_directory, sync_directory, write_atomic};
use crate::paths::shown;
use crate::protocol::{Epoch, Record};

/// The user's line about a run.
const NOTE: &str = "note.txt";

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
        return write_atomic(&file, format!("{}\n", text.trim()).as_bytes());
    }
    match std::fs::remove_file(&file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &file)(e)),
        _ => Ok(()),
    }
}

/// Gives the run in `run` another name in the same directory. Runs beside it that began from it point to it as before.
/// Returns its directory, and how many those are.
///
/// # Errors
/// A run in use, a name that is taken or is none, a directory that cannot be written.
pub fn rename(run: &Path, name: &str) -> Result<(PathBuf, usize)> {
    RunFile::read(run)?;
    if Path::new(name).file_name() != Some(name.as_ref()) || name.starts_with('.') {
        return Err(Error::Usage(format!("{name:?} cannot be the name of a run; give a name without /")));
    }
    let to = run.with_file_name(name);
    if to.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!("{} exists already; give another name", shown(&to))));
    }
    let lock = Lock::take(run, TRAINS)?;
    let (children, before) = (children(run), whole(run));
    std::fs::rename(run, &to).map_err(Error::io("rename", run))?;
    drop(lock);
    let _ = std::fs::remove_file(to.join(LOCK));
    sync_directory(directory_of(&to))?;
    let after = whole(&to);
    let moved = |path: Option<PathBuf>| {
        path.map(|path| path.strip_prefix(&before).map_or(path.clone(), |below| after.join(below)))
    };
    for Child { directory, file } in &children {
        let (from, forked) = (moved(file.from.clone()), moved(file.forked.clone()));
        RunFile { from, forked, ..file.clone() }.write(directory)?;
    }
    Ok((to, children.len()))
}

/// Removes the run in `run` with everything in its directory.
///
/// # Errors
/// A directory that is not a run, one in use, or one that cannot be removed.
pub fn remove(run: &Path) -> Result<()> {
    RunFile::read(run)?;
    let _lock = Lock::take(run, TRAINS)?;
    remove_directory(run).map_err(Error::io("remove", run))
}

/// The names of the runs beside `run` that began with its weights, and cannot be repeated without them. Forks have a
/// copy of what they began with.
pub fn dependents(run: &Path) -> Vec<String> {
    let with_weights = children(run).into_iter().filter(|child| child.file.from.is_some());
    with_weights.map(|child| shown(child.directory.file_name().unwrap_or_default()).to_string()).collect()
}

/// A run that began from another.
struct Child {
    directory: PathBuf,
    file: RunFile,
}

/// The runs beside `run` that began from it.
fn children(run: &Path) -> Vec<Child> {
    let of = whole(run);
    let beside = list(directory_of(run)).unwrap_or_default().into_iter();
    let read =
        beside.filter_map(|directory| Some(Child { file: RunFile::read(&directory).ok()?, directory }));
    let began = |child: &Child| {
        [&child.file.from, &child.file.forked].into_iter().flatten().any(|path| path.starts_with(&of))
    };
    read.filter(began).collect()
}

fn whole(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Where a run began, if not with its seed's weights: "fork of quickstart-s1 at 747".
pub fn parent(file: &RunFile) -> Option<String> {
    let name = |checkpoint: &Path| {
        let parts: Vec<_> = checkpoint.iter().rev().take(3).collect();
        let (run, path) = match parts[..] {
            [at, folder, run] if folder == "checkpoints" => {
                let at = at.to_string_lossy();
                let digits = at.trim_start_matches("it-").split('-').next().unwrap_or_default();
                let at = digits.parse::<u64>().map_or(String::new(), |at| format!(" at {at}"));
                (format!("{}{at}", shown(run)), checkpoint.parent().and_then(Path::parent))
            }
            _ => (shown(checkpoint.file_name().unwrap_or(checkpoint.as_os_str())).to_string(), None),
        };
        let gone = path.is_some_and(|path| !path.exists());
        format!("{run}{}", if gone { ", which is gone" } else { "" })
    };
    match (&file.forked, &file.from) {
        (Some(forked), _) => Some(format!("fork of {}", name(forked))),
        (None, Some(from)) => Some(format!("weights of {}", name(from))),
        (None, None) => None,
    }
}

/// The bytes that the files in `directory` hold.
pub fn size(directory: &Path) -> u64 {
    let of = |path: &PathBuf| match path.symlink_metadata() {
        Ok(file) if file.is_dir() => size(path),
        Ok(file) => file.len(),
        Err(_) => 0,
    };
    files::list(directory).unwrap_or_default().iter().map(of).sum()
}

/// The epochs of the run in `run`, without a look at its iterations, which are many more.
///
/// # Errors
/// A file that cannot be read.
pub fn epochs(run: &Path) -> Result<Vec<Epoch>> {
    let file = run.join(metrics::FILE);
    let Ok(open) = File::open(&file) else { return Ok(metrics::read(run)?.epochs) };
    let lines = BufReader::new(open).split(b'\n').map_while(Result::ok);
    let epochs = lines.filter(|line| line.starts_with(br#"{"kind":"epoch""#));
    let read = epochs.filter_map(|line| match serde_json::from_slice(&line) {
        Ok(Record::Epoch(epoch)) => Some(epoch),
        _ => None,
    });
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let told = |run: &Path| parent(&RunFile::read(run).unwrap());
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
        assert_eq!(rename(&own, "b").unwrap(), (runs.join("b"), 2));
        assert_eq!(told(&fork).as_deref(), Some("fork of b at 747"));
        assert_eq!(told(&heir).as_deref(), Some("weights of b at 747"));
        assert!(!own.exists() && !runs.join("b/lock").exists());
        remove(&runs.join("b")).unwrap();
        assert!(!runs.join("b").exists());
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
    }
}
