//! Validation of presets. Messages name the fields.

use super::data::{Data, Images, Noise, ShapeSet, Speed};
use super::images::ImageSize;
use super::layers::{MAX_WEIGHTS, layer_outputs};
use super::schema::{Cell, Distribution, Epsilons, ModelSpec, Preset, Setting, StepWeights};
use crate::error::{Error, Result};

/// Maximum K: more components cannot be told apart on a screen and do not fit in memory.
pub const MAX_COMPONENTS: usize = 64;
/// Maximum T: the backward pass keeps the whole unroll in memory.
pub const MAX_STEPS: usize = 1000;
/// Height and width of a digit, in pixels.
pub const DIGIT_SIDE: usize = 14;
/// Maximum H and W.
pub const MAX_IMAGE_SIDE: usize = 512;

impl Preset {
    /// Checks that the preset can be run.
    ///
    /// # Errors
    /// [`Error::Preset`] from `origin`, with the fields that are wrong or contradict each other and valid values.
    pub fn validate(&self, origin: &str) -> Result<()> {
        self.problem().map_or(Ok(()), |problem| Err(Error::Preset { origin: origin.to_owned(), problem }))
    }

    /// The first problem in the order of the fields.
    fn problem(&self) -> Option<String> {
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(named) {
            return Some(format!(
                "name is {:?}; use letters, digits, '-', '_' and '.', because run directories are named after it",
                self.name
            ));
        }
        if self.k == 0 || self.k > MAX_COMPONENTS {
            return Some(format!("k is {}; there must be 1 to {MAX_COMPONENTS} components", self.k));
        }
        if self.steps == 0 || self.steps > MAX_STEPS {
            return Some(format!("steps is {}; there must be 1 to {MAX_STEPS} EM steps", self.steps));
        }
        data_problem(&self.data)
            .or_else(|| noise_problem(&self.noise))
            .or_else(|| model_problem(&self.model, self.data.image()))
            .or_else(|| self.loss_problem())
            .or_else(|| self.train_problem())
    }

