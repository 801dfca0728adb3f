//! A picture of one sample, unrolled with the weights of the moment.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use super::batch::{Batch, Plan};
use super::checkpoint::Checkpoint;
use super::infer::{Request, infer};
use super::look::Opened;
use super::trainer::Trainer;
use crate::data::{Dataset, Split, nth};
use crate::error::{Error, Result};
use crate::metrics;
use crate::nem::{Nem, host};
use crate::preset::{Preset, Setting};
use crate::protocol::{Snapshot, SnapshotStep};
use crate::tensors::{Array, Arrays};

/// Unrolls validation sample `sample`, or in its place the image `opened`, with the trainer's weights, and with its
/// K, noise and steps where `look` has no others. Noise and initial gamma are the validation's own, so that what
/// changes on the screen is the model.
///
/// # Errors
/// A `look` that is impossible, and what [`Plan::make`] meets.
pub(super) fn take(
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

/// Unrolls sample `sample`, counted from 0, of a split of the data that `preset` describes, with the weights of
/// `checkpoint` and the noise and initial gamma that `eval` has.
///
/// # Errors
/// A sample that the split has not, weights that do not fit `preset`, data that cannot be read.
pub fn of_split(
    checkpoint: &Checkpoint,
    preset: &Preset,
    split: Split,
    sample: usize,
    device: &Device,
) -> Result<Snapshot> {
    let samples = split.size(&preset.train);
    is_there(sample, samples, &format!("the {} split", split.name()))?;
    let model = checkpoint.model(preset, device)?;
    let seed = checkpoint.manifest.seed;
    let data = Arc::new(Dataset::new(preset, seed)?);
    data.holds(split, samples)?;
    let plan = plan(preset, &data, seed, split, vec![sample as u64]);
    only(unrolled(&model, &plan, plan.make()?, checkpoint.manifest.counters.iteration, device))
}

/// Unrolls image `sample`, counted from 0, of the `images` that [`infer`] takes, from the file `input`, with the
/// weights of `checkpoint`. Nobody knows its objects: `groups` is 0, and there are no scores.
///
/// # Errors
/// An image that there is not, arrays that do not fit: see [`infer`].
pub fn of_images(
    checkpoint: &Checkpoint,
    preset: &Preset,
    input: &Path,
    images: &Arrays,
    sample: usize,
    device: &Device,
) -> Result<Snapshot> {
    let request = Request { seed: checkpoint.manifest.seed, ..Request::default() };
    let mut out = infer(preset, &checkpoint.weights()?, images, device, request)
        .map_err(|unfit| unfit.of(&checkpoint.path, input))?;
    let mut take = |name: &str| out.remove(name).unwrap_or_else(|| Array::new([0; 4], Vec::new()));
    let (preds, gamma) = (take("out.preds"), take("out.gammas"));
    let (count, k, image) = (preds.shape[1], preds.shape[2], preset.data.image());
    is_there(sample, count, &input.display().to_string())?;
    let of_step = |array: &Array, t: usize, size| nth(&array.values, t * count + sample, size).to_vec();
    let clean = &images["in.features_clean"];
    let noisy = images.get("in.features_noisy").unwrap_or(clean);
    // One frame stands for all.
    let frame = |array: &Array, t: usize| of_step(array, t.min(array.shape[0] - 1), image.values());
    let steps = (0..preset.steps).map(|t| SnapshotStep {
        target: frame(clean, t + 1),
        noisy: frame(noisy, t),
        groups: vec![0; image.pixels()],
        preds: of_step(&preds, t, k * image.values()),
        gamma: of_step(&gamma, t, k * image.pixels()),
        ami: None,
        ari: None,
        confidence: None,
    });
    let iteration = checkpoint.manifest.counters.iteration;
    Ok(Snapshot { iteration, sample, input: None, image, k, look: Vec::new(), steps: steps.collect() })
}

/// Refuses sample `sample`, counted from 0, of fewer.
fn is_there(sample: usize, samples: usize, of: &str) -> Result<()> {
    match sample < samples {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "there is no sample {}: {of} has {samples}, counted from 1; choose one of them",
            sample + 1
        ))),
    }
}

fn plan(preset: &Preset, data: &Arc<Dataset>, seed: u64, split: Split, indices: Vec<u64>) -> Plan {
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
fn only(snapshots: Vec<Snapshot>) -> Result<Snapshot> {
    snapshots.into_iter().next().ok_or_else(|| Error::Data("a batch without samples".into()))
}

/// What `model`, without gradients, makes of each image in the `batch` of `plan`.
fn unrolled(model: &Nem, plan: &Plan, mut batch: Batch, iteration: u64, device: &Device) -> Vec<Snapshot> {
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
            let scores = metrics::score(&gamma, &groups);
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
