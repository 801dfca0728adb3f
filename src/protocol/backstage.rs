//! What the workbench needs from the rest of the program.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Metrics, RunHandle};
use crate::error::{Error, Result};
use crate::files::has_extension;
use crate::paths::shown;
use crate::preset::{ImageSize, Preset};
use crate::snapshot::Snapshot;

/// A past run in the picker's list.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCard {
    /// Its directory.
    pub directory: PathBuf,
    /// Its current preset: that of its last checkpoint.
    pub preset: Preset,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Iterations done: in its last checkpoint or, while it trains, so far.
    pub iteration: u64,
    /// Its latest validation AMI (last step), if it was ever validated.
    pub ami: Option<f64>,
    /// Its latest validation loss.
    pub validation_loss: Option<f64>,
    /// When its metrics were last written.
    pub changed: SystemTime,
    /// What is wrong with it, if anything is: that it failed, or cannot be resumed. A sentence.
    pub trouble: Option<String>,
    /// Whether it trains, and where.
    pub state: RunState,
    /// Where it began, if not with its seed's weights: "fork of quickstart-s1 at 747".
    pub parent: Option<String>,
    /// The user's note on it, one line.
    pub note: Option<String>,
    /// When that was last written.
    pub noted: Option<SystemTime>,
    /// The name of the sweep whose trial it is.
    pub sweep: Option<String>,
}

impl RunCard {
    /// A run of seed 1 that has not begun yet.
    pub fn new(directory: PathBuf, preset: Preset) -> RunCard {
        RunCard {
            directory,
            preset,
            seed: 1,
            iteration: 0,
            ami: None,
            validation_loss: None,
            changed: SystemTime::UNIX_EPOCH,
            trouble: None,
            state: RunState::default(),
            parent: None,
            note: None,
            noted: None,
            sweep: None,
        }
    }

    /// What it is doing, in a word.
    pub fn doing(&self) -> &'static str {
        match (&self.state, &self.trouble) {
            (RunState::Running | RunState::Elsewhere(_), _) => "running",
            (_, Some(_)) => "failed",
            (RunState::Finished, None) => "finished",
            (RunState::Stopped, None) => "stopped",
        }
    }

    /// The name of its directory, after that of its sweep.
    pub fn name(&self) -> String {
        let name = shown(self.directory.file_name().unwrap_or(self.directory.as_os_str()));
        self.sweep.as_ref().map_or_else(|| name.to_string(), |sweep| format!("{sweep}/{name}"))
    }
}

/// Whether a run trains, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// It can be resumed.
    #[default]
    Stopped,
    /// Its protocol has ended it.
    Finished,
    /// Another process of this machine trains it.
    Running,
    /// A process of another machine trains it: "process 7 on rooms".
    Elsewhere(String),
}

/// What is read of a run when it is selected in the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunDetails {
    /// Its validation AMI after each epoch; the losses where nothing can be scored.
    pub curve: Vec<f64>,
    /// Whether these are losses.
    pub is_loss: bool,
    /// Its size on disk, in bytes.
    pub bytes: u64,
}

/// What the deletion of a run would take away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletion {
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// The runs that began with its weights, and cannot be repeated without them.
    pub dependents: Vec<String>,
}

/// A trained model in the picker's list.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// The preset it was trained with.
    pub preset: Preset,
    /// Iterations it was trained for.
    pub iteration: u64,
    /// The AMI (max) of its last EM step on held-out samples, and the floor there.
    pub ami: Option<(f64, f64)>,
}

/// The models, presets and devices to choose from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The trained models to inspect.
    pub models: Vec<ModelCard>,
    /// The presets to train.
    pub presets: Vec<Preset>,
    /// The names of the devices; the first is the default.
    pub devices: Vec<String>,
}

/// A run to be compared with another.
#[derive(Clone, Debug, PartialEq)]
pub struct RunToCompare {
    /// Its directory, without symbolic links.
    pub directory: PathBuf,
    /// Its settings at the end of its metrics.
    pub preset: Preset,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Its metrics.
    pub metrics: Metrics,
}

/// A moment of a run's past that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its iteration.
    pub iteration: u64,
    /// The iteration of the checkpoint that a fork from it begins with: its own, or the nearest earlier one.
    pub fork: Option<u64>,
}

impl Moment {
    /// Whether its own checkpoint is kept.
    pub fn is_kept(&self) -> bool {
        self.fork == Some(self.iteration)
    }
}

