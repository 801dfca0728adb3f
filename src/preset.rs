//! Presets: the RON files that describe an experiment whole.
//!
//! A [`Preset`] is plain data. It names the data, the noise, the network, the loss and the training
//! protocol; nothing else configures a run, so a run's resolved preset and its seed are enough to
//! repeat it. `presets/*.ron` are embedded in the binary; a path loads any other file; `--set
//! path=value` overrides single fields ([`Preset::set`]); a running training changes a few of them
//! live ([`Setting`]).

mod case;
mod check;
mod difference;
mod layers;
mod load;
mod setting;

use serde::{Deserialize, Serialize};

pub use check::{DIGIT_SIDE, MAX_COMPONENTS, MAX_IMAGE_SIDE, MAX_STEPS};
pub use difference::{Difference, differences};
pub use layers::{LayerOutput, layer_outputs};
pub use load::{embedded, embedded_names};
pub use setting::Setting;

/// A whole experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name: letters, digits, `-`, `_` and `.`; run directories are named after it.
    pub name: String,
    /// One or two sentences: what it shows.
    #[serde(default)]
    pub about: String,
    /// The score to expect, and how long it takes on which machine.
    #[serde(default)]
    pub expect: String,
    /// Where the images come from.
    pub data: Data,
    /// How the network's input is corrupted; the target stays clean.
    pub noise: Noise,
    /// K, the number of components.
    pub k: usize,
    /// T, the number of EM steps per image or sequence.
    pub steps: usize,
    /// The mixture and the inner network.
    pub model: ModelSpec,
    /// The training loss.
    pub loss: Loss,
    /// The training protocol.
    pub train: Train,
}

/// A source of images. A moving one gives T + 1 frames for T EM steps, however large T is; a static
/// one the same frame every time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Data {
    /// Binary images of overlapping shapes at uniform positions (paper §4.1, A.1).
    Shapes {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Shapes per image.
        objects: usize,
        /// Which shapes.
        #[serde(default)]
        shape_set: ShapeSet,
    },
    /// The same shapes moving in straight lines, bouncing off the walls (paper §4.2, A.2).
    FlyingShapes {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Shapes per image.
        objects: usize,
        /// Which shapes.
        #[serde(default)]
        shape_set: ShapeSet,
        /// How fast they move.
        #[serde(default)]
        speed: Speed,
    },
    /// Grey images of overlapping digits of 14x14 at uniform positions (paper §4.3).
    Mnist {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Digits per image.
        objects: usize,
        /// Whose digits.
        #[serde(default)]
        digits: Digits,
        /// How many different digit images.
        #[serde(default)]
        images: Images,
    },
    /// The same digits moving in straight lines, bouncing off the walls (paper §4.3, A.3).
    FlyingMnist {
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
        /// Digits per image.
        objects: usize,
        /// Whose digits.
        #[serde(default)]
        digits: Digits,
        /// How many different digit images.
        #[serde(default)]
        images: Images,
        /// How fast they move.
        #[serde(default)]
        speed: Speed,
    },
    /// Images or sequences from an HDF5 file laid out as the paper's authors have theirs:
    /// `{training,validation,test}/{features,groups}`, each \[T, N, H, W, C\].
    Hdf5 {
        /// The file.
        path: String,
        /// C.
        #[serde(default = "one_channel")]
        channels: usize,
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
    },
    /// No generator: the images come as tensors in a file. For `infer` only.
    Tensors {
        /// C.
        channels: usize,
        /// H, in pixels.
        height: usize,
        /// W, in pixels.
        width: usize,
    },
}

/// How far an object moves from one frame to the next: uniform between these, in any direction. The
/// paper does not publish its range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// At least, in pixels.
    pub min: f64,
    /// At most, in pixels.
    pub max: f64,
}

impl Default for Speed {
    fn default() -> Speed {
        Speed { min: 0.5, max: 2.0 }
    }
}

/// Whose digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Digits {
    /// MNIST's where its files are in the data directory, else synthetic ones. A run records which.
    #[default]
    Auto,
    /// MNIST's, from its IDX files.
    Mnist {
        /// Where the files are, if not in the data directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<String>,
    },
    /// Strokes drawn by this program. Scores on them are not comparable with the paper's.
    Synthetic,
}

/// How many different digit images training draws from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Images {
    /// All: 50,000 for training, 10,000 others for validation, 10,000 others for the test.
    #[default]
    All,
    /// The first so many, for training and validation; the test has all of its own.
    First(usize),
}

