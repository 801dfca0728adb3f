//! The data of a snapshot.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::paths::{exact, shown};
use crate::preset::{ImageSize, Setting};

/// A validation sample or one of the user's own images, unrolled with the weights of one iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Iterations done when the snapshot was taken.
    pub iteration: u64,
    /// Index into the validation split.
    pub sample: usize,
    /// The user's own image, shown instead of that sample.
    pub input: Option<Input>,
    /// C, H and W.
    pub image: ImageSize,
    /// K.
    pub k: usize,
    /// Settings used instead of the training's.
    pub look: Vec<Setting>,
    /// The T EM steps.
    pub steps: Vec<SnapshotStep>,
}

/// Inputs and outputs of one EM step. Images are channels first, then rows, then columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStep {
    /// Clean target frame x, M values.
    #[serde(with = "bytes")]
    pub target: Vec<f32>,
    /// Noisy input frame x̃, M values.
    #[serde(with = "bytes")]
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values from 1; 0 is background or overlap.
    #[serde(with = "serde_bytes")]
    pub groups: Vec<u8>,
    /// ψ, K·M values.
    #[serde(with = "bytes")]
    pub preds: Vec<f32>,
    /// γ, K·P values.
    #[serde(with = "bytes")]
    pub gamma: Vec<f32>,
    /// AMI (max) of this step; `None` if no pixel has a group.
    pub ami: Option<f64>,
    /// ARI of this step.
    pub ari: Option<f64>,
    /// Mean of the largest gamma over scored pixels.
    pub confidence: Option<f64>,
}

impl Snapshot {
    /// Whether it is known which pixel belongs to which object.
    pub fn knows_objects(&self) -> bool {
        match self.input.as_ref().map(|input| &input.source) {
            None => true,
            Some(Source::File { .. }) => false,
            Some(Source::Frames(frames)) => !frames.groups.is_empty(),
        }
    }
}

/// One of the user's own images, shown instead of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Counts the user's requests, because the same file may have changed.
    pub request: u64,
    /// Where its pixels come from.
    pub source: Source,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    /// A PNG, GIF or .npy file.
    File {
        /// An absolute path, because the process that reads it may be in another directory.
        #[serde(with = "exact")]
        path: PathBuf,
        /// Whether to resize an image that does not have the model's size.
        resize: bool,
    },
    /// Frames from the viewer: a drawing, or what another model is shown.
    Frames(#[serde(with = "shared")] Arc<Frames>),
}

/// Frames from a viewer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frames {
    /// The clean frames that the EM steps predict, M values each: one for all steps, or one a step.
    pub targets: Vec<Vec<f32>>,
    /// What the EM steps read, M values each; none for the targets with the noise that the viewer looks at.
    pub noisy: Vec<Vec<f32>>,
    /// True object of each pixel of each target, from 1; 0 is background or overlap. Empty if unknown.
    pub groups: Vec<u8>,
    /// The seed and the validation sample whose initial γ is used, instead of the first sample's of the model's seed.
    pub begins_as: Option<(u64, u64)>,
}

/// Values as the bytes of little-endian f32: several times as fast as one by one.
mod bytes {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        to.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(from)?;
        match bytes.as_chunks() {
            (values, []) => Ok(values.iter().copied().map(f32::from_le_bytes).collect()),
            _ => Err(D::Error::custom(format!("{} bytes of f32 values", bytes.len()))),
        }
    }
}

mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Frames;

    pub(super) fn serialize<S: Serializer>(frames: &Arc<Frames>, to: S) -> Result<S::Ok, S::Error> {
        frames.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Frames>, D::Error> {
        Frames::deserialize(from).map(Arc::new)
    }
}

impl Input {
    /// The image in this file.
    pub fn file(path: impl Into<PathBuf>, resize: bool, request: u64) -> Input {
        Input { request, source: Source::File { path: path.into(), resize } }
    }

    /// These frames.
    pub fn frames(frames: impl Into<Arc<Frames>>, request: u64) -> Input {
        Input { request, source: Source::Frames(frames.into()) }
    }

    /// Its name on the screen: the file's, without the directory.
    pub fn name(&self) -> String {
        match &self.source {
            Source::File { path, .. } => shown(path.file_name().unwrap_or_default()).to_string(),
            Source::Frames(_) => "drawing".into(),
        }
    }

    /// The same without the extension.
    pub fn stem(&self) -> String {
        match &self.source {
            Source::File { path, .. } => shown(path.file_stem().unwrap_or_default()).to_string(),
            Source::Frames(_) => self.name(),
        }
    }

    /// What it is called in messages: the file, with its directory.
    pub fn path(&self) -> String {
        match &self.source {
            Source::File { path, .. } => shown(path).to_string(),
            Source::Frames(_) => self.name(),
        }
    }

    /// Whether an image of another size is resized.
    pub fn is_resized(&self) -> bool {
        matches!(self.source, Source::File { resize: true, .. })
    }
}
