//! An image of the user's own, unrolled instead of a sample.

use super::batch::{Batch, Plan};
use crate::data::corrupt;
use crate::data::own::{self, Clip};
use crate::error::{Error, Result};
use crate::nem::initial_gamma;
use crate::preset::{ImageSize, Preset, Setting};
use crate::random::Stream;
use crate::snapshot::Input;

/// An image of the user's own, read.
#[derive(Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) input: Input,
    clip: Clip,
}

impl Opened {
    /// Reads `input` for a model of images of `image`.
    ///
    /// # Errors
    /// What [`own::read`] refuses.
    pub(crate) fn read(input: Input, image: ImageSize) -> Result<Opened> {
        let clip = own::read(&input.file, image, input.resize)?;
        Ok(Opened { input, clip })
    }

    /// The EM steps under `preset`, which has those of `conditions` where these say how many.
    pub(crate) fn steps(&self, preset: &Preset, conditions: &[Setting]) -> Result<usize> {
        let asked = conditions.iter().any(|setting| matches!(setting, Setting::Steps(_)));
        let steps = self.clip.steps(preset.steps, asked);
        steps.map_err(|problem| Error::content(&self.input.file, problem))
    }

    /// What is unrolled, in the place of a sample. Nobody knows its objects.
    pub(crate) fn batch(&self, plan: &Plan) -> Batch {
        let image = plan.data.image();
        let frames = &self.clip.frames;
        // One frame stands for all.
        let frame = |t: usize| &frames[t.min(frames.len() - 1)];
        let clean = if frames.len() == 1 { 1 } else { plan.steps + 1 };
        let mut noise = Stream::new(plan.seed, plan.split.noise(), 0, 0);
        let mut gamma = Stream::new(plan.seed, plan.split.gamma(), 0, 0);
        let noisy = |t| {
            let mut noisy = Vec::with_capacity(image.values());
            corrupt(plan.noise, frame(t), &mut noise, &mut noisy);
            noisy
        };
        Batch {
            clean: (0..clean).map(|t| frame(t).clone()).collect(),
            noisy: (0..plan.steps).map(noisy).collect(),
            gamma: initial_gamma(plan.k, image.pixels(), &mut gamma),
            groups: vec![vec![0; image.pixels()]],
            kinds: vec![vec![]],
        }
    }
}
