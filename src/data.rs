//! Images with known objects, made on demand.
//!
//! Nothing is stored: a [`Sample`] is a pure function of (seed, split, index). The splits are disjoint by construction:
//! an image, or a sequence by its first frame, belongs to the split that a hash of its pixels names, and each index of a
//! split gets the first image drawn for it that belongs there. Only an HDF5 file has its own splits.

pub mod digits;
pub mod fetch;
mod fingerprint;
pub mod hdf5;
pub mod image_file;
pub mod mnist;
mod noise;
mod pool;
pub mod scene;
mod shapes;
mod split;
pub mod unit;

use std::path::PathBuf;

pub use noise::corrupt;
pub use split::Split;

use crate::error::{Error, Result};
use crate::preset::{Data, Digits, ImageSize, Preset};
use crate::random::Stream;
use hdf5::SequenceFile;
use pool::Pool;
use scene::SceneObject;

/// Draws for one index before a split counts as empty. Every tenth image belongs to each of the smaller splits, so any
/// data set with more than a handful of different images stays far below.
const MAX_DRAWS: usize = 10_000;

/// A static image or a sequence, with the object of every pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// x: M values a frame, channels first, in 0..=1.
    pub features: Vec<f32>,
    /// True object of each of the P places of a frame, from 1; 0 is background or overlap, which scores ignore.
    pub groups: Vec<u8>,
    /// The kind of each object, where objects can be identical: which shape of its set.
    pub kinds: Vec<u8>,
}

/// The data of a preset.
pub struct Dataset {
    spec: Data,
    seed: u64,
    source: SampleSource,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("spec", &self.spec).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// Where samples come from.
enum SampleSource {
    Shapes,
    Digits(Pool),
    Hdf5(Box<SequenceFile>),
}

impl Dataset {
    /// The data that `preset` describes, drawn from `seed`.
    ///
    /// # Errors
    /// Data without a generator, or with too few different images; files that are missing or damaged, or hold less than
    /// the preset asks for.
    pub fn new(preset: &Preset, seed: u64) -> Result<Dataset> {
        let spec = &preset.data;
        let source = match spec {
            Data::Shapes { .. } | Data::FlyingShapes { .. } => SampleSource::Shapes,
            Data::Mnist { digits, .. } | Data::FlyingMnist { digits, .. } => {
                SampleSource::Digits(Pool::open(digits, seed)?)
            }
            Data::Hdf5 { path, .. } => SampleSource::Hdf5(Box::new(SequenceFile::open(path)?)),
            Data::Tensors { .. } => {
                return Err(Error::Usage(
                    "data: Tensors has no generator, so only infer can use it; to train, name another such as Shapes".into(),
                ));
            }
        };
        let dataset = Dataset { spec: resolved(spec)?, seed, source };
        dataset.supports(preset)?;
        if !matches!(dataset.source, SampleSource::Hdf5(_)) {
            for split in Split::ALL {
                if dataset.drawn(split, 0).is_none() {
                    return Err(Error::Usage(format!(
                        "data has too few different images to give {split:?} any of its own; \
                         raise data.height, data.width or data.objects"
                    )));
                }
            }
        }
        Ok(dataset)
    }

    /// Checks that a split has this many samples; a generator has any number.
    ///
    /// # Errors
    /// Too few, naming the file.
    pub fn holds(&self, split: Split, samples: usize) -> Result<()> {
        let (SampleSource::Hdf5(file), Data::Hdf5 { path, .. }) = (&self.source, &self.spec) else {
            return Ok(());
        };
        let there = file.shape(split).sequences;
        if there < samples {
            let part = hdf5::group(split);
            return Err(Error::content(
                path,
                format!(
                    "it has {there} sequences in {part} but {samples} are asked for; ask for at most {there}"
                ),
            ));
        }
        Ok(())
    }

