//! A model to share, with its scores.

use std::path::Path;

use super::checkpoint::{Checkpoint, Measured, export};
use super::score::{Scoring, score};
use crate::backend::DeviceName;
use crate::data::Split;
use crate::error::{Error, Result};
use crate::files;
use crate::machine;
use crate::precision::Precision;
use crate::preset::Digits;
use crate::stop::Stop;
use crate::tensors::Storage;

/// Writes the model in `checkpoint` as the new directory `out`, with its scores on `samples` of the test split, or on
/// all. `progress` is called with the samples done, and with all samples.
///
/// # Errors
/// What [`export`] and [`score`] meet.
pub fn share(
    mut checkpoint: Checkpoint,
    out: &Path,
    storage: Storage,
    samples: Option<usize>,
    device: DeviceName,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Measured> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    if let Some(Digits::Mnist { directory: Some(_) }) = checkpoint.preset.data.digits() {
        // The path on this machine is private.
        checkpoint.preset.data = checkpoint.preset.data.with_digits(Digits::Mnist { directory: None });
    }
    // Scores the weights as they will be read: rounded and encoded.
    let beside = files::directory_of(out);
    let aside =
        files::TemporaryDirectory::new_in(beside).map_err(Error::io("create a directory in", beside))?;
    let unmeasured = aside.path().join("model");
    export(&checkpoint, &unmeasured, storage, None)?;
    let scoring = Scoring {
        sets: Vec::new(),
        digits: None,
        split: Split::Test,
        samples,
        precision: Precision::F32,
        stop: Stop::default(),
    };
    let report = score(&unmeasured, &scoring, &device.open()?, progress)?;
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
    export(&checkpoint, out, storage, Some(measured.clone()))?;
    Ok(measured)
}
