//! A run's directory.
//!
//! ```text
//! runs/quickstart-s1/
//!   run.json        seed, device, version
//!   preset.ron      the preset the run began with, resolved
//!   metrics.jsonl   one line for each iteration, epoch and live change
//!   log.txt         the log, for people to read
//!   album/          snapshots of some samples during the training: see `album`
//!   tensorboard/    event files, if requested
//!   socket          where viewers attach during the training: see `socket`
//!   checkpoints/
//!     last, best    files with the name of a checkpoint beside them; in a fork also `begin`
//!     it-00000200/  see `checkpoint`
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint};
use super::metrics::{self, MetricsFile};
use super::origin::Origin;
use super::tensorboard::EventFile;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::paths::{exact_option, shown};
use crate::precision::Precision;
use crate::preset::Preset;
use crate::protocol::{Change, Record};
use crate::train::trainer::Trainer;

/// Points to the checkpoint that a fork began with.
const BEGIN: &str = "begin";
/// Points to the checkpoint last requested by name, for a fork.
const ASKED_FOR: &str = "asked-for";
/// The directory of TensorBoard's event files.
const TENSORBOARD: &str = "tensorboard";

/// How a run was begun, apart from its preset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// The seed of all random numbers.
    pub seed: u64,
    /// The device it began on.
    pub device: String,
    /// The current precision of its matrix products and convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// The machine it began on, as [`crate::machine::description`] names it.
    #[serde(default)]
    pub machine: String,
    /// The version and commit of the program that began it.
    pub version: String,
    /// The checkpoint whose weights it began with; `None` for the seed's.
    #[serde(default, with = "exact_option", skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The checkpoint whose complete state it began with, if it is a fork.
    #[serde(default, with = "exact_option", skip_serializing_if = "Option::is_none")]
    pub forked: Option<PathBuf>,
    /// Hashes of those weights and of the data.
    #[serde(default, skip_serializing_if = "Origin::is_empty")]
    pub origin: Origin,
    /// Live changes to make at their iterations, if the run repeats another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay: Vec<Change>,
}

/// An open run directory. Only one process at a time can have it open.
pub struct RunDir {
    path: PathBuf,
    metrics: MetricsFile,
}

