//! The complete state of a training in one directory, which is written completely or not at all.
//!
//! | file | holds |
//! |---|---|
//! | `weights.safetensors` | the weights, by their PyTorch names |
//! | `optimizer.burnpack` | Adam's moments, keyed by parameter ids that are derived from the names |
//! | `preset.ron` | the current preset, with every live change so far |
//! | `manifest.json` | counters, seed, how much of `metrics.jsonl` belongs to it, and the SHA-256 of every file |
//!
//! There is no other state: all randomness is a function of the seed and the counters.
//!
//! A **model** is a checkpoint to share: without the optimizer's state, in half precision if wanted, and with its scores
//! in the manifest ([`export`]). Those in `assets/models` come with the program and are known by their names
//! ([`EmbeddedModel`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, Device};

use super::manifest::{FORMAT, PRESET, WEIGHTS, sha256};
pub use super::manifest::{Manifest, Measured};
use crate::backend;
use crate::error::{Error, PROBE, Result, panic_message};
use crate::files::{TemporaryDirectory, directory_of, sync_directory, write_atomic};
use crate::nem::Nem;
use crate::paths::shown;
use crate::preset::{Preset, Work};
use crate::tensors::{self, Arrays, Storage};
use crate::train::adam::optimizer;
use crate::train::trainer::{Counters, Trainer};

const OPTIMIZER: &str = "optimizer.burnpack";
const MANIFEST: &str = "manifest.json";

/// Writes `trainer`'s state as the new directory `parent/name`.
///
/// # Errors
/// A place that cannot be written, a full disk, or weights that are not finite; nothing is left behind then.
pub fn save(trainer: &Trainer, parent: &Path, name: &str, metrics_bytes: u64, best: bool) -> Result<PathBuf> {
    let path = parent.join(name);
    let weights = trainer.model().weights();
    if let Some((bad, _)) = weights.iter().find(|(_, array)| array.values.iter().any(|v| !v.is_finite())) {
        return Err(Error::content(
            &path,
            format!(
                "not written, because {bad} holds values that are not finite; resume from an earlier checkpoint"
            ),
        ));
    }
    let optimizer = trainer
        .optimizer()
        .into_bytes()
        .map_err(|e| Error::content(&path, format!("the optimizer's state cannot be encoded: {e}")))?;
    let files = [
        (WEIGHTS, tensors::encode(&weights, Storage::Single, &path)?),
        (OPTIMIZER, optimizer.to_vec()),
        (PRESET, trainer.preset().to_ron().into_bytes()),
    ];
    let manifest = Manifest {
        format: FORMAT,
        version: env!("NEM_TUI_VERSION").into(),
        seed: trainer.seed(),
        counters: trainer.counters().clone(),
        metrics_bytes,
        best,
        measured: None,
        files: BTreeMap::new(),
    };
    write(&path, manifest, &files)?;
    Ok(path)
}

/// Writes `checkpoint` as a model to share, the new directory `path`: everything but the optimizer's state.
///
/// # Errors
/// A `path` that exists already or cannot be written, a full disk, weights that `storage` cannot hold.
pub fn export(
    checkpoint: &Checkpoint,
    path: &Path,
    storage: Storage,
    measured: Option<Measured>,
) -> Result<()> {
    if path.exists() {
        return Err(Error::Usage(format!("{} exists already; name a new directory", shown(path))));
    }
    let files = [
        (WEIGHTS, tensors::encode(&checkpoint.weights()?, storage, path)?),
        (PRESET, checkpoint.preset_to_test().to_ron().into_bytes()),
    ];
    write(path, Manifest { format: FORMAT, measured, ..checkpoint.manifest.clone() }, &files)
}

/// Writes `files` and `manifest`, with their SHA-256, as the new directory `path`.
fn write(path: &Path, manifest: Manifest, files: &[(&str, Vec<u8>)]) -> Result<()> {
    let parent = directory_of(path);
    // Removed when dropped, unless it is renamed at the end.
    let aside = TemporaryDirectory::new_in(parent).map_err(Error::io("create a checkpoint in", parent))?;
    let directory = aside.path();
    for (name, bytes) in files {
        write_atomic(&directory.join(name), bytes)?;
    }
    let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), sha256(bytes))).collect();
    let manifest = Manifest { files, ..manifest };
    let text = manifest.to_text().map_err(|e| Error::content(path, e.to_string()))?;
    write_atomic(&directory.join(MANIFEST), text.as_bytes())?;
    sync_directory(directory)?;
    std::fs::rename(directory, path).map_err(Error::io("finish", path))?;
    // Renamed, so there is nothing left to remove.
    aside.keep();
    sync_directory(parent)
}

/// A trained model that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedModel {
    /// Its name.
    pub name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The models that come with the program, in the order of the picker.
