//! The schema of presets: the types behind the RON files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::data::{Data, Images, Noise};

/// A whole experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Name: letters, digits, `-`, `_` and `.`. Run directories are named after it.
    pub name: String,
    /// What it shows, in one or two sentences.
    #[serde(default)]
    pub about: String,
    /// The score to expect, and the training time on a named machine.
    #[serde(default)]
    pub expect: String,
    /// Where the images come from.
    pub data: Data,
    /// Noise on the network's input; the target stays clean.
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

/// The spatial mixture and its inner network f_φ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Model", deny_unknown_fields)]
pub struct ModelSpec {
    /// P(x_i | ψ_ik).
    pub distribution: Distribution,
    /// ψ before the first EM step.
    #[serde(default)]
    pub pred_init: f64,
    /// The inner network.
    pub cell: Cell,
    /// Added before divisions and roots.
    #[serde(default)]
    pub epsilons: Epsilons,
}

/// Small numbers that keep divisions and roots finite. They are not for tuning; they allow comparisons with
/// implementations that use other values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Epsilons {
    /// Added to every density in the E-step.
    pub e_step: f64,
    /// Added to the variance in layer norm.
    pub layer_norm: f64,
    /// Added to the variance in input normalisation, so that a constant row becomes zeros.
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
        /// Standard deviation in the E-step; the loss always uses 1.
        #[serde(default = "default_e_sigma")]
        e_sigma: f64,
    },
}

/// The inner network, which performs the M-step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Cell {
    /// N-EM: one gradient step on θ through a tied-weight decoder, with a learned scalar rate.
    Nem {
        /// Length of θ.
        units: usize,
    },
    /// RNN-EM: a recurrent network instead of the gradient step.
    RnnEm {
        /// Layers from the masked errors to the prediction, in order. Exactly one is `Recurrent`; its state is θ.
        layers: Vec<Layer>,
    },
}

/// A layer of the inner network: weights, then layer norm if it has one, then the activation.
/// [`layer_outputs`](super::layer_outputs) gives the shapes in a list of layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Layer {
    /// Normalises every row to mean 0 and deviation 1; no weights.
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
        /// Outputs; if left out, the image's C·H·W values.
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
    /// Turns rows into maps, channels first; no weights.
    Reshape {
        /// C.
        channels: usize,
        /// H.
        height: usize,
        /// W.
        width: usize,
    },
    /// Every pixel repeated 2x2, then a 4x4 convolution padded by 1 before and 2 after: doubles height and width.
    UpsampleConv {
        /// Output channels; if left out, the image's.
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
    /// The pixel distribution's: sigmoid for Bernoulli, linear for Gaussian.
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
    /// Whether gradients flow through γ, both in the mask and in the loss.
    pub gradient_gamma: bool,
    /// Mean of the prior in the inter-cluster loss.
    #[serde(default)]
    pub prior: f64,
}

/// The weight of every EM step in the loss and in step-weighted scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum StepWeights {
    /// 1 for the last step, 0 before: the paper's static images.
    Last,
    /// 1 for every step: the paper's sequences.
    All,
    /// 1 for the last so many steps, 0 before; 1 for every step if there are fewer.
    LastSteps(usize),
    /// One weight for each step.
    List(Vec<f64>),
}

/// The training protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// B, images per iteration.
    #[serde(default = "sixty_four")]
    pub batch: usize,
    /// Images per epoch, the same ones in every epoch; an incomplete last batch is dropped.
    pub train_size: usize,
    /// Images of the validation split; their noise is fixed.
    pub validation_size: usize,
    /// Images of the test split; their noise is fixed.
    pub test_size: usize,
    /// Adam's step size. Stages have their own.
    pub learning_rate: f64,
    /// Stages of the training, for example on more and more digit images (paper §4.3) or objects. Each runs until
    /// it stops early and passes its best weights on. If empty, the training has no stages.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Adam's other constants.
    #[serde(default)]
    pub adam: Adam,
    /// Gradient clipping (Pascanu, Mikolov and Bengio 2013): the largest Euclidean norm of all gradients together
    /// that Adam sees. Displayed and stored norms are those before clipping. `None`, like the paper: no clipping.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// Maximum number of epochs, of each stage if there are stages.
    pub max_epochs: u64,
    /// Epochs without a better validation loss before training stops.
    #[serde(default = "ten")]
    pub patience: u64,
    /// Iterations between two scorings of the training batch (AMI and ARI of 16 of its images).
    #[serde(default = "default_score_every")]
    pub score_every: u64,
    /// Minutes of training after which another checkpoint is written, besides those before and after every validation.
    #[serde(default = "five")]
    pub checkpoint_minutes: f64,
    /// Disk space for past checkpoints to fork from, in MB: the first epoch's, and up to four for every doubling of the
    /// iterations, fewer if space is short. The newest, the one before it and the best are always kept; 0 keeps only
    /// these.
    #[serde(default = "default_history_mb")]
    pub history_mb: u64,
}

impl Train {
    /// The longest time between two checkpoints.
    pub fn checkpoint_period(&self) -> Duration {
        Duration::try_from_secs_f64(60.0 * self.checkpoint_minutes).unwrap_or(Duration::MAX)
    }
}

/// A stage of the training. It starts from the weights with the best validation loss of the stage before, and with
/// fresh moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Number of digit images, for data with digits.
    #[serde(default)]
    pub images: Images,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Other values to change from its first iteration on. They stay until a later stage or the user changes them.
    #[serde(default)]
    pub set: Vec<Setting>,
    /// The weight of every EM step in the loss, if it changes. It stays until a later stage changes it.
    #[serde(default)]
    pub loss_steps: Option<StepWeights>,
    /// Maximum number of epochs, instead of the training's `max_epochs`.
    #[serde(default)]
    pub max_epochs: Option<u64>,
}

/// A change of one value that a training can make between two iterations, because the network stays the same.
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
    /// Standard deviation of the Gaussian in the E-step.
    ESigma(f64),
    /// Maximum number of epochs, of the last stage if there are stages. Early stopping counts from zero again.
    MaxEpochs(u64),
}

/// Adam's constants (Kingma and Ba 2015); ε is added after the bias correction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
pub(super) fn default_e_sigma() -> f64 {
    0.25
}
pub(super) fn five() -> f64 {
    5.0
}
pub(super) fn default_history_mb() -> u64 {
    256
}
fn one() -> f64 {
    1.0
}
fn sixty_four() -> usize {
    64
}
pub(super) fn ten() -> u64 {
    10
}
pub(super) fn default_score_every() -> u64 {
    20
}

impl StepWeights {
    /// w_t for t in 0..`steps`.
    pub fn weights(&self, steps: usize) -> Vec<f64> {
        match self {
            StepWeights::Last => StepWeights::LastSteps(1).weights(steps),
            StepWeights::LastSteps(count) => {
                (0..steps).map(|t| if steps - t <= *count { 1.0 } else { 0.0 }).collect()
            }
            StepWeights::All => vec![1.0; steps],
            StepWeights::List(weights) => weights.clone(),
        }
    }
}
