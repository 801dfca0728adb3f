//! The user's own image, unrolled instead of a sample.
//!
//! The workbench and `picture --input` show the same result for a file: the image is read as it is, without the
//! preset's noise unless the user asks for noise. That noise and the initial γ are those of the first
//! validation sample. (`infer`, which compares implementations, draws its γ from the test split's stream.)

use super::batch::Batch;
use crate::data::image_file::{self, Clip};
use crate::data::{Split, corrupt, nth};
use crate::error::{Error, Result};
use crate::nem::initial_gamma;
use crate::preset::{ImageSize, Noise, Preset, Setting};
use crate::random::Stream;
use crate::snapshot::Input;

/// The conditions that the user has chosen; the others follow from the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The number of EM steps; otherwise a sequence has as many as its frames allow.
    pub steps: bool,
    /// The input noise; without it the image gets no noise.
    pub noise: bool,
}

impl Chosen {
    /// Those that `look` sets.
    pub(crate) fn by(look: &[Setting]) -> Chosen {
        Chosen {
            steps: look.iter().any(|setting| matches!(setting, Setting::Steps(_))),
            noise: look.iter().any(|setting| matches!(setting, Setting::Noise(_))),
        }
    }

    /// `noise`, if it was chosen.
    pub(crate) fn noise(self, noise: Noise) -> Noise {
        if self.noise { noise } else { Noise::None }
    }
}

/// The user's own image, read from its file.
#[derive(Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) input: Input,
    clip: Clip,
}

impl Opened {
    /// Reads `input` for a model of images of `image`.
    ///
    /// # Errors
    /// What [`image_file::read`] refuses.
    pub(crate) fn read(input: Input, image: ImageSize) -> Result<Opened> {
        let clip = image_file::read(&input.file, image, input.resize)?;
        Ok(Opened { input, clip })
    }

    /// What is not used of the file in so many EM steps, in words that follow its name.
    pub(crate) fn notes(&self, steps: usize) -> Vec<String> {
        self.clip.notes_in(steps)
    }

    /// The same of the scaling that was asked for.
    pub(crate) fn scaling(&self) -> Option<&String> {
        self.clip.scaling.as_ref()
    }

    /// `preset` with the steps and the noise that the image is unrolled with.
    ///
    /// # Errors
    /// More steps chosen than there are frames for.
    pub(crate) fn conditions(&self, preset: &Preset, chosen: Chosen) -> Result<Preset> {
        let steps = self.clip.steps(preset.steps, chosen.steps);
        let steps = steps.map_err(|problem| Error::content(&self.input.file, problem))?;
        Ok(Preset { steps, noise: chosen.noise(preset.noise), ..preset.clone() })
    }

    /// The image as a batch of one, under the conditions of `preset`.
    pub(crate) fn batch(&self, preset: &Preset, seed: u64) -> Batch {
        let frames = &self.clip.frames;
        // A single frame is used for all steps.
        let frame = |t: usize| frames[t.min(frames.len() - 1)].clone();
        let clean = if frames.len() == 1 { 1 } else { preset.steps + 1 };
        let noisy = (0..preset.steps).map(frame).collect();
        own_batch(preset, seed, (0..clean).map(frame).collect(), noisy)
    }
}

/// A batch of the user's own images, with the noise and initial γ of the validation split. `clean` (one frame or T + 1)
/// and `noisy` (T frames, still without noise) are frames of \[B, M\]. Their objects are unknown.
pub(crate) fn own_batch(preset: &Preset, seed: u64, clean: Vec<Vec<f32>>, mut noisy: Vec<Vec<f32>>) -> Batch {
    let image = preset.data.image();
    let images = clean[0].len() / image.values();
    let mut gamma = Vec::new();
    for index in 0..images {
        let stream = |purpose| Stream::new(seed, purpose, 0, index as u64);
        let mut noise = stream(Split::Validation.noise());
        for frame in &mut noisy {
            let mut corrupted = Vec::with_capacity(image.values());
            corrupt(preset.noise, nth(frame, index, image.values()), &mut noise, &mut corrupted);
            frame[index * image.values()..][..image.values()].copy_from_slice(&corrupted);
        }
        gamma.extend(initial_gamma(preset.k, image.pixels(), &mut stream(Split::Validation.gamma())));
    }
    Batch { clean, noisy, gamma, groups: vec![vec![0; image.pixels()]; images], kinds: vec![vec![]; images] }
}
