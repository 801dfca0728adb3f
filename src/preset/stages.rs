//! A preset at the stages of its training.

use super::schema::{Preset, Setting, Stage};

/// Whether AMI and ARI mean something for these numbers of components and objects.
pub fn is_scorable((k, objects): (usize, Option<usize>)) -> bool {
    k > 1 && objects != Some(1)
}

impl Preset {
    /// The preset of the first stage, or the preset itself without stages.
    #[must_use]
    pub fn at_first_stage(&self) -> Preset {
        self.after_stages(1)
    }

    /// The preset after the changes of its first `count` stages.
    #[must_use]
    pub fn after_stages(&self, count: usize) -> Preset {
        self.at_stages(self.train.stages.iter().take(count))
    }

    /// The preset after the changes of `stages`, in order.
    #[must_use]
    pub fn at_stages<'a>(&self, stages: impl Iterator<Item = &'a Stage>) -> Preset {
        stages.fold(self.clone(), |preset, stage| preset.at_stage(stage))
    }

    /// K, and the objects per image if known. Scores and losses of two presets compare only if these are equal.
    pub fn task(&self) -> (usize, Option<usize>) {
        (self.k, self.data.objects())
    }

    /// Whether AMI and ARI mean something: one component, or one object, leaves nothing to tell apart.
    pub fn is_scorable(&self) -> bool {
        is_scorable(self.task())
    }

    /// The preset after the changes of one stage.
    #[must_use]
    pub fn at_stage(&self, stage: &Stage) -> Preset {
        let mut preset = self.clone();
        stage.set.iter().for_each(|setting| setting.put(&mut preset));
        preset.loss.steps = stage.loss_steps.clone().unwrap_or(preset.loss.steps);
        preset.data = preset.data.with_images(stage.images);
        preset.train.learning_rate = stage.learning_rate;
        preset
    }

    /// Whether a stage overrides the field at `path`, which may be a setting's short name.
    pub fn is_set_by_stages(&self, path: &str) -> bool {
        let path = Setting::named(path).map_or(path, |kind| kind.field());
        let stages = &self.train.stages;
        let of_a_stage = stages.iter().flat_map(|stage| &stage.set).any(|setting| setting.field() == path);
        let of_all = path == "train.learning_rate" || path == "data.images" && self.data.images().is_some();
        let epochs = path == "train.max_epochs" && stages.iter().any(|stage| stage.max_epochs.is_some());
        let loss = path == "loss.steps" && stages.iter().any(|stage| stage.loss_steps.is_some());
        of_a_stage || epochs || loss || of_all && !stages.is_empty()
    }

    /// Maximum number of epochs over all stages.
    pub fn most_epochs(&self) -> u64 {
        let train = &self.train;
        let of = |stage: &Stage| stage.max_epochs.unwrap_or(train.max_epochs);
        match train.stages.as_slice() {
            [] => train.max_epochs,
            stages => stages.iter().map(of).fold(0, u64::saturating_add),
        }
    }

    /// Maximum number of epochs of the last stage, or of the training without stages.
    pub fn last_stage_epochs(&self) -> u64 {
        let train = &self.train;
        train.stages.last().and_then(|stage| stage.max_epochs).unwrap_or(train.max_epochs)
    }

    /// Iterations per epoch; only whole batches count.
    pub fn iterations_per_epoch(&self) -> u64 {
        (self.train.train_size / self.train.batch) as u64
    }
}
