//! `nem-tui picture`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use super::args::{Common, Conditions, tell};
use super::eval::SplitName;
use super::print::print;
use crate::error::{Error, Result};
use crate::files::output;
use crate::paths::shown;
use crate::run::directory;
use crate::run::picture::{self, OwnImages};
use crate::snapshot::{self, ExportFormat, TILE, View};
use crate::train::own_image::Chosen;

/// Draw how a run, a checkpoint or a model splits an image.
///
/// --format or the extension of FILE decides what is written. A .png shows one EM step: the input, the noisy input, the
/// reconstruction, gamma in the components' colours, the true objects beside the components that hold them, and every
/// component's prediction and mask. A .gif shows all EM steps. An .npz (NumPy) or .safetensors file holds the arrays
/// target, noisy, groups, preds and gamma.
#[derive(Args, Debug)]
pub(super) struct PictureArgs {
    /// The directory of a run (its best checkpoint is used) or a checkpoint, or the name of a model that comes with the
    /// program
    #[arg(value_name = "RUN-OR-MODEL")]
    what: PathBuf,
    /// The file to write: .png, .gif, .npz or .safetensors; - is stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to write [default: what the file's name ends in; to stdout, a pipe or a device a PNG]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Which sample, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    sample: usize,
    /// Which split of the data
    #[arg(long, value_enum, default_value_t)]
    split: SplitName,
    /// Images of your own instead of the data's: a .png, .gif, .npy or .npz file, as `infer` reads them; or
    /// safetensors with in.features_clean [1 or T+1, B, C, H, W], of which --sample is one of the B. They enter as
    /// they are, without noise unless --noise or --set asks for it; noise and initial gamma are those of the
    /// validation split, as in the workbench
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "objects", "mnist"])]
    input: Option<PathBuf>,
    /// Scale an image of another size than the model's: as large as fits, in its proportions, on black
    #[arg(long, requires = "input")]
    resize: bool,
    /// The probability of the input noise [default: the preset's; with --input none]
    #[arg(long, value_name = "P")]
    noise: Option<f64>,
    /// The EM step of a .png, counted from 1 [default: the last]
    #[arg(long, value_name = "T", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    step: Option<usize>,
    /// A .png of all EM steps side by side, as in the paper
    #[arg(long, conflicts_with = "step")]
    overview: bool,
    /// The minimum width of an image in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = TILE, value_parser = clap::value_parser!(u32).range(1..=4096))]
    tile: u32,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum FormatName {
    /// A picture
    Png,
    /// An animation of all EM steps
    Gif,
    /// Arrays for NumPy
    Npz,
    /// Arrays for other programs
    Safetensors,
}

impl From<FormatName> for ExportFormat {
    fn from(name: FormatName) -> ExportFormat {
        match name {
            FormatName::Png => ExportFormat::Png,
            FormatName::Gif => ExportFormat::Gif,
            FormatName::Npz => ExportFormat::Npz,
            FormatName::Safetensors => ExportFormat::Safetensors,
        }
    }
}

impl PictureArgs {
    fn format(&self) -> Result<ExportFormat> {
        match (self.format, ExportFormat::of(&self.out)) {
            (Some(name), _) => Ok(name.into()),
            (None, Err(_)) if output::is_stream(&self.out) => Ok(ExportFormat::Png),
            (None, of_name) => of_name,
        }
    }

    pub(super) fn run(self) -> Result<()> {
        output::check(&self.out)?;
        let format = self.format()?;
        let of_png = [("--step", self.step.is_some()), ("--overview", self.overview)];
        if let (true, Some((option, _))) =
            (format != ExportFormat::Png, of_png.iter().find(|(_, given)| *given))
        {
            return Err(Error::Usage(format!(
                "{option} is for a .png, and {} holds all EM steps; leave the option out, or ask for a .png",
                shown(&self.out)
            )));
        }
        let checkpoint = directory::weights_of(&self.what)?;
        let mut sets = self.common.all_sets()?;
        sets.extend(self.conditions.sets());
        sets.extend(self.noise.map(|p| format!("noise.probability={p}")));
        let preset = checkpoint.preset_to_test().set(&sets)?;
        let chosen = Chosen {
            steps: self.conditions.steps.is_some() || self.common.sets_field("steps"),
            noise: self.noise.is_some() || self.common.sets_field("noise"),
        };
        let (preset, own) = match &self.input {
            Some(file) => {
                let (preset, own) = OwnImages::read(file, self.resize, &preset, chosen)?;
                tell(file, &own.notes);
                (preset, Some(own))
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
            Some(own) => own.snapshot(&checkpoint, &preset, sample, &device)?,
            None => picture::of_split(&checkpoint, &preset, self.split.into(), sample, &device)?,
        };
        let at = self.step.unwrap_or(steps) - 1;
        let view = if self.overview { View::Overview } else { View::Step(at) };
        output::write(&self.out, &snapshot::encode(&snapshot, format, view, self.tile)?)?;
        let score = snapshot.steps[at].ami.map_or(String::new(), |ami| format!(", AMI {ami:.4}"));
        if output::is_stdout(&self.out) {
            return Ok(());
        }
        print(&format!(
            "{}: sample {}, K {}, EM step {}/{steps}{score}\n",
            shown(&self.out),
            self.sample,
            snapshot.k,
            at + 1
        ))
    }
}
