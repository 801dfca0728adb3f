//! How good a model is on a split whose noise is fixed.
//!
//! Samples are unrolled in chunks on all cores. The chunks' results are combined in the order of the samples, so that the
//! numbers do not depend on the number of cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

use burn::tensor::Device;

use super::batch::Plan;
use crate::backend;
use crate::data::{Dataset, Split};
use crate::error::{EVALUATION, Result, panic_message};
use crate::nem::{Nem, host, upper_bound};
use crate::preset::{EVALUATED_AT_ONCE, Preset};
use crate::protocol::{Floor, number_or_nan};
use crate::scores::{self, Quartiles, RunningMean, Scores};
use crate::stop::Stop;

/// Images unrolled at once.
const CHUNK: usize = EVALUATED_AT_ONCE;
/// Images that the position-only floor is measured on, for a standard error below 0.015.
const FLOOR_IMAGES: u64 = 500;
/// A pixel is on where it exceeds this. A pixel that is on without a group is overlap.
const ON: f32 = 0.2;

/// Which steps to score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoredSteps {
    /// The EM steps that have a weight, and the last, for training curves.
    Weighted,
    /// Every step.
    AllSteps,
}

/// Means over the samples evaluated. Scores leave out frames that cannot be scored ([`scores`]).
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Frames with an AMI, over all steps that have a weight.
    pub frames: usize,
    /// Frames with an AMI in the last step.
    pub frames_last: usize,
    /// AMI (max) of the last step, sample by sample.
    pub each: Vec<Option<f64>>,
    /// The share of all objects' pixels that each component holds in the last step: where its γ is the largest.
    pub held: Vec<f64>,
    /// Scores by step; empty if not all steps were scored.
    pub steps: Vec<StepScores>,
    /// Frames with and without overlap, and samples with and without identical objects, if known.
    pub subsets: Vec<Subset>,
}

/// One EM step. Scores are `None` where nothing can be scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepScores {
    /// Counted from 1.
    pub step: usize,
    /// The intra-cluster loss: Σ γ · NLL of the predicted frame.
    #[serde(deserialize_with = "number_or_nan")]
    pub intra: f64,
    /// The total loss of the step, without its weight.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// NLL of max_k ψ.
    #[serde(deserialize_with = "number_or_nan")]
    pub upper_bound: f64,
    /// Mean AMI (max).
    pub ami: Option<f64>,
    /// Quartiles of the AMI (max).
    pub quartiles: Option<Quartiles>,
    /// Mean ARI.
    pub ari: Option<f64>,
    /// Frames with an AMI; `None` in files from before they were counted.
    #[serde(default)]
    pub frames: Option<usize>,
}

/// The scores of a subset of the samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Subset {
    /// Which subset.
    pub name: String,
    /// Frames scored, over all steps that have a weight.
    pub frames: usize,
    /// Mean AMI (max) over those, weighted by the step weights.
    pub ami: Option<f64>,
    /// Mean AMI (max) of the last step.
    pub ami_last: Option<f64>,
    /// The best AMI (max) of a split by position alone on this subset; `None` where nothing can be scored, and in files
    /// from before it was measured.
    #[serde(default)]
    pub floor: Option<f64>,
}

/// The subsets that are scored separately, of frames and of samples.
const SUBSETS: [&str; 4] =
    ["without overlap", "with overlap", "all objects different", "some objects identical"];

/// The indices in [`SUBSETS`] of a frame with or without overlap, and of a sample with or without identical objects, where
/// that is known.
fn subsets_of(overlap: bool, identical: Option<bool>) -> impl Iterator<Item = usize> {
    std::iter::once(usize::from(overlap)).chain(identical.map(|same| 2 + usize::from(same)))
}

/// What to evaluate.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The model, without gradients.
    pub model: &'a Nem,
    /// K, noise, steps and loss.
    pub preset: &'a Preset,
    /// The data.
    pub data: &'a Arc<Dataset>,
    /// The seed of noise and initial gamma.
    pub seed: u64,
    /// The part of the data.
    pub split: Split,
    /// How many samples, from the first.
    pub samples: usize,
    /// Which scores.
    pub scored: ScoredSteps,
    /// Ends the evaluation with [`Error::Stopped`](crate::error::Error::Stopped), after the current EM step.
    pub stop: &'a Stop,
}

