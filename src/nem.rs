//! Neural Expectation Maximization: the paper's page.
//!
//! Greff, van Steenkiste and Schmidhuber, *Neural Expectation Maximization*, NIPS 2017.
//!
//! An image x is explained by K components. Component k has a representation θ_k, from which an
//! inner network predicts a pixel distribution with mean ψ_k; every pixel belongs to component k
//! with responsibility γ_k. The model alternates, T times:
//!
//! ```text
//! start   θ = 0,  ψ = pred_init,  γ = |N(0,1)| normalised over K
//! M-step  masked = γ · (x̃ − ψ)              what each component failed to explain, where it is responsible
//!         (ψ, θ) = inner(masked, θ)          the same weights for every component
//! E-step  γ_k ∝ P(x | ψ_k) + 1e-6            normalised over K
//! loss    Σ_k γ_k · −log P(x | ψ_k)          intra: explain your own pixels
//!       + Σ_k (1 − γ_k) · KL(prior ‖ ψ_k)    inter: and say nothing of the others'
//! ```
//!
//! The whole unrolled loop is differentiable, and training is gradient descent through it: no label
//! says what an object is.
//!
//! # Symbols and axes
//!
//! | symbol | in code | shape | meaning |
//! |---|---|---|---|
//! | B, K, T | | | images per batch, components, EM steps |
//! | C, P | | | channels and places (H·W) of an image; M = C·P |
//! | x | `target` | \[B, 1, C, P\] | clean frame, what the E-step and the loss look at |
//! | x̃ | `noisy` | \[B, 1, C, P\] | frame with input noise, what the M-step looks at |
//! | θ | `theta` | \[B·K, units\] | representation; row b·K + k is component k of image b |
//! | ψ | `preds` | \[B, K, C, P\] | predicted means |
//! | γ | `gamma` | \[B, K, 1, P\] | responsibilities, which sum to 1 over K |
//!
//! In a sequence, step t reads x̃\[t\] and is judged by x\[t+1\]; a static image is the same frame
//! every time.

mod cell;
mod e_step;
mod loss;
mod mixture;
mod network;
mod weights;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, s};

pub use cell::{Cell, Inner, Part, Watch};
pub use e_step::e_step;
pub use loss::{Losses, StepLoss, upper_bound};
pub use mixture::{Target, kl_from_prior, nll};
#[cfg(test)]
pub(crate) use weights::DRAWN;
pub use weights::WeightsError;

use crate::precision::Precision;
use crate::preset::{Distribution, ImageSize, Preset};
use crate::random::Stream;
use weights::Initial;

/// A model: what turns images into components.
#[derive(Clone, Debug)]
pub struct Nem {
    /// The inner network with its weights; the only part that learns.
    pub cell: Cell,
    /// P(x | ψ).
    pub distribution: Distribution,
    /// C, H and W.
    pub image: ImageSize,
    /// Of the inner network's products and convolutions.
    pub precision: Precision,
    /// ψ before the first step.
    pred_init: f64,
    /// Whether gradients flow through γ.
    gradient_gamma: bool,
    /// What the E-step adds to every density.
    epsilon: f64,
}

/// What one EM step leaves to the next.
#[derive(Clone, Debug)]
pub struct State {
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
    /// x̃ for every step: at least T frames of [B, 1, C, P].
    pub noisy: Vec<Tensor<4>>,
    /// x for every step: one frame for a static image, else at least T + 1.
    pub clean: Vec<Target>,
}

impl Frames {
    /// What step `t` reads and what it is judged by: `x̃[t]` and `x[t+1]`.
    pub fn at(&self, t: usize) -> (Tensor<4>, &Target) {
        let next = if self.clean.len() == 1 { 0 } else { t + 1 };
        (self.noisy[t].clone(), &self.clean[next])
    }

    /// The given images of the batch.
    pub fn of_images(&self, images: Range<usize>) -> Frames {
        let noisy = |frame: &Tensor<4>| frame.clone().slice(s![images.clone(), .., .., ..]);
        Frames {
            noisy: self.noisy.iter().map(noisy).collect(),
            clean: self.clean.iter().map(|target| target.of_images(images.clone())).collect(),
        }
    }
}

