//! `nem-tui` and `nem-tui tui`: the workbench, and what it needs from the rest of the program.

use std::path::{Path, PathBuf};

use clap::Args;

use super::detach::detach;
use super::args::{Common, PrecisionArg};
use super::config;
use super::print::print;
use crate::backend::{Compute, DeviceName};
use crate::data::{Dataset, Split, corrupt, image_file};
use crate::error::{Error, Result};
use crate::live::begin::{self, Ending, Job};
use crate::live::model;
use crate::precision::{Precision, PrecisionName};
use crate::preset::{Preset, embedded_names};
use crate::protocol::{Backstage, ModelCard, Preview, Rival, RunCard, RunHandle, Shelf};
use crate::random::Stream;
use crate::run::checkpoint::{Checkpoint, MODELS, Model};
use crate::run::directory::{self, RunFile};
use crate::run::{album, curves, log, metrics};
use crate::snapshot::Snapshot;
use crate::tui::{self, Start};

#[derive(Args, Debug, Clone)]
pub(super) struct WorkbenchArgs {
    /// Start training this preset at once, without the picker; a path is added to the picker's shelf
    #[arg(long, value_name = "PRESET")]
    preset: Option<String>,
    /// Go on with this run at once, without the picker
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "seed", "sets", "mnist"])]
    resume: Option<PathBuf>,
    /// Look at this at once, without the picker and without training it: a run's directory (its best checkpoint), a
    /// checkpoint's, or the name of a model that comes with the program
    #[arg(long, value_name = "RUN-OR-MODEL", conflicts_with_all = ["preset", "resume", "seed", "sets", "mnist"])]
    look: Option<PathBuf>,
    /// Open this image in it: .png, .gif or .npy
    #[arg(short, long, value_name = "FILE", requires = "look")]
    input: Option<PathBuf>,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write event files for TensorBoard, into tensorboard/ in the directory of every run that a preset begins; a
    /// run that has them keeps them whenever it is gone on with
    #[arg(long, conflicts_with_all = ["resume", "look"])]
    tensorboard: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

impl WorkbenchArgs {
    pub(super) fn run(&self) -> Result<()> {
        // What is set for the one preset that is named need not fit the others on the shelf.
        let shelf = if self.preset.is_some() { &Common::default() } else { &self.common };
        let mut presets =
            embedded_names().map(|name| shelf.preset_of_many(name)).collect::<Result<Vec<_>>>()?;
        let start = match (&self.preset, &self.resume, &self.look) {
            (Some(name), ..) => {
                let preset = self.common.preset(name)?;
                self.common.holds_in(&preset)?;
                if !presets.contains(&preset) {
                    presets.push(preset.clone());
                }
                Some(Start::Preset(Box::new(preset)))
            }
            (None, Some(run), _) => Some(Start::Run(Box::new(card(run)?))),
            (None, None, Some(what)) => Some(self.look(what)?),
            (None, None, None) => None,
        };
        let config = config::read();
        // A device this binary lacks is said before the screen is taken over.
        let first = self.precision.compute(&self.common)?;
        let wanted = config.as_ref().ok().and_then(|config| config.precision);
        // What the config wants and this device cannot do is done in f32.
        let usual = Compute::requested(first.device, wanted).map_or(Precision::F32, Compute::precision);
        let devices = [first].into_iter().chain(others(first, usual)).collect();
        let (tensorboard, tf32) = (self.tensorboard, self.common.tf32);
        let rest = Rest { presets, seed: self.seed, devices, usual, tensorboard, tf32 };
        tui::run(&rest, start, config)
    }

    /// What cannot be opened is said before the screen is taken over; only another size is a question there.
    fn look(&self, what: &Path) -> Result<Start> {
        let image = directory::weights_of(what)?.preset.data.image();
        match self.input.as_ref().map(|file| image_file::read(file, image, false)) {
            Some(Err(e)) if !matches!(e, Error::ImageSize { .. }) => return Err(e),
            _ => {}
        }
        Ok(Start::Model(what.display().to_string(), self.input.clone()))
    }
}

/// What else can be chosen beside `first`, which without a precision of its own means `usual` for a new run.
fn others(first: Compute, usual: Precision) -> impl Iterator<Item = Compute> {
    let precise = |device| {
        let precisions = [PrecisionName::F32, PrecisionName::Bf16];
        precisions.into_iter().filter_map(move |name| Compute::requested(device, Some(name)).ok())
    };
    DeviceName::available().into_iter().flat_map(precise).filter(move |other| *other != first.or(usual))
}

/// A training that is over can still be looked at.
const STAY: Ending = Ending { max_iterations: None, stay: true };

/// The rest of the program, as the workbench sees it. One that looks at another process's run begins none itself,
/// and needs nothing to begin one with.
#[derive(Default)]
pub(super) struct Rest {
    presets: Vec<Preset>,
    seed: u64,
    /// The one to begin with first.
    devices: Vec<Compute>,
    /// The precision of new runs for which none was chosen.
    usual: Precision,
    tensorboard: bool,
    tf32: bool,
}