/// The results of one EM step on a chunk.
struct ChunkStep {
    /// Sums over the chunk of the intra loss, the total loss and the upper bound.
    sums: [f64; 3],
    /// For each sample its scores, and whether the frame has overlap.
    scores: Vec<(Scores, bool)>,
    /// For each component, on how many pixels of objects its γ is the largest.
    held: Vec<u64>,
}

/// Evaluates, calling `progress` with the samples done after every chunk.
///
/// # Errors
/// What [`Plan::make`] meets; [`Error::Stopped`](crate::error::Error::Stopped).
pub fn evaluate(task: Task, device: &Device, progress: &(dyn Fn(usize) + Sync)) -> Result<Evaluation> {
    let chunks = task.samples.div_ceil(CHUNK);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<(usize, Result<Chunk>)>> = Mutex::default();
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= chunks {
                break;
            }
            let chunk = Chunk::evaluate(&task, number, device);
            if chunk.is_err() {
                next.store(chunks, Ordering::Relaxed);
            }
            let size = CHUNK.min(task.samples - number * CHUNK);
            progress(done.fetch_add(size, Ordering::Relaxed) + size);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((number, chunk));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..backend::evaluations_at_once(device).min(chunks))
            .map(|_| std::thread::Builder::new().name(EVALUATION.into()).spawn_scoped(scope, work))
            .collect();
        for thread in threads {
            match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(())) => {}
                // Raised again on this thread, whose caller reports it.
                Ok(Err(panic)) => panic!("{}", panic_message(&*panic)),
                Err(e) => panic!("a thread for an evaluation could not be started: {e}"),
            }
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    // After a failure some chunks were never started; the failure is among the others.
    let chunks = results.into_iter().map(|(_, chunk)| chunk).collect::<Result<Vec<Chunk>>>()?;
    Ok(summary(&task, &chunks))
}

/// The results on consecutive samples.
struct Chunk {
    /// Scores by step; `None` where they were not requested.
    steps: Vec<Option<ChunkStep>>,
    /// Whether a sample has identical objects; `None` where that is not known.
    identical: Vec<Option<bool>>,
}

impl Chunk {
    fn evaluate(task: &Task, number: usize, device: &Device) -> Result<Chunk> {
        let Task { model, preset, data, seed, split, samples, scored, stop } = *task;
        let start = number * CHUNK;
        let plan = Plan {
            data: data.clone(),
            seed,
            split,
            epoch: 0,
            indices: (start..samples.min(start + CHUNK)).map(|i| i as u64).collect(),
            k: preset.k,
            steps: preset.steps,
            noise: preset.noise,
        };
        let mut batch = plan.make()?;
        let image = data.image();
        // Computed now, because the values move to the device.
        let on: Vec<Vec<bool>> = batch.clean.iter().map(|x| x.iter().map(|v| *v > ON).collect()).collect();
        let (frames, gamma) = batch.to_device(image, device);
        let size = plan.indices.len() as f64;
        let weights = preset.loss.steps.weights(preset.steps);
        let mut steps = Vec::with_capacity(preset.steps);
        model.try_unroll(&frames, gamma, preset.steps, &|_| (), |t, state, target| {
            stop.check()?;
            let all = scored == ScoredSteps::AllSteps;
            let with_loss = all || weights[t] != 0.0;
            if !with_loss && t + 1 < preset.steps {
                steps.push(None);
                return Ok(());
            }
            let mut found = ChunkStep { sums: [0.0; 3], scores: Vec::new(), held: vec![0; preset.k] };
            if with_loss {
                let loss = model.step_loss(state, target, preset.loss.prior);
                let [intra, inter] = [loss.intra, loss.inter].map(|loss| f64::from(host(loss)[0]));
                let bound = upper_bound(model.distribution, state.preds.clone(), target);
                let bound = f64::from(host(bound)[0]);
                found.sums = [intra, intra + preset.loss.inter_weight * inter, bound].map(|mean| mean * size);
            }
            let gamma = host(state.gamma.clone());
            let on = &on[if on.len() == 1 { 0 } else { t + 1 }];
            found.scores = batch
                .groups_of_step(t, image)
                .zip(gamma.chunks_exact(preset.k * image.pixels()))
                .zip(on.chunks_exact(image.values()))
                .map(|((groups, gamma), on)| {
                    scores::count_held(gamma, groups, &mut found.held);
                    (scores::score(gamma, groups).if_scorable(preset.is_scorable()), overlaps(groups, on))
                })
                .collect();
            steps.push(Some(found));
            Ok(())
        })?;
        Ok(Chunk { steps, identical: batch.kinds.iter().map(|kinds| identical(kinds)).collect() })
    }
}

