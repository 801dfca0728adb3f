//! The checkpoints of a run: which there are, which one a name means, and which ones are kept.
//!
//! A pointer such as `last` or `best` is a file with the name of a checkpoint beside it. `last` is only a hint: the
//! newest whole checkpoint counts, so that no damaged file costs more than the training since the one before.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::checkpoint::{self, Checkpoint};
use crate::error::{Error, Result};
use crate::files::{is_directory, list, remove_directory, write_durable};
use crate::paths::shown;

/// What is in the name of a checkpoint at the end of an epoch, before its validation.
const UNVALIDATED: &str = "unvalidated";
/// The directory of a run's checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// Points to the newest checkpoint.
pub(super) const LAST: &str = "last";
/// Points to the checkpoint that was the newest before.
pub(super) const PREVIOUS: &str = "previous";
/// Points to the checkpoint with the best validation loss.
pub(super) const BEST: &str = "best";
/// Points to the checkpoint that a fork began with.
pub(super) const BEGIN: &str = "begin";
/// Points to the checkpoint last requested by name, for a fork.
pub(super) const ASKED_FOR: &str = "asked-for";

/// The checkpoint that `name`, such as `best`, points to in `run`; `None` without such a pointer.
///
/// # Errors
/// A pointer that cannot be read, or that holds no name.
pub(super) fn pointer(run: &Path, name: &str) -> Result<Option<PathBuf>> {
    let checkpoints = run.join(CHECKPOINTS);
    let file = checkpoints.join(name);
    match std::fs::read(&file) {
        Ok(name) => match str::from_utf8(&name).map(str::trim) {
            Ok(name) if !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref()) => {
                Ok(Some(checkpoints.join(name)))
            }
            _ => Err(Error::content(
                &file,
                "damaged: it must hold the name of a checkpoint beside it; write one into it, or name a checkpoint",
            )),
        },
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io("read", &file)(e)),
    }
}

/// Makes `name`, such as `best`, point to `checkpoint`.
pub(super) fn point(run: &Path, name: &str, checkpoint: &Path) -> Result<()> {
    let target = checkpoint.file_name().unwrap_or_default();
    write_durable(&run.join(CHECKPOINTS).join(name), target.as_encoded_bytes())
}

/// The checkpoint directories of the run in `run` that this program named, whole or not.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn all(run: &Path) -> Result<Vec<PathBuf>> {
    let checkpoints = run.join(CHECKPOINTS);
    let mut found = match list(&checkpoints) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
        found => found.map_err(Error::io("read", &checkpoints))?,
    };
    found.retain(|path| iteration_of(path).is_some());
    let mut checkpoints = Vec::new();
    for path in found {
        if is_directory(&path).map_err(Error::io("read", &path))? {
            checkpoints.push(path);
        }
    }
    Ok(checkpoints)
}

/// A checkpoint, and why it is not the one that `last` names, if so.
pub type Newest = (Checkpoint, Option<String>);

/// The newest checkpoint of the run in `run` that `verify` accepts, after a glance; `None` without any.
///
/// # Errors
/// The first error if `verify` accepts none of them; a file that cannot be read for now.
fn newest(run: &Path, verify: impl Fn(Checkpoint) -> Result<Checkpoint>) -> Result<Option<Newest>> {
    let last = pointer(run, LAST);
    let mut all = all(run)?;
    // It may have been written by hand.
    all.extend(last.iter().flatten().filter(|last| last.is_dir()).cloned());
    all.sort();
    all.dedup();
    let mut glances: Vec<_> = all.into_iter().map(|path| (Checkpoint::glance(&path), path)).collect();
    // By path where they are equally far.
    glances.sort_by_key(|(glance, path)| progress(glance.as_ref().ok(), path));
    let mut damaged: Vec<Error> = Vec::new();
    for (glance, path) in glances.into_iter().rev() {
        match glance.and_then(&verify) {
            Ok(checkpoint) => {
                let why = match (damaged.into_iter().next(), last) {
                    (Some(e), _) => e.to_string(),
                    (None, Ok(Some(last))) if last == path => return Ok(Some((checkpoint, None))),
                    (None, Ok(Some(last))) => format!("`last` names {}", named_only(&last)),
                    (None, Ok(None)) => "`last` is missing".to_owned(),
                    (None, Err(e)) => e.to_string(),
                };
                let why =
                    format!("{}: the newest whole checkpoint is {} ({why})", shown(&run), named_only(&path));
                return Ok(Some((checkpoint, Some(why))));
            }
            Err(e) if e.may_pass() => return Err(e),
            Err(e) => damaged.push(e),
        }
    }
    match damaged.into_iter().next() {
        Some(e) => Err(e),
        None => Ok(None),
    }
}

