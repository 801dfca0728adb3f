//! What a backend computes in its own way: a chain of layers, the E-step and the losses. `nem` has the reference
//! implementation, and uses it where these return `None`. A backend gets all layers of one side of the recurrent state
//! at once, so that it chooses the layout and the precision between them.

use super::spec::{Chain, LayerSpec};
use crate::precision::Precision;
use crate::preset::Distribution;
use burn::tensor::{Device, Tensor};

/// All of `layers`, one after the other, by the device's own implementation, if it has one. Input and output are f32,
/// maps channels first.
pub fn chain(layers: &[LayerSpec], precision: Precision, device: &Device) -> Option<Chain> {
    #[cfg(feature = "libtorch")]
    if super::libtorch::is(device) {
        return Some(super::torch::chain(layers.to_vec(), precision, device));
    }
    let _ = (layers, precision, device);
    None
}

/// `nem::e_step` of ψ [B, K, C, P] and x [B, 1, C, P]: γ, [B, K, 1, P].
pub fn e_step(
    distribution: Distribution,
    preds: &Tensor<4>,
    x: &Tensor<4>,
    epsilon: f64,
) -> Option<Tensor<4>> {
    #[cfg(feature = "libtorch")]
    if distribution == Distribution::Bernoulli && super::libtorch::is(&preds.device()) {
        return Some(super::torch::e_step(preds.clone(), x.clone(), epsilon));
    }
    let _ = (distribution, preds, x, epsilon);
    None
}

/// The sums of γ · −log P(x | ψ) and of (1 − γ) · KL(prior ‖ ψ): \[2\]. Shapes are those of [`e_step`]. Both are
/// clipped at `clip` and 1 − `clip`; `nem::kl_from_prior` is not at the lower end, where the two differ by `clip`.
pub fn losses(
    distribution: Distribution,
    preds: &Tensor<4>,
    gamma: &Tensor<4>,
    x: &Tensor<4>,
    prior: f64,
    clip: f64,
) -> Option<Tensor<1>> {
    #[cfg(feature = "libtorch")]
    if distribution == Distribution::Bernoulli && prior == 0.0 && super::libtorch::is(&preds.device()) {
        return Some(super::torch::losses(preds.clone(), gamma.clone(), x.clone(), clip));
    }
    let _ = (distribution, preds, gamma, x, prior, clip);
    None
}
