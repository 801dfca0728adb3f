//! The data of a snapshot.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::paths::exact;
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
    pub target: Vec<f32>,
    /// Noisy input frame x̃, M values.
    pub noisy: Vec<f32>,
    /// True object of each pixel, P values from 1; 0 is background or overlap.
    pub groups: Vec<u8>,
    /// ψ, K·M values.
    pub preds: Vec<f32>,
    /// γ, K·P values.
    pub gamma: Vec<f32>,
    /// AMI (max) of this step; `None` if no pixel has a group.
    pub ami: Option<f64>,
    /// ARI of this step.
    pub ari: Option<f64>,
    /// Mean of the largest gamma over scored pixels.
    pub confidence: Option<f64>,
}

/// One of the user's own images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// A PNG, GIF or .npy file. An absolute path, because the process that reads it may be in another directory.
    #[serde(with = "exact")]
    pub file: PathBuf,
    /// Whether to resize an image that does not have the model's size.
    pub resize: bool,
    /// Counts the user's requests, because the same file may have changed.
    pub request: u64,
}
