//! Images and objects of a data source.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::data::{Data, Digits, Images, Noise};
use super::schema::Distribution;

/// The size of an image: C, H and W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl ImageSize {
    /// P = H·W, the number of pixels; γ and the groups have one value for each.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// M = C·H·W, the number of values of an image.
    pub fn values(&self) -> usize {
        self.channels * self.pixels()
    }
}

impl Data {
    /// The size of the images.
    pub fn image(&self) -> ImageSize {
        match *self {
            Data::Shapes { height, width, .. }
            | Data::FlyingShapes { height, width, .. }
            | Data::Mnist { height, width, .. }
            | Data::FlyingMnist { height, width, .. } => ImageSize { channels: 1, height, width },
            Data::Hdf5 { channels, height, width, .. } | Data::Tensors { channels, height, width } => {
                ImageSize { channels, height, width }
            }
        }
    }

    /// Objects per image, if the preset sets it.
    pub fn objects(&self) -> Option<usize> {
        self.clone().objects_mut().copied()
    }

    /// See [`Data::objects`].
    pub(super) fn objects_mut(&mut self) -> Option<&mut usize> {
        match self {
            Data::Shapes { objects, .. }
            | Data::FlyingShapes { objects, .. }
            | Data::Mnist { objects, .. }
            | Data::FlyingMnist { objects, .. } => Some(objects),
            Data::Hdf5 { .. } | Data::Tensors { .. } => None,
        }
    }

    /// Where digits come from, for data with digits.
    pub fn digits(&self) -> Option<&Digits> {
        match self {
            Data::Mnist { digits, .. } | Data::FlyingMnist { digits, .. } => Some(digits),
            _ => None,
        }
    }

    /// Whether its digits are drawn by this program, once `Auto` is resolved. Scores on them do not compare with the
    /// paper's.
    pub fn is_synthetic(&self) -> bool {
        self.digits() == Some(&Digits::Synthetic)
    }

    /// The file or directory that it names.
    pub fn files(&self) -> Option<&Path> {
        match (self, self.digits()) {
            (Data::Hdf5 { path, .. }, _) => Some(path),
            (_, Some(Digits::Mnist { directory })) => directory.as_deref(),
            _ => None,
        }
    }

    /// Whether it is read from the files that `other` is read from.
    pub fn has_files_of(&self, other: &Data) -> bool {
        self.digits() == other.digits() && self.files() == other.files()
    }

    /// The same data with other digits; unchanged without digits.
    #[must_use]
    pub fn with_digits(mut self, new: Digits) -> Data {
        if let Data::Mnist { digits, .. } | Data::FlyingMnist { digits, .. } = &mut self {
            *digits = new;
        }
        self
    }

    /// The kind of noise that fits these images: flipped pixels if they are binary. For images of a file, `distribution`
    /// says whether they are.
    pub(super) fn noise(&self, probability: f64, distribution: Distribution) -> Noise {
        let is_binary = match self {
            Data::Shapes { .. } | Data::FlyingShapes { .. } => true,
            Data::Mnist { .. } | Data::FlyingMnist { .. } => false,
            Data::Hdf5 { .. } | Data::Tensors { .. } => distribution == Distribution::Bernoulli,
        };
        if is_binary { Noise::Bitflip { probability } } else { Noise::MaskedUniform { probability } }
    }

    /// Number of digit images, for data with digits.
    pub fn images(&self) -> Option<Images> {
        match self {
            Data::Mnist { images, .. } | Data::FlyingMnist { images, .. } => Some(*images),
            _ => None,
        }
    }

    /// The same data with another number of digit images; unchanged without digits.
    #[must_use]
    pub fn with_images(mut self, new: Images) -> Data {
        if let Data::Mnist { images, .. } | Data::FlyingMnist { images, .. } = &mut self {
            *images = new;
        }
        self
    }
}
