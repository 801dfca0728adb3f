//! A picture of one validation sample, unrolled with the weights of the moment.

use std::sync::Arc;

use super::batch::Plan;
use super::trainer::Trainer;
use crate::data::{Dataset, Split, nth};
use crate::error::Result;
use crate::metrics;
use crate::nem::host;
use crate::preset::Setting;
use crate::protocol::{Snapshot, SnapshotStep};

/// Unrolls validation sample `sample` with the trainer's weights, and with its K, noise and steps where `look` has
/// no others. Its noise and initial gamma are the validation's own, so that what changes on the screen is the
/// model.
///
/// # Errors
/// A `look` that is impossible, and what [`Plan::make`] meets.
pub fn take(trainer: &Trainer, sample: usize, look: &[Setting]) -> Result<Snapshot> {
    let own = trainer.preset();
    let preset = look.iter().try_fold(own.clone(), |preset, setting| setting.apply(&preset))?;
    let data = match preset.data == own.data {
        true => trainer.data().clone(),
        false => Arc::new(Dataset::new(&preset, trainer.seed())?),
    };
    data.supports(&preset)?;
    let image = data.image();
    let plan = Plan {
        data,
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
    let (frames, gamma) = batch.to_device(&plan, &trainer.plain_device());
    let mut steps = Vec::with_capacity(preset.steps);
    let mut model = trainer.model().without_gradients();
    model.distribution = preset.model.distribution;
    model.unroll(&frames, gamma, preset.steps, |t, state, _| {
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
    Ok(Snapshot {
        iteration: trainer.counters().iteration,
        sample,
        image,
        k: preset.k,
        look: look.to_vec(),
        steps,
    })
}
