//! A backend's own implementations of layer chains, the E-step and the losses. If these return `None`, `nem` uses its
//! reference implementation. A backend gets a whole chain at once and chooses the layout and precision inside it.

#[cfg(feature = "libtorch")]
use super::libtorch;
use super::spec::{Chain, LayerSpec};
#[cfg(feature = "libtorch")]
use super::torch;
use crate::precision::Precision;
use crate::preset::Distribution;
use burn::tensor::{Device, Tensor};

/// The device's own implementation of `layers`, in order. Input and output are f32, maps channels first.
pub fn chain(layers: &[LayerSpec], precision: Precision, device: &Device) -> Option<Chain> {
    #[cfg(feature = "libtorch")]
    if libtorch::is(device) {
        return Some(torch::chain(layers.to_vec(), precision, device));
    }
    let _ = (layers, precision, device);
    None
}

/// `nem::e_step`: γ [B, K, 1, P] from ψ [B, K, C, P] and x [B, 1, C, P].
pub fn e_step(
    distribution: Distribution,
    preds: &Tensor<4>,
    x: &Tensor<4>,
    epsilon: f64,
) -> Option<Tensor<4>> {
    #[cfg(feature = "libtorch")]
    if distribution == Distribution::Bernoulli && libtorch::is(&preds.device()) {
        return Some(torch::e_step(preds.clone(), x.clone(), epsilon));
    }
    let _ = (distribution, preds, x, epsilon);
    None
}

/// Σ γ · −log P(x | ψ) and Σ (1 − γ) · KL(prior ‖ ψ): \[2\], with the shapes of [`e_step`]. ψ is clipped to
/// [`clip`, 1 − `clip`] in both; `nem::kl_from_prior` does not clip the lower end, a difference of `clip` at most.
pub fn losses(
    distribution: Distribution,
    preds: &Tensor<4>,
    gamma: &Tensor<4>,
    x: &Tensor<4>,
    prior: f64,
    clip: f64,
) -> Option<Tensor<1>> {
    #[cfg(feature = "libtorch")]
    if distribution == Distribution::Bernoulli && prior == 0.0 && libtorch::is(&preds.device()) {
        return Some(torch::losses(preds.clone(), gamma.clone(), x.clone(), clip));
    }
    let _ = (distribution, preds, gamma, x, prior, clip);
    None
}
