//! The parts of the data, disjoint by construction.

use crate::preset::Train;
use crate::random::Purpose;

/// A part of the data that shares no image with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The weights are fitted to it.
    Train,
    /// It decides when to stop.
    Validation,
    /// Its scores are reported.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Its name, as for `--split`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// How many samples of it are used.
    pub fn size(self, train: &Train) -> usize {
        match self {
            Split::Train => train.train_size,
            Split::Validation => train.validation_size,
            Split::Test => train.test_size,
        }
    }

    /// The split an image belongs to: 8 of 10 to training, 1 to each of the others.
    pub(super) fn of(features: &[f32]) -> Split {
        match fingerprint(features) % 10 {
            0..=7 => Split::Train,
            8 => Split::Validation,
            _ => Split::Test,
        }
    }

    pub(super) fn samples(self) -> Purpose {
        match self {
            Split::Train => Purpose::TrainSample,
            Split::Validation => Purpose::ValidationSample,
            Split::Test => Purpose::TestSample,
        }
    }

    /// The randomness of the input noise on this split.
    pub fn noise(self) -> Purpose {
        match self {
            Split::Train => Purpose::TrainNoise,
            Split::Validation => Purpose::ValidationNoise,
            Split::Test => Purpose::TestNoise,
        }
    }

    /// The randomness of the initial gamma on this split.
    pub fn gamma(self) -> Purpose {
        match self {
            Split::Train => Purpose::TrainGamma,
            Split::Validation => Purpose::ValidationGamma,
            Split::Test => Purpose::TestGamma,
        }
    }
}

/// FNV-1a over the pixels' grey levels: the same on every machine, and cheap compared with drawing them.
fn fingerprint(features: &[f32]) -> u64 {
    features.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &value| {
        (hash ^ u64::from((value * 255.0) as u8)).wrapping_mul(0x0000_0100_0000_01b3)
    }) >> 17 // The low bits of FNV mix worst.
}
