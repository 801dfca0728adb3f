//! `nem-tui picture`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::eval::SplitName;
use super::{Common, Conditions, print};
use crate::error::{Error, Result};
use crate::run::{directory, picture};
use crate::snapshot::{self, ExportFormat, TILE, View};
use crate::train::infer::{Reading, read_input};

/// Draw what a run, a checkpoint or a model makes of an image.
///
/// The ending of FILE says what is written: .png, one EM step (the input, the noisy input, the reconstruction,
/// gamma in the components' colours, the true objects beside the components that hold them, and every component's
/// prediction and mask); .gif, all EM steps one after the other; .npz (NumPy) or .safetensors, the arrays target,
/// noisy, groups, preds and gamma.
#[derive(Args, Debug)]
pub(super) struct PictureArgs {
    /// A run's directory (its best checkpoint is taken), a checkpoint's, or the name of a model that comes with
    /// the program
    #[arg(value_name = "RUN-OR-MODEL")]
    what: PathBuf,
    /// The file to write: .png, .gif, .npz or .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which sample, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    sample: usize,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t)]
    split: SplitName,
    /// Images of your own in the place of the data's: a .png, a .gif or an .npy file, as `infer` reads them; or
    /// safetensors with in.features_clean [1 or T+1, B, C, H, W], of which --sample is one of the B
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "objects", "mnist"])]
    input: Option<PathBuf>,
    /// Fit an image of another size than the model's in: as large as goes, in its proportions, on black
    #[arg(long, requires = "input")]
    resize: bool,
    /// The EM step of a .png, counted from 1 [default: the last]
    #[arg(long, value_name = "T", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    step: Option<usize>,
    /// A .png of all EM steps side by side, as the paper has it
    #[arg(long, conflicts_with = "step")]
    overview: bool,
    /// How many pixels an image is wide at least
    #[arg(long, value_name = "PIXELS", default_value_t = TILE, value_parser = clap::value_parser!(u32).range(1..=4096))]
    tile: u32,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    common: Common,
}

impl PictureArgs {
    pub(super) fn run(self) -> Result<()> {
        let format = ExportFormat::of(&self.out)?;
        let of_png = [("--step", self.step.is_some()), ("--overview", self.overview)];
        if let (true, Some((option, _))) =
            (format != ExportFormat::Png, of_png.iter().find(|(_, given)| *given))
        {
            return Err(Error::Usage(format!(
                "{option} is for a .png, and {} holds all EM steps; leave the option out, or name a .png",
                self.out.display()
            )));
        }
        let checkpoint = directory::weights_of(&self.what)?;
        let mut sets = self.common.all_sets()?;
        sets.extend(self.conditions.sets());
        let preset = checkpoint.preset_to_test().set(&sets)?;
        let steps_are_asked = self.conditions.steps.is_some() || self.common.sets_steps();
        let reading = Reading { resize: self.resize, steps_are_asked };
        let (preset, own) = match &self.input {
            Some(file) => {
                let (preset, images) = read_input(file, &preset, reading)?;
                (preset, Some((file, images)))
            }
            None => (preset, None),
        };
        let steps = preset.steps;
        if let Some(step) = self.step.filter(|step| *step > steps) {
            return Err(Error::Usage(format!(
                "--step {step}: there are {steps} EM steps; choose one of them, or ask for more by --steps"
            )));
        }
        let device = self.common.device()?.open()?;
        let sample = self.sample - 1;
        let snapshot = match &own {
            Some((file, images)) => picture::of_images(&checkpoint, &preset, file, images, sample, &device)?,
            None => picture::of_split(&checkpoint, &preset, self.split.into(), sample, &device)?,
        };
        let shown = self.step.unwrap_or(steps) - 1;
        let view = if self.overview { View::Overview } else { View::Step(shown) };
        snapshot::save(&snapshot, view, self.tile, &self.out)?;
        let score = snapshot.steps[shown].ami.map_or(String::new(), |ami| format!(", AMI {ami:.4}"));
        print(&format!(
            "{}: sample {}, K {}, EM step {}/{steps}{score}\n",
            self.out.display(),
            self.sample,
            snapshot.k,
            shown + 1
        ))
    }
}
