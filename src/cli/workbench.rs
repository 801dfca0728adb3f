//! `nem-tui` and `nem-tui tui`: the workbench.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::{Common, PrecisionArg};
use super::config;
use super::print::print;
use crate::backend::{Compute, DeviceName};
use crate::data::image_file;
use crate::error::{Error, Result};
use crate::live::backstage::{Engine, card};
use crate::precision::{Precision, PrecisionName};
use crate::preset::embedded_names;
use crate::run::checkpoint::Checkpoint;
use crate::run::directory;
use crate::tui::config::Config;
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
            (None, Some(run), _) => {
                // A damaged checkpoint is said before the screen is taken over.
                Checkpoint::open(&directory::resolve(run, &["last"])?)?;
                Some(Start::Run(Box::new(card(run)?)))
            }
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
        let engine =
            Engine { presets, seed: self.seed, devices, usual, tensorboard, tf32, ..Engine::default() };
        open(engine, start, config)
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

/// Opens the workbench. A run that continues without it is named at the end.
pub(super) fn open(engine: Engine, start: Option<Start>, config: Result<Config>) -> Result<()> {
    match tui::run(Arc::new(engine), start, config)? {
        Some(run) => print(&format!(
            "the run goes on without a screen; look at it by `nem-tui attach {}`\n",
            run.display()
        )),
        None => Ok(()),
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