/// The shapes an image is made of, drawn uniformly with replacement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShapeSet {
    /// The paper's: a hollow 7x7 square, a 7x12 triangle and the same upside down.
    #[default]
    Paper,
    /// Small ones for quick runs: a hollow 4x4 square, a 4x7 triangle and the same upside down.
    Small,
}

/// Corruption of the input x̃, drawn anew for every frame and every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Noise {
    /// Every pixel x becomes 1 − x with this probability.
    Bitflip {
        /// In 0..=1.
        probability: f64,
    },
    /// Every value is replaced, with this probability, by one uniform in 0..1.
    MaskedUniform {
        /// In 0..=1.
        probability: f64,
    },
    /// The input is the clean frame.
    None,
}

/// The spatial mixture and its inner network f_φ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Model", deny_unknown_fields)]
pub struct ModelSpec {
    /// P(x_i | ψ_ik).
    pub distribution: Distribution,
    /// ψ before the first EM step.
    #[serde(default)]
    pub pred_init: f64,
    /// What performs the M-step.
    pub cell: Cell,
    /// What is added before a division or a root.
    #[serde(default)]
    pub epsilons: Epsilons,
}

/// Small numbers that keep divisions and roots finite. They are no settings to tune: they are here so that
/// implementations which fixed others can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Epsilons {
    /// Added to every density in the E-step.
    pub e_step: f64,
    /// Added to the variance by layer norm.
    pub layer_norm: f64,
    /// Added to the variance by input normalisation, so that a constant row becomes zeros.
    pub input_norm: f64,
}

impl Default for Epsilons {
    fn default() -> Epsilons {
        Epsilons { e_step: 1e-6, layer_norm: 1e-5, input_norm: 1e-8 }
    }
}

/// The pixel distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Distribution {
    /// Binary pixels with mean ψ.
    Bernoulli,
    /// Grey pixels with mean ψ.
    Gaussian {
        /// The deviation used in the E-step; the loss always uses 1.
        #[serde(default = "default_e_sigma")]
        e_sigma: f64,
    },
}

/// The M-step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Cell {
    /// N-EM: one gradient step on θ through a tied-weight decoder, at a learned scalar rate.
    Nem {
        /// Length of θ.
        units: usize,
    },
    /// RNN-EM: a recurrent network in the place of the gradient step.
    RnnEm {
        /// The layers from the masked deltas to the prediction, in order. Exactly one is
        /// `Recurrent`: its state is θ.
        layers: Vec<Layer>,
    },
}

/// A layer of the inner network. [`layer_outputs`] says what shapes go through a list of them.
///
/// A layer's order is: weights, then layer norm where it has one, then the activation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Layer {
    /// Every row minus its mean, over its deviation; no weights.
    InputNorm,
    /// 4x4 convolution with stride 2, padded by 1: halves height and width.
    Conv {
        /// Output channels.
        channels: usize,
        /// Layer norm before the activation.
        #[serde(default, skip_serializing_if = "is_false")]
        layer_norm: bool,
        /// Applied to every output.
        activation: Activation,
    },
    /// Fully connected: activation(W·x + b). Maps are flattened, channels first.
    Dense {
        /// Outputs; left out, as many as the image has values (C·H·W).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        units: Option<usize>,
        /// Layer norm before the activation.
        #[serde(default, skip_serializing_if = "is_false")]
        layer_norm: bool,
        /// Applied to every output.
        activation: Activation,
    },
    /// a = Wx·x + Wh·h + b, h ← σ(a); the state h is θ. The output is h, or σ(LN(a)).
    Recurrent {
        /// Length of θ.
        units: usize,
        /// Layer norm on the output, not on the recurrent connection.
        #[serde(default, skip_serializing_if = "is_false")]
        layer_norm: bool,
    },
    /// Rows become maps, channels first; no weights.
    Reshape {
        /// C.
        channels: usize,
        /// H.
        height: usize,
        /// W.
        width: usize,
    },
    /// Every pixel repeated 2x2, then a 4x4 convolution padded by 1 before and 2 after: doubles
    /// height and width.
    UpsampleConv {
        /// Output channels; left out, as many as the image has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<usize>,
        /// Layer norm before the activation.
        #[serde(default, skip_serializing_if = "is_false")]
        layer_norm: bool,
        /// Applied to every output.
        activation: Activation,
    },
}

