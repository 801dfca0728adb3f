//! The E-step: how responsible each component is for each pixel.

use burn::tensor::Tensor;

use super::mixture::{TargetFrame, density};
use crate::backend::native;
use crate::preset::Distribution;

/// γ_k = (Σ_c P(x_c | ψ_kc) + ε), normalised over the K components (paper eq. 4, with π_k = 1/K). ε prevents a
/// division by zero: a pixel that no component explains is shared equally.
///
/// `preds` is [B, K, C, P]; γ is [B, K, 1, P].
pub fn e_step(distribution: Distribution, preds: Tensor<4>, target: &TargetFrame, epsilon: f64) -> Tensor<4> {
    if let Some(gamma) = native::e_step(distribution, &preds, &target.x, epsilon) {
        return gamma;
    }
    let channels = preds.dims()[2];
    let density = density(distribution, preds, target); // [B, K, C, P]
    let density = if channels == 1 { density } else { density.sum_dim(2) }; // [B, K, 1, P]
    let p = density.add_scalar(epsilon);
    let total = p.clone().sum_dim(1); // [B, 1, 1, P]
    p / total // [B, K, 1, P]
}
