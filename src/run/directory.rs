//! What a run leaves on the disk.
//!
//! ```text
//! runs/quickstart-s1/
//!   run.json        seed, device, version
//!   preset.ron      the preset the run began with, resolved
//!   metrics.jsonl   one line for each iteration, epoch and live change
//!   log.txt         what happened when
//!   album/          what some samples looked like as it went on: see `album`
//!   tensorboard/    event files, where they are wanted
//!   socket          where viewers attach, while it trains: see `socket`
//!   checkpoints/
//!     last, best    the name of a checkpoint beside them; of a fork also `begin`
//!     it-00000200/  see `checkpoint`
//! ```

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint};
use super::metrics::{self, MetricsFile};
use super::tensorboard;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::precision::Precision;
use crate::preset::Preset;
use crate::protocol::{Change, Record};
use crate::train::trainer::Trainer;

/// What points at the checkpoint that a fork began with.
const BEGIN: &str = "begin";
/// Points at the checkpoint that was asked for last by its name, to be forked.
const ASKED_FOR: &str = "asked-for";
/// Where TensorBoard's event files are.
const TENSORBOARD: &str = "tensorboard";

/// What a run is, apart from its preset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// Everything random follows from it.
    pub seed: u64,
    /// The device it began on.
    pub device: String,
    /// Of its products and convolutions, now.
    #[serde(default)]
    pub precision: Precision,
    /// The machine it began on, as [`crate::machine::description`] names it.
    #[serde(default)]
    pub machine: String,
    /// The version and commit of the program that began it.
    pub version: String,
    /// The checkpoint whose weights it began with, if not the seed's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The checkpoint that it was forked from, state and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked: Option<PathBuf>,
    /// Live changes that it was to make at their iterations, to repeat those of another run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay: Vec<Change>,
}

/// An open run directory. Only one process at a time holds it.
pub struct RunDir {
    path: PathBuf,
    metrics: MetricsFile,
}

