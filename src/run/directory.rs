//! A run's directory.
//!
//! ```text
//! runs/quickstart-s1/
//!   run.json        seed, device, version
//!   preset.ron      the preset the run began with, resolved
//!   lock            locked and named by the process that trains it: see `lock`
//!   metrics.jsonl   one line for each iteration, epoch and live change
//!   log.txt         the log, for people to read
//!   result.json     how the training ended, and its scores: see `result`
//!   album/          snapshots of some samples during the training: see `album`
//!   tensorboard/    event files, if requested
//!   socket          where viewers attach during the training: see `socket`
//!   checkpoints/
//!     last, best    files with the name of a checkpoint beside them: see `checkpoints`
//!     it-00000200/  see `checkpoint`
//! ```

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::album;
use super::checkpoint::{self, Checkpoint};
use super::checkpoints::{self, BEGIN, BEST, CHECKPOINTS, LAST, PREVIOUS};
use super::history::History;
use super::lock::{self, Held, LOCK, Lock, TRAINS};
use super::metrics::{self, MetricsFile};
use super::origin::Origin;
use super::tensorboard::{self, EventFile};
use crate::error::{Error, Result};
use crate::files::{self, is_directory, is_temporary, list, remove_temporary, sync_directory, write_atomic};
use crate::paths::{exact_option, meant, nearest, quoted, shown};
use crate::precision::Precision;
use crate::preset::Preset;
use crate::protocol::{Change, Record};
use crate::train::trainer::{Counters, Trainer};

const RUN: &str = "run.json";
const PRESET: &str = "preset.ron";
/// Bytes of a megabyte.
const MB: u64 = 1_000_000;
/// Marks a directory that is becoming a run.
const MARKER: &str = ".nem-tui-unfinished-run";

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
    /// The checkpoint that the run stands on: the newest one, or the one it was resumed from.
    current: Option<PathBuf>,
    /// A checkpoint that was written but that nothing points to yet, and the counters it holds.
    written: Option<(Counters, PathBuf)>,
    /// The checkpoints of the past that are kept.
    history: History,
    /// What is still to be written for a directory to be a run. Without that it is removed at the end.
    unfinished: Option<Unfinished>,
    _lock: Lock,
}

struct Unfinished {
    run: RunFile,
    /// Whether the directory itself is new, too.
    is_new: bool,
}

impl RunDir {
    /// A new run's directory: `out`, or the first free `runs/<preset>-s<seed>[-n]`. It becomes a run by
    /// [`RunDir::commit`]; otherwise it is removed. What a killed start left is overwritten.
    ///
    /// # Errors
    /// An `out` that is not empty, or a directory that cannot be written.
    pub fn create(out: Option<&Path>, preset: &Preset, run: &RunFile) -> Result<RunDir> {
        let (path, is_new) = match out {
            Some(path) => {
                let is_new = !path.exists();
                std::fs::create_dir_all(path).map_err(Error::io("create the run directory", path))?;
                if !is_new && !is_free(path)? {
                    return Err(Error::Usage(format!(
                        "{} is not empty; name a new directory with --out, or resume the run in it with --resume",
                        shown(path)
                    )));
                }
                (path.to_owned(), is_new)
            }
            None => (new_under(Path::new("runs"), &format!("{}-s{}", preset.name, run.seed))?, true),
        };
        let lock = Lock::take(&path, TRAINS)?;
        clear(&path)?;
        let marker = path.join(MARKER);
        File::create(&marker).map_err(Error::io("create", &marker))?;
        let metrics = MetricsFile::open(&path)?;
        let unfinished = Some(Unfinished { run: run.clone(), is_new });
        let history = History::default();
        let made = RunDir { path, metrics, current: None, written: None, history, unfinished, _lock: lock };
        let checkpoints = made.path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints).map_err(Error::io("create", &checkpoints))?;
        write_atomic(&made.path.join(PRESET), preset.to_ron().as_bytes())?;
        Ok(made)
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

