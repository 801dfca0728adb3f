//! A sample, or an image of the user's own, unrolled with the weights of a checkpoint: what `picture` draws.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;

use super::checkpoint::Checkpoint;
use crate::data::{Dataset, Split, image_file};
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::preset::{Preset, Work};
use crate::snapshot::{Input, Snapshot};
use crate::tensors::Arrays;
use crate::train::infer::{self, ReadInput, Reading, read_input};
use crate::train::own_image::{Chosen, Opened};
use crate::train::unroll::{only, plan, unrolled};

/// Unrolls sample `sample`, counted from 0, of a split of the data that `preset` describes, with the weights of
/// `checkpoint` and the noise and initial gamma that `eval` uses.
///
/// # Errors
/// A sample that the split does not have, weights that do not fit `preset`, data that cannot be read.
pub fn of_split(
    checkpoint: &Checkpoint,
    preset: &Preset,
    split: Split,
    sample: usize,
    device: &Device,
) -> Result<Snapshot> {
    let samples = split.size(&preset.train);
    is_there(sample, samples, &format!("the {} split", split.name()))?;
    preset.fits(Work::Unrolling(1))?;
    let model = checkpoint.model(preset, device)?;
    let seed = checkpoint.manifest.seed;
    let data = Arc::new(Dataset::new(preset, seed)?);
    data.holds(split, samples)?;
    let plan = plan(preset, &data, seed, split, vec![sample as u64]);
    only(unrolled(&model, preset, plan.make()?, sample, checkpoint.manifest.counters.iteration, device))
}

/// Images of the user's own, read from a file: what `picture --input` draws.
pub struct OwnImages {
    /// What is not used of the file, in words that follow its name.
    pub notes: Vec<String>,
    file: PathBuf,
    images: OwnContent,
}

enum OwnContent {
    Image(Opened),
    Arrays(Arrays),
}

impl OwnImages {
    /// Reads an image file, or safetensors as [`read_input`] does, for the model of `preset`. Also returns `preset` with
    /// the EM steps and the noise that they are unrolled with.
    ///
    /// # Errors
    /// A file that cannot be read, or whose images do not fit.
    pub fn read(file: &Path, resize: bool, preset: &Preset, chosen: Chosen) -> Result<(Preset, OwnImages)> {
        let (preset, images, notes) = match image_file::is_image(file)? {
            true => {
                let opened = Opened::new(Input::file(file, resize, 0), preset.data.image())?;
                let preset = opened.conditions(preset, chosen)?;
                let notes = opened.notes(preset.steps).into_iter().chain(opened.scaling().cloned()).collect();
                (preset, OwnContent::Image(opened), notes)
            }
            false => {
                let reading = Reading { resize, steps_are_chosen: chosen.steps };
                let ReadInput { preset, arrays, notes } = read_input(file, preset, reading)?;
                (Preset { noise: chosen.noise(preset.noise), ..preset }, OwnContent::Arrays(arrays), notes)
            }
        };
        Ok((preset, OwnImages { notes, file: file.to_owned(), images }))
    }

    /// Unrolls image `sample`, counted from 0, with the weights of `checkpoint` and the conditions of `preset`.
    /// Its objects are unknown, so `groups` is 0 and there are no scores.
    ///
    /// # Errors
    /// A sample that does not exist, weights or arrays that do not fit `preset`.
    pub fn snapshot(
        &self,
        checkpoint: &Checkpoint,
        preset: &Preset,
        sample: usize,
        device: &Device,
    ) -> Result<Snapshot> {
        let seed = checkpoint.manifest.seed;
        let batch = match &self.images {
            OwnContent::Image(opened) => opened.batch(preset, seed),
            OwnContent::Arrays(arrays) => {
                infer::batch(preset, arrays, seed).map_err(|unfit| unfit.of(&checkpoint.path, &self.file))?
            }
        };
        is_there(sample, batch.groups.len(), &shown(&self.file).to_string())?;
        preset.fits(Work::Unrolling(batch.groups.len()))?;
        let model = checkpoint.model(preset, device)?;
        let mut all = unrolled(&model, preset, batch, 0, checkpoint.manifest.counters.iteration, device);
        Ok(all.swap_remove(sample))
    }
}

/// Refuses `sample`, counted from 0, if there are only `samples`.
fn is_there(sample: usize, samples: usize, of: &str) -> Result<()> {
    match sample < samples {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "there is no sample {}: {of} has {samples}, counted from 1; choose one of them",
            sample + 1
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::preset::Setting;
    use crate::run::checkpoint;
    use crate::train::trainer::Trainer;
    use crate::train::unroll::take;

    /// The workbench and `picture --input` give the same result for a file, with noise only if it was chosen.
    #[test]
    fn an_own_image_gives_the_same_in_the_workbench_and_in_a_picture() {
        let device = DeviceName::Flex.open().unwrap();
        let here = tempfile::tempdir().unwrap();
        let sets = ["train.train_size=4", "train.batch=2", "steps=3"];
        let preset = Preset::load("quickstart").unwrap().set(&sets).unwrap();
        let mut trainer = Trainer::new(&preset, 1, &device).unwrap();
        trainer.step().unwrap();
        let path = checkpoint::save(&trainer, here.path(), "it-00000001", 0, false).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let image = preset.data.image();
        let file = here.path().join("own.png");
        let grey = |x: u32, y: u32| image::Luma([(40 * x + 25 * y) as u8]);
        image::GrayImage::from_fn(image.width as u32, image.height as u32, grey).save(&file).unwrap();
        let opened = Opened::new(Input::file(&file, false, 7), image).unwrap();
        for look in [vec![], vec![Setting::Noise(0.3)], vec![Setting::K(2), Setting::Steps(4)]] {
            let workbench = take(&trainer, 3, Some(&opened), &look).unwrap();
            let asked = look.iter().fold(preset.clone(), |preset, set| set.apply(&preset).unwrap());
            let (asked, own) = OwnImages::read(&file, false, &asked, Chosen::by(&look)).unwrap();
            let picture = own.snapshot(&checkpoint, &asked, 0, &device).unwrap();
            assert_eq!(picture.steps, workbench.steps, "{look:?}");
            let is_clean = picture.steps.iter().all(|step| step.noisy == step.target);
            assert_eq!(is_clean, !look.contains(&Setting::Noise(0.3)));
            // The same frame as an array.
            let frame = crate::tensors::Array::new(
                [1, 1, image.channels, image.height, image.width],
                picture.steps[0].target.clone(),
            );
            let arrays = here.path().join("own.safetensors");
            crate::tensors::write(&arrays, &[("in.features_clean".to_owned(), frame)].into()).unwrap();
            let (asked, own) = OwnImages::read(&arrays, false, &asked, Chosen::by(&look)).unwrap();
            assert_eq!(own.snapshot(&checkpoint, &asked, 0, &device).unwrap().steps, picture.steps);
        }
        let own = OwnImages::read(&file, false, &preset, Chosen::default()).unwrap().1;
        let error = own.snapshot(&checkpoint, &preset, 1, &device).unwrap_err().to_string();
        assert!(error.contains("no sample 2"), "{error}");
    }
}