pub const MODELS: &[EmbeddedModel] = {
    macro_rules! models {
        ($($name:literal),* $(,)?) => {
            &[$(EmbeddedModel {
                name: $name,
                files: &[
                    (WEIGHTS, include_bytes!(concat!("../../assets/models/", $name, "/weights.safetensors"))),
                    (PRESET, include_bytes!(concat!("../../assets/models/", $name, "/preset.ron"))),
                    (MANIFEST, include_bytes!(concat!("../../assets/models/", $name, "/manifest.json"))),
                ],
            }),*]
        };
    }
    models!["static-shapes", "flying-shapes"]
};

/// Where a checkpoint's files are.
enum CheckpointFiles {
    Directory(PathBuf),
    Program(EmbeddedModel),
}

impl CheckpointFiles {
    /// The file's name, for messages.
    fn path(&self, name: &str) -> PathBuf {
        match self {
            CheckpointFiles::Directory(path) => path.join(name),
            CheckpointFiles::Program(model) => Path::new(model.name).join(name),
        }
    }

    fn read(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        let path = self.path(name);
        match self {
            CheckpointFiles::Directory(_) => {
                std::fs::read(&path).map(Cow::Owned).map_err(Error::io("read", &path))
            }
            CheckpointFiles::Program(model) => match model.files.iter().find(|(known, _)| *known == name) {
                Some((_, bytes)) => Ok(Cow::Borrowed(*bytes)),
                None => {
                    Err(Error::content(&path, "not among the files of a model that comes with the program"))
                }
            },
        }
    }
}

/// A checkpoint that was read.
pub struct Checkpoint {
    /// Its path, or the name of a model that comes with the program.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// The preset at that time.
    pub preset: Preset,
    files: CheckpointFiles,
}

impl Checkpoint {
    /// Reads the manifest and the preset, and verifies every file against its SHA-256.
    ///
    /// # Errors
    /// A directory that is not a checkpoint, a file that is missing, cut short or changed.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        Checkpoint::read(path.to_owned(), CheckpointFiles::Directory(path.to_owned()), |_| true)
    }

    /// Reads and verifies only the manifest and the preset, for lists. [`Checkpoint::open`] finds damaged weights.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`] about these two.
    pub fn glance(path: &Path) -> Result<Checkpoint> {
        Checkpoint::read(path.to_owned(), CheckpointFiles::Directory(path.to_owned()), |file| file == PRESET)
    }

    /// The model of that name that comes with the program.
    ///
    /// # Errors
    /// None, unless the program was built from damaged files.
    pub fn of_program(model: EmbeddedModel) -> Result<Checkpoint> {
        Checkpoint::read(model.name.into(), CheckpointFiles::Program(model), |_| true)
    }

    /// The same, but verified only as far as [`Checkpoint::glance`] does.
    ///
    /// # Errors
    /// None, unless the program was built from damaged files.
    pub fn glance_at_program(model: EmbeddedModel) -> Result<Checkpoint> {
        Checkpoint::read(model.name.into(), CheckpointFiles::Program(model), |file| file == PRESET)
    }

    fn read(path: PathBuf, files: CheckpointFiles, is_verified: impl Fn(&str) -> bool) -> Result<Checkpoint> {
        let file = files.path(MANIFEST);
        let manifest =
            Manifest::parse(&files.read(MANIFEST)?).map_err(|problem| Error::content(&file, problem))?;
        for (name, expected) in manifest.files.iter().filter(|(name, _)| is_verified(name)) {
            if sha256(&files.read(name)?) != *expected {
                return Err(Error::content(
                    &files.path(name),
                    "damaged: its SHA-256 is not the manifest's; use another checkpoint",
                ));
            }
        }
        let text = String::from_utf8_lossy(&files.read(PRESET)?).into_owned();
        let preset = Preset::parse(&text, &shown(&files.path(PRESET)).to_string())?;
        Ok(Checkpoint { path, manifest, preset, files })
    }

    /// Whether the protocol has ended the training.
    pub fn is_finished(&self) -> bool {
        self.manifest.counters.is_finished(&self.preset.train)
    }

    /// The preset to test the weights with: the current one, with the changes of all later stages.
    pub fn preset_to_test(&self) -> Preset {
        let to_come = self.preset.train.stages.iter().skip(self.manifest.counters.stages + 1);
        let mut preset = self.preset.at_stages(to_come);
        preset.train.stages.clear();
        preset
    }

    /// Whether the latest epoch had the final K and objects, not those of an earlier stage, and scores mean something.
    pub fn is_of_its_task(&self) -> bool {
        let Counters { stages, epochs, stage_epochs, .. } = self.manifest.counters;
        self.preset.is_scorable()
            && self.preset.task() == self.preset_to_test().task()
            && (stages == 0 || epochs > stage_epochs)
    }

    /// Its absolute path, or the name of a model that comes with the program.
    ///
    /// # Errors
    /// A relative path after the working directory was removed.
    pub fn whole_path(&self) -> Result<PathBuf> {
        match &self.files {
            CheckpointFiles::Directory(path) => std::path::absolute(path).map_err(Error::io("find", path)),
            CheckpointFiles::Program(model) => Ok(model.name.into()),
        }
    }

    /// The SHA-256 of the weights' file.
    pub fn weights_sha256(&self) -> Option<&str> {
        self.manifest.files.get(WEIGHTS).map(String::as_str)
    }

    /// The weights by their names.
    ///
    /// # Errors
    /// A file that is not a safetensors file.
    pub fn weights(&self) -> Result<Arrays> {
        tensors::decode(&self.files.read(WEIGHTS)?, &self.files.path(WEIGHTS))
    }

    /// The model of `preset` (the checkpoint's own, or one with other settings) with the checkpoint's weights.
    ///
    /// # Errors
    /// Weights of another architecture than `preset`'s.
    pub fn model(&self, preset: &Preset, device: &Device) -> Result<Nem> {
        Nem::with_weights(preset, &self.weights()?, device).map_err(|e| {
            Error::content(
                &self.files.path(WEIGHTS),
                format!("another architecture than that of {}: these weights {e}", preset.name),
            )
        })
    }

    /// The training, exactly as it was.
    ///
    /// # Errors
    /// A model without its optimizer's state; weights or moments that do not match the parameters.
    pub fn trainer(&self, device: &Device) -> Result<Trainer> {
        if !self.manifest.files.contains_key(OPTIMIZER) {
            return Err(Error::content(
                &self.path,
                "a model without its optimizer's state; start a new run with its weights: train PRESET --from",
            ));
        }
        self.preset.fits(Work::Training { on_cpu: !backend::is_gpu(device) })?;
        let model = |preset: &Preset, device: &Device| self.model(preset, device);
        let trainer = Trainer::at(&self.preset, self.manifest.seed, device, model)?;
        let damaged = |what: String| {
            Error::content(&self.files.path(OPTIMIZER), format!("{what}; use another checkpoint"))
        };
        let bytes = Bytes::from_bytes_vec(self.files.read(OPTIMIZER)?.into_owned());
        // burn panics at arrays without the number of their parameter.
        let read = || optimizer(&self.preset.train.adam).from_bytes(bytes).map_err(|e| e.to_string());
        let read = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name(PROBE.into()).spawn_scoped(scope, read);
            let joined =
                thread.map(|thread| thread.join().unwrap_or_else(|panic| Err(panic_message(&*panic))));
            joined.unwrap_or_else(|e| Err(e.to_string()))
        });
        let optimizer = read.map_err(|e| damaged(format!("not an optimizer's state ({e})")))?;
        // burn ignores state it cannot place, so count what arrived: Adam has two moments for each parameter.
        let Counters { iteration, stage_iterations, .. } = self.manifest.counters;
        let expected =
            if iteration == stage_iterations { 0 } else { 2 * trainer.model().parameter_tensors() };
        let arrived = optimizer.to_record().len();
        if arrived != expected {
            return Err(damaged(format!("holds {arrived} moments where the model has {expected}")));
        }
        Ok(trainer.resumed(optimizer, self.manifest.counters.clone()))
    }
}

