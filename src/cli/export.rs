//! `nem-tui export`.

use std::path::PathBuf;

use clap::Args;

use super::eval::with_bar;
use super::{Common, print};
use crate::data::Split;
use crate::error::{Error, Result};
use crate::machine;
use crate::precision::Precision;
use crate::preset::Digits;
use crate::run::checkpoint::{Measured, export};
use crate::run::directory;
use crate::run::score::{Scoring, score};
use crate::tensors::Storage;

/// Write the best weights of a run as a model to share: a directory with the weights, the preset, and a
/// manifest that says what `eval` measures with these very weights on held-out images.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// The run (its best checkpoint), or a checkpoint
    #[arg(value_name = "RUN-OR-CHECKPOINT")]
    run: PathBuf,
    /// The directory to make; its name is the model's
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write 16 bits a weight in the place of 32
    #[arg(long)]
    half: bool,
    /// Score on so many samples, in the place of the whole test split
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    samples: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl ExportArgs {
    pub(super) fn run(self) -> Result<()> {
        // Rebuilt, without what a slash or a dot at its end would add.
        let out = match (self.out.parent(), self.out.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => return Err(Error::Usage(format!("--out {}: name a new directory", self.out.display()))),
        };
        if out.exists() {
            return Err(Error::Usage(format!("{} is there already; name a new directory", out.display())));
        }
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        let mut checkpoint = directory::weights_of(&self.run)?;
        checkpoint.preset = self.common.applied(&checkpoint.preset)?;
        if let Some(Digits::Mnist { directory: Some(_) }) = checkpoint.preset.data.digits() {
            // Where they are is no affair of whoever it is shared with.
            checkpoint.preset.data = checkpoint.preset.data.with_digits(Digits::Mnist { directory: None });
        }
        let storage = if self.half { Storage::Half } else { Storage::Single };
        let device = self.common.device()?;
        // What is scored is what will be read: rounded, and encoded.
        let aside = tempfile::tempdir().map_err(Error::io("create a directory in", &std::env::temp_dir()))?;
        let unmeasured = aside.path().join("model");
        export(&checkpoint, &unmeasured, storage, None)?;
        let scoring = Scoring {
            sets: Vec::new(),
            split: Split::Test,
            samples: self.samples,
            precision: Precision::F32,
        };
        let opened = device.open()?;
        let report = with_bar("", |progress| score(&unmeasured, &scoring, &opened, progress))?;
        let measured = Measured {
            device: format!("{device}, {}", machine::description()),
            version: env!("NEM_TUI_VERSION").into(),
            samples: report.samples,
            ami_last: report.ami_last,
            ami: report.ami,
            ari_last: report.ari_last,
            floor: report.floor,
            loss: report.loss,
        };
        export(&checkpoint, &out, storage, Some(measured))?;
        print(&format!(
            "{}: AMI {:.4} (last step, {} held-out samples; floor {:.4})\n",
            out.display(),
            report.ami_last,
            report.samples,
            report.floor
        ))
    }
}