impl RunDir {
    /// A new run's directory: `out`, or the first free `runs/<preset>-s<seed>[-n]`.
    ///
    /// # Errors
    /// An `out` that is not empty, or a directory that cannot be written.
    pub fn create(out: Option<&Path>, preset: &Preset, run: &RunFile) -> Result<RunDir> {
        let path = match out {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(Error::io("create the run directory", path))?;
                let mut entries = std::fs::read_dir(path).map_err(Error::io("read", path))?;
                if entries.next().is_some() {
                    return Err(Error::Usage(format!(
                        "{} is not empty; name a new directory with --out, or resume the run in it with --resume",
                        shown(path)
                    )));
                }
                path.to_owned()
            }
            None => new_under(Path::new("runs"), &format!("{}-s{}", preset.name, run.seed))?,
        };
        let checkpoints = path.join("checkpoints");
        std::fs::create_dir_all(&checkpoints).map_err(Error::io("create", &checkpoints))?;
        run.write(&path)?;
        write_atomic(&path.join("preset.ron"), preset.to_ron().as_bytes())?;
        RunDir::open(path, true)
    }

    /// A new run's directory for a fork of `checkpoint`. It gets its parent's metrics up to the checkpoint, so that its
    /// curves are complete.
    ///
    /// # Errors
    /// Those of [`RunDir::create`], and metrics that cannot be copied.
    pub fn fork(
        out: Option<&Path>,
        checkpoint: &Checkpoint,
        preset: &Preset,
        run: &RunFile,
    ) -> Result<RunDir> {
        let mut fork = RunDir::create(out, preset, run)?;
        if let Some(parent) = run_of(&checkpoint.path) {
            fork.metrics.copy(parent, checkpoint.manifest.metrics_bytes)?;
        }
        Ok(fork)
    }

    /// An existing run's directory, with its last checkpoint. Lines of `metrics.jsonl` after the checkpoint are removed,
    /// because their iterations will be run again.
    ///
    /// # Errors
    /// A directory that is not a run or has no checkpoint, or a run that another process is training.
    pub fn resume(path: &Path) -> Result<(RunDir, Checkpoint)> {
        RunFile::read(path)?;
        // Locked first, because another process might still be writing.
        let mut run = RunDir::open(path.to_owned(), false)?;
        let checkpoint = Checkpoint::open(&resolve(path, &["last"])?)?;
        run.metrics.cut(checkpoint.manifest.metrics_bytes)?;
        Ok((run, checkpoint))
    }

    /// Removes a run that ended before its first checkpoint and so cannot be resumed.
    ///
    /// # Errors
    /// A run that another process is training, that has a checkpoint after all, or that cannot be removed.
    pub fn discard(path: &Path) -> Result<()> {
        // Stays locked until it is removed.
        let run = RunDir::open(path.to_owned(), true)?;
        let checkpoints = path.join("checkpoints");
        let entries = match std::fs::read_dir(&checkpoints) {
            Ok(entries) => entries.collect::<std::io::Result<Vec<_>>>(),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        };
        let entries = entries.map_err(Error::io("read", &checkpoints))?;
        let names = entries.iter().map(|entry| entry.file_name());
        let whole = names.filter(|name| checkpoint::is_checkpoint(&checkpoints.join(name)));
        if let Some(name) = whole.map(|name| shown(&name).to_string()).max() {
            return Err(Error::content(
                &checkpoints.join("last"),
                format!(
                    "names no checkpoint to resume from, but {name} is there; write its name into this file"
                ),
            ));
        }
        std::fs::remove_dir_all(&run.path).map_err(Error::io("remove", path))
    }

    fn open(path: PathBuf, create: bool) -> Result<RunDir> {
        let metrics = MetricsFile::open(&path, create)?;
        Ok(RunDir { path, metrics })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.metrics.append(record)
    }

    /// Another event file for TensorBoard, for iterations from `first` on, if the run keeps such files
    /// ([`keep_events`]).
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn events(&self, first: u64) -> Result<Option<EventFile>> {
        let directory = self.path.join(TENSORBOARD);
        directory.is_dir().then(|| EventFile::begin(&directory, first)).transpose()
    }

    /// Writes a checkpoint and points `last` to it, and with `best` also `best`; then removes checkpoints that nothing
    /// points to.
    ///
    /// # Errors
    /// A directory that cannot be written, for example on a full disk; earlier checkpoints stay as they were.
    pub fn save(&mut self, trainer: &Trainer, best: bool) -> Result<PathBuf> {
        let checkpoints = self.path.join("checkpoints");
        let bytes = self.metrics.flush()?;
        let name = free_name(&checkpoints, &name_at(trainer.counters().iteration));
        let path = checkpoint::save(trainer, &checkpoints, &name, bytes)?;
        // `best` first: if the program ends between the two, the run resumes before this epoch and finds it the best
        // again. In the other order the best checkpoint would be lost.
        if best {
            write_atomic(&checkpoints.join("best"), name.as_bytes())?;
        }
        write_atomic(&checkpoints.join("last"), name.as_bytes())?;
        self.prune();
        Ok(path)
    }

    /// Writes the checkpoint that this fork begins with and keeps it, so that the run can be repeated.
    ///
    /// # Errors
    /// Those of [`RunDir::save`].
    pub fn begin(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.save(trainer, false)?;
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        write_atomic(&self.path.join("checkpoints").join(BEGIN), name)
    }

    /// The checkpoint with the best validation loss.
    ///
    /// # Errors
    /// A run that has not been validated yet, or a damaged checkpoint.
    pub fn best(&self) -> Result<Checkpoint> {
        Checkpoint::open(&resolve(&self.path, &["best"])?)
    }

    /// Removes this program's own checkpoints that nothing points to, and the remains of interrupted saves.
    /// A failure only leaves an extra directory, so it is not reported.
    fn prune(&self) {
        let checkpoints = self.path.join("checkpoints");
        let pointed = ["last", "best", BEGIN, ASKED_FOR].map(|name| pointer(&self.path, name));
        // A pointer that cannot be read might name any of them.
        let Ok(kept) = pointed.into_iter().collect::<Result<Vec<_>>>() else { return };
        let kept: Vec<PathBuf> = kept.into_iter().flatten().collect();
        let Ok(entries) = std::fs::read_dir(&checkpoints) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let ours = entry.file_name().to_str().is_some_and(is_own_name);
            if ours && path.is_dir() && !kept.contains(&path) {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

impl RunFile {
    /// Writes this file into the run's directory.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let file = run.join("run.json");
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::content(&file, e.to_string()))?;
        write_atomic(&file, &text)
    }

    /// The checkpoint whose weights it began with.
    ///
    /// # Errors
    /// Weights that are gone or damaged, or others than those.
    pub fn first_weights(&self) -> Result<Option<Checkpoint>> {
        let Some(from) = &self.from else { return Ok(None) };
        let found = weights_of(from).map_err(|e| match from.exists() {
            true => e,
            false => Error::content(
                from,
                "gone, and the run began with its weights; put it back to repeat the run",
            ),
        })?;
        self.origin.check_weights(&found)?;
        Ok(Some(found))
    }

    /// The device it began on, and its precision unless that is f32: "libtorch bf16".
    pub fn computed_on(&self) -> String {
        match self.precision {
            Precision::F32 => self.device.clone(),
            precision => format!("{} {precision}", self.device),
        }
    }

    /// Reads a run's `run.json`.
    ///
    /// # Errors
    /// A directory that is not a run.
    pub fn read(run: &Path) -> Result<RunFile> {
        let file = run.join("run.json");
        let bytes = std::fs::read(&file).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::content(
                run,
                match checkpoint::is_checkpoint(run) {
                    true => {
                        "a checkpoint or model, not a run; start a run with its weights: train PRESET --from"
                    }
                    false => "not a run directory (it has no run.json); give a run directory",
                },
            ),
            _ => Error::io("read", &file)(e),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::content(&file, format!("not a run's description: {e}")))
    }
}

