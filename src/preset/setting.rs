//! Settings that can be changed during training.

use super::data::Noise;
use super::schema::{Distribution, Preset, Setting};
use crate::error::{Error, Result};

impl Setting {
    /// One setting of each kind that can be typed, in the order of the menus, with a value that means nothing.
    pub const KINDS: [Setting; 7] = [
        Setting::K(0),
        Setting::Noise(0.0),
        Setting::LearningRate(0.0),
        Setting::Steps(0),
        Setting::InterWeight(0.0),
        Setting::Objects(0),
        Setting::ESigma(0.0),
    ];

    /// The kind with this field path or short name; its value means nothing.
    pub fn named(name: &str) -> Option<Setting> {
        Setting::KINDS.into_iter().find(|kind| name == kind.short() || name == kind.field())
    }

    /// The setting with this field path or short name, and the value in `value`.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown name or a value that is not a number of the right kind.
    pub fn parse(name: &str, value: &str) -> Result<Setting> {
        let Some(kind) = Setting::named(name) else {
            let names = Setting::KINDS.map(|kind| kind.short()).join(", ");
            return Err(Error::Usage(format!(
                "{name:?} cannot be changed during training; choose from {names}"
            )));
        };
        let wrong = |what| Error::Usage(format!("{} takes {what}, not {value:?}", kind.field()));
        let count = || value.parse::<usize>().map_err(|_| wrong("a whole number"));
        let number = || value.parse::<f64>().map_err(|_| wrong("a number"));
        Ok(match kind {
            Setting::K(_) => Setting::K(count()?),
            Setting::Noise(_) => Setting::Noise(number()?),
            Setting::LearningRate(_) => Setting::LearningRate(number()?),
            Setting::Steps(_) => Setting::Steps(count()?),
            Setting::InterWeight(_) => Setting::InterWeight(number()?),
            Setting::Objects(_) => Setting::Objects(count()?),
            Setting::ESigma(_) => Setting::ESigma(number()?),
            Setting::MaxEpochs(_) => Setting::MaxEpochs(count()? as u64),
        })
    }

    /// A short name.
    pub fn short(&self) -> &'static str {
        match self {
            Setting::K(_) => "k",
            Setting::Noise(_) => "noise",
            Setting::LearningRate(_) => "lr",
            Setting::Steps(_) => "steps",
            Setting::InterWeight(_) => "inter",
            Setting::Objects(_) => "objects",
            Setting::ESigma(_) => "sigma",
            Setting::MaxEpochs(_) => "epochs",
        }
    }

    /// The path of the field that it changes.
    pub fn field(&self) -> &'static str {
        match self {
            Setting::K(_) => "k",
            Setting::Noise(_) => "noise.probability",
            Setting::LearningRate(_) => "train.learning_rate",
            Setting::Steps(_) => "steps",
            Setting::InterWeight(_) => "loss.inter_weight",
            Setting::Objects(_) => "data.objects",
            Setting::ESigma(_) => "model.distribution.e_sigma",
            Setting::MaxEpochs(_) => "train.max_epochs",
        }
    }

    /// The new value.
    pub fn value(&self) -> f64 {
        match *self {
            Setting::K(n) | Setting::Steps(n) | Setting::Objects(n) => n as f64,
            Setting::MaxEpochs(n) => n as f64,
            Setting::Noise(v) | Setting::LearningRate(v) | Setting::InterWeight(v) | Setting::ESigma(v) => v,
        }
    }

    /// The same setting with `preset`'s value; `None` if the preset has no such value.
    pub fn current(&self, preset: &Preset) -> Option<Setting> {
        Some(match self {
            Setting::K(_) => Setting::K(preset.k),
            Setting::Noise(_) => Setting::Noise(preset.noise.probability().unwrap_or(0.0)),
            Setting::LearningRate(_) => Setting::LearningRate(preset.train.learning_rate),
            Setting::Steps(_) => Setting::Steps(preset.steps),
            Setting::InterWeight(_) => Setting::InterWeight(preset.loss.inter_weight),
            Setting::Objects(_) => Setting::Objects(preset.data.objects()?),
            Setting::ESigma(_) => match preset.model.distribution {
                Distribution::Gaussian { e_sigma } => Setting::ESigma(e_sigma),
                Distribution::Bernoulli => return None,
            },
            Setting::MaxEpochs(_) => Setting::MaxEpochs(preset.last_stage_epochs()),
        })
    }

    /// `preset` with this change.
    ///
    /// # Errors
    /// [`Error::Preset`] if the changed preset is invalid.
    pub fn apply(&self, preset: &Preset) -> Result<Preset> {
        let mut changed = preset.clone();
        self.put(&mut changed);
        changed.validate(&preset.name)?;
        Ok(changed)
    }

    /// Makes the change without validation. A preset without such a value stays the same.
    pub(super) fn put(&self, preset: &mut Preset) {
        match *self {
            Setting::K(k) => preset.k = k,
            Setting::Noise(probability) => {
                preset.noise = match preset.noise {
                    Noise::Bitflip { .. } => Noise::Bitflip { probability },
                    Noise::MaskedUniform { .. } => Noise::MaskedUniform { probability },
                    Noise::None => preset.data.noise(probability, preset.model.distribution),
                }
            }
            Setting::LearningRate(rate) => preset.train.learning_rate = rate,
            Setting::Steps(steps) => preset.steps = steps,
            Setting::InterWeight(weight) => preset.loss.inter_weight = weight,
            Setting::Objects(n) => {
                if let Some(objects) = preset.data.objects_mut() {
                    *objects = n;
                }
            }
            Setting::ESigma(sigma) => {
                if let Distribution::Gaussian { e_sigma } = &mut preset.model.distribution {
                    *e_sigma = sigma;
                }
            }
            Setting::MaxEpochs(most) => match preset.train.stages.last_mut() {
                Some(stage) => stage.max_epochs = Some(most),
                None => preset.train.max_epochs = most,
            },
        }
    }

    /// Whether it changes the score of a split by position alone.
    pub fn moves_floor(&self) -> bool {
        matches!(self, Setting::K(_) | Setting::Objects(_) | Setting::Steps(_))
    }

    /// Whether validation losses before and after the change can be compared. If not, early stopping restarts.
    pub fn keeps_loss_comparable(&self) -> bool {
        matches!(self, Setting::LearningRate(_) | Setting::MaxEpochs(_))
    }
}

impl Preset {
    /// The preset with this setting, which is not checked.
    #[must_use]
    pub fn with(mut self, setting: Setting) -> Preset {
        setting.put(&mut self);
        self
    }
}
