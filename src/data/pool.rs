//! The digit images that scenes are made of: MNIST's, or synthetic ones.
//!
//! | split | from |
//! |---|---|
//! | train | MNIST's training images but the last 10,000; of these the first so many, if limited |
//! | validation | the last 10,000 of them; if limited, the same as for training, since what a stage is to learn is those |
//! | test | MNIST's test images, all, limited or not |

use std::ops::Range;
use std::path::PathBuf;

use super::Split;
use super::digits;
use super::mnist::{self, Mnist};
use super::scene::Sprite;
use crate::error::{Error, Result};
use crate::preset::{DIGIT_SIDE, Digits, Images};
use crate::random::{Purpose, Stream};

/// Images kept for validation, where there are more.
const VALIDATION: usize = 10_000;
/// Synthetic images, as many as MNIST has, for training and validation, and for the test.
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
        /// Everything random follows from it.
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
    /// The pool of `digits`, of which training may use `limit`.
    ///
    /// # Errors
    /// MNIST files that are missing or damaged, or that hold fewer images than `limit` asks for.
    pub fn open(digits: &Digits, limit: Images, seed: u64) -> Result<Pool> {
        let pool = match resolve(digits) {
            Digits::Mnist { directory } => {
                let directory =
                    directory.map(PathBuf::from).or_else(mnist::default_directory).ok_or_else(|| {
                        Error::Usage(
                            "this system names no data directory; say where MNIST is with --mnist DIR".into(),
                        )
                    })?;
                let images = Box::new(mnist::open(&directory)?);
                Pool::Mnist { directory, images }
            }
            _ => Pool::Synthetic { seed },
        };
        let there = pool.sizes()[0];
        match (limit, &pool) {
            (Images::First(asked), Pool::Mnist { directory, .. }) if asked > there => Err(Error::content(
                directory,
                format!("data.images asks for the first {asked} digit images, but there are {there}"),
            )),
            (Images::First(asked), Pool::Synthetic { .. }) if asked > there => Err(Error::Usage(format!(
                "data.images asks for the first {asked} digit images, but there are {there} synthetic ones"
            ))),
            _ => Ok(pool),
        }
    }

    /// Images for training and validation together, and for the test.
    fn sizes(&self) -> [usize; 2] {
        match self {
            Pool::Mnist { images, .. } => [images.train.count(), images.test.count()],
            Pool::Synthetic { .. } => SYNTHETIC,
        }
    }

    /// The images of a split, by number; the test's follow the others.
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

    /// A digit image of the split, uniformly.
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
        let error = Pool::open(&Digits::Synthetic, Images::First(60_001), 1).err().unwrap().to_string();
        assert!(error.contains("60001") && error.contains("60000"), "{error}");
    }
}