/// How far a checkpoint is: its iterations, epochs and stages; without a manifest only the iteration in its name.
fn progress(glance: Option<&Checkpoint>, path: &Path) -> (u64, u64, usize) {
    match glance.map(|checkpoint| &checkpoint.manifest.counters) {
        Some(counters) => (counters.iteration, counters.epochs, counters.stages),
        None => (iteration_of(path).unwrap_or(0), 0, 0),
    }
}

fn named_only(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The newest whole checkpoint of the run in `run`; `None` without any. Warns if it is not the one that `last` names.
///
/// # Errors
/// A run whose checkpoints are all damaged; a file that cannot be read.
pub fn last(run: &Path) -> Result<Option<Checkpoint>> {
    let found = newest(run, |glance| Checkpoint::open(&glance.path))?;
    Ok(found.map(|(checkpoint, why)| {
        why.inspect(|why| warn!("{why}"));
        checkpoint
    }))
}

/// The same, verified only as far as [`Checkpoint::glance`] does, with the warning.
///
/// # Errors
/// Those of [`last`].
pub fn glance_at_last(run: &Path) -> Result<Option<Newest>> {
    newest(run, Ok)
}

/// Where the checkpoint `name` of the run in `run` is, `last` or `best`.
///
/// # Errors
/// A run without it; damage.
pub fn path_of(run: &Path, name: &str) -> Result<PathBuf> {
    let found = match name {
        LAST => glance_at_last(run)?.map(|(checkpoint, _)| checkpoint.path),
        _ => pointer(run, name)?,
    };
    found.ok_or_else(|| Error::content(run, format!("this run has no checkpoint `{name}` yet")))
}

/// The checkpoint that the fork in `run` began with; `None` if it is not a fork.
///
/// # Errors
/// A pointer that cannot be read.
pub(super) fn begin(run: &Path) -> Result<Option<PathBuf>> {
    pointer(run, BEGIN)
}

/// Whether the run in `path` has a checkpoint to resume from.
///
/// # Errors
/// A directory that cannot be read.
pub fn is_resumable(path: &Path) -> Result<bool> {
    Ok(!all(path)?.is_empty())
}

/// The iteration in the name of a checkpoint, if this program named it.
pub(super) fn iteration_of(checkpoint: &Path) -> Option<u64> {
    checkpoint.file_name().and_then(iteration_in)
}

/// The iteration in a name that this program gives to a checkpoint: `it-00000200`, `it-00000200-unvalidated` at the end
/// of an epoch whose validation is still to come, and either with `-2` if that was taken.
fn iteration_in(name: &std::ffi::OsStr) -> Option<u64> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rest = name.to_str()?.strip_prefix("it-")?;
    let (iteration, copy) = rest.split_once('-').unwrap_or((rest, "1"));
    let copy = copy.strip_prefix(UNVALIDATED).map_or(copy, |copy| copy.strip_prefix('-').unwrap_or("1"));
    (iteration.len() >= 8 && is_number(iteration) && is_number(copy)).then(|| iteration.parse().ok())?
}

/// A name for a checkpoint after `iteration` iterations that is not taken.
pub(super) fn free_name(run: &Path, iteration: u64, unvalidated: bool) -> String {
    let parent = run.join(CHECKPOINTS);
    let name = match unvalidated {
        true => format!("{}-{UNVALIDATED}", name_at(iteration)),
        false => name_at(iteration),
    };
    if !parent.join(&name).exists() {
        return name;
    }
    (2u32..).map(|n| format!("{name}-{n}")).find(|name| !parent.join(name).exists()).unwrap_or_default()
}

fn name_at(iteration: u64) -> String {
    format!("it-{iteration:08}")
}

/// Removes this program's own checkpoints that nothing points to, except those in `past`.
///
/// # Errors
/// A pointer that cannot be read, which might name any of them; a directory that cannot be removed.
pub(super) fn prune(run: &Path, past: &[PathBuf]) -> Result<()> {
    let pointed = [LAST, PREVIOUS, BEST, BEGIN, ASKED_FOR].map(|name| pointer(run, name));
    let kept: Vec<PathBuf> = pointed.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let mut surplus = all(run)?;
    surplus.retain(|path| !kept.contains(path) && !past.contains(path));
    surplus.iter().try_for_each(|path| remove_directory(path).map_err(Error::io("remove", path)))
}

