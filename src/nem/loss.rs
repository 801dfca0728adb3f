//! The training loss (paper §2.4) and the upper bound reported for next-step prediction.

use burn::tensor::Tensor;

use super::mixture::{CLIP, TargetFrame, kl_from_prior, nll};
use crate::backend::native;
use crate::preset::{Distribution, Loss};

/// The two losses of one EM step, each summed over K, C and P and averaged over the batch.
#[derive(Clone, Debug)]
pub struct StepLoss {
    /// Σ γ · −log P(x | ψ): a component explains its own pixels.
    pub intra: Tensor<1>,
    /// Σ (1 − γ) · KL(prior ‖ ψ): it predicts the prior everywhere else.
    pub inter: Tensor<1>,
}

impl StepLoss {
    /// `preds` is [B, K, C, P], `gamma` [B, K, 1, P].
    pub fn new(
        distribution: Distribution,
        preds: Tensor<4>,
        gamma: Tensor<4>,
        target: &TargetFrame,
        prior: f64,
    ) -> StepLoss {
        let batch = preds.dims()[0] as f64;
        if let Some(sums) = native::losses(distribution, &preds, &gamma, &target.x, prior, CLIP) {
            let sums = sums.div_scalar(batch); // [2]
            return StepLoss { intra: sums.clone().narrow(0, 0, 1), inter: sums.narrow(0, 1, 1) };
        }
        let rest = gamma.clone().neg().add_scalar(1.0); // [B, K, 1, P]
        StepLoss {
            intra: total(nll(distribution, preds.clone(), target) * gamma).div_scalar(batch),
            inter: total(kl_from_prior(distribution, preds, prior) * rest).div_scalar(batch),
        }
    }

    /// intra + `inter_weight` · inter.
    pub fn total(&self, inter_weight: f64) -> Tensor<1> {
        self.intra.clone() + self.inter.clone().mul_scalar(inter_weight)
    }
}

/// NLL of max_k ψ (paper Fig. 6), summed over C and P and averaged over the batch. It does not use γ, which
/// has already seen the frame to predict.
pub fn upper_bound(distribution: Distribution, preds: Tensor<4>, target: &TargetFrame) -> Tensor<1> {
    let batch = preds.dims()[0] as f64;
    total(nll(distribution, preds.max_dim(1), target)).div_scalar(batch)
}

/// The sum of all values, axis by axis, so that the order of additions depends on the shape and not on the
/// number of threads.
fn total(values: Tensor<4>) -> Tensor<1> {
    values.sum_dim(3).sum_dim(1).sum()
}

/// The loss of an unroll: the weighted losses of its steps.
#[derive(Clone, Debug)]
pub struct Losses {
    weights: Vec<f64>,
    inter_weight: f64,
    /// The prior for [`StepLoss`].
    pub prior: f64,
    intra: Option<Tensor<1>>,
    inter: Option<Tensor<1>>,
}

impl Losses {
    /// An empty sum for `steps` EM steps.
    pub fn new(loss: &Loss, steps: usize) -> Losses {
        Losses {
            weights: loss.steps.weights(steps),
            inter_weight: loss.inter_weight,
            prior: loss.prior,
            intra: None,
            inter: None,
        }
    }

    /// Whether step `t` has a weight; otherwise its loss need not be computed.
    pub fn counts(&self, t: usize) -> bool {
        self.weights[t] != 0.0
    }

    /// Adds the loss of step `t`.
    pub fn add(&mut self, t: usize, step: StepLoss) {
        let weight = self.weights[t];
        let onto = |sum: &mut Option<Tensor<1>>, value: Tensor<1>| {
            let value = if weight == 1.0 { value } else { value.mul_scalar(weight) };
            *sum = Some(match sum.take() {
                Some(sum) => sum + value,
                None => value,
            });
        };
        onto(&mut self.intra, step.intra);
        onto(&mut self.inter, step.inter);
    }

    /// Total, intra and inter loss, weighted by step; `None` before the first step.
    pub fn sums(self) -> Option<(Tensor<1>, Tensor<1>, Tensor<1>)> {
        let (intra, inter) = (self.intra?, self.inter?);
        let total = intra.clone() + inter.clone().mul_scalar(self.inter_weight);
        Some((total, intra, inter))
    }
}
