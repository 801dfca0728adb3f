//! `nem-tui infer`.

use std::path::PathBuf;

use clap::Args;

use super::args::{Common, PrecisionArg, tell};
use crate::error::{Error, Result};
use crate::files::output;
use crate::files::{has_extension, read_text};
use crate::paths::shown;
use crate::preset::Preset;
use crate::run::directory;
use crate::tensors::{self, Arrays, TensorFile};
use crate::train::infer::{ReadInput, Reading, Request, infer, read_input, read_weights};

/// Unroll a model on given inputs and write everything it computes.
///
/// Reads `param.*` (or bare names) from the weights and `in.*` from the input; writes all `out.*` arrays, and with
/// --grad also `grad.*` and `adam1.*`. Names and shapes: tests/fixtures/README.md. The input may also be a PNG, a GIF,
/// or an .npy file (.npz with one array) of [H, W], [F, H, W], [F, C, H, W] or [F, H, W, C]; F frames give F - 1 EM
/// steps, unless --set steps=T asks for fewer. Weights may also have the names that `module.`, `_orig_mod.` or another
/// common prefix makes of these. stderr says what is not used of a file.
#[derive(Args, Debug)]
pub(super) struct InferArgs {
    /// Name or path of the preset, or the .json that describes a parity case [default: that of the run or model whose
    /// weights are used]
    #[arg(long)]
    preset: Option<PathBuf>,
    /// The weights: a safetensors file, the directory of a run (its best checkpoint is used) or a checkpoint, or the
    /// name of a model that comes with the program
    #[arg(long, value_name = "FILE-OR-MODEL")]
    weights: PathBuf,
    /// The inputs: a safetensors file, which may be the same, or an image: .png, .gif, .npy or .npz
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Scale an image of another size than the model's: as large as fits, in its proportions, on black
    #[arg(long)]
    resize: bool,
    /// The safetensors file to write; - is stdout
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Also write the gradients of the total loss, and the weights after one Adam step
    #[arg(long)]
    grad: bool,
    /// The seed of the initial gamma, where the input has none
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

/// Where the weights come from.
enum Source {
    File(TensorFile<'static>),
    /// A run's or a model's.
    Own(Arrays),
}

impl InferArgs {
    pub(super) fn run(self) -> Result<()> {
        output::check(&self.output)?;
        let compute = self.precision.compute(&self.common)?;
        let is_file = self.weights.is_file() || has_extension(&self.weights, "safetensors");
        let (source, own) = match is_file {
            true => (Source::File(TensorFile::open(&self.weights)?), None),
            false => {
                let checkpoint = directory::weights_of(&self.weights)?;
                (Source::Own(checkpoint.weights()?), Some(checkpoint.preset_to_test()))
            }
        };
        let preset = match (&self.preset, own) {
            (Some(path), _) if has_extension(path, "json") => {
                Preset::parse_case(&read_text(path)?, &shown(path).to_string())?.set(&self.common.sets)?
            }
            (Some(name), _) => self.common.preset(name)?,
            (None, Some(preset)) => self.common.applied(&preset)?,
            (None, None) => {
                return Err(Error::Usage(format!(
                    "{} holds weights only; name their preset with --preset",
                    shown(&self.weights)
                )));
            }
        };
        let reading = Reading { resize: self.resize, steps_are_chosen: self.common.sets_field("steps") };
        let ReadInput { preset, arrays: input, notes } = read_input(&self.input, &preset, reading)?;
        tell(&self.input, &notes);
        let device = compute.open()?;
        let weights = match source {
            Source::Own(weights) => weights,
            Source::File(file) => {
                let (weights, note) = read_weights(&file, &preset, &device)?;
                tell(&self.weights, note.as_slice());
                weights
            }
        };
        let request = Request { gradients: self.grad, seed: self.seed, precision: compute.precision() };
        let out = infer(&preset, &weights, &input, &device, request)
            .map_err(|unfit| unfit.of(&self.weights, &self.input))?;
        tensors::write(&self.output, &out)
    }
}
