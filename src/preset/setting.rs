//! What can be changed while a training runs.
//!
//! None of these is part of the weights, so a change needs no new network: it takes effect between
//! two iterations.

use serde::{Deserialize, Serialize};

use super::{Noise, Preset};
use crate::error::Result;

/// A live change of one value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Setting {
    /// K, the number of components.
    K(usize),
    /// The probability of the input noise.
    Noise(f64),
    /// Adam's step size.
    LearningRate(f64),
    /// T, the number of EM steps.
    Steps(usize),
    /// Weight of the inter-cluster loss.
    InterWeight(f64),
    /// Objects per image.
    Objects(usize),
}

impl Setting {
    /// The field of the preset it changes.
    pub fn field(&self) -> &'static str {
        match self {
            Setting::K(_) => "k",
            Setting::Noise(_) => "noise.probability",
            Setting::LearningRate(_) => "train.learning_rate",
            Setting::Steps(_) => "steps",
            Setting::InterWeight(_) => "loss.inter_weight",
            Setting::Objects(_) => "data.objects",
        }
    }

    /// Its new value.
    pub fn value(&self) -> f64 {
        match *self {
            Setting::K(n) | Setting::Steps(n) | Setting::Objects(n) => n as f64,
            Setting::Noise(v) | Setting::LearningRate(v) | Setting::InterWeight(v) => v,
        }
    }

    /// The same setting with the value that `preset` has now; `None` where the preset has no such
    /// value.
    pub fn current(&self, preset: &Preset) -> Option<Setting> {
        Some(match self {
            Setting::K(_) => Setting::K(preset.k),
            Setting::Noise(_) => Setting::Noise(preset.noise.probability()?),
            Setting::LearningRate(_) => Setting::LearningRate(preset.train.learning_rate),
            Setting::Steps(_) => Setting::Steps(preset.steps),
            Setting::InterWeight(_) => Setting::InterWeight(preset.loss.inter_weight),
            Setting::Objects(_) => Setting::Objects(preset.data.objects()?),
        })
    }

    /// `preset` with this change.
    ///
    /// # Errors
    /// [`crate::error::Error::Preset`] where the changed preset would be impossible.
    pub fn apply(&self, preset: &Preset) -> Result<Preset> {
        let mut changed = preset.clone();
        self.put(&mut changed);
        changed.validate(&preset.name)?;
        Ok(changed)
    }

    /// Makes the change, possible or not. A preset that has no such value stays as it is.
    pub(super) fn put(&self, preset: &mut Preset) {
        match *self {
            Setting::K(k) => preset.k = k,
            Setting::Noise(p) => match &mut preset.noise {
                Noise::Bitflip { probability } | Noise::MaskedUniform { probability } => *probability = p,
                Noise::None => {}
            },
            Setting::LearningRate(rate) => preset.train.learning_rate = rate,
            Setting::Steps(steps) => preset.steps = steps,
            Setting::InterWeight(weight) => preset.loss.inter_weight = weight,
            Setting::Objects(n) => {
                if let Some(objects) = preset.data.objects_mut() {
                    *objects = n;
                }
            }
        }
    }

    /// Whether it changes what a split by position alone scores.
    pub fn moves_floor(&self) -> bool {
        matches!(self, Setting::K(_) | Setting::Objects(_) | Setting::Steps(_))
    }

    /// Whether the validation loss before and after the change can be compared: where it cannot,
    /// early stopping starts its patience anew.
    pub fn keeps_loss_comparable(&self) -> bool {
        matches!(self, Setting::LearningRate(_))
    }
}
