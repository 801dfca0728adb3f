//! A training's whole state in one directory, which appears whole or not at all.
//!
//! | file | holds |
//! |---|---|
//! | `weights.safetensors` | the weights, by their PyTorch names |
//! | `optimizer.burnpack` | Adam's moments, keyed by parameter ids that are derived from the names |
//! | `preset.ron` | the preset in force, with every live change so far |
//! | `manifest.json` | counters, seed, how much of `metrics.jsonl` belongs to it, and the SHA-256 of every file |
//!
//! Nothing else is state: all randomness is a function of the seed and the counters.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, Device};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::optimizer;
use super::trainer::{Counters, Trainer};
use crate::error::{Error, Result};
use crate::nem::Nem;
use crate::preset::Preset;
use crate::tensors;

const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const PRESET: &str = "preset.ron";
const MANIFEST: &str = "manifest.json";
/// Raised when a checkpoint's meaning changes.
const FORMAT: u32 = 1;

/// What ties a checkpoint's files together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The run's seed.
    pub seed: u64,
    /// Where the training stood.
    pub counters: Counters,
    /// Bytes of `metrics.jsonl` that were written by then.
    pub metrics_bytes: u64,
    /// SHA-256 of the other files.
    files: BTreeMap<String, String>,
}

/// Writes `trainer`'s state as the new directory `parent/name`.
///
/// # Errors
/// A place that cannot be written, a full disk, or weights that are no numbers; nothing is left
/// behind then.
pub fn save(trainer: &Trainer, parent: &Path, name: &str, metrics_bytes: u64) -> Result<PathBuf> {
    let path = parent.join(name);
    let weights = trainer.model().weights();
    if let Some((bad, _)) = weights.iter().find(|(_, array)| array.values.iter().any(|v| !v.is_finite())) {
        return Err(Error::content(
            &path,
            format!(
                "not written, because {bad} holds values that are no numbers; go on from an earlier checkpoint"
            ),
        ));
    }
    let optimizer = trainer
        .optimizer()
        .into_bytes()
        .map_err(|e| Error::content(&path, format!("the optimizer's state cannot be encoded: {e}")))?;
    // Dropped, and so removed, unless it is renamed at the end.
    let aside = tempfile::Builder::new()
        .prefix(".unfinished-")
        .tempdir_in(parent)
        .map_err(Error::io("create a checkpoint in", parent))?;
    let directory = aside.path();
    tensors::write(&directory.join(WEIGHTS), &weights)?;
    tensors::write_whole(&directory.join(OPTIMIZER), &optimizer)?;
    tensors::write_whole(&directory.join(PRESET), trainer.preset().to_ron().as_bytes())?;
    let files = [WEIGHTS, OPTIMIZER, PRESET]
        .into_iter()
        .map(|file| Ok((file.to_owned(), sha256(&read(&directory.join(file))?))))
        .collect::<Result<_>>()?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("NEM_TUI_VERSION").into(),
        seed: trainer.seed(),
        counters: trainer.counters().clone(),
        metrics_bytes,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::content(&path, e.to_string()))?;
    tensors::write_whole(&directory.join(MANIFEST), &text)?;
    sync(directory)?;
    std::fs::rename(directory, &path).map_err(Error::io("finish", &path))?;
    // Its name is the checkpoint's now.
    let _ = aside.keep();
    sync(parent)?;
    Ok(path)
}

/// A checkpoint, read and verified.
pub struct Checkpoint {
    /// Where it was read from.
    pub path: PathBuf,
    /// What ties it together.
    pub manifest: Manifest,
    /// The preset that was in force.
    pub preset: Preset,
}

impl Checkpoint {
    /// Reads the manifest and the preset, and verifies every file against its SHA-256.
    ///
    /// # Errors
    /// A directory that is no checkpoint, a file that is missing, cut short or changed.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let file = path.join(MANIFEST);
        let manifest: Manifest = serde_json::from_slice(&read(&file)?).map_err(|e| {
            Error::content(&file, format!("not a checkpoint's manifest ({e}); use another checkpoint"))
        })?;
        if manifest.format != FORMAT {
            return Err(Error::content(
                &file,
                format!("checkpoint format {} is not the {FORMAT} that this version reads", manifest.format),
            ));
        }
        for (name, expected) in &manifest.files {
            let file = path.join(name);
            if sha256(&read(&file)?) != *expected {
                return Err(Error::content(
                    &file,
                    "damaged: its SHA-256 is not the manifest's; use another checkpoint",
                ));
            }
        }
        let file = path.join(PRESET);
        let text = String::from_utf8_lossy(&read(&file)?).into_owned();
        let preset = Preset::parse(&text, &file.display().to_string())?;
        Ok(Checkpoint { path: path.to_owned(), manifest, preset })
    }

    /// The model with the checkpoint's weights, as `preset` (the checkpoint's own, or one with other
    /// settings) describes it.
    ///
    /// # Errors
    /// Weights of another architecture than `preset`'s.
    pub fn model(&self, preset: &Preset, device: &Device) -> Result<Nem> {
        let file = self.path.join(WEIGHTS);
        Nem::new(preset, self.manifest.seed, device).with_weights(&tensors::read(&file)?).map_err(|e| {
            Error::content(&file, format!("another architecture's than {}: these weights {e}", preset.name))
        })
    }

    /// The training, exactly as it stood.
    ///
    /// # Errors
    /// Weights or moments that do not all find their parameter.
    pub fn trainer(&self, device: &Device) -> Result<Trainer> {
        let trainer = Trainer::at(&self.preset, self.manifest.seed, device)?;
        let model = self.model(&self.preset, &device.clone().autodiff())?;
        let file = self.path.join(OPTIMIZER);
        let damaged = |what: String| Error::content(&file, format!("{what}; use another checkpoint"));
        let optimizer = optimizer(&self.preset.train.adam)
            .from_bytes(Bytes::from_bytes_vec(read(&file)?))
            .map_err(|e| damaged(format!("not an optimizer's state ({e})")))?;
        // burn passes over state it cannot place; count what arrived. Adam has two moments for each.
        let Counters { iteration, stage_iterations, .. } = self.manifest.counters;
        let expected = if iteration == stage_iterations { 0 } else { 2 * model.parameter_tensors() };
        let arrived = optimizer.to_record().len();
        if arrived != expected {
            return Err(damaged(format!("holds {arrived} moments where the model has {expected}")));
        }
        Ok(trainer.resumed(model, optimizer, self.manifest.counters.clone()))
    }
}

/// Whether `path` looks like a checkpoint.
pub fn is_checkpoint(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}

/// Makes a rename in `directory` survive a loss of power.
fn sync(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(directory).and_then(|d| d.sync_all()).map_err(Error::io("flush", directory))?;
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
