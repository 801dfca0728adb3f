//! The user's own image, unrolled instead of a sample.
//!
//! The workbench and `picture --input` show the same result for a file: the image is read as it is, without the
//! preset's noise unless the user asks for noise. That noise and the initial γ are those of the first
//! validation sample. (`infer`, which compares implementations, draws its γ from the test split's stream.)
//! Frames from a viewer are unrolled in the same way, but may bring their own noise, objects and initial γ.

use super::batch::Batch;
use crate::data::image_file::{self, Clip};
use crate::data::{Split, corrupt, nth, unit};
use crate::error::{Error, Result};
use crate::nem::initial_gamma;
use crate::preset::{ImageSize, MAX_STEPS, Noise, Preset, Setting};
use crate::random::Stream;
use crate::snapshot::{Frames, Input, Source};

/// The conditions that the user has chosen; the others follow from the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The number of EM steps; otherwise a sequence has as many as its frames allow.
    pub steps: bool,
    /// The input noise; without it the image gets no noise.
    pub noise: bool,
}

impl Chosen {
    /// Those that `look` sets.
    pub(crate) fn by(look: &[Setting]) -> Chosen {
        Chosen {
            steps: look.iter().any(|setting| matches!(setting, Setting::Steps(_))),
            noise: look.iter().any(|setting| matches!(setting, Setting::Noise(_))),
        }
    }

    /// `noise`, if it was chosen.
    pub(crate) fn noise(self, noise: Noise) -> Noise {
        if self.noise { noise } else { Noise::None }
    }
}

/// The user's own image, ready to be unrolled.
#[derive(Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) input: Input,
    /// What was read from its file; empty for frames from a viewer.
    clip: Clip,
}

impl Opened {
    /// Reads or checks `input` for a model of images of `image`.
    ///
    /// # Errors
    /// What [`image_file::read`] refuses; frames that are not such images.
    pub(crate) fn new(input: Input, image: ImageSize) -> Result<Opened> {
        let clip = match &input.source {
            Source::File { path, resize } => image_file::read(path, image, *resize)?,
            Source::Frames(frames) if are_images(frames, image) => Clip::default(),
            Source::Frames(_) => {
                return Err(Error::Data(format!(
                    "the {} does not consist of {}x{} pixels in {} channels with values of 0 to 1; draw it again",
                    input.name(),
                    image.width,
                    image.height,
                    image.channels
                )));
            }
        };
        Ok(Opened { input, clip })
    }

    /// What is not used of the file in `steps` EM steps, in words that follow its name.
    pub(crate) fn notes(&self, steps: usize) -> Vec<String> {
        self.clip.notes_in(steps)
    }

    /// The same of the scaling that was asked for.
    pub(crate) fn scaling(&self) -> Option<&String> {
        self.clip.scaling.as_ref()
    }

    /// `preset` with the steps and the noise that the image is unrolled with.
    ///
    /// # Errors
    /// More steps chosen than there are frames for.
    pub(crate) fn conditions(&self, preset: &Preset, chosen: Chosen) -> Result<Preset> {
        let steps = match &self.input.source {
            Source::File { path, .. } => {
                let steps = self.clip.steps(preset.steps, chosen.steps);
                steps.map_err(|problem| Error::content(path, problem))?
            }
            // A still image serves any number of steps; its noisy versions serve one step each.
            Source::Frames(frames) if frames.targets.len() == 1 && frames.noisy.is_empty() => preset.steps,
            Source::Frames(frames) => {
                let most = frames.targets.len().max(frames.noisy.len());
                if chosen.steps { preset.steps.min(most) } else { most }
            }
        };
        Ok(Preset { steps, noise: chosen.noise(preset.noise), ..preset.clone() })
    }

    /// The image as a batch of one, under the conditions of `preset`.
    pub(crate) fn batch(&self, preset: &Preset, seed: u64) -> Batch {
        if let Source::Frames(frames) = &self.input.source {
            return given_batch(preset, seed, frames);
        }
        let frames = &self.clip.frames;
        // A single frame is used for all steps.
        let frame = |t: usize| frames[t.min(frames.len() - 1)].clone();
        let clean = if frames.len() == 1 { 1 } else { preset.steps + 1 };
        let noisy = (0..preset.steps).map(frame).collect();
        own_batch(preset, seed, (0..clean).map(frame).collect(), noisy)
    }
}