/// The checkpoint at `path`: `path` itself or, for a run, the first of `pointers` that exists.
///
/// # Errors
/// A path that is neither a checkpoint nor a run, or a run without a checkpoint.
pub fn resolve(path: &Path, pointers: &[&str]) -> Result<PathBuf> {
    if checkpoint::is_checkpoint(path) {
        return Ok(path.to_owned());
    }
    for name in pointers {
        if let Some(checkpoint) = pointer(path, name)? {
            return Ok(checkpoint);
        }
    }
    RunFile::read(path)?;
    Err(Error::content(path, "this run has no checkpoint yet; train it further first"))
}

/// The checkpoint that `name`, such as `best`, points to in `run`; `None` without such a pointer.
fn pointer(run: &Path, name: &str) -> Result<Option<PathBuf>> {
    let checkpoints = run.join("checkpoints");
    let file = checkpoints.join(name);
    match std::fs::read_to_string(&file) {
        Ok(name) => Ok(Some(checkpoints.join(name.trim()))),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Error::io("read", &file)(e)),
    }
}

/// Whether the run in `path` has a last checkpoint.
///
/// # Errors
/// A pointer that cannot be read.
pub fn is_resumable(path: &Path) -> Result<bool> {
    Ok(pointer(path, "last")?.is_some())
}

/// Whether `name` is one that this program gives to a directory in `checkpoints/`: `it-00000200`, `it-00000200-2`, or
/// the name of an unfinished checkpoint.
fn is_own_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_checkpoint = |rest: &str| match rest.split_once('-') {
        Some((iteration, copy)) => iteration.len() >= 8 && is_number(iteration) && is_number(copy),
        None => rest.len() >= 8 && is_number(rest),
    };
    name.starts_with(checkpoint::UNFINISHED) || name.strip_prefix("it-").is_some_and(is_checkpoint)
}