    fn loss_problem(&self) -> Option<String> {
        let loss = &self.loss;
        if loss.steps == StepWeights::LastSteps(0) {
            return Some("loss.steps is LastSteps(0); at least 1 step must count".into());
        }
        if let StepWeights::List(weights) = &loss.steps {
            if weights.len() != self.steps {
                return Some(format!(
                    "loss.steps lists {} weights but steps is {}; list one weight for each step, or use All, Last or \
                     LastSteps(n)",
                    weights.len(),
                    self.steps
                ));
            }
            if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) || weights.iter().sum::<f64>() <= 0.0 {
                return Some("loss.steps must list finite weights of at least 0, not all of them 0".into());
            }
        }
        if !(loss.inter_weight.is_finite() && loss.inter_weight >= 0.0) {
            return Some(format!("loss.inter_weight is {}; it must be at least 0", loss.inter_weight));
        }
        match self.model.distribution {
            Distribution::Bernoulli if !(0.0..=1.0).contains(&loss.prior) => Some(format!(
                "loss.prior is {}; with model.distribution Bernoulli it is a probability, 0 to 1",
                loss.prior
            )),
            _ if !loss.prior.is_finite() => Some("loss.prior must be a finite number".into()),
            _ => None,
        }
    }

    fn train_problem(&self) -> Option<String> {
        let train = &self.train;
        if train.batch == 0 {
            return Some("train.batch is 0; an iteration needs at least 1 image".into());
        }
        if u32::try_from(train.batch).is_err() {
            return Some(format!(
                "train.batch is {}; an iteration takes at most {} images",
                train.batch,
                u32::MAX
            ));
        }
        if train.train_size < train.batch {
            return Some(format!(
                "train.train_size is {} but train.batch is {}; an epoch needs at least one whole batch",
                train.train_size, train.batch
            ));
        }
        for (name, size) in [
            ("train_size", train.train_size),
            ("validation_size", train.validation_size),
            ("test_size", train.test_size),
        ] {
            if size == 0 {
                return Some(format!("train.{name} is 0; scores need at least 1 image"));
            }
            if u32::try_from(size).is_err() {
                return Some(format!("train.{name} is {size}; a split has at most {} images", u32::MAX));
            }
        }
        if !(train.learning_rate.is_finite() && train.learning_rate > 0.0) {
            return Some(format!("train.learning_rate is {}; it must be above 0", train.learning_rate));
        }
        for (i, stage) in train.stages.iter().enumerate() {
            if self.data.images().is_none() && stage.images != Images::All {
                return Some(format!(
                    "train.stages[{i}].images is a number of digit images, but data has no digits; leave it out"
                ));
            }
            if let Some(problem) = images_problem(&format!("train.stages[{i}].images"), stage.images) {
                return Some(problem);
            }
            if !(stage.learning_rate.is_finite() && stage.learning_rate > 0.0) {
                return Some(format!(
                    "train.stages[{i}].learning_rate is {}; it must be above 0",
                    stage.learning_rate
                ));
            }
            for setting in &stage.set {
                let field = match setting {
                    Setting::LearningRate(_) => Some("learning_rate"),
                    Setting::MaxEpochs(_) => Some("max_epochs"),
                    _ => None,
                };
                if let Some(field) = field {
                    return Some(format!(
                        "train.stages[{i}].set has {setting:?}; set the stage's {field} instead"
                    ));
                }
                if setting.current(self).is_none() {
                    return Some(format!(
                        "train.stages[{i}].set has {setting:?}, but this preset has no {}; leave it out",
                        setting.field()
                    ));
                }
            }
            // The preset as it will be when the stage starts.
            let mut then = self.after_stages(i + 1);
            then.train.stages.clear();
            if let Some(problem) = then.problem() {
                return Some(format!("train.stages[{i}] is impossible: {problem}"));
            }
            if stage.max_epochs == Some(0) {
                return Some(format!("train.stages[{i}].max_epochs is 0; it must be at least 1"));
            }
        }
        for (name, beta) in [("beta1", train.adam.beta1), ("beta2", train.adam.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Some(format!("train.adam.{name} is {beta}; it must be at least 0 and below 1"));
            }
        }
        if !(train.adam.epsilon.is_finite() && train.adam.epsilon > 0.0) {
            return Some(format!("train.adam.epsilon is {}; it must be above 0", train.adam.epsilon));
        }
        if let Some(norm) = train.clip_norm
            && !(norm.is_finite() && norm > 0.0)
        {
            return Some(format!("train.clip_norm is {norm}; it must be above 0, or None for no clipping"));
        }
        if !(0.0..=1e6).contains(&train.checkpoint_minutes) {
            return Some(format!(
                "train.checkpoint_minutes is {}; it must be 0 (after every iteration) to 1000000",
                train.checkpoint_minutes
            ));
        }
        for (name, value) in [
            ("max_epochs", train.max_epochs),
            ("patience", train.patience),
            ("score_every", train.score_every),
        ] {
            if value == 0 {
                return Some(format!("train.{name} is 0; it must be at least 1"));
            }
        }
        None
    }
}