impl Backstage for Rest {
    fn shelf(&self) -> Shelf {
        Shelf {
            models: MODELS.iter().filter_map(|model| model_card(*model).ok()).collect(),
            presets: self.presets.clone(),
            runs: runs(),
            devices: self.devices.iter().map(Compute::to_string).collect(),
        }
    }

    fn runs(&self) -> Vec<RunCard> {
        runs()
    }

    fn preview(&self, preset: &Preset, index: u64) -> Result<Preview> {
        let data = Dataset::new(preset, self.seed)?;
        let sample = data.sample(Split::Train, index, 1)?;
        let mut noise = Stream::new(self.seed, Split::Train.noise(), 0, index);
        let mut noisy = Vec::new();
        corrupt(preset.noise, &sample.features, &mut noise, &mut noisy);
        Ok(Preview { image: data.image(), clean: sample.features, noisy, groups: sample.groups })
    }

    fn start(&self, preset: &Preset, device: &str) -> Result<RunHandle> {
        let compute = device.parse::<Compute>()?.or(self.usual);
        let preset = preset.clone();
        let tensorboard = self.tensorboard;
        begin::start(&Job { tensorboard, ending: STAY, ..Job::new(preset, self.seed, compute) })
    }

    fn open(&self, model: &str, device: &str) -> Result<RunHandle> {
        model::open(Path::new(model), device.parse::<Compute>()?)
    }

    fn resume(&self, run: &RunCard, device: &str) -> Result<RunHandle> {
        let device: Compute = device.parse()?;
        begin::resume(&run.directory, device, |preset| Ok(preset.clone()), STAY)
    }

    fn checkpoint(&self, run: &Path, name: &str) -> Result<PathBuf> {
        directory::named(run, name)
    }

    fn fork(&self, from: &Path, sets: &[String], device: &str) -> Result<RunHandle> {
        let sets = sets.to_vec();
        begin::fork(from, device.parse::<Compute>()?, move |preset| preset.set(&sets), None, Vec::new(), STAY)
    }

    fn restart(&self, run: &Path, sets: &[String], device: &str) -> Result<RunHandle> {
        let begun = RunFile::read(run)?;
        let last = Checkpoint::open(&directory::resolve(run, &["last"])?)?.preset;
        // Stages set their values themselves, so that those in force are not what the run began with.
        let preset = match last.train.stages.is_empty() {
            true => last,
            false => Preset::load(&run.join("preset.ron").display().to_string())?,
        };
        let compute = device.parse::<Compute>()?.or(begun.precision);
        let job = Job::new(preset.set(sets)?, begun.seed, compute);
        let tensorboard = self.tensorboard;
        begin::start(&Job { from: begun.from, tensorboard, ending: STAY, ..job })
    }

    fn moments(&self, run: &Path) -> Vec<u64> {
        album::moments(run)
    }

    fn moment(&self, run: &Path, iteration: u64, sample: usize) -> Result<Snapshot> {
        album::read(run, iteration, sample)
    }

    fn rival(&self, run: &Path) -> Result<Rival> {
        let begun = RunFile::read(run)?;
        let preset = Preset::load(&run.join("preset.ron").display().to_string())?;
        let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Rival { name, preset, seed: begun.seed, metrics: metrics::read(run)? })
    }

    fn save_curves(&self, run: &Path, file: &Path) -> Result<()> {
        curves::save(run, file)
    }

    fn log(&self, run: &Path) -> Result<Vec<String>> {
        log::latest(run)
    }

    fn detach(&self, run: &Path, device: &str) -> Result<()> {
        // Only the device that was asked for may round.
        let compute: Compute = device.parse()?;
        let tf32 = self.tf32 && self.devices.first().is_some_and(|first| first.device == compute.device);
        detach(run, compute, tf32)?;
        print(&format!(
            "the run goes on without a screen; look at it by `nem-tui attach {}`\n",
            run.display()
        ))
    }
}

/// The runs under `runs`, newest first.
fn runs() -> Vec<RunCard> {
    let Ok(entries) = std::fs::read_dir("runs") else { return Vec::new() };
    let mut runs: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let changed = entry.path().join("metrics.jsonl").metadata().ok()?.modified().ok()?;
            // What is no run, or is damaged, is not offered; `train --resume` says why.
            Some((changed, card(&entry.path()).ok()?))
        })
        .collect();
    runs.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
    runs.into_iter().map(|(_, card)| card).collect()
}

fn model_card(model: Model) -> Result<ModelCard> {
    let checkpoint = Checkpoint::of_program(model)?;
    Ok(ModelCard {
        name: model.name.to_owned(),
        preset: checkpoint.preset,
        iteration: checkpoint.manifest.counters.iteration,
        ami: checkpoint.manifest.measured.map(|measured| (measured.ami_last, measured.floor)),
    })
}

fn card(run: &Path) -> Result<RunCard> {
    let seed = RunFile::read(run)?.seed;
    let checkpoint = Checkpoint::open(&directory::resolve(run, &["last"])?)?;
    // Before the first validation of a stage the latest AMI is that of another task.
    let ami = metrics::latest_ami(run).filter(|_| checkpoint.is_of_its_task());
    Ok(RunCard {
        directory: run.to_owned(),
        preset: checkpoint.preset,
        seed,
        iteration: checkpoint.manifest.counters.iteration,
        ami,
    })
}
