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
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::backend;
use crate::error::{Error, PROBE, Result, panic_message};
use crate::files::{TemporaryDirectory, directory_of, sync_directory, write_atomic};
use crate::nem::Nem;
use crate::paths::shown;
use crate::preset::{Preset, Work};
use crate::protocol::number_or_nan;
use crate::tensors::{self, Arrays, Storage};
use crate::train::adam::optimizer;
use crate::train::trainer::{Counters, Trainer};

const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const PRESET: &str = "preset.ron";
const MANIFEST: &str = "manifest.json";
/// Raised when a checkpoint's meaning changes. Format 1 had no checksum of the manifest.
const FORMAT: u32 = 2;
/// What precedes the checksum, the manifest's last field: the SHA-256 of the same text without that field.
const CHECKSUM: &str = ",\n  \"sha256\": \"";

/// What ties a checkpoint's files together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The run's seed.
    pub seed: u64,
    /// The training's counters.
    pub counters: Counters,
    /// The length of `metrics.jsonl` at that time, in bytes.
    pub metrics_bytes: u64,
    /// Whether the epoch that it ended is the best so far.
    #[serde(default)]
    pub best: bool,
    /// The scores of the weights, if this is a model to share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// SHA-256 of the other files.
    files: BTreeMap<String, String>,
}

/// What `nem-tui eval MODEL --samples N` measures with these very weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The device and machine.
    pub device: String,
    /// The version and commit of the program that measured.
    pub version: String,
    /// Held-out samples.
    pub samples: usize,
    /// Mean AMI (max) of the last EM step.
    pub ami_last: Option<f64>,
    /// Mean AMI (max), weighted over EM steps like the loss.
    pub ami: Option<f64>,
    /// Mean ARI of the last EM step.
    pub ari_last: Option<f64>,
    /// The AMI (max) of the best split by position alone.
    pub floor: Option<f64>,
    /// The loss.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
}

impl Manifest {
    /// The text of a manifest's file.
    fn to_text(&self) -> serde_json::Result<String> {
        let text = serde_json::to_string_pretty(self)?;
        let sum = sha256(text.as_bytes());
        let fields = text.strip_suffix("\n}").unwrap_or(&text);
        Ok(format!("{fields}{CHECKSUM}{sum}\"\n}}"))
    }

    /// Reads a manifest's file.
    ///
    /// # Errors
    /// What is wrong with it and what to do, without the file's name.
    fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let text = String::from_utf8_lossy(bytes);
        let (text, sum) = match text.rsplit_once(CHECKSUM) {
            Some((fields, sum)) => (format!("{fields}\n}}"), sum.trim_end().strip_suffix("\"\n}")),
            None => (text.into_owned(), None),
        };
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|e| format!("not a checkpoint's manifest ({e}); use another checkpoint"))?;
        match manifest.format {
            1 => {}
            FORMAT if sum == Some(&sha256(text.as_bytes())) => {}
            FORMAT => {
                return Err("damaged: its SHA-256 is not the one it carries; use another checkpoint".into());
            }
            format => {
                return Err(format!(
                    "checkpoint format {format} is not format {FORMAT}, which this version reads"
                ));
            }
        }
        match [WEIGHTS, PRESET].into_iter().find(|file| !manifest.files.contains_key(*file)) {
            Some(file) => Err(format!("names no {file}; use another checkpoint")),
            None => Ok(manifest),
        }
    }
}

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

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::nem::DRAWN;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            version: "1".into(),
            seed: 1,
            // A number that is easily read a bit wrong.
            counters: Counters { epoch_loss: 15_104.913_818_359_375, ..Counters::default() },
            metrics_bytes: 9,
            best: true,
            measured: None,
            files: [WEIGHTS, PRESET].map(|file| (file.to_owned(), String::new())).into(),
        }
    }

    #[test]
    fn a_manifest_is_read_as_written_or_refused() {
        let text = manifest().to_text().unwrap();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest());
        // Any change of any byte is noticed, by the syntax or by the checksum.
        for at in 0..text.len() {
            for byte in [b'0', b'"', b'z', 0xff] {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                let same = changed == text.as_bytes();
                assert_eq!(
                    Manifest::parse(&changed).is_ok(),
                    same,
                    "{at} {}",
                    String::from_utf8_lossy(&changed)
                );
            }
            assert!(Manifest::parse(&text.as_bytes()[..at]).is_err());
        }
        let old = serde_json::to_string(&Manifest { format: 1, ..manifest() }).unwrap();
        assert_eq!(Manifest::parse(old.as_bytes()).unwrap().format, 1);
        let unknown = old.replacen('{', "{\"more\": 1,", 1);
        assert!(Manifest::parse(unknown.as_bytes()).unwrap_err().contains("unknown field"));
        let without = text.split(CHECKSUM).next().unwrap().to_owned() + "\n}";
        assert!(Manifest::parse(without.as_bytes()).unwrap_err().contains("SHA-256"));
    }

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
