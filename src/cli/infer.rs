//! `nem-tui infer`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Common, PrecisionArg};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::run::directory;
use crate::tensors;
use crate::train::infer::{Reading, Request, infer, read_input};

/// Unroll a model on given inputs and write all it computes.
///
/// Reads `param.*` (or bare names) from the weights and `in.*` from the input; writes every `out.*`,
/// and with --grad also `grad.*` and `adam1.*`. Names and shapes: tests/fixtures/README.md. An input may also be a
/// PNG, a GIF, or an .npy file of [H, W], [F, H, W], [F, C, H, W] or [F, H, W, C]; of F frames there are F - 1 EM
/// steps, unless --set steps=T asks for fewer.
#[derive(Args, Debug)]
pub(super) struct InferArgs {
    /// Name or path of the preset, or the .json that describes a parity case [default: that of the run or
    /// model whose weights are taken]
    #[arg(long)]
    preset: Option<String>,
    /// Whose weights: safetensors, a run's directory (its best checkpoint's), a checkpoint's, or the name of a
    /// model that comes with the program
    #[arg(long, value_name = "FILE-OR-MODEL")]
    weights: PathBuf,
    /// Safetensors with the inputs, which may be the same file; or an image: .png, .gif or .npy
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Fit an image of another size than the model's in: as large as goes, in its proportions, on black
    #[arg(long)]
    resize: bool,
    /// Safetensors to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Also the gradients of the total loss, and the weights after one Adam step
    #[arg(long)]
    grad: bool,
    /// Draws the initial gamma where the input has none
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

impl InferArgs {
    pub(super) fn run(self) -> Result<()> {
        let is_file =
            self.weights.is_file() || self.weights.extension().is_some_and(|end| end == "safetensors");
        let (weights, own) = match is_file {
            true => (tensors::read(&self.weights)?, None),
            false => {
                let checkpoint = directory::weights_of(&self.weights)?;
                (checkpoint.weights()?, Some(checkpoint.preset_to_test()))
            }
        };
        let preset = match (&self.preset, own) {
            (Some(name), _) if Path::new(name).extension().is_some_and(|extension| extension == "json") => {
                let path = Path::new(name);
                let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
                Preset::parse_case(&text, name)?.set(&self.common.sets)?
            }
            (Some(name), _) => self.common.preset(name)?,
            (None, Some(preset)) => self.common.applied(&preset)?,
            (None, None) => {
                return Err(Error::Usage(format!(
                    "{} holds weights only; say by --preset what they are of",
                    self.weights.display()
                )));
            }
        };
        let reading = Reading { resize: self.resize, steps_are_asked: self.common.sets_steps() };
        let (preset, input) = read_input(&self.input, &preset, reading)?;
        let compute = self.precision.compute(&self.common)?;
        let device = compute.open()?;
        let request = Request { gradients: self.grad, seed: self.seed, precision: compute.precision() };
        let out = infer(&preset, &weights, &input, &device, request)
            .map_err(|unfit| unfit.of(&self.weights, &self.input))?;
        tensors::write(&self.output, &out)
    }
}