/// The checkpoint of a run by name: `best`, `last`, or an iteration, `1200` or `it-00001200`. It is kept until
/// another one is requested.
///
/// # Errors
/// A name without a checkpoint, with a list of those that exist; a directory that cannot be written.
pub fn named(run: &Path, name: &str) -> Result<PathBuf> {
    let checkpoints = run.join("checkpoints");
    let is_one = |path: &PathBuf| checkpoint::is_checkpoint(path);
    let path = match name {
        "best" | "last" => pointer(run, name)?,
        _ => {
            let iteration = name.strip_prefix("it-").unwrap_or(name).parse().ok();
            let whole = (!name.contains(['/', '\\'])).then(|| checkpoints.join(name));
            whole.filter(is_one).or_else(|| Some(checkpoints.join(name_at(iteration?))).filter(is_one))
        }
    };
    if let Some(path) = path {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        write_atomic(&checkpoints.join(ASKED_FOR), name)?;
        return Ok(path);
    }
    let pointers = ["best", "last"].into_iter().filter(|pointer| checkpoints.join(pointer).is_file());
    let entries = std::fs::read_dir(&checkpoints).into_iter().flatten().flatten();
    let of_name = |path: PathBuf| path.file_name()?.to_str().map(str::to_owned);
    let found = entries.map(|entry| entry.path()).filter(is_one).filter_map(of_name);
    let mut there: Vec<String> = pointers.map(str::to_owned).chain(found).collect();
    there.sort_unstable();
    let there = if there.is_empty() {
        "none yet; the first validation writes one, and so does the key c".to_owned()
    } else {
        there.join(", ")
    };
    Err(Error::Usage(format!("{} has no checkpoint {name:?}; there are: {there}", shown(run))))
}

fn name_at(iteration: u64) -> String {
    format!("it-{iteration:08}")
}

/// The checkpoint with the weights that `what` names: a model that comes with the program, by name; a checkpoint; or the
/// run whose best checkpoint, by validation loss, is meant.
///
/// # Errors
/// Any other path, or a damaged checkpoint.
pub fn weights_of(what: &Path) -> Result<Checkpoint> {
    // A directory of that name takes precedence if it holds weights.
    let is_run = what.join("run.json").is_file() || checkpoint::is_checkpoint(what);
    let named = checkpoint::MODELS.iter().find(|model| Path::new(model.name) == what);
    if let (Some(model), false) = (named, is_run) {
        return Checkpoint::of_program(*model);
    }
    if !what.try_exists().map_err(Error::io("read", what))? {
        let names: Vec<_> = checkpoint::MODELS.iter().map(|model| model.name).collect();
        return Err(Error::content(
            what,
            format!(
                "there is no such directory; name a run, a checkpoint, or one of these models: {}",
                names.join(", ")
            ),
        ));
    }
    Checkpoint::open(&resolve(what, &["best", "last"])?)
}

/// The run that a checkpoint belongs to, if any.
pub(crate) fn run_of(checkpoint: &Path) -> Option<&Path> {
    checkpoint
        .parent()?
        .parent()
        .filter(|run| run.join("run.json").is_file() && run.join(metrics::FILE).is_file())
}

/// Everything needed to repeat a run.
pub struct Repeat {
    /// How it began.
    pub run: RunFile,
    /// The preset it began with.
    pub preset: Preset,
    /// The checkpoint it began with, if it is a fork.
    pub begin: Option<PathBuf>,
    /// The live changes made since then, in order; that checkpoint contains the earlier ones.
    pub changes: Vec<Change>,
    /// The last iteration in its metrics.
    pub iterations: u64,
}