fn data_problem(data: &Data) -> Option<String> {
    let image = data.image();
    for (name, side) in [("height", image.height), ("width", image.width)] {
        if side == 0 || side > MAX_IMAGE_SIDE {
            return Some(format!("data.{name} is {side}; images are 1 to {MAX_IMAGE_SIDE} pixels a side"));
        }
    }
    if image.channels == 0 || image.channels > 64 {
        return Some(format!("data.channels is {}; images have 1 to 64 channels", image.channels));
    }
    if let Some(objects) = data.objects()
        && (objects == 0 || objects > 255)
    {
        return Some(format!("data.objects is {objects}; an image needs 1 to 255 objects"));
    }
    let too_small = |what: &str, (rows, columns): (usize, usize)| {
        (image.height < rows || image.width < columns).then(|| {
            format!(
                "data.height x data.width is {}x{} but {what} need {rows}x{columns}; enlarge the image{}",
                image.height,
                image.width,
                if what == "digits" { "" } else { " or choose another set" }
            )
        })
    };
    match data {
        Data::Shapes { shape_set, .. } | Data::FlyingShapes { shape_set, .. } => {
            too_small(&format!("the shapes of data.shape_set {shape_set:?}"), shape_set.largest())
        }
        Data::Mnist { .. } | Data::FlyingMnist { .. } => too_small("digits", (DIGIT_SIDE, DIGIT_SIDE)),
        Data::Hdf5 { path, .. } if path.as_os_str().is_empty() => {
            Some("data.path is empty; name the HDF5 file".to_owned())
        }
        Data::Hdf5 { .. } | Data::Tensors { .. } => None,
    }
    .or_else(|| match data {
        Data::FlyingShapes { speed, .. } | Data::FlyingMnist { speed, .. } => speed_problem(*speed),
        _ => None,
    })
    .or_else(|| match data.images() {
        Some(images) => images_problem("data.images", images),
        None => None,
    })
}

fn speed_problem(speed: Speed) -> Option<String> {
    let Speed { min, max, whole } = speed;
    if !(min.is_finite() && max.is_finite() && 0.0 <= min && min <= max) {
        return Some(format!(
            "data.speed is {min} to {max}; write min and max in pixels a frame, 0 <= min <= max"
        ));
    }
    (whole && !(min.ceil() <= max && max <= 1000.0)).then(|| {
        format!(
            "data.speed is {min} to {max} with `whole`; write a range with a whole number in it, at most 1000"
        )
    })
}

fn images_problem(name: &str, images: Images) -> Option<String> {
    (images == Images::First(0)).then(|| format!("{name} is First(0); training needs at least 1 digit image"))
}

fn noise_problem(noise: &Noise) -> Option<String> {
    let p = noise.probability()?;
    (!(0.0..=1.0).contains(&p))
        .then(|| format!("noise.probability is {p}; a probability lies between 0 and 1"))
}

fn model_problem(model: &ModelSpec, image: ImageSize) -> Option<String> {
    if !model.pred_init.is_finite() {
        return Some("model.pred_init must be a finite number".into());
    }
    match model.distribution {
        Distribution::Bernoulli if !(0.0..=1.0).contains(&model.pred_init) => {
            return Some(format!(
                "model.pred_init is {}; with model.distribution Bernoulli it is a probability, 0 to 1",
                model.pred_init
            ));
        }
        Distribution::Gaussian { e_sigma } if !(e_sigma.is_finite() && e_sigma > 0.0) => {
            return Some(format!("model.distribution.e_sigma is {e_sigma}; a deviation must be above 0"));
        }
        _ => {}
    }
    let Epsilons { e_step, layer_norm, input_norm } = model.epsilons;
    for (name, value) in [("e_step", e_step), ("layer_norm", layer_norm), ("input_norm", input_norm)] {
        if !(value.is_finite() && value >= 0.0) {
            return Some(format!("model.epsilons.{name} is {value}; it must be at least 0"));
        }
    }
    match &model.cell {
        Cell::Nem { units } => units_problem(*units, image).or_else(|| {
            (model.distribution != Distribution::Bernoulli).then(|| {
                "model.cell Nem predicts probabilities, so model.distribution must be Bernoulli".to_owned()
            })
        }),
        Cell::RnnEm { layers } => layer_outputs(layers, image).err(),
    }
}

fn units_problem(units: usize, image: ImageSize) -> Option<String> {
    let most = MAX_WEIGHTS / image.values();
    (units == 0 || units > most).then(|| {
        format!("model.cell.units is {units}; for images of {} values it must be 1 to {most}", image.values())
    })
}

impl ShapeSet {
    /// Height and width of the smallest image that holds every shape of the set.
    pub fn largest(self) -> (usize, usize) {
        match self {
            ShapeSet::Paper => (7, 12),
            ShapeSet::Small => (4, 7),
        }
    }
}
