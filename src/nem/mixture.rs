//! The pixel distributions: density, negative log-likelihood, and distance from the prior.
//!
//! Everything that depends on the distribution is here; adding one means adding an arm to each of
//! these functions.

use std::ops::Range;

use burn::tensor::{Tensor, s};

use crate::preset::Distribution;

/// ψ is clipped this far from 0 and 1 before a logarithm. A clipped value has no gradient.
pub(super) const CLIP: f64 = 1e-6;

/// A clean frame x with the two tensors that every use of it needs, made once for all steps that
/// share it.
#[derive(Clone, Debug)]
pub struct Target {
    /// x.
    pub x: Tensor<4>, // [B, 1, C, P]
    /// 1 − x.
    pub complement: Tensor<4>, // [B, 1, C, P]
    /// 2x − 1.
    sign: Tensor<4>, // [B, 1, C, P]
}

impl Target {
    /// From x: [B, 1, C, P].
    pub fn new(x: Tensor<4>) -> Target {
        let complement = x.clone().neg().add_scalar(1.0);
        let sign = x.clone().mul_scalar(2.0).sub_scalar(1.0);
        Target { x, complement, sign }
    }

    /// The given images of the batch.
    pub fn of_images(&self, images: Range<usize>) -> Target {
        let part = |of: &Tensor<4>| of.clone().slice(s![images.clone(), .., .., ..]);
        Target { x: part(&self.x), complement: part(&self.complement), sign: part(&self.sign) }
    }
}

/// P(x | ψ) for every value: [B, K, C, P].
///
/// Bernoulli: x·ψ + (1 − x)(1 − ψ). Gaussian: the normal density with deviation `e_sigma`.
pub fn density(distribution: Distribution, preds: Tensor<4>, target: &Target) -> Tensor<4> {
    match distribution {
        // The same sum, arranged so that ψ is touched twice and not four times.
        Distribution::Bernoulli => preds * target.sign.clone() + target.complement.clone(),
        Distribution::Gaussian { e_sigma } => {
            let variance = e_sigma * e_sigma;
            let scale = (2.0 * std::f64::consts::PI * variance).sqrt().recip();
            (preds - target.x.clone()).square().mul_scalar(-0.5 / variance).exp().mul_scalar(scale)
        }
    }
}

/// −log P(x | ψ) for every value, as the training loss has it. Broadcasts `preds` [B, K, C, P]
/// against the target.
///
/// Bernoulli: cross-entropy with ψ clipped to [1e-6, 1 − 1e-6]. Gaussian: (ψ − x)²/2, deviation 1
/// and without the constant.
pub fn nll(distribution: Distribution, preds: Tensor<4>, target: &Target) -> Tensor<4> {
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
/// Bernoulli with prior a: a·log(a/ψ) + (1 − a)·log((1 − a)/(1 − ψ)), with ψ and 1 − ψ kept above
/// 1e-6; at the paper's prior 0 that is −log(1 − ψ). Gaussian: (ψ − a)²/2.
pub fn kl_from_prior(distribution: Distribution, preds: Tensor<4>, prior: f64) -> Tensor<4> {
    match distribution {
        Distribution::Bernoulli => {
            let term = |share: f64, of: Tensor<4>| {
                of.clamp_min(CLIP).log().neg().add_scalar(share.ln()).mul_scalar(share)
            };
            // A term whose share is 0 vanishes, as a·log a does in the limit.
            match prior {
                0.0 => preds.neg().add_scalar(1.0).clamp_min(CLIP).log().neg(),
                1.0 => preds.clamp_min(CLIP).log().neg(),
                _ => term(prior, preds.clone()) + term(1.0 - prior, preds.neg().add_scalar(1.0)),
            }
        }
        Distribution::Gaussian { .. } => preds.sub_scalar(prior).square().mul_scalar(0.5),
    }
}
