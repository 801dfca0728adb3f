//! A picture of one sample, unrolled with the weights of the moment.

use std::sync::Arc;

use burn::tensor::Device;

use super::batch::{Batch, Plan};
use super::own_image::Opened;
use super::trainer::Trainer;
use crate::data::{Dataset, Split, nth};
use crate::error::{Error, Result};
use crate::nem::{Nem, host};
use crate::preset::{Preset, Setting};
use crate::scores;
use crate::snapshot::{Snapshot, SnapshotStep};

/// Unrolls validation sample `sample`, or in its place the image `opened`, with the trainer's weights, and with its
/// K, noise and steps where `look` has no others. Noise and initial gamma are the validation's own, so that what
/// changes on the screen is the model.
///
/// # Errors
/// A `look` that is impossible, and what [`Plan::make`] meets.
pub(crate) fn take(
    trainer: &Trainer,
    sample: usize,
    opened: Option<&Opened>,
    look: &[Setting],
) -> Result<Snapshot> {
    let own = trainer.preset();
    let mut preset = look.iter().try_fold(own.clone(), |preset, setting| setting.apply(&preset))?;
    let data = match preset.data == own.data || opened.is_some() {
        true => trainer.data().clone(),
        false => Arc::new(Dataset::new(&preset, trainer.seed())?),
    };
    match opened {
        Some(opened) => preset.steps = opened.steps(&preset, look)?,
        None => data.supports(&preset)?,
    }
    let plan = plan(&preset, &data, trainer.seed(), Split::Validation, vec![sample as u64]);
    let batch = opened.map_or_else(|| plan.make(), |opened| Ok(opened.batch(&plan)))?;
    let snapshot = only(of_trainer(trainer, &preset, &plan, batch))?;
    Ok(Snapshot { look: look.to_vec(), input: opened.map(|opened| opened.input.clone()), ..snapshot })
}

/// Unrolls the first `samples` validation samples at once, as `take` does one.
///
/// # Errors
/// What [`Plan::make`] meets.
pub fn take_first(trainer: &Trainer, samples: usize) -> Result<Vec<Snapshot>> {
    let (preset, data) = (trainer.preset(), trainer.data());
    let plan = plan(preset, data, trainer.seed(), Split::Validation, (0..samples as u64).collect());
    Ok(of_trainer(trainer, preset, &plan, plan.make()?))
}

fn of_trainer(trainer: &Trainer, preset: &Preset, plan: &Plan, batch: Batch) -> Vec<Snapshot> {
    let mut model = trainer.model().without_gradients();
    model.distribution = preset.model.distribution;
    unrolled(&model, plan, batch, trainer.counters().iteration, &trainer.plain_device())
}

pub(crate) fn plan(preset: &Preset, data: &Arc<Dataset>, seed: u64, split: Split, indices: Vec<u64>) -> Plan {
    Plan {
        data: data.clone(),
        seed,
        split,
        epoch: 0,
        indices,
        k: preset.k,
        steps: preset.steps,
        noise: preset.noise,
    }
}

/// The one snapshot of a plan of one sample.
pub(crate) fn only(snapshots: Vec<Snapshot>) -> Result<Snapshot> {
    snapshots.into_iter().next().ok_or_else(|| Error::Data("a batch without samples".into()))
}

/// What `model`, without gradients, makes of each image in the `batch` of `plan`.
pub(crate) fn unrolled(
    model: &Nem,
    plan: &Plan,
    mut batch: Batch,
    iteration: u64,
    device: &Device,
) -> Vec<Snapshot> {
    let (clean, noisy) = (batch.clean.clone(), batch.noisy.clone());
    let image = plan.data.image();
    let (places, values, k) = (image.pixels(), image.values(), plan.k);
    let (frames, gamma) = batch.to_device(plan, device);
    let of = |index: &u64| Snapshot {
        iteration,
        sample: *index as usize,
        input: None,
        image,
        k,
        look: Vec::new(),
        steps: Vec::with_capacity(plan.steps),
    };
    let mut snapshots: Vec<Snapshot> = plan.indices.iter().map(of).collect();
    model.unroll(&frames, gamma, plan.steps, |t, state, _| {
        let (gammas, preds) = (host(state.gamma.clone()), host(state.preds.clone()));
        let next = if clean.len() == 1 { 0 } else { t + 1 };
        for (b, snapshot) in snapshots.iter_mut().enumerate() {
            let gamma = nth(&gammas, b, k * places).to_vec();
            let groups = nth(&batch.groups[b], t + 1, places).to_vec();
            let scores = scores::score(&gamma, &groups);
            snapshot.steps.push(SnapshotStep {
                target: nth(&clean[next], b, values).to_vec(),
                noisy: nth(&noisy[t], b, values).to_vec(),
                groups,
                preds: nth(&preds, b, k * values).to_vec(),
                gamma,
                ami: scores.map(|s| s.ami),
                ari: scores.map(|s| s.ari),
                confidence: scores.map(|s| s.confidence),
            });
        }
    });
    snapshots
}
