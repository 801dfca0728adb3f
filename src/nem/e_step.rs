//! The E-step: who is responsible for which pixel.

use burn::tensor::Tensor;

use super::mixture::{Target, density};
use crate::preset::Distribution;

/// Added to every density, so that a pixel no component explains is shared and not divided by zero.
const EPSILON: f64 = 1e-6;

/// γ_k = (Σ_c P(x_c | ψ_kc) + 1e-6), normalised over the K components (paper eq. 4, with π_k = 1/K).
///
/// `preds` is [B, K, C, P]; γ is [B, K, 1, P].
pub fn e_step(distribution: Distribution, preds: Tensor<4>, target: &Target) -> Tensor<4> {
    let channels = preds.dims()[2];
    let density = density(distribution, preds, target); // [B, K, C, P]
    let density = if channels == 1 { density } else { density.sum_dim(2) }; // [B, K, 1, P]
    let p = density.add_scalar(EPSILON);
    let total = p.clone().sum_dim(1); // [B, 1, 1, P]
    p / total
}
