//! Neural Expectation Maximization, the algorithm: start reading here.
//!
//! Greff, van Steenkiste and Schmidhuber, *Neural Expectation Maximization*, NIPS 2017.
//!
//! An image x is a mixture of K components. Component k has a representation θ_k, from which the inner
//! network predicts a pixel distribution with mean ψ_k. γ_k says how responsible component k is for each
//! pixel. The model starts from random responsibilities and alternates T times:
//!
//! ```text
//! start   θ = 0,  ψ = pred_init,  γ = |N(0,1)| normalised over K
//! M-step  masked = γ · (x̃ − ψ)              what each component got wrong on the pixels it is responsible for
//!         (ψ, θ) = inner(masked, θ)          the same weights for every component
//! E-step  γ_k ∝ P(x | ψ_k) + 1e-6            normalised over K
//! loss    Σ_k γ_k · −log P(x | ψ_k)          intra: explain your own pixels
//!       + Σ_k (1 − γ_k) · KL(prior ‖ ψ_k)    inter: predict the prior on all others
//! ```
//!
//! The unrolled loop is differentiable, so it is trained by gradient descent from end to end. No label
//! says what an object is.
//!
//! # Symbols and axes
//!
//! | symbol | in code | shape | meaning |
//! |---|---|---|---|
//! | B, K, T | | | images per batch, components, EM steps |
//! | C, P | | | channels and pixels (H·W) of an image; M = C·P |
//! | x | `target` | \[B, 1, C, P\] | clean frame, read by the E-step and the loss |
//! | x̃ | `noisy` | \[B, 1, C, P\] | noisy frame, read by the M-step |
//! | θ | `theta` | \[B·K, units\] | representation; row b·K + k is component k of image b |
//! | ψ | `preds` | \[B, K, C, P\] | predicted means |
//! | γ | `gamma` | \[B, K, 1, P\] | responsibilities; they sum to 1 over K |
//!
//! In a sequence, step t reads x̃\[t\] and predicts x\[t+1\]. For a static image all frames are the same.

mod cell;
mod e_step;
mod gradients;
mod initial;
mod loss;
mod matching;
mod mixture;
mod network;
mod tensor;
mod weights;

use std::convert::Infallible;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor, s};
use burn_optim::GradientsParams;

pub use cell::{InnerNetwork, MStep, Phase, Watch};
pub use e_step::e_step;
#[cfg(test)]
pub(crate) use initial::DRAWN;
pub use loss::{Losses, StepLoss, upper_bound};
pub use matching::{Matching, matching};
pub use mixture::{TargetFrame, kl_from_prior, nll};
pub use tensor::{host, tensor};
pub use weights::{WeightsError, listed};

use crate::precision::Precision;
use crate::preset::{Distribution, ImageSize, Preset};
use crate::random::Stream;
use crate::tensors::Arrays;
use initial::Initial;

/// The model.
#[derive(Clone, Debug)]
pub struct Nem {
    /// The inner network and its weights, which are all that is learned.
    pub cell: InnerNetwork,
    /// P(x | ψ).
    pub distribution: Distribution,
    /// C, H and W.
    pub image: ImageSize,
    /// Precision of the inner network's products and convolutions.
    pub precision: Precision,
    /// ψ before the first step.
    pred_init: f64,
    /// Whether gradients flow through γ.
    gradient_gamma: bool,
    /// Added to every density in the E-step.
    epsilon: f64,
}

/// What one EM step passes to the next.
#[derive(Clone, Debug)]
pub struct EmState {
    /// ψ.
    pub preds: Tensor<4>, // [B, K, C, P]
    /// γ.
    pub gamma: Tensor<4>, // [B, K, 1, P]
    /// θ.
    pub theta: Tensor<2>, // [B·K, units]
}

/// The frames of a batch, on a device.
#[derive(Clone, Debug)]
pub struct Frames {
    /// x̃: at least T frames of [B, 1, C, P].
    pub noisy: Vec<Tensor<4>>,
    /// x: one frame for static images, at least T + 1 for sequences.
    pub clean: Vec<TargetFrame>,
}

impl Frames {
    /// The input x̃\[t\] and the target x\[t+1\] of step `t`.
    pub fn at(&self, t: usize) -> (Tensor<4>, &TargetFrame) {
        let next = if self.clean.len() == 1 { 0 } else { t + 1 };
        (self.noisy[t].clone(), &self.clean[next])
    }

    /// The frames of some of the batch's images.
    pub fn of_images(&self, images: Range<usize>) -> Frames {
        let noisy = |frame: &Tensor<4>| frame.clone().slice(s![images.clone(), .., .., ..]);
        Frames {
            noisy: self.noisy.iter().map(noisy).collect(),
            clean: self.clean.iter().map(|target| target.of_images(images.clone())).collect(),
        }
    }
}

impl Nem {
    /// The model that `preset` describes, with initial weights drawn from `seed`. It records gradients if
    /// `device` does.
    pub fn new(preset: &Preset, seed: u64, device: &Device) -> Nem {
        let mut initial = Initial::drawn(seed, device);
        Nem::of(preset, InnerNetwork::new(&preset.model, preset.data.image(), &mut initial))
    }

    /// The same with these weights.
    ///
    /// # Errors
    /// Weights that are missing, unknown or of the wrong shape.
    pub fn with_weights(preset: &Preset, weights: &Arrays, device: &Device) -> Result<Nem, WeightsError> {
        let cell = InnerNetwork::with_weights(&preset.model, preset.data.image(), weights, device)?;
        Ok(Nem::of(preset, cell))
    }