/// A layer's non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// 1/(1 + e^−x).
    Sigmoid,
    /// max(x, 0).
    Relu,
    /// x where positive, else e^x − 1.
    Elu,
    /// x.
    Linear,
    /// What the pixel distribution needs: sigmoid for Bernoulli, linear for Gaussian.
    Output,
}

/// The training loss: Σ_t w_t · (intra_t + inter_weight · inter_t).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// w_t, the weight of every EM step.
    pub steps: StepWeights,
    /// Weight of the inter-cluster loss.
    #[serde(default = "one")]
    pub inter_weight: f64,
    /// Whether gradients flow through γ, into the mask and into the loss.
    pub gradient_gamma: bool,
    /// Mean of the prior that inter-cluster predictions are pulled to.
    #[serde(default)]
    pub prior: f64,
}

/// The weight of every EM step in the loss, and in step-weighted scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StepWeights {
    /// 1 for the last step, 0 before: the paper's static images.
    Last,
    /// 1 for every step: the paper's sequences.
    All,
    /// As listed, one for each step.
    List(Vec<f64>),
}

/// The training protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// B, images per iteration.
    #[serde(default = "sixty_four")]
    pub batch: usize,
    /// Images per epoch, the same in every epoch; an incomplete last batch is dropped.
    pub train_size: usize,
    /// Images of the validation split; their noise is fixed.
    pub validation_size: usize,
    /// Images of the test split; their noise is fixed.
    pub test_size: usize,
    /// Adam's step size; with stages, the first stage's.
    pub learning_rate: f64,
    /// Training in stages: on growing numbers of digit images (paper §4.3), with falling step sizes, from one
    /// object to many. Each goes to its own early stop, and its best weights are carried over. Empty: one
    /// stage, as the rest of the preset says.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Adam's other constants.
    #[serde(default)]
    pub adam: Adam,
    /// The longest gradient: where the Euclidean norm of all parameters' gradients together is above it,
    /// they are scaled down to it before Adam sees them (Pascanu, Mikolov and Bengio 2013). Norms that are
    /// shown and stored are those before. `None`: as they are, like the paper's.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// Epochs at most; with stages, in each.
    pub max_epochs: u64,
    /// Epochs without a better validation loss before training stops.
    #[serde(default = "ten")]
    pub patience: u64,
    /// The training batch is scored every this many iterations (AMI and ARI of 16 of its images).
    #[serde(default = "default_score_every")]
    pub score_every: u64,
}

/// One stage of a training in stages. It begins with the weights that had the best validation loss in
/// the one before, and with fresh moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How many different digit images, where there are digits.
    #[serde(default)]
    pub images: Images,
    /// Adam's step size.
    pub learning_rate: f64,
    /// What else is other from its first iteration on, until a later stage or the user changes it again.
    #[serde(default)]
    pub set: Vec<Setting>,
    /// Epochs at most, if not `max_epochs`.
    #[serde(default)]
    pub max_epochs: Option<u64>,
}

/// Adam's constants (Kingma and Ba 2015); ε is added after the bias correction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Decay of the first moment.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// ε.
    #[serde(default = "default_epsilon")]
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta1: default_beta1(), beta2: default_beta2(), epsilon: default_epsilon() }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
fn default_e_sigma() -> f64 {
    0.25
}
fn one_channel() -> usize {
    1
}
fn one() -> f64 {
    1.0
}
fn sixty_four() -> usize {
    64
}
fn ten() -> u64 {
    10
}
fn default_score_every() -> u64 {
    20
}
fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_epsilon() -> f64 {
    1e-8
}

/// The size of an image: C, H and W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl ImageSize {
    /// P = H·W, the places that γ and the groups are defined on.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// M = C·H·W, the values of an image, channels first.
    pub fn values(&self) -> usize {
        self.channels * self.pixels()
    }
}

impl Data {
    /// The size of its images.
    pub fn image(&self) -> ImageSize {
        match *self {
            Data::Shapes { height, width, .. }
            | Data::FlyingShapes { height, width, .. }
            | Data::Mnist { height, width, .. }
            | Data::FlyingMnist { height, width, .. } => ImageSize { channels: 1, height, width },
            Data::Hdf5 { channels, height, width, .. } | Data::Tensors { channels, height, width } => {
                ImageSize { channels, height, width }
            }
        }
    }

    /// Objects per image, where the source decides that.
    pub fn objects(&self) -> Option<usize> {
        self.clone().objects_mut().copied()
    }