    /// Completes a new run's directory: it is a run once it has its `run.json`.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn commit(&mut self) -> Result<()> {
        if let Some(Unfinished { run, .. }) = &self.unfinished {
            run.write(&self.path)?;
            sync_directory(&self.path)?;
            self.unfinished = None;
            let _ = std::fs::remove_file(self.path.join(MARKER));
        }
        Ok(())
    }

    /// An existing run's directory, with its newest whole checkpoint; `None` if it ended before its first one. Lines of
    /// `metrics.jsonl` after the checkpoint are removed, because their iterations will be run again.
    ///
    /// # Errors
    /// A directory that is not a run, whose checkpoints are all damaged, or that another process is training.
    pub fn resume(path: &Path) -> Result<(RunDir, Option<Checkpoint>)> {
        let begun = RunFile::read(path)?;
        // Locked first, because another process might still be writing.
        let lock = Lock::take(path, TRAINS)?;
        remove_all_temporary(path);
        let metrics = MetricsFile::open(path)?;
        let checkpoint = checkpoints::last(path)?;
        let current = checkpoint.as_ref().map(|checkpoint| checkpoint.path.clone());
        let until = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.manifest.counters.iteration);
        let mut run = RunDir {
            path: path.to_owned(),
            metrics,
            current,
            written: None,
            history: History::read(path, until)?,
            unfinished: None,
            _lock: lock,
        };
        match &checkpoint {
            Some(Checkpoint { path: newest, manifest, .. }) => {
                run.metrics.cut(manifest.metrics_bytes)?;
                // Its process may have been killed before it could say so.
                if manifest.best {
                    checkpoints::point(path, BEST, newest)?;
                }
                if !matches!(checkpoints::pointer(path, LAST), Ok(Some(last)) if last == *newest) {
                    checkpoints::point(path, LAST, newest)?;
                }
            }
            None if begun.forked.is_some() => {
                return Err(Error::content(path, "its first checkpoint is missing; fork its parent again"));
            }
            None => {
                let checkpoints = path.join(CHECKPOINTS);
                std::fs::create_dir_all(&checkpoints).map_err(Error::io("create", &checkpoints))?;
                run.metrics.set_aside()?;
            }
        }
        Ok((run, checkpoint))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk. The file does not have the line then.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.metrics.append(record)
    }

    /// Keeps event files for TensorBoard from now on.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn keep_events(&self) -> Result<()> {
        tensorboard::keep(&self.path)
    }

    /// Another event file for TensorBoard, for iterations from `first` on, if the run keeps such files
    /// ([`keep_events`]).
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn events(&self, first: u64) -> Result<Option<EventFile>> {
        let directory = self.path.join(tensorboard::DIRECTORY);
        let is_kept = is_directory(&directory).map_err(Error::io("read", &directory))?;
        is_kept.then(|| EventFile::begin(&directory, first)).transpose()
    }

    /// Writes a checkpoint and points `last` to it, and with `best` also `best`; then removes checkpoints that nothing
    /// points to and that are not kept of the past. After a failure it can be called again.
    ///
    /// # Errors
    /// A directory that cannot be written, for example on a full disk; earlier checkpoints stay as they were.
    pub fn save(&mut self, trainer: &Trainer, best: bool) -> Result<PathBuf> {
        let counters = trainer.counters();
        let path = match self.written.take_if(|(written, _)| written == counters) {
            Some((_, path)) => path,
            None => {
                let bytes = self.metrics.flush()?;
                let name = checkpoints::free_name(&self.path, counters.iteration, trainer.epoch_is_over());
                checkpoint::save(trainer, &self.path.join(CHECKPOINTS), &name, bytes, best)?
            }
        };
        self.written = Some((counters.clone(), path.clone()));
        self.history.add(counters, &path)?;
        if best {
            checkpoints::point(&self.path, BEST, &path)?;
        }
        if let Some(current) = &self.current {
            checkpoints::point(&self.path, PREVIOUS, current)?;
        }
        checkpoints::point(&self.path, LAST, &path)?;
        self.current = Some(path.clone());
        self.written = None;
        let past = self.history.thin(trainer.preset().train.history_mb.saturating_mul(MB));
        if let Err(e) = checkpoints::prune(&self.path, &past) {
            warn!("{e}; checkpoints that are no longer needed are removed later");
        }
        remove_all_temporary(&self.path);
        Ok(path)
    }

    /// The iterations of the checkpoints that are kept of the past.
    pub fn past(&self) -> Vec<u64> {
        self.history.iterations()
    }

    /// Writes the checkpoint that this fork begins with and keeps it, so that the run can be repeated.
    ///
    /// # Errors
    /// Those of [`RunDir::save`].
    pub fn begin(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.save(trainer, false)?;
        checkpoints::point(&self.path, BEGIN, &path)
    }

    /// The checkpoint with the best validation loss.
    ///
    /// # Errors
    /// A run that has not been validated yet, or a damaged checkpoint.
    pub fn best(&self) -> Result<Checkpoint> {
        checkpoint_or_best(&self.path)
    }
}

