//! Snapshots: how a model explains samples, or the user's own images, step by step.

use std::sync::Arc;

use burn::tensor::Device;

use super::batch::{Batch, Plan};
use super::own_image::{Chosen, Opened};
use super::trainer::Trainer;
use crate::data::{Dataset, Split, nth};
use crate::error::{Error, Result};
use crate::nem::{Nem, host};
use crate::preset::{Preset, Setting, Work, is_scorable};
use crate::scores;
use crate::snapshot::{Snapshot, SnapshotStep};

/// Unrolls validation sample `sample`, or the image `opened` instead, with the trainer's weights, under the trainer's
/// conditions but for those in `look`. A sample's noise and initial γ are the validation's own, so that what changes
/// on the screen is the model; for an image see [`super::own_image`].
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
    let preset = look.iter().try_fold(own.clone(), |preset, setting| setting.apply(&preset))?;
    preset.fits(Work::Unrolling(1))?;
    let (preset, batch) = match opened {
        Some(opened) => {
            let preset = opened.conditions(&preset, Chosen::by(look))?;
            let batch = opened.batch(&preset, trainer.seed());
            (preset, batch)
        }
        None => {
            let data = match preset.data == own.data {
                true => trainer.data().clone(),
                false => Arc::new(Dataset::new(&preset, trainer.seed())?),
            };
            data.supports(&preset)?;
            let batch = validation(&preset, &data, trainer.seed(), vec![sample as u64]).make()?;
            (preset, batch)
        }
    };
    let snapshot = only(of_trainer(trainer, &preset, sample, batch))?;
    Ok(Snapshot { look: look.to_vec(), input: opened.map(|opened| opened.input.clone()), ..snapshot })
}

/// Unrolls the first `samples` validation samples at once, as `take` does one.
///
/// # Errors
/// What [`Plan::make`] meets.
pub fn take_first(trainer: &Trainer, samples: usize) -> Result<Vec<Snapshot>> {
    let preset = trainer.preset();
    preset.fits(Work::Unrolling(samples))?;
    let plan = validation(preset, trainer.data(), trainer.seed(), (0..samples as u64).collect());
    Ok(of_trainer(trainer, preset, 0, plan.make()?))
}

fn validation(preset: &Preset, data: &Arc<Dataset>, seed: u64, indices: Vec<u64>) -> Plan {
    plan(preset, data, seed, Split::Validation, indices)
}

fn of_trainer(trainer: &Trainer, preset: &Preset, first: usize, batch: Batch) -> Vec<Snapshot> {
    let mut model = trainer.model().without_gradients();
    model.distribution = preset.model.distribution;
    unrolled(&model, preset, batch, first, trainer.counters().iteration, &trainer.plain_device())
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

/// The one snapshot of a batch of one.
pub(crate) fn only(snapshots: Vec<Snapshot>) -> Result<Snapshot> {
    snapshots.into_iter().next().ok_or_else(|| Error::Data("a batch without samples".into()))
}

/// A snapshot of each image in `batch`, whose samples count from `first`; `model` has no gradients. `preset` has the
/// number of objects.
pub(crate) fn unrolled(
    model: &Nem,
    preset: &Preset,
    mut batch: Batch,
    first: usize,
    iteration: u64,
    device: &Device,
) -> Vec<Snapshot> {
    let (clean, noisy) = (batch.clean.clone(), batch.noisy.clone());
    let (image, steps) = (model.image, noisy.len());
    let (places, values) = (image.pixels(), image.values());
    let (frames, gamma) = batch.to_device(image, device);
    let k = gamma.dims()[1];
    let is_scorable = is_scorable((k, preset.data.objects()));
    let of = |sample| Snapshot {
        iteration,
        sample,
        input: None,
        image,
        k,
        look: Vec::new(),
        steps: Vec::with_capacity(steps),
    };
    let mut snapshots: Vec<Snapshot> = (first..).take(batch.groups.len()).map(of).collect();
    model.unroll(&frames, gamma, steps, |t, state, _| {
        let (gammas, preds) = (host(state.gamma.clone()), host(state.preds.clone()));
        let next = if clean.len() == 1 { 0 } else { t + 1 };
        for (b, snapshot) in snapshots.iter_mut().enumerate() {
            let gamma = nth(&gammas, b, k * places).to_vec();
            let groups = nth(&batch.groups[b], t + 1, places).to_vec();
            let scores = scores::score(&gamma, &groups).if_scorable(is_scorable);
            snapshot.steps.push(SnapshotStep {
                target: nth(&clean[next], b, values).to_vec(),
                noisy: nth(&noisy[t], b, values).to_vec(),
                groups,
                preds: nth(&preds, b, k * values).to_vec(),
                gamma,
                ami: scores.ami,
                ari: scores.ari,
                confidence: scores.confidence,
            });
        }
    });
    snapshots
}
