//! Batches: from sample indices to the inputs of an unroll.
//!
//! A [`Plan`] describes a batch and [`Plan::make`] makes it, as a pure function. [`Prefetch`] makes the next batch on
//! its own thread during an iteration. If the plan has changed by then, for example K or the noise, the batch is made
//! again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::tensor::{Device, Tensor};

use crate::data::{Dataset, Split, corrupt, nth};
use crate::error::Result;
use crate::nem::{Frames, TargetFrame, initial_gamma, tensor};
use crate::preset::{ImageSize, Noise};
use crate::random::Stream;

/// The description of a batch.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source of its samples.
    pub data: Arc<Dataset>,
    /// The seed of its noise and initial gamma.
    pub seed: u64,
    /// The part of the data.
    pub split: Split,
    /// The epoch. Noise and initial gamma differ between epochs; always 0 in validation and test.
    pub epoch: u64,
    /// Indices of the samples.
    pub indices: Vec<u64>,
    /// K.
    pub k: usize,
    /// T.
    pub steps: usize,
    /// Noise on the input.
    pub noise: Noise,
}

impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        Arc::ptr_eq(&self.data, &other.data)
            && (self.seed, self.split, self.epoch, self.k, self.steps)
                == (other.seed, other.split, other.epoch, other.k, other.steps)
            && self.noise == other.noise
            && self.indices == other.indices
    }
}

/// A batch on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// x: one frame of [B, M] for static images, T + 1 frames for sequences.
    pub clean: Vec<Vec<f32>>,
    /// x̃: T frames of [B, M].
    pub noisy: Vec<Vec<f32>>,
    /// Initial γ: [B, K, P].
    pub gamma: Vec<f32>,
    /// The true groups of each sample: B lists of frames with P values each.
    pub groups: Vec<Vec<u8>>,
    /// [`crate::data::Sample::kinds`] of each sample.
    pub kinds: Vec<Vec<u8>>,
}

impl Plan {
    /// Makes the batch.
    ///
    /// # Errors
    /// Those of [`Dataset::sample`].
    pub fn make(&self) -> Result<Batch> {
        let image = self.data.image();
        let (batch, values, places) = (self.indices.len(), image.values(), image.pixels());
        let frames = if self.data.is_static() { 1 } else { self.steps + 1 };
        let frame = Vec::with_capacity(batch * values);
        let mut made = Batch {
            clean: vec![frame.clone(); frames],
            noisy: vec![frame; self.steps],
            gamma: Vec::with_capacity(batch * self.k * places),
            groups: Vec::with_capacity(batch),
            kinds: Vec::with_capacity(batch),
        };
        for &index in &self.indices {
            let sample = self.data.sample(self.split, index, frames)?;
            let mut noise = Stream::new(self.seed, self.split.noise(), self.epoch, index);
            for (t, frame) in made.clean.iter_mut().enumerate() {
                frame.extend(sample.frame(t, image));
            }
            for (t, frame) in made.noisy.iter_mut().enumerate() {
                corrupt(self.noise, sample.frame(t, image), &mut noise, frame);
            }
            let mut gamma = Stream::new(self.seed, self.split.gamma(), self.epoch, index);
            made.gamma.extend(initial_gamma(self.k, places, &mut gamma));
            made.groups.push(sample.groups);
            made.kinds.push(sample.kinds);
        }
        Ok(made)
    }
}

impl Batch {
    /// Moves the frames and the initial γ to a device; the host copies are empty afterwards.
    pub fn to_device(&mut self, image: ImageSize, device: &Device) -> (Frames, Tensor<4>) {
        let batch = self.groups.len();
        let shape = [batch, 1, image.channels, image.pixels()];
        let frame = |values: &mut Vec<f32>| tensor(std::mem::take(values), shape, device);
        let frames = Frames {
            clean: self.clean.iter_mut().map(|values| TargetFrame::new(frame(values))).collect(),
            noisy: self.noisy.iter_mut().map(frame).collect(),
        };
        let gamma = std::mem::take(&mut self.gamma);
        let k = gamma.len() / (batch * image.pixels());
        (frames, tensor(gamma, [batch, k, 1, image.pixels()], device))
    }

    /// The true groups for step `t`, those of the frame it predicts, sample by sample.
    pub fn groups_of_step(&self, t: usize, image: ImageSize) -> impl Iterator<Item = &[u8]> {
        self.groups.iter().map(move |groups| nth(groups, t + 1, image.pixels()))
    }
}

/// Makes one batch ahead.
pub struct Prefetch {
    /// To the prefetch thread, which ends when this sender is dropped.
    plans: Sender<Plan>,
    /// From the prefetch thread: one batch per plan, in order.
    batches: Receiver<Result<Batch>>,
    /// The plan of the batch that is being made or waiting.
    pending: Option<Plan>,
}