impl Drop for RunDir {
    /// Removes a directory that did not become a run, and temporary files that could not be removed before.
    fn drop(&mut self) {
        remove_all_temporary(&self.path);
        if let Some(Unfinished { is_new, .. }) = self.unfinished {
            let _ = clear(&self.path);
            if is_new {
                let _ = files::remove(&self.path);
            }
        }
    }
}

fn remove_all_temporary(run: &Path) {
    let directories = [run.to_owned(), run.join(CHECKPOINTS), run.join(album::ALBUM)];
    directories.iter().for_each(|directory| remove_temporary(directory));
}

/// Whether a new run may be made in `path`: it is empty, or holds what a killed start left.
fn is_free(path: &Path) -> Result<bool> {
    if path.join(MARKER).exists() {
        return Ok(!path.join(RUN).exists());
    }
    let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name == LOCK || is_temporary(name));
    Ok(list(path).map_err(Error::io("read", path))?.iter().all(is_ours))
}

/// Removes everything in `path` but the lock.
fn clear(path: &Path) -> Result<()> {
    let all = list(path).map_err(Error::io("read", path))?;
    let mut others = all.iter().filter(|path| path.file_name() != Some(LOCK.as_ref()));
    others.try_for_each(|path| files::remove(path).map_err(Error::io("remove", path)))
}

impl RunFile {
    /// Writes this file into the run's directory.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let file = run.join(RUN);
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
        let file = run.join(RUN);
        let bytes = std::fs::read(&file).map_err(|e| match e.kind() {
            ErrorKind::NotFound if checkpoint::is_checkpoint(run) => Error::content(
                run,
                "a checkpoint or model, not a run; start a run with its weights: train PRESET --from",
            ),
            ErrorKind::NotFound => no_run(run),
            _ => Error::io("read", &file)(e),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::content(&file, format!("not a run's description: {e}")))
    }
}

fn no_run(path: &Path) -> Error {
    let what = match path.exists() {
        true => "it has no run.json",
        false => "there is no such directory",
    };
    Error::content(path, format!("not a run directory ({what}); {}give a run directory", meant_run(path)))
}

/// Asks whether a run beside `path`, or in `runs`, was meant; empty if none has such a name.
fn meant_run(path: &Path) -> String {
    let beside = path.parent().unwrap_or(Path::new(""));
    let places =
        [beside, Path::new("runs")].map(|place| if place == Path::new("") { Path::new(".") } else { place });
    let found = places.into_iter().find_map(|place| {
        let entries = std::fs::read_dir(place).ok()?.flatten().map(|entry| entry.path());
        let runs: Vec<PathBuf> = entries.filter(|entry| entry.join(RUN).is_file()).collect();
        let names = runs.iter().filter_map(|run| run.file_name()?.to_str());
        let near = nearest(&path.file_name()?.to_string_lossy(), names)?;
        Some(format!("did you mean {}? ", quoted(&place.strip_prefix(".").unwrap_or(place).join(near))))
    });
    found.unwrap_or_default()
}

/// The checkpoint at `path`, or the newest one of the run in `path`.
///
/// # Errors
/// A path that is neither, a run without a checkpoint, or damage.
pub fn checkpoint_or_last(path: &Path) -> Result<Checkpoint> {
    match checkpoint::is_checkpoint(path) {
        true => Checkpoint::open(path),
        false => checkpoints::last(path)?.map_or_else(|| Err(none_yet(path)), Ok),
    }
}

