//! The digit images that scenes are made of: MNIST's, or synthetic ones.
//!
//! | split | from |
//! |---|---|
//! | train | MNIST's training images except the last 10,000; only the first of these, if limited |
//! | validation | the last 10,000 of them; if limited, the same as for training, because a stage is to learn just those |
//! | test | all of MNIST's test images, limited or not |

use std::ops::Range;
use std::path::PathBuf;

use super::digits;
use super::fingerprint;
use super::mnist::{self, Mnist};
use super::scene::Sprite;
use super::split::Split;
use crate::error::{Error, Result};
use crate::preset::{DIGIT_SIDE, Digits, Images};
use crate::random::{Purpose, Stream};

/// Images for validation, where there are more.
const VALIDATION: usize = 10_000;
/// Synthetic images for training and validation, and for the test: as many as MNIST has.
const SYNTHETIC: [usize; 2] = [60_000, 10_000];

/// Where digit images come from.
pub enum Pool {
    /// MNIST's files.
    Mnist {
        /// Where they are.
        directory: PathBuf,
        /// What is in them.
        images: Box<Mnist>,
    },
    /// Strokes drawn from the seed.
    Synthetic {
        /// The seed of all random numbers.
        seed: u64,
    },
}

/// What [`Digits::Auto`] stands for on this machine.
pub fn resolve(digits: &Digits) -> Digits {
    match digits {
        Digits::Auto if mnist::default_directory().is_some_and(|directory| mnist::is_there(&directory)) => {
            Digits::Mnist { directory: None }
        }
        Digits::Auto => Digits::Synthetic,
        decided => decided.clone(),
    }
}

impl Pool {
    /// The pool of `digits`.
    ///
    /// # Errors
    /// MNIST files that are missing or damaged.
    pub fn open(digits: &Digits, seed: u64) -> Result<Pool> {
        Ok(match resolve(digits) {
            Digits::Mnist { directory } => {
                let directory = directory.or_else(mnist::default_directory).ok_or_else(|| {
                    Error::Usage(
                        "this system names no data directory; say where MNIST is with --mnist DIR".into(),
                    )
                })?;
                let images = Box::new(mnist::open(&directory)?);
                Pool::Mnist { directory, images }
            }
            _ => Pool::Synthetic { seed },
        })
    }

    /// A hash of the images in MNIST's files, compressed or not.
    pub fn fingerprint(&self) -> Option<String> {
        match self {
            Pool::Mnist { images, .. } => {
                Some(fingerprint::of_parts([images.train.pixels.as_slice(), images.test.pixels.as_slice()]))
            }
            Pool::Synthetic { .. } => None,
        }
    }

    /// Checks that there are as many images for training as `limit`, the preset's `field`, asks for.
    ///
    /// # Errors
    /// Too few, naming where they come from.
    pub fn holds(&self, limit: Images, field: &str) -> Result<()> {
        let there = self.sizes()[0];
        let asked = match limit {
            Images::First(asked) if asked > there => asked,
            _ => return Ok(()),
        };
        let problem = |kind| {
            format!(
                "{field} asks for the first {asked} digit images, but there are {there}{kind}; \
                 ask for First({there}) or less, or for All"
            )
        };
        Err(match self {
            Pool::Mnist { directory, .. } => Error::content(directory, problem("")),
            Pool::Synthetic { .. } => Error::Data(problem(" synthetic ones")),
        })
    }

    /// Images for training and validation together, and for the test.
    fn sizes(&self) -> [usize; 2] {
        match self {
            Pool::Mnist { images, .. } => [images.train.count(), images.test.count()],
            Pool::Synthetic { .. } => SYNTHETIC,
        }
    }

