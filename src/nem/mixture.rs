//! The pixel distributions (paper §2.1): density, negative log-likelihood and distance from the prior.
//!
//! Everything that depends on the distribution is here; a new one is a new arm in each function.

use std::ops::Range;

use burn::tensor::{Tensor, s};

use crate::preset::Distribution;

/// ψ is clipped to [CLIP, 1 − CLIP] before a logarithm. Clipped values have no gradient.
pub(super) const CLIP: f64 = 1e-6;

/// A clean frame x and two tensors derived from it, computed once for all steps that share it.
#[derive(Clone, Debug)]
pub struct TargetFrame {
    /// x.
    pub x: Tensor<4>, // [B, 1, C, P]
    /// 1 − x.
    pub complement: Tensor<4>, // [B, 1, C, P]
    /// 2x − 1.
    sign: Tensor<4>, // [B, 1, C, P]
}

impl TargetFrame {
    /// The target x, [B, 1, C, P].
    pub fn new(x: Tensor<4>) -> TargetFrame {
        let complement = x.clone().neg().add_scalar(1.0);
        let sign = x.clone().mul_scalar(2.0).sub_scalar(1.0);
        TargetFrame { x, complement, sign }
    }

    /// The target of some of the batch's images.
    pub fn of_images(&self, images: Range<usize>) -> TargetFrame {
        let part = |of: &Tensor<4>| of.clone().slice(s![images.clone(), .., .., ..]);
        TargetFrame { x: part(&self.x), complement: part(&self.complement), sign: part(&self.sign) }
    }
}

/// P(x | ψ) for every value: [B, K, C, P].
///
/// Bernoulli: x·ψ + (1 − x)(1 − ψ). Gaussian: the normal density with deviation `e_sigma`.
pub fn density(distribution: Distribution, preds: Tensor<4>, target: &TargetFrame) -> Tensor<4> {
    match distribution {
        // The same sum with two passes over ψ instead of four.
        Distribution::Bernoulli => preds * target.sign.clone() + target.complement.clone(),
        Distribution::Gaussian { e_sigma } => {
            let variance = e_sigma * e_sigma;
            let scale = (2.0 * std::f64::consts::PI * variance).sqrt().recip();
            (preds - target.x.clone()).square().mul_scalar(-0.5 / variance).exp().mul_scalar(scale)
        }
    }
}

/// −log P(x | ψ) for every value, as used in the training loss: [B, K, C, P].
///
/// Bernoulli: cross-entropy with ψ clipped to [1e-6, 1 − 1e-6]. Gaussian: (ψ − x)²/2, which is deviation 1
/// without the constant.
pub fn nll(distribution: Distribution, preds: Tensor<4>, target: &TargetFrame) -> Tensor<4> {
    match distribution {
        Distribution::Bernoulli => {
            let q = preds.clamp(CLIP, 1.0 - CLIP);
            let on = q.clone().log() * target.x.clone();
            let off = q.neg().add_scalar(1.0).log() * target.complement.clone();
            (on + off).neg()
        }
        Distribution::Gaussian { .. } => (preds - target.x.clone()).square().mul_scalar(0.5),
    }
}

/// KL(prior ‖ ψ) for every value: [B, K, C, P].
///
/// Bernoulli with prior a: a·log(a/ψ) + (1 − a)·log((1 − a)/(1 − ψ)), with ψ and 1 − ψ at least 1e-6; for
/// the paper's prior 0 that is −log(1 − ψ). Gaussian: (ψ − a)²/2.
pub fn kl_from_prior(distribution: Distribution, preds: Tensor<4>, prior: f64) -> Tensor<4> {
    match distribution {
        Distribution::Bernoulli => {
            let term = |share: f64, of: Tensor<4>| {
                of.clamp_min(CLIP).log().neg().add_scalar(share.ln()).mul_scalar(share)
            };
            // A term with share 0 is 0, the limit of a·log a.
            match prior {
                0.0 => preds.neg().add_scalar(1.0).clamp_min(CLIP).log().neg(),
                1.0 => preds.clamp_min(CLIP).log().neg(),
                _ => term(prior, preds.clone()) + term(1.0 - prior, preds.neg().add_scalar(1.0)),
            }
        }
        Distribution::Gaussian { .. } => preds.sub_scalar(prior).square().mul_scalar(0.5),
    }
}
