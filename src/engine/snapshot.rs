//! A picture of one validation sample, unrolled with the weights of the moment.

use super::batch::Plan;
use super::trainer::Trainer;
use crate::data::{Split, nth};
use crate::error::Result;
use crate::metrics;
use crate::nem::host;
use crate::protocol::{Snapshot, SnapshotStep};

/// Unrolls validation sample `sample` with the trainer's weights, K, noise and steps. Its noise and
/// initial gamma are the validation's own, so that what changes on the screen is the model.
///
/// # Errors
/// What [`Plan::make`] meets.
pub fn take(trainer: &Trainer, sample: usize) -> Result<Snapshot> {
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
    let mut batch = plan.make()?;
    let (clean, noisy) = (batch.clean.clone(), batch.noisy.clone());
    let image = trainer.data().image();
    let (frames, gamma) = batch.to_device(&plan, &trainer.plain_device());
    let mut steps = Vec::with_capacity(preset.steps);
    trainer.model().without_gradients().unroll(&frames, gamma, preset.steps, |t, state, _| {
        let gamma = host(state.gamma.clone());
        let groups = nth(&batch.groups[0], t + 1, image.pixels());
        let scores = metrics::score(&gamma, groups);
        let next = if clean.len() == 1 { 0 } else { t + 1 };
        steps.push(SnapshotStep {
            target: clean[next].clone(),
            noisy: noisy[t].clone(),
            groups: groups.to_vec(),
            preds: host(state.preds.clone()),
            gamma,
            ami: scores.map(|s| s.ami),
            ari: scores.map(|s| s.ari),
            confidence: scores.map(|s| s.confidence),
        });
    });
    Ok(Snapshot { iteration: trainer.counters().iteration, sample, image, k: preset.k, steps })
}
