//! A sample unrolled by the model, and what is read off it: which object each component holds, its reconstruction,
//! pictures and arrays. No tensor, no terminal.

pub mod animation;
pub mod arrays;
mod canvas;
mod export;
mod npz;
pub mod objects;
pub mod pictures;
mod tile;

pub use self::export::{Format, TILE, View, encode, save};
pub use self::tile::reconstruction;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::preset::{ImageSize, Setting};

/// One watched validation sample, or an image of the user's own, unrolled with the weights of one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Iterations done when it was taken.
    pub iteration: u64,
    /// Index into the validation split.
    pub sample: usize,
    /// What is shown in the place of that sample.
    pub input: Option<Input>,
    /// C, H and W.
    pub image: ImageSize,
    /// K.
    pub k: usize,
    /// The conditions that it was taken under in the place of the training's.
    pub look: Vec<Setting>,
    /// One entry for each EM step, T of them.
    pub steps: Vec<SnapshotStep>,
}

/// What one EM step saw and made. Images are channels first, then rows, then columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStep {
    /// Clean target frame x, M values.
    pub target: Vec<f32>,
    /// Noisy input frame x̃, M values.
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values; 0 is background or overlap.
    pub groups: Vec<u8>,
    /// ψ, K·M values.
    pub preds: Vec<f32>,
    /// γ, K·P values.
    pub gamma: Vec<f32>,
    /// AMI (max) of this step; `None` where no pixel has a group.
    pub ami: Option<f64>,
    /// ARI of this step.
    pub ari: Option<f64>,
    /// Mean of the largest gamma over scored pixels.
    pub confidence: Option<f64>,
}

/// An image of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// A PNG, a GIF or an .npy file; by its whole path, because who reads it may be in another directory.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// Whether to fit it in, where its size is not the model's.
    pub resize: bool,
    /// Counts the requests of a user: the same file may hold another image by now.
    pub request: u64,
}

/// Writes a path as text, also one that is none: whoever reads it knows the run by a path of its own.
pub(crate) fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