    /// The numbers of a split's images; those of the test follow the others.
    fn range(&self, split: Split, limit: Images) -> Range<usize> {
        let [train, test] = self.sizes();
        // A small file is split the same way, five to one.
        let validation = VALIDATION.min((train / 6).max(1)).min(train.saturating_sub(1));
        match (split, limit) {
            (Split::Test, _) => train..train + test,
            (_, Images::First(limit)) => 0..limit,
            (Split::Train, Images::All) => 0..train - validation,
            (Split::Validation, Images::All) => match validation {
                0 => 0..train,
                _ => train - validation..train,
            },
        }
    }

    /// A digit image of the split, drawn uniformly.
    pub fn any(&self, split: Split, limit: Images, stream: &mut Stream) -> Sprite {
        let range = self.range(split, limit);
        self.image(range.start + stream.below(range.len()))
    }

    fn image(&self, number: usize) -> Sprite {
        let pixels = match self {
            Pool::Mnist { images, .. } => {
                let (file, number) = match number.checked_sub(images.train.count()) {
                    None => (&images.train, number),
                    Some(number) => (&images.test, number),
                };
                mnist::halve(file.image(number), file.rows, file.columns)
            }
            // As in MNIST, a tenth of the images are of each digit.
            Pool::Synthetic { seed } => {
                digits::write(number % 10, &mut Stream::new(*seed, Purpose::Digit, 0, number as u64))
            }
        };
        Sprite { rows: DIGIT_SIDE, columns: DIGIT_SIDE, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn splits_share_no_digit_image_unless_training_is_limited() {
        let pool = Pool::Synthetic { seed: 1 };
        let of = |split, limit| pool.range(split, limit);
        assert_eq!(of(Split::Train, Images::All), 0..50_000);
        assert_eq!(of(Split::Validation, Images::All), 50_000..60_000);
        for limit in [Images::All, Images::First(20)] {
            assert_eq!(of(Split::Test, limit), 60_000..70_000);
        }
        assert_eq!(of(Split::Train, Images::First(20)), 0..20);
        assert_eq!(of(Split::Validation, Images::First(20)), 0..20);
    }

    #[test]
    fn more_images_than_there_are_is_refused() {
        let pool = Pool::Synthetic { seed: 1 };
        assert!(
            pool.holds(Images::First(60_000), "data.images").is_ok() && pool.holds(Images::All, "x").is_ok()
        );
        let error = pool.holds(Images::First(60_001), "train.stages[1].images").unwrap_err();
        let text = error.to_string();
        for said in
            ["train.stages[1].images", "first 60001", "there are 60000", "ask for First(60000) or less"]
        {
            assert!(text.contains(said), "{text}");
        }
        assert_eq!(error.exit_code(), 1);
    }

    /// Images of MNIST's size, the i-th of them all of the grey level `from` + i.
    fn idx(from: u8, count: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
        (0..count).for_each(|i| bytes.extend([from + i; 28 * 28]));
        bytes
    }

    #[test]
    fn the_test_draws_from_mnists_test_file_and_the_others_from_its_training_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("train-images-idx3-ubyte"), idx(60, 12)).unwrap();
        std::fs::write(directory.path().join("t10k-images-idx3-ubyte"), idx(200, 6)).unwrap();
        let digits = Digits::Mnist { directory: Some(directory.path().to_owned()) };
        let pool = Pool::open(&digits, 1).unwrap();
        for (split, limit, levels) in [
            (Split::Train, Images::All, 60..70),
            (Split::Validation, Images::All, 70..72),
            (Split::Test, Images::All, 200..206),
            (Split::Train, Images::First(3), 60..63),
            (Split::Validation, Images::First(3), 60..63),
            (Split::Test, Images::First(3), 200..206),
        ] {
            let mut stream = Stream::new(1, Purpose::TrainSample, 0, 0);
            let level =
                |stream: &mut Stream| (pool.any(split, limit, stream).pixels[0] * 255.0).round() as u8;
            let drawn: BTreeSet<u8> = (0..400).map(|_| level(&mut stream)).collect();
            assert_eq!(drawn, levels.collect(), "{split:?} {limit:?}");
        }
    }
}