/// The checkpoint of a run by name: `best`, `last`, or an iteration, `1200` or `it-00001200`. It is kept until
/// another one is requested.
///
/// # Errors
/// A name without a checkpoint, with a list of those that exist; a directory that cannot be written.
pub fn named(run: &Path, name: &str) -> Result<PathBuf> {
    let checkpoints = run.join(CHECKPOINTS);
    let is_one = |path: &PathBuf| checkpoint::is_checkpoint(path);
    let path = match name {
        BEST => pointer(run, name)?,
        LAST => glance_at_last(run)?.map(|(checkpoint, _)| checkpoint.path),
        _ => {
            let iteration = name.strip_prefix("it-").unwrap_or(name).parse().ok();
            let whole = (!name.contains(['/', '\\'])).then(|| checkpoints.join(name));
            whole.filter(is_one).or_else(|| Some(checkpoints.join(name_at(iteration?))).filter(is_one))
        }
    };
    if let Some(path) = path {
        ask_for(run, &path)?;
        return Ok(path);
    }
    let pointers = [BEST, LAST].into_iter().filter(|pointer| checkpoints.join(pointer).is_file());
    let of_name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
    let found = list(&checkpoints).unwrap_or_default().into_iter().filter(is_one).filter_map(of_name);
    let mut there: Vec<String> = pointers.map(str::to_owned).chain(found).collect();
    there.sort_unstable();
    let there = if there.is_empty() {
        "none yet; the first validation writes one, and so does the key c".to_owned()
    } else {
        there.join(", ")
    };
    Err(Error::Usage(format!("{} has no checkpoint {name:?}; there are: {there}", shown(&run))))
}

/// Keeps `checkpoint` until another one is requested.
///
/// # Errors
/// A directory that cannot be written.
pub(super) fn ask_for(run: &Path, checkpoint: &Path) -> Result<()> {
    point(run, ASKED_FOR, checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_this_program_are_pruned() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = run.path().join(CHECKPOINTS);
        let own = [
            "it-00000100",
            "it-00000100-2",
            "it-00000100-unvalidated",
            "it-00000100-unvalidated-3",
            "it-123456789",
        ];
        let others =
            ["it-00000200", "it-00000300", "mine", "it-00000100-copy", "it-1", "it-00000100-", "backup-2"];
        for name in own.iter().chain(&others) {
            std::fs::create_dir_all(checkpoints.join(name)).unwrap();
        }
        std::fs::write(checkpoints.join(LAST), "it-00000200").unwrap();
        std::fs::write(checkpoints.join(BEST), "it-00000300").unwrap();
        prune(run.path(), &[]).unwrap();
        for name in own {
            assert!(!checkpoints.join(name).exists(), "{name}");
        }
        for name in others {
            assert!(checkpoints.join(name).is_dir(), "{name}");
        }
        std::fs::create_dir(checkpoints.join("it-00000500")).unwrap();
        prune(run.path(), &[checkpoints.join("it-00000500")]).unwrap();
        assert!(checkpoints.join("it-00000500").is_dir(), "one of the past");
        // A pointer that cannot be read, here for being a directory, might name any of them.
        std::fs::create_dir(checkpoints.join(ASKED_FOR)).unwrap();
        std::fs::create_dir(checkpoints.join("it-00000400")).unwrap();
        prune(run.path(), &[]).unwrap_err();
        assert!(checkpoints.join("it-00000400").is_dir());
    }

    /// A file that exists but cannot be read is not reported as missing.
    #[test]
    fn an_unreadable_pointer_is_not_a_run_without_a_checkpoint() {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(run.path().join("checkpoints/best")).unwrap();
        for error in [pointer(run.path(), BEST).err(), named(run.path(), BEST).err()] {
            let error = error.unwrap().to_string();
            assert!(error.starts_with("cannot read") && error.contains("best"), "{error}");
        }
    }

    #[test]
    fn a_pointer_holds_a_name() {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir(run.path().join(CHECKPOINTS)).unwrap();
        assert!(pointer(run.path(), LAST).unwrap().is_none());
        for damaged in ["", "\n", "..", "/etc", "a/b", "it-00000001/"] {
            std::fs::write(run.path().join("checkpoints/last"), damaged).unwrap();
            let error = pointer(run.path(), LAST).unwrap_err().to_string();
            assert!(error.contains("must hold the name of a checkpoint"), "{damaged:?} {error}");
        }
    }
}