/// Whether a viewer's frames are images of this size, and their numbers match.
fn are_images(frames: &Frames, image: ImageSize) -> bool {
    let (targets, noisy, groups) = (frames.targets.len(), frames.noisy.len(), frames.groups.len());
    let is_image = |frame: &Vec<f32>| frame.len() == image.values() && frame.iter().all(|v| unit::fits(*v));
    (1..=MAX_STEPS).contains(&targets)
        && (noisy == 0 || targets == 1 || noisy == targets)
        && noisy <= MAX_STEPS
        && (groups == 0 || groups == targets * image.pixels())
        && frames.targets.iter().chain(&frames.noisy).all(is_image)
}

/// A viewer's frames as a batch of one, under the conditions of `preset`.
fn given_batch(preset: &Preset, seed: u64, frames: &Frames) -> Batch {
    let image = preset.data.image();
    let target = |t: usize| frames.targets[t.min(frames.targets.len() - 1)].clone();
    // Frame 0 is what the first step reads, and no step predicts it.
    let shifted = |t: usize| target(t.saturating_sub(1));
    let clean = if frames.targets.len() == 1 { 1 } else { preset.steps + 1 };
    let steps = 0..preset.steps;
    let (noise, noisy) = match frames.noisy.is_empty() {
        true => (preset.noise, steps.map(target).collect()),
        false => (Noise::None, steps.map(|t| frames.noisy[t].clone()).collect()),
    };
    let conditions = Preset { noise, ..preset.clone() };
    let mut batch = own_batch(&conditions, seed, (0..clean).map(shifted).collect(), noisy);
    if let Some((seed, sample)) = frames.begins_as {
        let mut stream = Stream::new(seed, Split::Validation.gamma(), 0, sample);
        batch.gamma = initial_gamma(preset.k, image.pixels(), &mut stream);
    }
    if !frames.groups.is_empty() {
        let of = |t: usize| nth(&frames.groups, t.saturating_sub(1), image.pixels());
        batch.groups = vec![(0..clean).flat_map(of).copied().collect()];
    }
    batch
}

