//! The E-step and the losses for backends with their own implementation. `nem` has the reference, and uses it
//! where these return `None`.

use burn::tensor::Tensor;

use crate::preset::Distribution;

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
