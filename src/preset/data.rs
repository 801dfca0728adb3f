//! The schema of a preset's images and their noise.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::paths::{exact, exact_option};

/// A source of images. Moving ones give T + 1 frames for T EM steps; static ones repeat a single frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Data {
    /// Binary images of overlapping shapes at uniform positions (paper §4.1, A.1).
    Shapes {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Shapes per image.
        objects: usize,
        /// Which shapes.
        #[serde(default)]
        shape_set: ShapeSet,
    },
    /// The same shapes moving in straight lines, bouncing off the walls (paper §4.2, A.2).
    FlyingShapes {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Shapes per image.
        objects: usize,
        /// Which shapes.
        #[serde(default)]
        shape_set: ShapeSet,
        /// How fast they move.
        #[serde(default)]
        speed: Speed,
    },
    /// Grey images of overlapping 14x14 digits at uniform positions (paper §4.3).
    Mnist {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Digits per image.
        objects: usize,
        /// Whose digits.
        #[serde(default)]
        digits: Digits,
        /// How many different digit images.
        #[serde(default)]
        images: Images,
    },
    /// The same digits moving in straight lines, bouncing off the walls (paper §4.3, A.3).
    FlyingMnist {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Digits per image.
        objects: usize,
        /// Whose digits.
        #[serde(default)]
        digits: Digits,
        /// How many different digit images.
        #[serde(default)]
        images: Images,
        /// How fast they move.
        #[serde(default)]
        speed: Speed,
    },
    /// Images or sequences from an HDF5 file in the authors' layout:
    /// `{training,validation,test}/{features,groups}`, each \[T, N, H, W, C\].
    Hdf5 {
        /// The file.
        #[serde(with = "exact")]
        path: PathBuf,
        /// C.
        #[serde(default = "one_channel")]
        channels: usize,
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
    },
    /// Images given as tensors in a file. For `infer` only.
    Tensors {
        /// C.
        channels: usize,
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
    },
}

/// How far an object moves between two frames. The paper does not say; in the sequence that its authors publish with
/// their code, all five shapes move by −1, 0 or 1 pixel on each axis, which is the default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// Minimum, in pixels.
    pub min: f64,
    /// Maximum, in pixels.
    pub max: f64,
    /// Whether the velocity is in whole pixels: on each axis any whole number from −max to max whose magnitude is at
    /// least min. Otherwise the speed is uniform in min to max, the direction too, and positions are rounded.
    #[serde(default)]
    pub whole: bool,
}

impl Default for Speed {
    fn default() -> Speed {
        Speed { min: 0.0, max: 1.0, whole: true }
    }
}

/// Where digits come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Digits {
    /// MNIST if its files are in the data directory, else synthetic digits. A run records which.
    #[default]
    Auto,
    /// MNIST, from its IDX files.
    Mnist {
        /// The directory of the files; the data directory if left out.
        #[serde(default, with = "exact_option", skip_serializing_if = "Option::is_none")]
        directory: Option<PathBuf>,
    },
    /// Digits drawn by this program. Scores on them cannot be compared with the paper's.
    Synthetic,
}

/// How many different digit images are used for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Images {
    /// All: 50,000 for training, 10,000 for validation, 10,000 for the test.
    #[default]
    All,
    /// The first n for training and validation; the test still uses all of its own.
    First(usize),
}

/// A set of shapes, drawn uniformly with replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShapeSet {
    /// The paper's: a hollow 7x7 square, a 7x12 triangle, and the triangle upside down.
    #[default]
    Paper,
    /// For quick runs: a hollow 4x4 square, a 4x7 triangle, and the triangle upside down.
    Small,
}

/// Noise on the input x̃, drawn again for every frame and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Noise {
    /// Each pixel x becomes 1 − x with this probability.
    Bitflip {
        /// In 0..=1.
        probability: f64,
    },
    /// Each value is replaced with this probability by a uniform one in 0..1.
    MaskedUniform {
        /// In 0..=1.
        probability: f64,
    },
    /// The input is the clean frame.
    None,
}

fn one_channel() -> usize {
    1
}

impl Noise {
    /// The share of pixels changed; `None` without noise.
    pub fn probability(&self) -> Option<f64> {
        match *self {
            Noise::Bitflip { probability } | Noise::MaskedUniform { probability } => Some(probability),
            Noise::None => None,
        }
    }
}