/// A batch of the user's own images, with the noise and initial γ of the validation split. `clean` (one frame or T + 1)
/// and `noisy` (T frames, still without noise) are frames of \[B, M\]. Their objects are unknown.
pub(crate) fn own_batch(preset: &Preset, seed: u64, clean: Vec<Vec<f32>>, mut noisy: Vec<Vec<f32>>) -> Batch {
    let image = preset.data.image();
    let images = clean[0].len() / image.values();
    let mut gamma = Vec::new();
    for index in 0..images {
        let stream = |purpose| Stream::new(seed, purpose, 0, index as u64);
        let mut noise = stream(Split::Validation.noise());
        for frame in &mut noisy {
            let mut corrupted = Vec::with_capacity(image.values());
            corrupt(preset.noise, nth(frame, index, image.values()), &mut noise, &mut corrupted);
            frame[index * image.values()..][..image.values()].copy_from_slice(&corrupted);
        }
        gamma.extend(initial_gamma(preset.k, image.pixels(), &mut stream(Split::Validation.gamma())));
    }
    Batch { clean, noisy, gamma, groups: vec![vec![0; image.pixels()]; images], kinds: vec![vec![]; images] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::train::trainer::Trainer;
    use crate::train::unroll::take;

    fn frames_of(input: &Input) -> &Frames {
        match &input.source {
            Source::Frames(frames) => frames,
            Source::File { .. } => panic!("a file"),
        }
    }

    /// What a sample looks like, sent back as a viewer's frames, is unrolled to the same result: noise, γ and scores.
    #[test]
    fn the_frames_of_a_sample_are_unrolled_like_the_sample() {
        let device = DeviceName::Flex.open().unwrap();
        for name in ["quickstart", "flying-shapes-3"] {
            let sets = ["train.train_size=4", "train.batch=2", "train.validation_size=4", "steps=3"];
            let preset = Preset::load(name).unwrap().set(&sets).unwrap();
            let trainer = Trainer::new(&preset, 5, &device).unwrap();
            let sample = take(&trainer, 2, None, &[]).unwrap();
            let still = name == "quickstart";
            let targets = sample.steps.iter().take(if still { 1 } else { 3 });
            let frames = Frames {
                targets: targets.clone().map(|step| step.target.clone()).collect(),
                noisy: sample.steps.iter().map(|step| step.noisy.clone()).collect(),
                groups: targets.flat_map(|step| step.groups.clone()).collect(),
                begins_as: Some((5, 2)),
            };
            let opened = Opened::new(Input::frames(frames, 1), sample.image).unwrap();
            let same = take(&trainer, 0, Some(&opened), &[]).unwrap();
            assert_eq!(same.steps, sample.steps, "{name}");
            assert!(same.knows_objects() && same.steps[2].ami.is_some());
            let fewer = take(&trainer, 0, Some(&opened), &[Setting::Steps(2)]).unwrap();
            assert_eq!(fewer.steps[..], sample.steps[..2], "{name}");
            let first = Frames {
                targets: vec![sample.steps[0].target.clone()],
                noisy: vec![sample.steps[0].noisy.clone()],
                groups: sample.steps[0].groups.clone(),
                begins_as: Some((5, 2)),
            };
            let opened = Opened::new(Input::frames(first, 1), sample.image).unwrap();
            for look in [vec![], vec![Setting::Steps(2)]] {
                let one = take(&trainer, 0, Some(&opened), &look).unwrap();
                assert_eq!(one.steps[..], sample.steps[..1], "{name}: a single noisy frame is a single step");
            }
        }
    }

    #[test]
    fn a_drawing_is_a_still_image_without_noise_and_scored_where_its_objects_are_known() {
        let device = DeviceName::Flex.open().unwrap();
        let sets = ["train.train_size=4", "train.batch=2", "train.validation_size=4", "steps=3"];
        let preset = Preset::load("flying-shapes-3").unwrap().set(&sets).unwrap();
        let trainer = Trainer::new(&preset, 5, &device).unwrap();
        let image = preset.data.image();
        let mut drawn = Frames { targets: vec![vec![0.0; image.values()]], ..Frames::default() };
        drawn.targets[0][..40].fill(1.0);
        let take = |frames: &Frames, look: &[Setting]| {
            let opened = Opened::new(Input::frames(frames.clone(), 1), image).unwrap();
            take(&trainer, 0, Some(&opened), look).unwrap()
        };
        let shown = take(&drawn, &[]);
        assert_eq!(shown.steps.len(), 3);
        assert!(shown.steps.iter().all(|step| step.noisy == drawn.targets[0] && step.ami.is_none()));
        assert!(!shown.knows_objects());
        let noisy = take(&drawn, &[Setting::Noise(0.3)]);
        assert_ne!(noisy.steps[0].noisy, drawn.targets[0]);
        drawn.groups = vec![0; image.pixels()];
        drawn.groups[..20].fill(1);
        drawn.groups[20..40].fill(2);
        let scored = take(&drawn, &[]);
        assert!(scored.knows_objects() && scored.steps[2].ami.is_some());
        assert_eq!(frames_of(scored.input.as_ref().unwrap()), &drawn);
    }

    #[test]
    fn frames_of_another_size_are_refused() {
        let image = ImageSize { channels: 1, height: 2, width: 2 };
        let good = Frames { targets: vec![vec![0.5; 4]], ..Frames::default() };
        let targets = |targets: Vec<Vec<f32>>| Frames { targets, ..Frames::default() };
        assert!(are_images(&good, image));
        for bad in [
            targets(vec![]),
            targets(vec![vec![0.5; 3]]),
            targets(vec![vec![f32::NAN; 4]]),
            targets(vec![vec![1.5; 4]]),
            targets(vec![vec![0.5; 4]; MAX_STEPS + 1]),
            Frames { groups: vec![1; 3], ..good.clone() },
            Frames { noisy: vec![vec![0.5; 5]], ..good.clone() },
            Frames { noisy: vec![vec![0.5; 4]; 3], ..targets(vec![vec![0.5; 4]; 2]) },
        ] {
            let error = Opened::new(Input::frames(bad, 1), image).unwrap_err().to_string();
            assert!(error.contains("2x2"), "{error}");
        }
    }
}