impl Nem {
    /// The model that `preset` describes, with the weights that `seed` draws. Gradients are recorded
    /// where `device` records them.
    pub fn new(preset: &Preset, seed: u64, device: &Device) -> Nem {
        Nem::built(preset, &mut Initial::drawn(seed, device))
    }

    fn built(preset: &Preset, initial: &mut Initial) -> Nem {
        let image = preset.data.image();
        let model = &preset.model;
        Nem {
            cell: Cell::new(model, image, initial),
            distribution: model.distribution,
            image,
            precision: Precision::F32,
            pred_init: model.pred_init,
            gradient_gamma: preset.loss.gradient_gamma,
            epsilon: model.epsilons.e_step,
        }
    }

    /// The same model around another cell: the one an optimizer's step returns.
    pub fn with_cell(&self, cell: Cell) -> Nem {
        Nem { cell, ..self.clone() }
    }

    /// The same model, which computes in this precision.
    pub fn with_precision(self, precision: Precision) -> Nem {
        Nem { precision, ..self }
    }

    /// The same model without gradients, for evaluation.
    pub fn without_gradients(&self) -> Nem {
        self.with_cell(self.cell.valid())
    }

    /// θ = 0, ψ = `pred_init`, and γ as given: [B, K, 1, P].
    pub fn start(&self, gamma: Tensor<4>) -> State {
        let [batch, k, _, places] = gamma.dims();
        let device = gamma.device();
        State {
            preds: Tensor::full([batch, k, self.image.channels, places], self.pred_init, &device),
            theta: Tensor::zeros([batch * k, self.cell.units()], &device),
            gamma,
        }
    }

    /// One EM step: an M-step on the noisy frame, an E-step on the target. `inner` is
    /// [`Cell::inner`]. γ has a gradient only where the model lets it have one.
    pub fn em_step(&self, inner: &Inner, state: State, noisy: Tensor<4>, target: &Target) -> State {
        let [batch, k, channels, places] = state.preds.dims();
        let masked = state.gamma * (noisy - state.preds); // [B, K, C, P]
        let rows = masked.reshape([batch * k, channels * places]); // [B·K, M]
        let (preds, theta) = inner(rows, state.theta);
        let preds = preds.reshape([batch, k, channels, places]); // [B, K, C, P]
        let judged = if self.gradient_gamma { preds.clone() } else { preds.clone().detach() };
        let gamma = e_step(self.distribution, judged, target, self.epsilon); // [B, K, 1, P]
        State { preds, gamma, theta }
    }

    /// Runs `steps` EM steps and hands each one's state and target to `visit`.
    pub fn unroll(
        &self,
        frames: &Frames,
        gamma: Tensor<4>,
        steps: usize,
        visit: impl FnMut(usize, &State, &Target),
    ) {
        self.unroll_watched(frames, gamma, steps, &|_| (), visit);
    }

    /// The same, telling `watch` of the parts of a step as they end; what follows the last one it is told
    /// of belongs to [`Part::Em`].
    pub fn unroll_watched(
        &self,
        frames: &Frames,
        gamma: Tensor<4>,
        steps: usize,
        watch: Watch,
        mut visit: impl FnMut(usize, &State, &Target),
    ) {
        let inner = self.cell.inner(self.precision, watch);
        let mut state = self.start(gamma);
        for t in 0..steps {
            let (noisy, target) = frames.at(t);
            state = self.em_step(&inner, state, noisy, target);
            visit(t, &state, target);
        }
    }

    /// The loss of one step; see [`StepLoss`].
    pub fn step_loss(&self, state: &State, target: &Target, prior: f64) -> StepLoss {
        StepLoss::new(self.distribution, state.preds.clone(), state.gamma.clone(), target, prior)
    }
}

/// γ before the first step, for one image: |N(0,1)| normalised over the components, all ones where
/// there is one. Returns K·P values, component by component.
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

/// A tensor from host values in row-major order. `values` must have as many as `shape` says.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A tensor's values on the host, in row-major order.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    match tensor.try_into_vec_as() {
        Ok(values) => values,
        // Only a device that failed earlier has nothing to give; the worker's edge reports it.
        Err(error) => panic!("a tensor could not be read back from its device: {error}"),
    }
}
