//! What the workbench needs from the rest of the program.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Metrics, RunHandle};
use crate::error::{Error, Result};
use crate::preset::{ImageSize, Preset};
use crate::snapshot::Snapshot;

/// A past run on the picker's shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCard {
    /// Its directory.
    pub directory: PathBuf,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// Iterations in its last checkpoint.
    pub iteration: u64,
    /// Its latest validation AMI, if it was ever validated.
    pub ami: Option<f64>,
    /// When something was last recorded in it.
    pub changed: SystemTime,
}

/// A trained model on the picker's shelf.
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

/// What the picker offers besides runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The trained models to look at.
    pub models: Vec<ModelCard>,
    /// The presets to train.
    pub presets: Vec<Preset>,
    /// The names of the devices, the one to begin with first.
    pub devices: Vec<String>,
}

/// A run to compare another with.
#[derive(Clone, Debug, PartialEq)]
pub struct RunToCompare {
    /// Its name.
    pub name: String,
    /// The preset it began with.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// What its metrics hold.
    pub metrics: Metrics,
}

/// A picture of the data for the picker.
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

/// What the workbench needs from the rest of the program, so that it never names an engine. What a program cannot do
/// it leaves as it stands here. All of it may take long, and is called on threads other than the screen's.
pub trait Backstage: Send + Sync {
    /// What there is to choose from besides runs.
    fn shelf(&self) -> Shelf {
        Shelf::default()
    }
    /// Tells of every run there is by now, the newest first as far as they can be read equally fast.
    fn runs(&self, _found: &(dyn Fn(RunCard) + Sync)) {}
    /// Sample `index` of a preset's data.
    fn preview(&self, _preset: &Preset, _index: u64) -> Result<Preview> {
        not_here()
    }
    /// Starts a new run of `preset` on one of the devices.
    fn start(&self, _preset: &Preset, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Opens the model of that name to look at.
    fn open(&self, _model: &str, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// Resumes a past run.
    fn resume(&self, _run: &RunCard, _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The checkpoint of the run in this directory that is called so: `best`, `last`, or by its iteration.
    fn checkpoint(&self, _run: &Path, _name: &str) -> Result<PathBuf> {
        not_here()
    }
    /// A new run with the state of a checkpoint, or of another run's last one, and these `--set` changes of its preset.
    fn fork(&self, _from: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// A new run with the initial weights of another, and these `--set` changes of its preset in force.
    fn restart(&self, _run: &Path, _sets: &[String], _device: &str) -> Result<RunHandle> {
        not_here()
    }
    /// The iterations that the album of the run in this directory has moments of, in order.
    fn moments(&self, _run: &Path) -> Vec<u64> {
        Vec::new()
    }
    /// A watched sample as it was at one of those iterations.
    fn moment(&self, _run: &Path, _iteration: u64, _sample: usize) -> Result<Snapshot> {
        not_here()
    }
    /// The latest lines of this run's log, the newest last.
    fn log(&self, _run: &Path) -> Result<Vec<String>> {
        not_here()
    }
    /// The metrics of the run in this directory, to lay beside another's.
    fn compared(&self, _run: &Path) -> Result<RunToCompare> {
        not_here()
    }
    /// Writes the curves of the run in this directory to a file that ends in .csv or .svg.
    fn save_curves(&self, _run: &Path, _file: &Path) -> Result<()> {
        not_here()
    }
    /// Resumes the run in this directory, which nobody trains any more, without a screen, in a process of its own.
    /// Called when the terminal is restored.
    fn detach(&self, _run: &Path, _device: &str) -> Result<()> {
        not_here()
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::Usage("this cannot be done from here; leave, and begin or open a run by nem-tui".into()))
}

/// Whether a file of this name is for curves: .csv or .svg.
pub fn is_for_curves(file: &Path) -> bool {
    file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv") || end.eq_ignore_ascii_case("svg"))
}