    /// Objects per image, to be changed.
    fn objects_mut(&mut self) -> Option<&mut usize> {
        match self {
            Data::Shapes { objects, .. }
            | Data::FlyingShapes { objects, .. }
            | Data::Mnist { objects, .. }
            | Data::FlyingMnist { objects, .. } => Some(objects),
            Data::Hdf5 { .. } | Data::Tensors { .. } => None,
        }
    }

    /// Whose digits, where there are any.
    pub fn digits(&self) -> Option<&Digits> {
        match self {
            Data::Mnist { digits, .. } | Data::FlyingMnist { digits, .. } => Some(digits),
            _ => None,
        }
    }

    /// The same with other digits; unchanged where there are none.
    #[must_use]
    pub fn with_digits(mut self, new: Digits) -> Data {
        if let Data::Mnist { digits, .. } | Data::FlyingMnist { digits, .. } = &mut self {
            *digits = new;
        }
        self
    }

    /// How many different digit images, where there are any.
    pub fn images(&self) -> Option<Images> {
        match self {
            Data::Mnist { images, .. } | Data::FlyingMnist { images, .. } => Some(*images),
            _ => None,
        }
    }

    /// The same with another number of digit images; unchanged where there are none.
    #[must_use]
    pub fn with_images(mut self, new: Images) -> Data {
        if let Data::Mnist { images, .. } | Data::FlyingMnist { images, .. } = &mut self {
            *images = new;
        }
        self
    }
}

impl Noise {
    /// The share of pixels it touches; `None` where there is no noise.
    pub fn probability(&self) -> Option<f64> {
        match *self {
            Noise::Bitflip { probability } | Noise::MaskedUniform { probability } => Some(probability),
            Noise::None => None,
        }
    }
}

impl StepWeights {
    /// w_t for t in 0..`steps`.
    pub fn weights(&self, steps: usize) -> Vec<f64> {
        match self {
            StepWeights::Last => (0..steps).map(|t| if t + 1 == steps { 1.0 } else { 0.0 }).collect(),
            StepWeights::All => vec![1.0; steps],
            StepWeights::List(weights) => weights.clone(),
        }
    }
}

impl Preset {
    /// Where training begins: with stages, as the first one has it.
    #[must_use]
    pub fn at_first_stage(&self) -> Preset {
        self.after_stages(1)
    }

    /// The preset with what its first `count` stages change of it.
    #[must_use]
    pub fn after_stages(&self, count: usize) -> Preset {
        self.at_stages(self.train.stages.iter().take(count))
    }

    /// The preset with what `stages` change of it, one after the other.
    #[must_use]
    pub fn at_stages<'a>(&self, stages: impl Iterator<Item = &'a Stage>) -> Preset {
        stages.fold(self.clone(), |preset, stage| preset.at_stage(stage))
    }

    /// K, and the objects where the data says: scores and losses of two presets compare only where these agree.
    pub fn task(&self) -> (usize, Option<usize>) {
        (self.k, self.data.objects())
    }

    /// The preset with what a stage changes of it.
    #[must_use]
    pub fn at_stage(&self, stage: &Stage) -> Preset {
        let mut preset = self.clone();
        stage.set.iter().for_each(|setting| setting.put(&mut preset));
        preset.data = preset.data.with_images(stage.images);
        preset.train.learning_rate = stage.learning_rate;
        preset
    }

    /// Whether a stage would set the field at `path` again, whatever it is here.
    pub fn is_set_by_stages(&self, path: &str) -> bool {
        let stages = &self.train.stages;
        let of_a_stage = stages.iter().flat_map(|stage| &stage.set).any(|setting| setting.field() == path);
        let of_all = path == "train.learning_rate" || path == "data.images" && self.data.images().is_some();
        let epochs = path == "train.max_epochs" && stages.iter().any(|stage| stage.max_epochs.is_some());
        of_a_stage || epochs || of_all && !stages.is_empty()
    }

    /// Epochs at most, over all stages.
    pub fn most_epochs(&self) -> u64 {
        let train = &self.train;
        let of = |stage: &Stage| stage.max_epochs.unwrap_or(train.max_epochs);
        match train.stages.as_slice() {
            [] => train.max_epochs,
            stages => stages.iter().map(of).fold(0, u64::saturating_add),
        }
    }

    /// Iterations per epoch: whole batches only.
    pub fn iterations_per_epoch(&self) -> u64 {
        (self.train.train_size / self.train.batch) as u64
    }
}