    /// The names of the weights of the model that `preset` describes.
    pub fn parameter_names(preset: &Preset, device: &Device) -> Vec<String> {
        InnerNetwork::names(&preset.model, preset.data.image(), device)
    }

    fn of(preset: &Preset, cell: InnerNetwork) -> Nem {
        let model = &preset.model;
        Nem {
            cell,
            distribution: model.distribution,
            image: preset.data.image(),
            precision: Precision::F32,
            pred_init: model.pred_init,
            gradient_gamma: preset.loss.gradient_gamma,
            epsilon: model.epsilons.e_step,
        }
    }

    /// Initial state: θ = 0, ψ = `pred_init` and the given γ, [B, K, 1, P].
    pub fn start(&self, gamma: Tensor<4>) -> EmState {
        let [batch, k, _, places] = gamma.dims();
        let device = gamma.device();
        EmState {
            preds: Tensor::full([batch, k, self.image.channels, places], self.pred_init, &device),
            theta: Tensor::zeros([batch * k, self.cell.units()], &device),
            gamma,
        }
    }

    /// One EM step (paper §2.2): the M-step reads the noisy frame, the E-step the target. `m_step` is
    /// [`InnerNetwork::m_step`].
    pub fn em_step(&self, m_step: &MStep, state: EmState, noisy: Tensor<4>, target: &TargetFrame) -> EmState {
        let [batch, k, channels, places] = state.preds.dims();

        // M-step: each component's error on its own pixels updates its θ and ψ.
        let masked = state.gamma * (noisy - state.preds); // [B, K, C, P]
        let rows = masked.reshape([batch * k, channels * places]); // [B·K, M]
        let (preds, theta) = m_step(rows, state.theta); // [B·K, M], [B·K, units]
        let preds = preds.reshape([batch, k, channels, places]); // [B, K, C, P]

        // E-step: the components share every pixel by how well they predict it.
        let compared = if self.gradient_gamma { preds.clone() } else { preds.clone().detach() };
        let gamma = e_step(self.distribution, compared, target, self.epsilon); // [B, K, 1, P]

        EmState { preds, gamma, theta }
    }

    /// Runs `steps` EM steps (paper §2.3) and passes each one's state and target to `visit`.
    pub fn unroll(
        &self,
        frames: &Frames,
        gamma: Tensor<4>,
        steps: usize,
        visit: impl FnMut(usize, &EmState, &TargetFrame),
    ) {
        self.unroll_watched(frames, gamma, steps, &|_| (), visit);
    }

    /// [`Nem::unroll`] that ends early if `visit` fails.
    ///
    /// # Errors
    /// That of `visit`.
    pub fn try_unroll<E>(
        &self,
        frames: &Frames,
        gamma: Tensor<4>,
        steps: usize,
        watch: Watch,
        mut visit: impl FnMut(usize, &EmState, &TargetFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        let m_step = self.cell.m_step(self.precision, watch);
        let mut state = self.start(gamma);
        for t in 0..steps {
            let (noisy, target) = frames.at(t);
            state = self.em_step(&m_step, state, noisy, target);
            visit(t, &state, target)?;
        }
        Ok(())
    }

    /// [`Nem::unroll`] that also reports the end of each phase to `watch`. Whatever follows the last report
    /// belongs to [`Phase::Em`].
    pub fn unroll_watched(
        &self,
        frames: &Frames,
        gamma: Tensor<4>,
        steps: usize,
        watch: Watch,
        mut visit: impl FnMut(usize, &EmState, &TargetFrame),
    ) {
        let visit = |t, state: &_, target: &_| {
            visit(t, state, target);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = self.try_unroll(frames, gamma, steps, watch, visit);
    }

    /// The loss of one step (paper §2.4).
    pub fn step_loss(&self, state: &EmState, target: &TargetFrame, prior: f64) -> StepLoss {
        StepLoss::new(self.distribution, state.preds.clone(), state.gamma.clone(), target, prior)
    }

    /// The same model with another inner network, such as the one an optimizer's step returns.
    pub fn with_cell(&self, cell: InnerNetwork) -> Nem {
        Nem { cell, ..self.clone() }
    }

    /// The same model computing in `precision`.
    pub fn with_precision(self, precision: Precision) -> Nem {
        Nem { precision, ..self }
    }

    /// The same model without gradients, for evaluation.
    pub fn without_gradients(&self) -> Nem {
        self.with_cell(self.cell.valid())
    }

    /// Number of weights.
    pub fn parameter_count(&self) -> usize {
        self.cell.num_params()
    }

    /// Number of weight tensors.
    pub fn parameter_tensors(&self) -> usize {
        self.cell.parameters().len()
    }

    /// The weights by name, on the host.
    pub fn weights(&self) -> Arrays {
        self.cell.weights()
    }

    /// The gradients of the weights by name; zeros where the backward pass left no gradient.
    pub fn gradients(&self, gradients: &GradientsParams) -> Arrays {
        self.cell.gradients(gradients)
    }
}

/// Initial γ of one image: |N(0,1)| normalised over the components, or all ones for K = 1. K·P values,
/// component by component.
pub fn initial_gamma(k: usize, places: usize, stream: &mut Stream) -> Vec<f32> {
    if k == 1 {
        return vec![1.0; places];
    }
    let mut gamma: Vec<f32> = (0..k * places).map(|_| stream.normal().abs()).collect();
    let mut total = vec![0.0f32; places];
    for row in gamma.chunks_exact(places) {
        total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    for row in gamma.chunks_exact_mut(places) {
        row.iter_mut().zip(&total).for_each(|(value, sum)| *value /= sum);
    }
    gamma
}