impl Repeat {
    /// Reads it from the run in `path`.
    ///
    /// # Errors
    /// A directory that is not a run, or is damaged.
    pub fn of(path: &Path) -> Result<Repeat> {
        let run = RunFile::read(path)?;
        let preset = Preset::load(path.join("preset.ron"))?;
        let begin = resolve(path, &[BEGIN]).ok();
        let metrics = metrics::read(path)?;
        let (changes, iterations) = (metrics.own_changes().to_vec(), metrics.last_iteration());
        Ok(Repeat { run, preset, begin, changes, iterations })
    }
}

/// When the run in `path` began, by the date of the file that is written first.
pub fn began(path: &Path) -> SystemTime {
    let written = std::fs::metadata(path.join("run.json")).and_then(|file| file.modified());
    written.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Makes the run in `path` keep event files for TensorBoard from now on.
///
/// # Errors
/// A directory that is not a run or cannot be written.
pub fn keep_events(path: &Path) -> Result<()> {
    RunFile::read(path)?;
    let directory = path.join(TENSORBOARD);
    std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))
}

/// Whether `path` is an archived run. A run that ended before its first checkpoint is not: every run creates its
/// directory of checkpoints before anything else.
pub fn is_archived(path: &Path) -> bool {
    let kept = [metrics::COMPRESSED, "reading.md"].iter().any(|file| path.join(file).is_file());
    path.join("run.json").is_file() && (kept || !path.join("checkpoints").is_dir())
}

fn new_under(parent: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    for n in 1u32.. {
        let path = parent.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create the run directory", &path)(e)),
        }
    }
    unreachable!("four thousand million run directories")
}

fn free_name(parent: &Path, name: &str) -> String {
    if !parent.join(name).exists() {
        return name.to_owned();
    }
    (2u32..).map(|n| format!("{name}-{n}")).find(|name| !parent.join(name).exists()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_this_program_are_pruned() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = run.path().join("checkpoints");
        let own = ["it-00000100", "it-00000100-2", "it-123456789", ".unfinished-Ab1"];
        let others =
            ["it-00000200", "it-00000300", "mine", "it-00000100-copy", "it-1", "it-00000100-", "backup-2"];
        for name in own.iter().chain(&others) {
            std::fs::create_dir_all(checkpoints.join(name)).unwrap();
        }
        std::fs::write(checkpoints.join("last"), "it-00000200").unwrap();
        std::fs::write(checkpoints.join("best"), "it-00000300").unwrap();
        let directory = RunDir::open(run.path().to_owned(), true).unwrap();
        directory.prune();
        for name in own {
            assert!(!checkpoints.join(name).exists(), "{name}");
        }
        for name in others {
            assert!(checkpoints.join(name).is_dir(), "{name}");
        }
        // A pointer that cannot be read, here for being a directory, might name any of them.
        std::fs::create_dir(checkpoints.join(ASKED_FOR)).unwrap();
        std::fs::create_dir(checkpoints.join("it-00000400")).unwrap();
        directory.prune();
        assert!(checkpoints.join("it-00000400").is_dir());
    }

    /// A file that exists but cannot be read is not reported as missing.
    #[test]
    fn an_unreadable_pointer_is_not_a_run_without_a_checkpoint() {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(run.path().join("checkpoints/best")).unwrap();
        for error in [resolve(run.path(), &["best"]), named(run.path(), "best")] {
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("cannot read") && error.contains("best"), "{error}");
        }
    }

    /// A run of which only its compressed metrics were kept stays as it is.
    #[test]
    fn an_archived_run_is_neither_resumed_nor_hidden() {
        let run = tempfile::tempdir().unwrap();
        let file = RunFile {
            seed: 1,
            device: "flex".into(),
            precision: Precision::F32,
            machine: String::new(),
            version: "0".into(),
            from: None,
            forked: None,
            origin: Origin::default(),
            replay: vec![],
        };
        file.write(run.path()).unwrap();
        std::fs::write(run.path().join(metrics::COMPRESSED), "").unwrap();
        for error in [RunDir::resume(run.path()).err(), RunDir::discard(run.path()).err()] {
            let error = error.unwrap().to_string();
            assert!(error.contains("an archived run"), "{error}");
        }
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 2);
    }
}