impl RunDir {
    /// A new run's directory: `out`, or the first free `runs/<preset>-s<seed>[-n]`.
    ///
    /// # Errors
    /// An `out` that is not empty, or a place that cannot be written.
    pub fn create(out: Option<&Path>, preset: &Preset, run: &RunFile) -> Result<RunDir> {
        let path = match out {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(Error::io("create the run directory", path))?;
                let mut entries = std::fs::read_dir(path).map_err(Error::io("read", path))?;
                if entries.next().is_some() {
                    return Err(Error::Usage(format!(
                        "{} is not empty; give --out a new directory, or go on with the run in it by --resume",
                        path.display()
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
        RunDir::open(path)
    }

    /// A new run's directory for a fork of `checkpoint`, with its run's metrics until there, so that the curves are
    /// whole.
    ///
    /// # Errors
    /// What [`RunDir::create`] refuses, and metrics that cannot be copied.
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

    /// An earlier run's directory, with its last checkpoint. Lines of `metrics.jsonl` that the
    /// checkpoint has not seen are cut off, since the iterations will be run again.
    ///
    /// # Errors
    /// A directory that is no run or has no checkpoint, or that another process is training in.
    pub fn resume(path: &Path) -> Result<(RunDir, Checkpoint)> {
        RunFile::read(path)?;
        // Locked first: what another process still writes is not what is gone on with.
        let mut run = RunDir::open(path.to_owned())?;
        let checkpoint = Checkpoint::open(&resolve(path, &["last"])?)?;
        run.metrics.cut(checkpoint.manifest.metrics_bytes)?;
        Ok((run, checkpoint))
    }

    /// Removes a run that was cut off before its first checkpoint, so that nothing of it can be gone on with.
    ///
    /// # Errors
    /// A run that another process is training in, that has a checkpoint after all, or that cannot be removed.
    pub fn discard(path: &Path) -> Result<()> {
        // Held until it is gone.
        let run = RunDir::open(path.to_owned())?;
        let checkpoints = path.join("checkpoints");
        let names =
            std::fs::read_dir(&checkpoints).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let whole = names.filter(|name| checkpoint::is_checkpoint(&checkpoints.join(name)));
        if let Some(name) = whole.map(|name| name.to_string_lossy().into_owned()).max() {
            return Err(Error::content(
                &checkpoints.join("last"),
                format!(
                    "names no checkpoint to go on from, but {name} is there; write its name into this file"
                ),
            ));
        }
        std::fs::remove_dir_all(&run.path).map_err(Error::io("remove", path))
    }

    fn open(path: PathBuf) -> Result<RunDir> {
        let metrics = MetricsFile::open(&path)?;
        Ok(RunDir { path, metrics })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.metrics.append(record)
    }

    /// A further event file for TensorBoard, for iterations from `first` on, where the run keeps any:
    /// [`keep_events`].
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn events(&self, first: u64) -> Result<Option<tensorboard::Log>> {
        let directory = self.path.join(TENSORBOARD);
        directory.is_dir().then(|| tensorboard::Log::begin(&directory, first)).transpose()
    }

    /// Writes a checkpoint and points `last`, and with `best` also `best`, at it; then removes those
    /// that nothing points at.
    ///
    /// # Errors
    /// A full disk, for one; the earlier checkpoints are then as they were.
    pub fn save(&mut self, trainer: &Trainer, best: bool) -> Result<PathBuf> {
        let checkpoints = self.path.join("checkpoints");
        let bytes = self.metrics.flush()?;
        let name = free_name(&checkpoints, &name_at(trainer.counters().iteration));
        let path = checkpoint::save(trainer, &checkpoints, &name, bytes)?;
        // First `best`: were the program to end between the two, the run would go on from before this
        // epoch and find it the best again. The other way round it would be forgotten.
        if best {
            write_atomic(&checkpoints.join("best"), name.as_bytes())?;
        }
        write_atomic(&checkpoints.join("last"), name.as_bytes())?;
        self.prune();
        Ok(path)
    }

    /// Writes the checkpoint that this fork begins with, and keeps it: the run can then be repeated.
    ///
    /// # Errors
    /// As [`RunDir::save`].
    pub fn begin(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.save(trainer, false)?;
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        write_atomic(&self.path.join("checkpoints").join(BEGIN), name)
    }

    /// The checkpoint of the best validation loss.
    ///
    /// # Errors
    /// A run that was not validated yet, or a damaged checkpoint.
    pub fn best(&self) -> Result<Checkpoint> {
        Checkpoint::open(&resolve(&self.path, &["best"])?)
    }

    /// Removing is housekeeping: where it fails, a directory too many is left, and that is all.
    fn prune(&self) {
        let checkpoints = self.path.join("checkpoints");
        let kept: Vec<PathBuf> = ["last", "best", BEGIN, ASKED_FOR]
            .iter()
            .filter_map(|p| resolve(&self.path, &[p]).ok())
            .collect();
        let Ok(entries) = std::fs::read_dir(&checkpoints) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() && !kept.contains(&path) {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

impl RunFile {
    /// Writes it into the run's directory.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let file = run.join("run.json");
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::content(&file, e.to_string()))?;
        write_atomic(&file, &text)
    }

    /// The device it began on, and its precision where that is not f32: "libtorch bf16".
    pub fn computed_on(&self) -> String {
        match self.precision {
            Precision::F32 => self.device.clone(),
            precision => format!("{} {precision}", self.device),
        }
    }

    /// Reads a run's `run.json`.
    ///
    /// # Errors
    /// A directory that is no run.
    pub fn read(run: &Path) -> Result<RunFile> {
        let file = run.join("run.json");
        let bytes = std::fs::read(&file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::content(
                run,
                match checkpoint::is_checkpoint(run) {
                    true => {
                        "a checkpoint or model, not a run; begin one with its weights: train PRESET --from it"
                    }
                    false => "not a run directory (it has no run.json); give the directory that train made",
                },
            ),
            _ => Error::io("read", &file)(e),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::content(&file, format!("not a run's description: {e}")))
    }
}

/// The checkpoint that `path` means: itself, or, of a run, the first of `pointers` that there is.
///
/// # Errors
/// A path that is neither, or a run without a checkpoint.
pub fn resolve(path: &Path, pointers: &[&str]) -> Result<PathBuf> {
    if checkpoint::is_checkpoint(path) {
        return Ok(path.to_owned());
    }
    let checkpoints = path.join("checkpoints");
    for pointer in pointers {
        if let Ok(name) = std::fs::read_to_string(checkpoints.join(pointer)) {
            return Ok(checkpoints.join(name.trim()));
        }
    }
    RunFile::read(path)?;
    Err(Error::content(path, "this run has no checkpoint yet; train it further first"))
}

/// The checkpoint of a run that is called `name`: `best`, `last`, or by its iteration, `1200` or `it-00001200`. The run
/// keeps it from then on, until another is asked for.
///
/// # Errors
/// None of that name, with those that there are; a place that cannot be written.
pub fn named(run: &Path, name: &str) -> Result<PathBuf> {
    let checkpoints = run.join("checkpoints");
    let is_one = |path: &PathBuf| checkpoint::is_checkpoint(path);
    let path = match name {
        "best" | "last" => resolve(run, &[name]).ok(),
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
        "none yet, which the first validation or c makes".to_owned()
    } else {
        there.join(", ")
    };
    Err(Error::Usage(format!("{} has no checkpoint {name:?}; there are: {there}", run.display())))
}

fn name_at(iteration: u64) -> String {
    format!("it-{iteration:08}")
}

/// Whose weights `what` means: a model that comes with the program, by its name; a checkpoint; of a run, the
/// checkpoint with the best validation loss.
///
/// # Errors
/// None of these, or a damaged checkpoint.
pub fn weights_of(what: &Path) -> Result<Checkpoint> {
    // A directory of that name that holds weights is meant first.
    let is_run = what.join("run.json").is_file() || checkpoint::is_checkpoint(what);
    let named = checkpoint::MODELS.iter().find(|model| Path::new(model.name) == what);
    if let (Some(model), false) = (named, is_run) {
        return Checkpoint::of_program(*model);
    }
    if !what.exists() {
        let names: Vec<_> = checkpoint::MODELS.iter().map(|model| model.name).collect();
        return Err(Error::content(
            what,
            format!(
                "there is no such directory; give a run's or a checkpoint's, or a model: {}",
                names.join(", ")
            ),
        ));
    }
    Checkpoint::open(&resolve(what, &["best", "last"])?)
}

/// The run that a checkpoint lies in, if it lies in one.
pub(crate) fn run_of(checkpoint: &Path) -> Option<&Path> {
    checkpoint
        .parent()?
        .parent()
        .filter(|run| run.join("run.json").is_file() && run.join(metrics::FILE).is_file())
}

/// What is needed to repeat a run.
pub struct Repeat {
    /// How it was begun.
    pub run: RunFile,
    /// The preset it began with.
    pub preset: Preset,
    /// The checkpoint it began with, if it is a fork.
    pub begin: Option<PathBuf>,
    /// The live changes made since, in order; what was changed before is in that checkpoint.
    pub changes: Vec<Change>,
    /// The last iteration in its metrics.
    pub iterations: u64,
}

impl Repeat {
    /// Reads it from the run in `path`.
    ///
    /// # Errors
    /// A directory that is no run, or that is damaged.
    pub fn of(path: &Path) -> Result<Repeat> {
        let run = RunFile::read(path)?;
        let preset = Preset::load(&path.join("preset.ron").display().to_string())?;
        let begin = resolve(path, &[BEGIN]).ok();
        let metrics = metrics::read(path)?;
        let (changes, iterations) = (metrics.own_changes().to_vec(), metrics.last_iteration());
        Ok(Repeat { run, preset, begin, changes, iterations })
    }
}

/// When the run in `path` began, as the date of the file says that was written first.
pub fn began(path: &Path) -> SystemTime {
    let written = std::fs::metadata(path.join("run.json")).and_then(|file| file.modified());
    written.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Makes the run in `path` keep event files for TensorBoard from its next iteration on, whenever it is gone on with.
///
/// # Errors
/// A directory that is no run, or cannot be written.
pub fn keep_events(path: &Path) -> Result<()> {
    RunFile::read(path)?;
    let directory = path.join(TENSORBOARD);
    std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))
}

/// Whether `path` is what somebody kept of a run, and not a run that was cut off before its first checkpoint:
/// every run makes the directory of its checkpoints before anything else.
pub fn is_kept(path: &Path) -> bool {
    let kept = [metrics::COMPRESSED, "reading.md"].iter().any(|file| path.join(file).is_file());
    path.join("run.json").is_file() && (kept || !path.join("checkpoints").is_dir())
}

fn new_under(parent: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    for n in 1u32.. {
        let path = parent.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
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
