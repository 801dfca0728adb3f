//! What is looked at: a validation sample, or an image of the user's own in its place, and under which conditions.

use std::sync::Arc;

use super::batch::{Batch, Plan};
use super::snapshot;
use super::trainer::Trainer;
use crate::data::corrupt;
use crate::data::own::{self, Clip};
use crate::error::{Error, Result};
use crate::nem::initial_gamma;
use crate::preset::{ImageSize, Preset, Setting};
use crate::protocol::{Event, Input, Snapshot};
use crate::random::Stream;

/// What pictures are of.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The validation sample.
    pub(super) sample: usize,
    wanted: Wish,
    /// What the last picture was of.
    shown: Wish,
}

/// What there is in the place of the validation's and the training's own.
#[derive(Clone, Debug, Default, PartialEq)]
struct Wish {
    conditions: Vec<Setting>,
    opened: Option<Arc<Opened>>,
}

impl Look {
    /// At this sample from now on.
    pub(super) fn watch(&mut self, sample: usize) {
        self.sample = sample;
        self.wanted.opened = None;
    }

    /// Under these conditions in the place of the training's.
    pub(super) fn under(&mut self, conditions: Vec<Setting>) {
        self.wanted.conditions = conditions;
    }

    /// At this image, for a model of images of `image`, or with none at the sample again.
    ///
    /// # Errors
    /// What the user is to be told: [`Event::WrongSize`], or [`Event::Refused`] with what [`own::read`] says.
    pub(super) fn open(&mut self, input: Option<Input>, image: ImageSize) -> Result<(), Event> {
        self.wanted.opened = match input {
            Some(input) => Some(Arc::new(Opened::read(input, image)?)),
            None => None,
        };
        Ok(())
    }

    /// A picture of it with the trainer's weights. Where what is wanted cannot be, it is of what was shown before,
    /// and the error says why.
    ///
    /// # Errors
    /// What the training's own sample meets: looking ends no training.
    pub(super) fn take(&mut self, trainer: &Trainer) -> Result<(Snapshot, Option<Error>)> {
        let mut refused = None;
        loop {
            let Wish { conditions, opened } = &self.wanted;
            match snapshot::take(trainer, self.sample, opened.as_deref(), conditions) {
                Ok(snapshot) => {
                    self.shown.clone_from(&self.wanted);
                    return Ok((snapshot, refused));
                }
                Err(e) if self.wanted != Wish::default() => {
                    // What was shown need not be possible any more, where the training has changed.
                    let before = if self.wanted == self.shown { Wish::default() } else { self.shown.clone() };
                    self.wanted = before;
                    refused.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// An image of the user's own, read.
#[derive(Debug, PartialEq)]
pub(super) struct Opened {
    pub(super) input: Input,
    clip: Clip,
}

impl Opened {
    fn read(input: Input, image: ImageSize) -> Result<Opened, Event> {
        match own::read(&input.file, image, input.resize) {
            Ok(clip) => Ok(Opened { input, clip }),
            Err(Error::ImageSize { size, .. }) => Err(Event::WrongSize { input, size }),
            Err(e) => Err(Event::Refused(e.to_string())),
        }
    }

    /// The EM steps under `preset`, which has those of `conditions` where these say how many.
    pub(super) fn steps(&self, preset: &Preset, conditions: &[Setting]) -> Result<usize> {
        let asked = conditions.iter().any(|setting| matches!(setting, Setting::Steps(_)));
        let steps = self.clip.steps(preset.steps, asked);
        steps.map_err(|problem| Error::content(&self.input.file, problem))
    }

    /// What is unrolled, in the place of a sample. Nobody knows its objects.
    pub(super) fn batch(&self, plan: &Plan) -> Batch {
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