/// Whether a sample has identical objects; `None` where that is not known.
fn identical(kinds: &[u8]) -> Option<bool> {
    let mut seen = [false; 256];
    let repeated = kinds.iter().any(|kind| std::mem::replace(&mut seen[usize::from(*kind)], true));
    (!kinds.is_empty()).then_some(repeated)
}

/// Whether any pixel is on without a group. `on` has a value for every channel.
fn overlaps(groups: &[u8], on: &[bool]) -> bool {
    on.chunks_exact(groups.len()).any(|on| on.iter().zip(groups).any(|(on, group)| *on && *group == 0))
}

/// Combines the chunks.
fn summary(task: &Task, chunks: &[Chunk]) -> Evaluation {
    let Task { preset, samples, scored, .. } = *task;
    let weights = preset.loss.steps.weights(preset.steps);
    let identical = || chunks.iter().flat_map(|chunk| chunk.identical.iter().copied());
    let mut evaluation = Evaluation { samples, ..Evaluation::default() };
    let [mut weighted, mut last] = [MeanScores::default(); 2];
    let mut subsets = SUBSETS.map(|name| (name, [RunningMean::default(); 2]));
    for (t, weight) in weights.iter().copied().enumerate() {
        let found = || chunks.iter().filter_map(|chunk| chunk.steps[t].as_ref());
        let sum = |i: usize| found().map(|found| found.sums[i]).sum::<f64>() / samples as f64;
        let [intra, loss, upper_bound] = [sum(0), sum(1), sum(2)];
        evaluation.loss += weight * loss;
        evaluation.upper_bound += weight * upper_bound;
        let is_last = t + 1 == weights.len();
        let last_weight = if is_last { 1.0 } else { 0.0 };
        if is_last {
            let held = |k: usize| found().map(|found| found.held[k]).sum::<u64>() as f64;
            let all: f64 = (0..preset.k).map(held).sum();
            evaluation.held = (0..preset.k).map(|k| held(k) / all.max(1.0)).collect();
        }
        let mut step = MeanScores::default();
        let mut amis = Vec::new();
        let scores = found().flat_map(|found| found.scores.iter());
        for ((scores, overlap), identical) in scores.zip(identical()) {
            if is_last {
                evaluation.each.push(scores.ami);
            }
            amis.extend(scores.ami);
            step.add(scores, 1.0);
            weighted.add(scores, weight);
            last.add(scores, last_weight);
            for part in subsets_of(*overlap, identical) {
                let (_, [weighted, last]) = &mut subsets[part];
                weighted.add(scores.ami, weight);
                last.add(scores.ami, last_weight);
            }
        }
        if scored == ScoredSteps::AllSteps {
            let Scores { ami, ari, .. } = step.mean();
            let (quartiles, frames) = (Quartiles::of(amis), Some(step.ami.count));
            let step = t + 1;
            evaluation.steps.push(StepScores { step, intra, loss, upper_bound, ami, quartiles, ari, frames });
        }
    }
    evaluation.weighted = weighted.mean();
    evaluation.last = last.mean();
    (evaluation.frames, evaluation.frames_last) = (weighted.ami.count, last.ami.count);
    if scored == ScoredSteps::AllSteps {
        evaluation.subsets = subsets
            .into_iter()
            .filter(|(_, [weighted, _])| weighted.count > 0)
            .map(|(name, [weighted, last])| Subset {
                name: name.to_owned(),
                frames: weighted.count,
                ami: weighted.mean(),
                ami_last: last.mean(),
                floor: None,
            })
            .collect();
    }
    evaluation
}