/// A sample of a preset's data, for the picker.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// C, H and W.
    pub image: ImageSize,
    /// Clean image, M values.
    pub clean: Vec<f32>,
    /// The same with the preset's noise.
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values.
    pub groups: Vec<u8>,
}

/// Starts and reads runs for the workbench. A trait, so that the workbench does not depend on how that is done.
/// The defaults are for a program that cannot do these things. Every method may take long and is called on a thread
/// other than the screen's.
pub trait Backstage: Send + Sync {
    /// The models, presets and devices to choose from.
    fn shelf(&self) -> Shelf {
        Shelf::default()
    }
    /// Finds all runs and passes each to `found` as soon as it is read, roughly newest first.
    fn runs(&self, _found: &(dyn Fn(RunCard) + Sync)) {}
    /// Reads the runs again that have changed since they were `known`, and passes each to `found`. Returns the
    /// directories of those that are gone.
    fn runs_again(&self, _known: &[RunCard], _found: &(dyn Fn(RunCard) + Sync)) -> Vec<PathBuf> {
        Vec::new()
    }
    /// Details of the run in this directory, for when it is selected.
    fn details(&self, _run: &Path) -> Result<RunDetails> {
        not_here()
    }
    /// What the deletion of the run in this directory would take away.
    fn deletion(&self, _run: &Path) -> Result<Deletion> {
        not_here()
    }
    /// How many seconds all epochs of this preset take on this device; `None` if that is not known and cannot be
    /// measured now.
    fn seconds(&self, _preset: &Preset, _device: &str) -> Option<f64> {
        None
    }
    /// Ends a measurement in progress; another one may begin. Called on the screen's thread, so it must not wait.
    fn hush(&self) {}
    /// Gives the run in this directory another name, and returns its new directory and a sentence about it.
    fn rename(&self, _run: &Path, _name: &str) -> Result<(PathBuf, String)> {
        not_here()
    }
    /// Removes the run in this directory from the disk.
    fn remove(&self, _run: &Path) -> Result<()> {
        not_here()
    }
    /// Notes a line about the run in this directory; an empty one removes the note.
    fn note(&self, _run: &Path, _text: &str) -> Result<()> {
        not_here()
    }
    /// Sample `index` of a preset's data.
    fn preview(&self, _preset: &Preset, _index: u64) -> Result<Preview> {
        not_here()
    }
    /// Starts a new run of `preset` on this device.
    fn start(&self, _preset: &Preset, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Opens a run's, a checkpoint's or a model's weights for inspection.
    fn open(&self, _model: &Path, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Resumes a past run.
    fn resume(&self, _run: &RunCard, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Attaches to a run that another process trains; resumes it on this device if that process has ended by then.
    fn attach(&self, _run: &RunCard, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The checkpoint of the run in this directory by name: `best`, `last`, or an iteration. Without a checkpoint of that
    /// iteration it is the nearest earlier one.
    fn checkpoint(&self, _run: &Path, _name: &str) -> Result<PathBuf> {
        not_here()
    }
    /// Starts a new run from the state of a checkpoint, or of a run's last one, with these `--set` changes to its
    /// preset.
    fn fork(&self, _from: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Starts a new run from the initial weights of another, with these `--set` changes to its current preset.
    fn restart(&self, _run: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The moments in the album of the run in this directory, in order.
    fn moments(&self, _run: &Path) -> Vec<Moment> {
        Vec::new()
    }
    /// A watched sample at one of those iterations.
    fn moment(&self, _run: &Path, _iteration: u64, _sample: usize) -> Result<Snapshot> {
        not_here()
    }
    /// The latest lines of this run's log, the newest last.
    fn log(&self, _run: &Path) -> Result<Vec<String>> {
        not_here()
    }
    /// The metrics of the run in this directory, for comparison with another's.
    fn compared(&self, _run: &Path) -> Result<RunToCompare> {
        not_here()
    }
    /// Writes the curves of the run in this directory to a file that ends in .csv or .svg.
    fn save_curves(&self, _run: &Path, _file: &Path) -> Result<()> {
        not_here()
    }
    /// Resumes the run in this directory without a screen, in a process of its own. Called when no process trains the
    /// run any more.
    fn detach(&self, _run: &Path, _device: &str) -> Result<()> {
        not_here()
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::Usage("this cannot be done here; run nem-tui to start or open a run".into()))
}

/// Whether a file of this name holds curves: .csv or .svg.
pub fn is_for_curves(file: &Path) -> bool {
    has_extension(file, "csv") || has_extension(file, "svg")
}
