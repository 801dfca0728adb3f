//! A sample unrolled with the weights of a checkpoint: what `picture` draws.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use super::checkpoint::Checkpoint;
use crate::data::{Dataset, Split, nth};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::snapshot::{Snapshot, SnapshotStep};
use crate::tensors::{Array, Arrays};
use crate::train::infer::{Request, infer};
use crate::train::unroll::{only, plan, unrolled};

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