/// The checkpoint at `path`, or the one with the best validation loss of the run in `path`; before the first validation
/// the newest one.
///
/// # Errors
/// Those of [`checkpoint_or_last`].
pub fn checkpoint_or_best(path: &Path) -> Result<Checkpoint> {
    match checkpoints::pointer(path, BEST)? {
        Some(best) if !checkpoint::is_checkpoint(path) => Checkpoint::open(&best),
        _ => checkpoint_or_last(path),
    }
}

fn none_yet(path: &Path) -> Error {
    match RunFile::read(path) {
        Ok(_) => Error::content(path, "this run has no checkpoint yet; resume it with train --resume"),
        Err(e) => e,
    }
}

/// The checkpoint with the weights that `what` names: a model that comes with the program, by name; a checkpoint; or the
/// run whose best checkpoint, by validation loss, is meant.
///
/// # Errors
/// Any other path, or a damaged checkpoint.
pub fn weights_of(what: &Path) -> Result<Checkpoint> {
    // A directory of that name takes precedence if it holds weights.
    let is_run = what.join(RUN).is_file() || checkpoint::is_checkpoint(what);
    let named = checkpoint::MODELS.iter().find(|model| Path::new(model.name) == what);
    if let (Some(model), false) = (named, is_run) {
        return Checkpoint::of_program(*model);
    }
    if !what.try_exists().map_err(Error::io("read", what))? {
        let names: Vec<_> = checkpoint::MODELS.iter().map(|model| model.name).collect();
        return Err(Error::content(
            what,
            format!(
                "there is no such directory; {}name a run, a checkpoint, or one of these models: {}",
                match meant(what, names.iter().copied()) {
                    none if none.is_empty() => meant_run(what),
                    model => model,
                },
                names.join(", ")
            ),
        ));
    }
    checkpoint_or_best(what)
}

/// The run that a checkpoint belongs to, if any.
pub(crate) fn run_of(checkpoint: &Path) -> Option<&Path> {
    checkpoint.parent()?.parent().filter(|run| run.join(RUN).is_file() && run.join(metrics::FILE).is_file())
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
        let preset = preset(path)?;
        let begin = checkpoints::begin(path)?;
        let metrics = metrics::read(path)?;
        let (changes, iterations) = (metrics.own_changes().to_vec(), metrics.last_iteration());
        Ok(Repeat { run, preset, begin, changes, iterations })
    }
}

/// The preset that the run in `path` began with.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub fn preset(path: &Path) -> Result<Preset> {
    Preset::load(path.join(PRESET))
}

/// When the run in `path` began, by the date of the file that is written first.
pub fn began(path: &Path) -> SystemTime {
    let written = std::fs::metadata(path.join(RUN)).and_then(|file| file.modified());
    written.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Makes the run in `path` keep event files for TensorBoard from now on.
///
/// # Errors
/// A directory that is not a run or cannot be written.
pub fn keep_events(path: &Path) -> Result<()> {
    RunFile::read(path)?;
    tensorboard::keep(path)
}

/// Whether `path` is an archived run. A run that ended before its first checkpoint is not: every run creates its
/// directory of checkpoints before anything else.
pub fn is_archived(path: &Path) -> bool {
    let kept = [metrics::COMPRESSED, "reading.md"].iter().any(|file| path.join(file).is_file());
    path.join(RUN).is_file() && (kept || !path.join("checkpoints").is_dir())
}

fn new_under(parent: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    for n in 1u32.. {
        let path = parent.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                // What a killed start left, unless another process is making a run there.
                if path.join(MARKER).exists() && is_free(&path)? && lock::state(&path) == Held::Free {
                    return Ok(path);
                }
            }
            Err(e) => return Err(Error::io("create the run directory", &path)(e)),
        }
    }
    unreachable!("four thousand million run directories")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let error = RunDir::resume(run.path()).err().unwrap().to_string();
        assert!(error.contains("an archived run"), "{error}");
        assert!(!run.path().join(metrics::FILE).exists());
    }
}
