//! `nem-tui` and `nem-tui tui`: the workbench.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use directories::ProjectDirs;

use super::args::{Common, PrecisionArg};
use super::config;
use super::print::print;
use crate::backend::{Compute, DeviceName};
use crate::data::image_file;
use crate::error::{Error, Result};
use crate::live::backstage::{LocalBackstage, card};
use crate::paths::quoted;
use crate::precision::{Precision, PrecisionName};
use crate::preset::{Preset, embedded_names};
use crate::run::directory;
use crate::tui::config::Config;
use crate::tui::{self, Start};

#[derive(Args, Debug, Clone, Default)]
pub(super) struct WorkbenchArgs {
    /// Start training this preset at once, without the picker; a path is added to the picker's list
    #[arg(long, value_name = "PRESET")]
    preset: Option<PathBuf>,
    /// Resume this run at once, without the picker
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "seed", "sets", "mnist"])]
    resume: Option<PathBuf>,
    /// Inspect these weights at once, without the picker and without training: a run's directory (its best
    /// checkpoint), a checkpoint's, or the name of a model that comes with the program
    #[arg(long, value_name = "RUN-OR-MODEL", conflicts_with_all = ["preset", "resume", "seed", "sets", "mnist"])]
    look: Option<PathBuf>,
    /// Inspect this image of your own: .png, .gif, .npy or .npz
    #[arg(short, long, value_name = "FILE", requires = "look")]
    input: Option<PathBuf>,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write event files for TensorBoard, into tensorboard/ in the directory of every new run; a resumed run that
    /// has such files continues to write them
    #[arg(long, conflicts_with_all = ["resume", "look"])]
    tensorboard: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

impl WorkbenchArgs {
    /// Those of a command line without any.
    pub(super) fn usual() -> WorkbenchArgs {
        WorkbenchArgs { seed: 1, ..WorkbenchArgs::default() }
    }

    pub(super) fn run(&self) -> Result<()> {
        let mut presets = self.presets()?;
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
                // Report a damaged checkpoint before taking over the screen.
                directory::checkpoint_or_last(run)?;
                Some(Start::Run(Box::new(card(run)?)))
            }
            (None, None, Some(what)) => Some(self.look(what)?),
            (None, None, None) => None,
        };
        self.open_with(start, presets)
    }

    /// The presets of the list.
    pub(super) fn presets(&self) -> Result<Vec<Preset>> {
        // Settings for a named preset need not fit the others in the list.
        let shelf = if self.preset.is_some() { &Common::default() } else { &self.common };
        embedded_names().map(|name| shelf.preset_of_many(Path::new(name))).collect()
    }

    /// Opens the workbench with `start`, or with the list of `presets`, models and runs.
    pub(super) fn open_with(&self, start: Option<Start>, presets: Vec<Preset>) -> Result<()> {
        let config = config::read();
        // Report a missing device before taking over the screen.
        let first = self.precision.compute(&self.common)?;
        let wanted = config.as_ref().ok().and_then(|config| config.precision);
        // If this device lacks the config's precision, use f32.
        let usual = Compute::requested(first.device, wanted).map_or(Precision::F32, Compute::precision);
        let devices = [first].into_iter().chain(others(first, usual)).collect();
        let (tensorboard, tf32) = (self.tensorboard, self.common.tf32);
        let backstage = LocalBackstage {
            presets,
            seed: self.seed,
            devices,
            usual,
            tensorboard,
            tf32,
            cache: ProjectDirs::from("", "", "nem-tui").map(|of| of.cache_dir().to_owned()),
            ..LocalBackstage::default()
        };
        open(backstage, start, config)
    }

    /// Reports what cannot be opened before taking over the screen, except an image of another size, which the
    /// workbench offers to scale.
    fn look(&self, what: &Path) -> Result<Start> {
        let image = directory::weights_of(what)?.preset.data.image();
        match self.input.as_ref().map(|file| image_file::read(file, image, false)) {
            Some(Err(e)) if !matches!(e, Error::ImageSize { .. }) => return Err(e),
            _ => {}
        }
        Ok(Start::Model(what.to_owned(), self.input.clone()))
    }
}

/// Opens the workbench, and says at the end how to attach to a run that continues without it.
fn open(backstage: LocalBackstage, start: Option<Start>, config: Result<Config>) -> Result<()> {
    match tui::run(Arc::new(backstage), start, config)? {
        Some(run) => print(&format!(
            "the run continues without a screen; attach with `nem-tui attach {}`\n",
            quoted(&run)
        )),
        None => Ok(()),
    }
}

/// The other devices and precisions to choose from. `first` without a precision of its own means `usual`.
fn others(first: Compute, usual: Precision) -> impl Iterator<Item = Compute> {
    let precise = |device| {
        let precisions = [PrecisionName::F32, PrecisionName::Bf16];
        precisions.into_iter().filter_map(move |name| Compute::requested(device, Some(name)).ok())
    };
    DeviceName::available().into_iter().flat_map(precise).filter(move |other| *other != first.or(usual))
}