    /// Checks that there is as much as `preset` asks for: digit images in every stage; sequences, frames and pixels in a
    /// file. Generators have any number of everything else.
    ///
    /// # Errors
    /// Too few of something, naming the file and the field.
    pub fn supports(&self, preset: &Preset) -> Result<()> {
        if let (SampleSource::Digits(pool), Some(images)) = (&self.source, preset.data.images()) {
            pool.holds(images, "data.images")?;
            for (i, stage) in preset.train.stages.iter().enumerate() {
                pool.holds(stage.images, &format!("train.stages[{i}].images"))?;
            }
        }
        let (SampleSource::Hdf5(file), Data::Hdf5 { path, .. }) = (&self.source, &self.spec) else {
            return Ok(());
        };
        let image = self.image();
        for (split, size, field) in [
            (Split::Train, preset.train.train_size, "train_size"),
            (Split::Validation, preset.train.validation_size, "validation_size"),
            (Split::Test, preset.train.test_size, "test_size"),
        ] {
            let shape = file.shape(split);
            let there = ImageSize { channels: shape.channels, height: shape.height, width: shape.width };
            if there != image {
                return Err(Error::content(
                    path,
                    format!(
                        "its images are {}x{} with {} channels but data says {}x{} with {}; \
                         set data.height, data.width and data.channels to the file's",
                        there.height, there.width, there.channels, image.height, image.width, image.channels
                    ),
                ));
            }
            if (shape.frames == 1) != self.is_static() {
                let training = file.shape(Split::Train).frames;
                return Err(Error::content(
                    path,
                    format!(
                        "its {} has {} to a sequence but its training {}; write the file again with single \
                         images in every part, or with sequences in every part",
                        hdf5::group(split),
                        frames(shape.frames),
                        frames(training)
                    ),
                ));
            }
            if shape.frames > 1 && shape.frames < preset.steps + 1 {
                return Err(Error::content(
                    path,
                    format!(
                        "its sequences have {} frames, but {} EM steps need {}; set steps to {} or less",
                        shape.frames,
                        preset.steps,
                        preset.steps + 1,
                        shape.frames - 1
                    ),
                ));
            }
            if shape.sequences < size {
                return Err(Error::content(
                    path,
                    format!(
                        "it has {} sequences in {} but train.{field} is {size}; set train.{field} to {} or less",
                        shape.sequences,
                        hdf5::group(split),
                        shape.sequences
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The preset's data, [`resolved`].
    pub fn spec(&self) -> &Data {
        &self.spec
    }

    /// What tells this data from other data in the same place: a hash of the digit images, or of the file. `None` for
    /// data that is drawn from the seed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn fingerprint(&self) -> Result<Option<String>> {
        match (&self.source, &self.spec) {
            (SampleSource::Digits(pool), _) => Ok(pool.fingerprint()),
            (SampleSource::Hdf5(_), Data::Hdf5 { path, .. }) => fingerprint::of_file(path).map(Some),
            _ => Ok(None),
        }
    }

    /// C, H and W.
    pub fn image(&self) -> ImageSize {
        self.spec.image()
    }

    /// Whether every sample is a single frame.
    pub fn is_static(&self) -> bool {
        match (&self.spec, &self.source) {
            (Data::FlyingShapes { .. } | Data::FlyingMnist { .. }, _) => false,
            (_, SampleSource::Hdf5(file)) => file.shape(Split::Train).frames == 1,
            _ => true,
        }
    }

    /// Sample `index` of `split`: `frames` frames of a sequence, or the one frame of a static image.
    ///
    /// # Errors
    /// A file that cannot be read, or holds values that are not an image's.
    pub fn sample(&self, split: Split, index: u64, frames: usize) -> Result<Sample> {
        let frames = if self.is_static() { 1 } else { frames };
        if let SampleSource::Hdf5(file) = &self.source {
            let (features, groups) = file.sequence(split, index as usize, frames)?;
            return Ok(Sample { features, groups, kinds: Vec::new() });
        }
        // `new` has drawn from every split; an index without an image of its own gets the split's first one.
        let (objects, kinds) = self
            .drawn(split, index)
            .or_else(|| self.drawn(split, 0))
            .unwrap_or_else(|| unreachable!("a dataset is only made where every split has an image"));
        let ImageSize { height, width, .. } = self.image();
        let mut sample = Sample { features: Vec::new(), groups: Vec::new(), kinds };
        for t in 0..frames {
            scene::draw(&objects, t, [height, width], &mut sample.features, &mut sample.groups);
        }
        Ok(sample)
    }

    /// The objects of the first scene drawn for `index` that belongs to `split`, and their kinds.
    fn drawn(&self, split: Split, index: u64) -> Option<(Vec<SceneObject>, Vec<u8>)> {
        let ImageSize { height, width, .. } = self.image();
        let mut stream = Stream::new(self.seed, split.samples(), 0, index);
        let (mut features, mut groups) = (Vec::new(), Vec::new());
        (0..MAX_DRAWS).map(|_| self.scene(split, &mut stream)).find(|(objects, _)| {
            features.clear();
            groups.clear();
            scene::draw(objects, 0, [height, width], &mut features, &mut groups);
            Split::of(&features) == split
        })
    }

    fn scene(&self, split: Split, stream: &mut Stream) -> (Vec<SceneObject>, Vec<u8>) {
        let ImageSize { height, width, .. } = self.image();
        let size = [height, width];
        let mut kinds = Vec::new();
        let mut object = |stream: &mut Stream| {
            let sprite = match (&self.spec, &self.source) {
                (Data::Shapes { shape_set, .. } | Data::FlyingShapes { shape_set, .. }, _) => {
                    let (sprite, kind) = shapes::any(*shape_set, stream);
                    kinds.push(kind);
                    sprite
                }
                (
                    Data::Mnist { images, .. } | Data::FlyingMnist { images, .. },
                    SampleSource::Digits(pool),
                ) => pool.any(split, *images, stream),
                _ => unreachable!("a file's samples are read, not drawn"),
            };
            match self.spec {
                Data::FlyingShapes { speed, .. } | Data::FlyingMnist { speed, .. } => {
                    SceneObject::flying(sprite, size, speed, stream)
                }
                _ => SceneObject::resting(sprite, size, stream),
            }
        };
        let objects = (0..self.spec.objects().unwrap_or(0)).map(|_| object(stream)).collect();
        (objects, kinds)
    }
}

/// `spec` with everything resolved that depends on the machine and the working directory, so that a run can be resumed
/// and scored from anywhere: whose digits `Auto` means, and absolute paths.
///
/// # Errors
/// A relative path after the working directory was removed.
pub fn resolved(spec: &Data) -> Result<Data> {
    let whole = |path: &PathBuf| std::path::absolute(path).map_err(Error::io("find", path));
    let mut spec = spec.clone();
    if let Some(digits) = spec.digits() {
        let digits = match pool::resolve(digits) {
            Digits::Mnist { directory } => {
                Digits::Mnist { directory: directory.as_ref().map(whole).transpose()? }
            }
            other => other,
        };
        spec = spec.with_digits(digits);
    }
    if let Data::Hdf5 { path, .. } = &mut spec {
        *path = whole(path)?;
    }
    Ok(spec)
}

/// A number of frames, in words.
fn frames(count: usize) -> String {
    format!("{count} frame{}", if count == 1 { "" } else { "s" })
}

impl Sample {
    /// Frame `t`; a static image is the same in every frame.
    pub fn frame(&self, t: usize, image: ImageSize) -> &[f32] {
        nth(&self.features, t, image.values())
    }

    /// The groups of frame `t`.
    pub fn groups_at(&self, t: usize, image: ImageSize) -> &[u8] {
        nth(&self.groups, t, image.pixels())
    }

    /// How many frames it has.
    pub fn frames(&self, image: ImageSize) -> usize {
        self.groups.len() / image.pixels()
    }
}

/// Frame `t` of frames of `size` values each; a single frame stands for all.
pub fn nth<T>(frames: &[T], t: usize, size: usize) -> &[T] {
    let t = if frames.len() == size { 0 } else { t };
    &frames[t * size..][..size]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// A preset with this data, and a model that fits any.
    fn preset(data: &str) -> Preset {
        let sets = ["model.cell=RnnEm(layers: [Recurrent(units: 2), Dense(activation: Output)])", "steps=3"];
        let data = format!("data={data}");
        Preset::load("quickstart").unwrap().set(&[&data, sets[0], sets[1]]).unwrap()
    }

    fn dataset(data: &str, seed: u64) -> Dataset {
        Dataset::new(&preset(data), seed).unwrap()
    }

    const SOURCES: [&str; 4] = [
        "Shapes(height: 28, width: 26, objects: 3)",
        "FlyingShapes(height: 28, width: 26, objects: 3)",
        "Mnist(height: 24, width: 26, objects: 2, digits: Synthetic)",
        "FlyingMnist(height: 24, width: 26, objects: 2, digits: Synthetic, images: First(20))",
    ];

    #[test]
    fn a_longer_sequence_begins_like_the_shorter_and_a_static_image_is_one_frame() {
        for source in SOURCES {
            let data = dataset(source, 1);
            let [short, long] = [5, 60].map(|frames| data.sample(Split::Test, 3, frames).unwrap());
            let image = data.image();
            assert_eq!(short.frames(image), if data.is_static() { 1 } else { 5 });
            assert_eq!(long.features[..short.features.len()], short.features[..]);
            assert_eq!(long.groups[..short.groups.len()], short.groups[..]);
        }
    }

    #[test]
    fn a_source_with_too_few_images_is_refused() {
        let tiny = preset("Shapes(height: 4, width: 7, objects: 1, shape_set: Small)");
        let error = Dataset::new(&tiny, 1).unwrap_err().to_string();
        assert!(error.contains("too few different images") && error.contains("data.height"), "{error}");
        let tensors = preset("Tensors(channels: 1, height: 4, width: 4)");
        assert!(Dataset::new(&tensors, 1).unwrap_err().to_string().contains("only infer"));
    }

    #[test]
    fn auto_is_recorded_as_what_it_found() {
        let data = dataset("Mnist(height: 24, width: 24, objects: 2)", 1);
        assert!(!matches!(data.spec().digits(), None | Some(crate::preset::Digits::Auto)));
    }

    /// How many objects cover every pixel of frame `t`, and the last of them that does: each is drawn alone.
    fn covered(data: &Dataset, split: Split, index: u64, t: usize) -> Vec<(usize, u8)> {
        let image = data.image();
        let mut pixels = vec![(0, 0); image.pixels()];
        for (group, object) in (1..).zip(data.drawn(split, index).unwrap().0) {
            let (mut alone, mut ignored) = (Vec::new(), Vec::new());
            scene::draw(&[object], t, [image.height, image.width], &mut alone, &mut ignored);
            for (pixel, _) in pixels.iter_mut().zip(alone).filter(|(_, value)| *value > 0.2) {
                *pixel = (pixel.0 + 1, group);
            }
        }
        pixels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn samples_repeat_alone_and_differ_by_seed_split_and_index(seed in 0..u64::MAX, index in 0u64..100_000, source in 0usize..SOURCES.len()) {
            let data = dataset(SOURCES[source], seed);
            let sample = |data: &Dataset, split, index| data.sample(split, index, 4).unwrap();
            let one = sample(&data, Split::Train, index);
            prop_assert_eq!(&one, &sample(&dataset(SOURCES[source], seed), Split::Train, index));
            prop_assert_ne!(&one, &sample(&data, Split::Train, index + 1));
            prop_assert_ne!(&one, &sample(&data, Split::Validation, index));
            prop_assert_ne!(&one, &sample(&data, Split::Test, index));
            prop_assert_ne!(&one, &sample(&dataset(SOURCES[source], seed + 1), Split::Train, index));
        }

        /// One object at few places, so that splits drawn without care would share images. Of sequences it is
        /// the first frames that differ.
        #[test]
        fn splits_share_no_image(seed in any::<u64>(), digits in any::<bool>(), flying in any::<bool>()) {
            let source = match (digits, flying) {
                (false, false) => "Shapes(height: 9, width: 9, objects: 1, shape_set: Small)",
                (false, true) => "FlyingShapes(height: 9, width: 9, objects: 1, shape_set: Small)",
                (true, false) => "Mnist(height: 19, width: 19, objects: 1, digits: Synthetic, images: First(3))",
                (true, true) => "FlyingMnist(height: 19, width: 19, objects: 1, digits: Synthetic, images: First(3))",
            };
            let data = dataset(source, seed);
            let images = |split| -> HashSet<Vec<u32>> {
                let first = |i| data.sample(split, i, 1).unwrap().features;
                (0..60).map(|i| first(i).iter().map(|v| v.to_bits()).collect()).collect()
            };
            let [train, validation, test] = Split::ALL.map(images);
            prop_assert!(
                train.is_disjoint(&validation) && train.is_disjoint(&test) && validation.is_disjoint(&test)
            );
            prop_assert!(train.len() > 10 && !validation.is_empty() && !test.is_empty());
            // They would meet: training sees the same images again and again.
            prop_assert!(train.len() < 60);
        }

        /// Shapes are binary, a pixel being on where one covers it; digits are grey. A pixel that one object
        /// covers belongs to it, one that several cover to none, in every frame to those of that frame.
        #[test]
        fn groups_are_what_covers_the_pixel(seed in any::<u64>(), index in 0u64..1000, objects in 1usize..6, side in 16usize..40, source in 0usize..4) {
            let kind = ["Shapes", "FlyingShapes", "Mnist", "FlyingMnist"][source];
            let digits = if source < 2 { "" } else { ", digits: Synthetic" };
            let data = dataset(&format!("{kind}(height: {side}, width: {}, objects: {objects}{digits})", side + 3), seed);
            let sample = data.sample(Split::Test, index, 7).unwrap();
            let image = data.image();
            prop_assert_eq!(sample.features.len(), sample.frames(image) * image.values());
            prop_assert_eq!(sample.kinds.len(), if source < 2 { objects } else { 0 });
            for t in 0..sample.frames(image) {
                let (frame, groups) = (sample.frame(t, image), sample.groups_at(t, image));
                for ((&x, &group), (count, last)) in frame.iter().zip(groups).zip(covered(&data, Split::Test, index, t)) {
                    prop_assert_eq!(group, if count == 1 { last } else { 0 });
                    prop_assert!((0.0..=1.0).contains(&x) && (x > 0.2) == (count > 0));
                    prop_assert!(source >= 2 || x == 0.0 || x == 1.0);
                }
            }
        }
    }
}
