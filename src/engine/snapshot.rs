//! A picture of one validation sample, unrolled with the weights of the moment.

use super::batch::Plan;
use super::trainer::Trainer;
use crate::data::Split;
use crate::metrics;
use crate::nem::host;
use crate::protocol::{Snapshot, SnapshotStep};

/// Unrolls validation sample `sample` with the trainer's weights, K, noise and steps. Its noise and
/// initial gamma are the validation's own, so that what changes on the screen is the model.
pub fn take(trainer: &Trainer, sample: usize) -> Snapshot {
    let preset = trainer.preset();
    let plan = Plan {
        data: trainer.data().clone(),
        seed: trainer.seed(),
        split: Split::Validation,
        epoch: 0,
        indices: vec![sample as u64],
        k: preset.k,
        steps: preset.steps,
        noise: preset.noise,
    };
    let mut batch = plan.make();
    let (target, noisy) = (batch.clean.clone(), batch.noisy.clone());
    let (frames, gamma) = batch.to_device(&plan, &trainer.plain_device());
    let groups = &batch.groups[0];
    let mut steps = Vec::with_capacity(preset.steps);
    trainer.model().without_gradients().unroll(&frames, gamma, preset.steps, |t, state, _| {
        let gamma = host(state.gamma.clone());
        let scores = metrics::score(&gamma, groups);
        steps.push(SnapshotStep {
            target: target.clone(),
            noisy: noisy[t].clone(),
            groups: groups.clone(),
            preds: host(state.preds.clone()),
            gamma,
            ami: scores.map(|s| s.ami),
            ari: scores.map(|s| s.ari),
            confidence: scores.map(|s| s.confidence),
        });
    });
    Snapshot {
        iteration: trainer.counters().iteration,
        sample,
        image: trainer.data().image(),
        k: preset.k,
        steps,
    }
}
