//! `nem-tui export`.

use std::path::PathBuf;

use clap::Args;

use super::args::{Common, directory_parser};
use super::eval::progress_bar;
use super::print::print;
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::protocol::number_or_dash;
use crate::run::directory;
use crate::run::share::share;
use crate::tensors::Storage;

/// Write the best weights of a run as a model to share: a directory with the weights, the preset, and a manifest that
/// says what `eval` measures with these very weights on held-out images.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// The run (its best checkpoint), or a checkpoint
    #[arg(value_name = "RUN-OR-CHECKPOINT")]
    run: PathBuf,
    /// The directory to create; its name becomes the model's name
    #[arg(long, value_name = "DIR", value_parser = directory_parser())]
    out: PathBuf,
    /// Write 16 bits per weight instead of 32
    #[arg(long)]
    half: bool,
    /// Score on this many samples instead of the whole test split
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    samples: Option<usize>,
    #[command(flatten)]
    common: Common,
}

impl ExportArgs {
    pub(super) fn run(self) -> Result<()> {
        let out = self.out;
        if out.file_name().is_none() {
            return Err(Error::Usage(format!("--out {}: name a new directory", shown(&out))));
        }
        if out.exists() {
            return Err(Error::Usage(format!("{} exists already; name a new directory", shown(&out))));
        }
        let mut checkpoint = directory::weights_of(&self.run)?;
        checkpoint.preset = self.common.applied(&checkpoint.preset)?;
        let storage = if self.half { Storage::Half } else { Storage::Single };
        let device = self.common.device()?;
        let measured = share(checkpoint, &out, storage, self.samples, device, &progress_bar(""))?;
        print(&format!(
            "{}: AMI (last step) {} on {} held-out samples; floor {}\n",
            shown(&out),
            number_or_dash(measured.ami_last, 4),
            measured.samples,
            number_or_dash(measured.floor, 4)
        ))
    }
}