/// A training before its first iteration, with the weights of `from` or those that the seed draws.
///
/// # Errors
/// Those of [`Trainer::new`] and [`Checkpoint::model`].
pub fn first_trainer(
    preset: &Preset,
    seed: u64,
    from: Option<&Checkpoint>,
    device: &Device,
) -> Result<Trainer> {
    match from {
        Some(from) => {
            let model = |preset: &Preset, device: &_| from.model(preset, device);
            Trainer::with_model(preset, seed, device, model)
        }
        None => Trainer::new(preset, seed, device),
    }
}

/// Whether `path` looks like a checkpoint.
pub fn is_checkpoint(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::nem::DRAWN;

    /// The model is built from the saved weights, without drawing initial weights first.
    #[test]
    fn resuming_draws_no_weights() {
        let device = DeviceName::Flex.open().unwrap();
        let runs = tempfile::tempdir().unwrap();
        let sets = ["train.train_size=4", "train.batch=2", "steps=2"];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        let mut trainer = Trainer::new(&preset, 1, &device).unwrap();
        assert!(DRAWN.get() > 0);
        trainer.step().unwrap();
        let path = save(&trainer, runs.path(), "it-00000001", 0, false).unwrap();
        DRAWN.set(0);
        let resumed = Checkpoint::open(&path).unwrap().trainer(&device).unwrap();
        assert_eq!(DRAWN.get(), 0);
        let from = Checkpoint::open(&path).unwrap();
        Trainer::with_model(&preset, 1, &device, |preset, device| from.model(preset, device)).unwrap();
        assert_eq!(DRAWN.get(), 0, "a new training from its weights");
        assert_eq!(resumed.model().weights(), trainer.model().weights());
        assert_eq!(resumed.counters(), trainer.counters());
    }
}
