//! How good a model is on a split whose noise is fixed.

use std::sync::Arc;

use burn::tensor::Device;

use super::batch::{Plan, Prefetch};
use crate::data::{Dataset, Split};
use crate::metrics::{self, Scores};
use crate::nem::{Losses, Nem, host, upper_bound};
use crate::preset::Preset;
use crate::protocol::Floor;

/// Images unrolled at once.
const CHUNK: usize = 100;
/// Images that the position-only floor is measured on; its standard error is then below 0.015.
const FLOOR_IMAGES: u64 = 500;

/// Which scores are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scored {
    /// Only the last EM step's: what a training curve needs.
    LastStep,
    /// Every step's that has a weight, and the last's.
    WeightedSteps,
}

/// Means over the samples evaluated. Scores leave out samples in which no pixel has a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Samples evaluated.
    pub samples: usize,
    /// The training loss on them.
    pub loss: f64,
    /// NLL of max_k ψ, weighted over steps like the loss.
    pub upper_bound: f64,
    /// Scores weighted over steps by the step weights.
    pub weighted: Scores,
    /// Scores of the last step.
    pub last: Scores,
}

/// Evaluates `model` (without gradients) on the first `samples` samples of `split`, with K, noise,
/// steps and loss as in `preset`.
pub fn evaluate(
    model: &Nem,
    preset: &Preset,
    data: &Arc<Dataset>,
    (seed, split, samples): (u64, Split, usize),
    scored: Scored,
    device: &Device,
    prefetch: &mut Prefetch,
) -> Evaluation {
    let steps = preset.steps;
    let weights = preset.loss.steps.weights(steps);
    let plan = |start: usize| Plan {
        data: data.clone(),
        seed,
        split,
        epoch: 0,
        indices: (start..samples.min(start + CHUNK)).map(|i| i as u64).collect(),
        k: preset.k,
        steps,
        noise: preset.noise,
    };
    let mut sums = Sums::default();
    for start in (0..samples).step_by(CHUNK) {
        let plan_now = plan(start);
        let next = (start + CHUNK < samples).then(|| plan(start + CHUNK));
        let mut batch = prefetch.get(&plan_now, next);
        let (frames, gamma) = batch.to_device(&plan_now, device);
        let size = plan_now.indices.len();
        let mut losses = Losses::new(&preset.loss, steps);
        model.unroll(&frames, gamma, steps, |t, state, target| {
            let last = t + 1 == steps;
            if losses.counts(t) {
                losses.add(t, model.step_loss(state, target, preset.loss.prior));
                if scored == Scored::WeightedSteps {
                    let bound = host(upper_bound(model.distribution, state.preds.clone(), target))[0];
                    sums.upper_bound += weights[t] * f64::from(bound) * size as f64;
                }
            }
            if last || (scored == Scored::WeightedSteps && weights[t] != 0.0) {
                let gamma = host(state.gamma.clone());
                let scores = scores(&gamma, &batch.groups);
                sums.add_scores(&scores, weights[t], last);
            }
        });
        if let Some((total, _, _)) = losses.sums() {
            sums.loss += f64::from(host(total)[0]) * size as f64;
        }
    }
    sums.mean(samples, weights.iter().sum())
}

/// The scores of every sample of a batch that has any: γ is [B, K, P].
pub fn scores(gamma: &[f32], groups: &[Vec<u8>]) -> Vec<Scores> {
    let size = gamma.len() / groups.len().max(1);
    gamma.chunks_exact(size).zip(groups).filter_map(|(gamma, groups)| metrics::score(gamma, groups)).collect()
}

/// The mean of some scores; zeros where there are none.
pub fn mean(scores: &[Scores]) -> Scores {
    let mut sums = Sums::default();
    sums.add_scores(scores, 0.0, true);
    sums.mean(scores.len(), 1.0).last
}

/// The position-only floor on `split`.
pub fn floor(preset: &Preset, data: &Dataset, split: Split) -> Floor {
    let groups: Vec<Vec<u8>> = (0..FLOOR_IMAGES).map(|i| data.sample(split, i).groups).collect();
    metrics::floor(preset.k, data.image(), groups.iter().map(Vec::as_slice))
}

#[derive(Default)]
struct Sums {
    loss: f64,
    upper_bound: f64,
    weighted: Scores,
    last: Scores,
    scored: usize,
}

impl Sums {
    fn add_scores(&mut self, scores: &[Scores], weight: f64, last: bool) {
        for score in scores {
            accumulate(&mut self.weighted, score, weight);
            if last {
                accumulate(&mut self.last, score, 1.0);
                self.scored += 1;
            }
        }
    }

    fn mean(self, samples: usize, weight: f64) -> Evaluation {
        let scaled = |sum: &Scores, by: f64| {
            let mut mean = Scores::default();
            if by > 0.0 {
                accumulate(&mut mean, sum, 1.0 / by);
            }
            mean
        };
        let scored = self.scored as f64;
        let samples_f = samples.max(1) as f64;
        Evaluation {
            samples,
            loss: self.loss / samples_f,
            upper_bound: self.upper_bound / samples_f,
            weighted: scaled(&self.weighted, scored * weight),
            last: scaled(&self.last, scored),
        }
    }
}

fn accumulate(onto: &mut Scores, score: &Scores, weight: f64) {
    onto.ami += weight * score.ami;
    onto.ami_arithmetic += weight * score.ami_arithmetic;
    onto.ari += weight * score.ari;
    onto.confidence += weight * score.confidence;
}
