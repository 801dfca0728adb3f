//! Images with known objects, made when they are asked for.
//!
//! Nothing is stored: a [`Sample`] is a pure function of (seed, split, index). The splits are
//! disjoint by construction, not by luck: an image belongs to the split that a hash of its pixels
//! names, and an index of a split is filled with the first image drawn for it that belongs there.

mod noise;
mod shapes;

pub use noise::corrupt;

use crate::error::{Error, Result};
use crate::preset::{Data, ImageSize};
use crate::random::{Purpose, Stream};

/// Draws for one index before a split counts as empty. Every tenth image belongs to the smaller
/// splits, so a data set with more than a handful of different images never comes near.
const MAX_DRAWS: usize = 10_000;

/// A part of the data that shares no image with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What the weights are fitted to.
    Train,
    /// What decides when to stop.
    Validation,
    /// What is reported.
    Test,
}

impl Split {
    /// The split an image belongs to: 8 of 10 for training, 1 each for the others.
    fn of(features: &[f32]) -> Split {
        match fingerprint(features) % 10 {
            0..=7 => Split::Train,
            8 => Split::Validation,
            _ => Split::Test,
        }
    }

    fn samples(self) -> Purpose {
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

/// FNV-1a over the pixels' grey levels: the same on every machine, and cheap beside drawing them.
fn fingerprint(features: &[f32]) -> u64 {
    features.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &value| {
        (hash ^ u64::from((value * 255.0) as u8)).wrapping_mul(0x0000_0100_0000_01b3)
    }) >> 17 // The low bits of FNV mix worst.
}

/// A static image with the object of every pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// x: M values, channels first, in 0..=1.
    pub features: Vec<f32>,
    /// True object of each of the P places, from 1; 0 is background or overlap, which no score
    /// counts.
    pub groups: Vec<u8>,
}

/// A data set of a preset.
#[derive(Clone, Debug)]
pub struct Dataset {
    spec: Data,
    seed: u64,
}

impl Dataset {
    /// The data that `spec` describes, drawn from `seed`.
    ///
    /// # Errors
    /// A source without a generator, or one with so few different images that a split has none.
    pub fn new(spec: &Data, seed: u64) -> Result<Dataset> {
        let dataset = Dataset { spec: spec.clone(), seed };
        if let Data::Tensors { .. } = spec {
            return Err(Error::Usage(
                "data: Tensors has no generator, so only infer can use it; name a source such as Shapes to train".into(),
            ));
        }
        for split in [Split::Train, Split::Validation, Split::Test] {
            if dataset.draw(split, 0).is_none() {
                return Err(Error::Usage(format!(
                    "data has too few different images to give {split:?} any of its own; \
                     raise data.height, data.width or data.objects"
                )));
            }
        }
        Ok(dataset)
    }

    /// C, H and W.
    pub fn image(&self) -> ImageSize {
        self.spec.image()
    }

    /// Sample `index` of `split`.
    pub fn sample(&self, split: Split, index: u64) -> Sample {
        // `new` has drawn from every split; an index that finds none takes the split's first image.
        self.draw(split, index)
            .or_else(|| self.draw(split, 0))
            .unwrap_or_else(|| unreachable!("a dataset is only made where every split has an image"))
    }

    fn draw(&self, split: Split, index: u64) -> Option<Sample> {
        let mut stream = Stream::new(self.seed, split.samples(), 0, index);
        (0..MAX_DRAWS)
            .map(|_| self.image_from(&mut stream))
            .find(|sample| Split::of(&sample.features) == split)
    }

    fn image_from(&self, stream: &mut Stream) -> Sample {
        match self.spec {
            Data::Shapes { height, width, objects, shape_set } => {
                shapes::draw(shapes::set(shape_set), objects, height, width, stream)
            }
            Data::Tensors { .. } => unreachable!("refused by Dataset::new"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ShapeSet;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn paper(objects: usize) -> Data {
        Data::Shapes { height: 28, width: 28, objects, shape_set: ShapeSet::Paper }
    }

    #[test]
    fn samples_repeat_alone_and_differ_by_seed_split_and_index() {
        let data = Dataset::new(&paper(3), 1).unwrap();
        let late = data.sample(Split::Train, 4711);
        assert_eq!(late, Dataset::new(&paper(3), 1).unwrap().sample(Split::Train, 4711));
        assert_ne!(late, data.sample(Split::Train, 4712));
        assert_ne!(late, data.sample(Split::Test, 4711));
        assert_ne!(late, Dataset::new(&paper(3), 2).unwrap().sample(Split::Train, 4711));
    }

    /// One small object in a small image: few different images, so splits drawn without care would
    /// share them.
    #[test]
    fn splits_share_no_image() {
        let spec = Data::Shapes { height: 9, width: 9, objects: 1, shape_set: ShapeSet::Small };
        let data = Dataset::new(&spec, 3).unwrap();
        let images = |split| -> HashSet<Vec<u8>> {
            (0..300).map(|i| data.sample(split, i).features.iter().map(|v| *v as u8).collect()).collect()
        };
        let (train, validation, test) =
            (images(Split::Train), images(Split::Validation), images(Split::Test));
        assert!(train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test));
        assert!(train.len() > 20 && !validation.is_empty() && !test.is_empty());
    }

    #[test]
    fn a_source_with_too_few_images_is_refused() {
        let spec = Data::Shapes { height: 4, width: 7, objects: 1, shape_set: ShapeSet::Small };
        let error = Dataset::new(&spec, 1).unwrap_err().to_string();
        assert!(error.contains("too few different images") && error.contains("data.height"), "{error}");
        let tensors = Data::Tensors { channels: 1, height: 4, width: 4 };
        assert!(Dataset::new(&tensors, 1).unwrap_err().to_string().contains("only infer"));
    }

    proptest! {
        #[test]
        fn pixels_and_groups_agree(seed in any::<u64>(), index in 0u64..1000, objects in 1usize..6, side in 12usize..40) {
            let spec = Data::Shapes { height: side, width: side + 3, objects, shape_set: ShapeSet::Paper };
            let data = Dataset::new(&spec, seed).unwrap();
            let sample = data.sample(Split::Test, index);
            prop_assert_eq!(sample.features.len(), side * (side + 3));
            prop_assert_eq!(sample.groups.len(), sample.features.len());
            for (&x, &group) in sample.features.iter().zip(&sample.groups) {
                prop_assert!(x == 0.0 || x == 1.0);
                prop_assert!(usize::from(group) <= objects);
                // A pixel with a group is on; a pixel that is on without a group is overlap.
                prop_assert!(group == 0 || x == 1.0);
            }
        }
    }
}