impl Prefetch {
    /// Starts the prefetch thread.
    pub fn new() -> Prefetch {
        let (plans, to_make) = channel::<Plan>();
        let (made, batches) = channel();
        std::thread::spawn(move || {
            for plan in to_make {
                if made.send(plan.make()).is_err() {
                    break;
                }
            }
        });
        Prefetch { plans, batches, pending: None }
    }

    /// Returns the batch of `plan` and starts to make `next`.
    ///
    /// # Errors
    /// Those of [`Plan::make`].
    pub fn get(&mut self, plan: &Plan, next: Option<Plan>) -> Result<Batch> {
        let waiting = self.pending.take().and_then(|pending| {
            let batch = self.batches.recv().ok()?;
            (pending == *plan).then_some(batch)
        });
        if let Some(next) = next
            && self.plans.send(next.clone()).is_ok()
        {
            self.pending = Some(next);
        }
        waiting.unwrap_or_else(|| plan.make())
    }
}

impl Default for Prefetch {
    fn default() -> Prefetch {
        Prefetch::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Preset;
    use proptest::prelude::*;

    fn plan(k: usize, steps: usize, epoch: u64, indices: Vec<u64>) -> Plan {
        let preset = Preset::load("quickstart").unwrap();
        let data = Arc::new(Dataset::new(&preset, 1).unwrap());
        Plan { data, seed: 1, split: Split::Train, epoch, indices, k, steps, noise: preset.noise }
    }

    fn made(plan: &Plan) -> Batch {
        plan.make().unwrap()
    }

    #[test]
    fn a_sample_is_the_same_alone_and_in_a_batch_and_keeps_what_k_and_steps_share() {
        let whole = made(&plan(4, 6, 3, vec![5, 9]));
        let alone = made(&plan(4, 6, 3, vec![9]));
        assert_eq!(whole.clean[0][400..], alone.clean[0][..]);
        assert_eq!(whole.noisy[5][400..], alone.noisy[5][..]);
        assert_eq!(whole.gamma[1600..], alone.gamma[..]);
        let longer = made(&plan(4, 9, 3, vec![9]));
        assert_eq!(longer.noisy[..6], alone.noisy[..]);
        let later = made(&plan(4, 6, 4, vec![9]));
        assert_eq!(later.clean, alone.clean);
        assert!(later.noisy != alone.noisy && later.gamma != alone.gamma);
    }

    /// Without noise, what a step reads is the frame the step before it was to predict.
    #[test]
    fn a_step_reads_its_frame_and_is_scored_by_the_next() {
        let preset = Preset::load("flying-shapes-3").unwrap();
        let data = Arc::new(Dataset::new(&preset, 1).unwrap());
        let noise = Noise::None;
        let plan =
            Plan { data, seed: 1, split: Split::Train, epoch: 0, indices: vec![3, 4], k: 2, steps: 5, noise };
        let batch = made(&plan);
        assert_eq!((batch.clean.len(), batch.noisy.len()), (6, 5));
        assert_eq!(batch.clean[..5], batch.noisy[..]);
        let image = plan.data.image();
        for t in 0..5 {
            assert_ne!(batch.clean[t], batch.clean[t + 1], "objects move");
            for (sample, groups) in batch.groups_of_step(t, image).enumerate() {
                let target = &batch.clean[t + 1][sample * image.pixels()..][..image.pixels()];
                // A group is where an object is, and an object that is not overlapped has one.
                assert!(groups.iter().zip(target).all(|(group, x)| *group == 0 || *x == 1.0));
                assert!(groups.iter().any(|group| *group != 0));
            }
        }
    }

    #[test]
    fn the_prefetched_batch_is_the_one_asked_for() {
        let mut prefetch = Prefetch::new();
        let data = plan(4, 2, 1, vec![]).data;
        let at = |k, index| Plan { data: data.clone(), ..plan(k, 2, 1, vec![index]) };
        let mut get = |plan: &Plan, next| prefetch.get(plan, next).unwrap();
        assert_eq!(get(&at(4, 1), Some(at(4, 2))), made(&at(4, 1)));
        assert_eq!(get(&at(4, 2), Some(at(4, 3))), made(&at(4, 2)));
        // K changed after the start on the next batch.
        assert_eq!(get(&at(5, 3), None), made(&at(5, 3)));
        assert_eq!(get(&at(5, 4), None), made(&at(5, 4)));
    }

    proptest! {
        #[test]
        fn initial_gamma_sums_to_one(k in 1usize..9, seed in any::<u64>()) {
            let mut stream = Stream::new(seed, crate::random::Purpose::TestGamma, 0, 0);
            let gamma = initial_gamma(k, 50, &mut stream);
            for pixel in 0..50 {
                let sum: f32 = (0..k).map(|k| gamma[k * 50 + pixel]).sum();
                prop_assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }
}
