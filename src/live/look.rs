//! What is looked at: a validation sample, or an image of the user's own in its place, and under which conditions.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::preset::{ImageSize, Setting};
use crate::protocol::Event;
use crate::snapshot::{Input, Snapshot};
use crate::train::own_image::Opened;
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// What pictures are of.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The validation sample.
    pub(crate) sample: usize,
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
    pub(crate) fn watch(&mut self, sample: usize) {
        self.sample = sample;
        self.wanted.opened = None;
    }

    /// Under these conditions in the place of the training's.
    pub(crate) fn under(&mut self, conditions: Vec<Setting>) {
        self.wanted.conditions = conditions;
    }

    /// At this image, for a model of images of `image`, or with none at the sample again.
    ///
    /// # Errors
    /// What the user is to be told: [`Event::WrongSize`], or [`Event::Refused`] with what [`image_file::read`] says.
    pub(crate) fn open(&mut self, input: Option<Input>, image: ImageSize) -> Result<(), Event> {
        self.wanted.opened = match input {
            Some(input) => Some(Arc::new(Opened::read(input.clone(), image).map_err(|e| match e {
                Error::ImageSize { size, .. } => Event::WrongSize { input, size },
                e => Event::Refused(e.to_string()),
            })?)),
            None => None,
        };
        Ok(())
    }

    /// A picture of it with the trainer's weights. Where what is wanted cannot be, it is of what was shown before,
    /// and the error says why.
    ///
    /// # Errors
    /// What the training's own sample meets: looking ends no training.
    pub(crate) fn take(&mut self, trainer: &Trainer) -> Result<(Snapshot, Option<Error>)> {
        let mut refused = None;
        loop {
            let Wish { conditions, opened } = &self.wanted;
            match unroll::take(trainer, self.sample, opened.as_deref(), conditions) {
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