/// The mean of some scores.
pub fn mean(scores: impl IntoIterator<Item = Scores>) -> Scores {
    let mut mean = MeanScores::default();
    scores.into_iter().for_each(|scores| mean.add(&scores, 1.0));
    mean.mean()
}

/// The position-only floor on `split`, in the frame of the preset's last step.
///
/// # Errors
/// What [`Dataset::sample`] meets; [`Error::Stopped`](crate::error::Error::Stopped).
pub fn floor(preset: &Preset, data: &Dataset, split: Split, samples: usize, stop: &Stop) -> Result<Floor> {
    if !preset.is_scorable() {
        return Ok(Floor::default());
    }
    let image = data.image();
    let groups = (0..FLOOR_IMAGES.min(samples as u64))
        .map(|index| {
            stop.check()?;
            let sample = data.sample(split, index, preset.steps + 1)?;
            Ok(sample.groups_at(preset.steps, image).to_vec())
        })
        .collect::<Result<Vec<Vec<u8>>>>()?;
    Ok(scores::floor(preset.k, image, groups.iter().map(Vec::as_slice)))
}

/// The floor of each subset that [`Evaluation`] has, by name, on the first images that belong to it. Subsets without
/// images are left out.
///
/// # Errors
/// Those of [`floor`].
pub fn floors_of_subsets(
    preset: &Preset,
    data: &Dataset,
    split: Split,
    samples: usize,
    stop: &Stop,
) -> Result<Vec<(&'static str, Floor)>> {
    if !preset.is_scorable() {
        return Ok(Vec::new());
    }
    let image = data.image();
    let mut groups: [Vec<Vec<u8>>; SUBSETS.len()] = Default::default();
    let enough = |groups: &Vec<Vec<u8>>| groups.len() as u64 >= FLOOR_IMAGES;
    for index in 0..samples as u64 {
        // Gives up on subsets that are still empty by then: without kinds, two are always empty.
        if groups.iter().all(|groups| enough(groups) || (groups.is_empty() && index >= FLOOR_IMAGES)) {
            break;
        }
        stop.check()?;
        let sample = data.sample(split, index, preset.steps + 1)?;
        let of_frame = sample.groups_at(preset.steps, image);
        let on: Vec<bool> = sample.frame(preset.steps, image).iter().map(|value| *value > ON).collect();
        for part in subsets_of(overlaps(of_frame, &on), identical(&sample.kinds)) {
            if !enough(&groups[part]) {
                groups[part].push(of_frame.to_vec());
            }
        }
    }
    let there = SUBSETS.into_iter().zip(groups).filter(|(_, groups)| !groups.is_empty());
    Ok(there
        .map(|(name, groups)| (name, scores::floor(preset.k, image, groups.iter().map(Vec::as_slice))))
        .collect())
}

/// Weighted means in progress.
#[derive(Clone, Copy, Default)]
struct MeanScores {
    ami: RunningMean,
    ami_arithmetic: RunningMean,
    ari: RunningMean,
    confidence: RunningMean,
}

impl MeanScores {
    fn add(&mut self, scores: &Scores, weight: f64) {
        self.ami.add(scores.ami, weight);
        self.ami_arithmetic.add(scores.ami_arithmetic, weight);
        self.ari.add(scores.ari, weight);
        self.confidence.add(scores.confidence, weight);
    }

    fn mean(&self) -> Scores {
        Scores {
            ami: self.ami.mean(),
            ami_arithmetic: self.ami_arithmetic.mean(),
            ari: self.ari.mean(),
            confidence: self.confidence.mean(),
        }
    }
}

#[cfg(test)]
mod tests;
