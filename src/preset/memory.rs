//! The memory that work on a preset takes at least, to refuse what cannot be done before anything is allocated.
//!
//! Everything counts that must be in memory at one time whatever the device and the precision do, so nothing is refused
//! that could be done. What is accepted may still be too large, but fails later and by itself.

use super::layers::{layer_outputs, weight_count};
use super::schema::{Cell, Layer, Preset};
use crate::error::{Error, Result};
use crate::machine::{self, in_words};

/// Images that an evaluation unrolls at once.
pub const EVALUATED_AT_ONCE: usize = 100;
/// Bytes of a number.
const NUMBER: u128 = size_of::<f32>() as u128;
/// Bytes of an image's scores in one EM step.
const SCORES: u128 = 40;

/// Work on a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Iterations on the CPU, or on a device with memory of its own.
    Training {
        /// Whether the device is the CPU.
        on_cpu: bool,
    },
    /// Scoring some EM steps of images.
    Scoring {
        /// Images.
        samples: usize,
        /// EM steps.
        steps: usize,
    },
    /// Everything that the model computes for this many images, kept for all EM steps.
    Unrolling(usize),
}

/// The memory that there is, but for an eighth: the rest of the program takes some, too.
fn usable() -> u64 {
    machine::free_memory() / 8 * 7
}

impl Preset {
    /// Refuses work that takes more memory than this process can get.
    ///
    /// # Errors
    /// [`Error::Usage`], naming the fields that make it large.
    pub fn fits(&self, work: Work) -> Result<()> {
        self.fits_in(work, 0, usable())
    }

    /// The same for a change of `before`, whose work is going on and takes memory already.
    ///
    /// # Errors
    /// Those of [`Preset::fits`].
    pub fn fits_instead(&self, before: &Preset, work: Work) -> Result<()> {
        self.fits_in(work, before.needs(work).0, usable())
    }

    fn fits_in(&self, work: Work, taken: u64, free: u64) -> Result<()> {
        let (needed, why) = self.needs(work);
        if needed.saturating_sub(taken) <= free {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{}: {why} takes {} of memory at least, and {} is available; reduce that, or give the program more memory",
            self.name,
            in_words(needed),
            in_words(free)
        )))
    }

    /// Bytes that `work` takes at least, and what takes most of them.
    fn needs(&self, work: Work) -> (u64, String) {
        let large = |n: usize| n as u128;
        let (k, steps, train) = (large(self.k), large(self.steps), &self.train);
        let image = self.data.image();
        let (values, pixels) = (large(image.values()), large(image.pixels()));
        let (between, weights) = match &self.model.cell {
            Cell::Nem { units } => (large(*units), large(*units) * values),
            Cell::RnnEm { layers } => {
                let outputs = layer_outputs(layers, image).unwrap_or_default();
                // A reshape only looks at its input in another way.
                let stored =
                    layers.iter().zip(outputs).filter(|(layer, _)| !matches!(layer, Layer::Reshape { .. }));
                (stored.map(|(_, output)| large(output.values())).sum(), large(weight_count(layers, image)))
            }
        };
        // T noisy frames, a clean one, and the first responsibilities; what a step leaves of a component.
        let batch = |images: u128| images * ((steps + 1) * values + k * pixels) * NUMBER;
        let state = k * (values + pixels) * NUMBER;
        let conditions =
            format!("with k {}, steps {} and images of {} values", self.k, self.steps, image.values());
        let parts = match work {
            Work::Training { on_cpu } => {
                let images = large(train.batch);
                // Backward reads what every layer has put out in every step; Adam has two moments.
                let unrolled = if on_cpu { images * steps * (state + k * between * NUMBER) } else { 0 };
                let weights = if on_cpu { 4 * weights * NUMBER } else { weights * NUMBER };
                vec![
                    (batch(images) + unrolled, format!("train.batch {} {conditions}", train.batch)),
                    (large(train.train_size) * NUMBER, format!("train.train_size {}", train.train_size)),
                    (weights, "model.cell".to_owned()),
                ]
            }
            Work::Scoring { samples, steps } => {
                let images = large(samples.min(EVALUATED_AT_ONCE));
                let scores = large(samples) * large(steps) * SCORES;
                vec![
                    (batch(images) + images * state, format!("a batch of {images} images {conditions}")),
                    (scores, format!("scoring {samples} images in {steps} steps")),
                    (weights * NUMBER, "model.cell".to_owned()),
                ]
            }
            Work::Unrolling(samples) => {
                let images = large(samples);
                vec![
                    (
                        batch(images) + images * steps * state,
                        format!("unrolling {samples} images {conditions}"),
                    ),
                    (weights * NUMBER, "model.cell".to_owned()),
                ]
            }
        };
        let whole: u128 = parts.iter().map(|(bytes, _)| bytes).sum();
        let most = parts.into_iter().max_by_key(|(bytes, _)| *bytes).map_or_else(String::new, |(_, why)| why);
        (u64::try_from(whole).unwrap_or(u64::MAX), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::embedded;

    const GIB: u64 = 1 << 30;

    fn refused(sets: &[&str], work: Work) -> String {
        let preset = Preset::load("quickstart").unwrap().set(sets).unwrap();
        preset.fits_in(work, 0, 64 * GIB).unwrap_err().to_string()
    }

    #[test]
    fn what_comes_with_the_program_fits_into_little() {
        for (name, text) in embedded() {
            let preset = Preset::parse(text, name).unwrap();
            for work in [
                Work::Training { on_cpu: true },
                Work::Scoring { samples: 10_000, steps: 20 },
                Work::Unrolling(4),
            ] {
                preset.fits_in(work, 0, 4 * GIB).unwrap();
            }
        }
    }

    #[test]
    fn what_exceeds_the_memory_is_named() {
        let cpu = Work::Training { on_cpu: true };
        let sizes = ["train.train_size=4000000000", "train.batch=4000000000"];
        for (sets, work, said) in [
            (&sizes[..], cpu, "train.batch 4000000000 with k 4"),
            (&sizes, Work::Training { on_cpu: false }, "train.batch 4000000000 with k 4"),
            (&["train.train_size=4294967295", "train.batch=2000000"], cpu, "train.batch 2000000"),
            (&[], Work::Scoring { samples: usize::MAX, steps: 1000 }, "scoring 18446744073709551615 images"),
            (&[], Work::Unrolling(100_000_000), "unrolling 100000000 images"),
            (
                &["data.height=512", "data.width=512", "k=64", "steps=1000", "model.cell=Nem(units: 2)"],
                Work::Unrolling(1),
                "steps 1000",
            ),
        ] {
            let error = refused(sets, work);
            assert!(error.contains(said) && error.contains("64.0 GiB is available"), "{error}");
        }
        let order = Preset::load("quickstart").unwrap().set(&["train.train_size=4000000000"]).unwrap();
        let error = order.fits_in(cpu, 0, GIB).unwrap_err().to_string();
        assert!(error.contains("train.train_size 4000000000 takes 14."), "{error}");
        assert!(order.fits_in(cpu, 15 * GIB, GIB).is_ok(), "most of it is taken already");
    }
}
