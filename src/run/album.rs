//! The album of a run: what its first watched samples looked like during the training.
//!
//! ```text
//! RUN/album/
//!   it-00000000.safetensors.gz   a moment: all EM steps of up to 8 samples
//!   it-00000001.safetensors.gz
//!   best                         the moment of the best validation loss
//! ```
//!
//! A moment's arrays are those of [`crate::snapshot::arrays`] with the samples as the first axis, one byte a value: byte
//! b stands for low + b/255 · (high − low), where the file's metadata has `NAME.low` and `NAME.high`. `ami`, `ari` and
//! `confidence` are 32-bit floats of shape \[samples, T\], NaN where nothing can be scored.
//!
//! The first, the last and the best moment are kept, and four of the others for every doubling of the iterations: a run
//! a thousand times as long has forty more. So are those that have a checkpoint.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::history::rung;
use crate::data::nth;
use crate::error::{Error, Result};
use crate::files::{list, write_atomic};
use crate::preset::ImageSize;
use crate::protocol::ALBUM_SAMPLES;
use crate::snapshot::{Snapshot, SnapshotStep};

pub(super) const ALBUM: &str = "album";
const BEST: &str = "best";
const ENDING: &str = ".safetensors.gz";
/// An unpacked moment is never larger, unless it is damaged.
const LARGEST: u64 = 1 << 31;

/// The images of a step, by name.
type Field = (&'static str, fn(&SnapshotStep) -> &[f32]);
const FIELDS: [Field; 4] = [
    ("target", |step| &step.target),
    ("noisy", |step| &step.noisy),
    ("preds", |step| &step.preds),
    ("gamma", |step| &step.gamma),
];
/// The scores of a step, by name.
type ScoreField = (&'static str, fn(&SnapshotStep) -> Option<f64>);
const SCORES: [ScoreField; 3] =
    [("ami", |step| step.ami), ("ari", |step| step.ari), ("confidence", |step| step.confidence)];

/// The album of a run that is being trained.
pub struct Album {
    directory: PathBuf,
    moments: Vec<u64>,
    best: Option<u64>,
    /// The iterations of a fork's parent that have a checkpoint.
    inherited: Vec<u64>,
}

impl Album {
    /// The album of the run in `run`, without moments after iteration `until`, which will be recorded again.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn open(run: &Path, until: u64) -> Result<Album> {
        let directory = run.join(ALBUM);
        std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let (moments, later) = moments(run).into_iter().partition(|moment| *moment <= until);
        let best = std::fs::read_to_string(directory.join(BEST)).ok();
        let best = best.and_then(|name| iteration_of(name.trim())).filter(|best| *best <= until);
        let album = Album { directory, moments, best, inherited: Vec::new() };
        album.remove(&later);
        Ok(album)
    }

    /// Keeps the moments of these iterations of a fork's parent.
    #[must_use]
    pub fn holding(self, inherited: Vec<u64>) -> Album {
        Album { inherited, ..self }
    }

    /// Begins the album of a fork of the run in `parent` with the moments until its first iteration, except those that
    /// the parent removes meanwhile.
    ///
    /// # Errors
    /// A moment that cannot be copied.
    pub fn copy(parent: &Path, run: &Path, until: u64) -> Result<()> {
        let album = Album::open(run, until)?;
        for moment in moments(parent).into_iter().filter(|moment| *moment <= until) {
            let from = parent.join(ALBUM).join(name_of(moment));
            match std::fs::copy(&from, album.path(moment)) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    album.remove(&[moment]);
                    return Err(Error::io("copy", &from)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps a moment: `snapshots`, all of one iteration. Others may be thinned out, but not those of the iterations
    /// in `held`.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn keep(&mut self, snapshots: &[Snapshot], best: bool, held: &[u64]) -> Result<()> {
        let Some(first) = snapshots.first() else { return Ok(()) };
        let path = self.path(first.iteration);
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = gz.write_all(&encode(snapshots, &path)?).and_then(|()| gz.finish());
        write_atomic(&path, &packed.map_err(Error::io("pack", &path))?)?;
        self.moments.retain(|moment| *moment < first.iteration);
        self.moments.push(first.iteration);
        if best {
            write_atomic(&self.directory.join(BEST), name_of(first.iteration).as_bytes())?;
            self.best = Some(first.iteration);
        }
        let mut surplus = surplus(&self.moments, self.best);
        surplus.retain(|moment| !held.contains(moment) && !self.inherited.contains(moment));
        self.remove(&surplus);
        self.moments.retain(|moment| !surplus.contains(moment));
        Ok(())
    }

    fn path(&self, moment: u64) -> PathBuf {
        self.directory.join(name_of(moment))
    }

    /// Removing is housekeeping: a failure only leaves an extra moment, so it is not reported.
    fn remove(&self, moments: &[u64]) {
        for moment in moments {
            let _ = std::fs::remove_file(self.path(*moment));
        }
    }
}

/// Whether the moment after `iteration` iterations is one of the four of a doubling.
pub fn is_due(iteration: u64) -> bool {
    iteration == 0 || rung(iteration) > rung(iteration - 1)
}

/// Those of `moments`, in order, that can be removed: all but the first, the last, the best, and the first of
/// each rung.
fn surplus(moments: &[u64], best: Option<u64>) -> Vec<u64> {
    let inner = moments.windows(2).skip(1).map(|pair| pair[0]);
    let mut before = moments.first().copied();
    inner
        .filter(|moment| {
            let kept = before.is_none_or(|before| rung(*moment) > rung(before));
            if kept {
                before = Some(*moment);
            }
            !kept && best != Some(*moment)
        })
        .collect()
}

fn name_of(moment: u64) -> String {
    format!("it-{moment:08}{ENDING}")
}

fn iteration_of(name: &str) -> Option<u64> {
    name.strip_prefix("it-")?.strip_suffix(ENDING)?.parse().ok()
}

/// The iterations of the moments in the album of the run in `run`, in order; empty without an album.
pub fn moments(run: &Path) -> Vec<u64> {
    let found = list(&run.join(ALBUM)).unwrap_or_default();
    let named = |path: &PathBuf| iteration_of(path.file_name()?.to_str()?);
    let mut moments: Vec<u64> = found.iter().filter_map(named).collect();
    moments.sort_unstable();
    moments
}

/// Watched sample `sample` after `iteration` iterations of the run in `run`.
///
/// # Errors
/// A moment or a sample that was not kept, a file that cannot be read or is damaged.
pub fn read(run: &Path, iteration: u64, sample: usize) -> Result<Snapshot> {
    let path = run.join(ALBUM).join(name_of(iteration));
    let file = File::open(&path).map_err(Error::io("read", &path))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).take(LARGEST).read_to_end(&mut bytes).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            damaged(&path, &e.to_string())
        }
        _ => Error::io("read", &path)(e),
    })?;
    decode(&bytes, sample, &path)
}

fn damaged(path: &Path, how: &str) -> Error {
    Error::content(path, format!("not a complete moment of an album ({how}); remove it to see the others"))
}

/// A safetensors file's bytes.
fn encode(snapshots: &[Snapshot], path: &Path) -> Result<Vec<u8>> {
    let first = &snapshots[0];
    let ImageSize { channels, height, width } = first.image;
    let (samples, steps) = (snapshots.len(), first.steps.len());
    let number = |name: &str, value: String| (name.to_owned(), value);
    let mut metadata = HashMap::from([number("iteration", first.iteration.to_string())]);
    let all = || snapshots.iter().flat_map(|snapshot| &snapshot.steps);
    let mut arrays: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, of) in FIELDS {
        let values = || all().flat_map(|step| of(step).iter().copied());
        let finite = || values().filter(|value| value.is_finite());
        let (low, high) =
            (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), low.min(0.0) + 1.0) };
        let byte = |value: f32| ((value - low) / (high - low) * 255.0).round() as u8;
        metadata.extend([
            number(&format!("{name}.low"), low.to_string()),
            number(&format!("{name}.high"), high.to_string()),
        ]);
        let components = match name {
            "preds" => vec![first.k, channels],
            "gamma" => vec![first.k],
            _ => vec![channels],
        };
        let shape = [&[samples, steps][..], &components, &[height, width]].concat();
        arrays.push((name, Dtype::U8, shape, values().map(byte).collect()));
    }
    let groups = all().flat_map(|step| step.groups.iter().copied()).collect();
    arrays.push(("groups", Dtype::U8, vec![samples, steps, height, width], groups));
    for (name, of) in SCORES {
        let bytes =
            all().flat_map(|step| of(step).map_or(f32::NAN, |score| score as f32).to_le_bytes()).collect();
        arrays.push((name, Dtype::F32, vec![samples, steps], bytes));
    }
    let views = arrays
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|e| Error::content(path, format!("cannot be encoded as safetensors: {e}")))
}

/// Sample `sample` of a safetensors file's bytes.
fn decode(bytes: &[u8], sample: usize, path: &Path) -> Result<Snapshot> {
    let broken = |how: &str| damaged(path, how);
    let file = SafeTensors::deserialize(bytes).map_err(|e| broken(&e.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| broken(&e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let array = |name: &str| file.tensor(name).map_err(|e| broken(&e.to_string()));
    let preds = array("preds")?;
    let &[samples, steps, k, channels, height, width] = preds.shape() else {
        return Err(broken("predictions of another shape"));
    };
    if sample >= samples {
        return Err(Error::Usage(format!(
            "the album has no sample {}; it keeps samples 1 to {samples}",
            sample + 1
        )));
    }
    let image = ImageSize { channels, height, width };
    // The sample's part of an array, in `steps` equal pieces.
    let of_sample = |name: &str, size: usize| -> Result<Vec<u8>> {
        let view = array(name)?;
        match view.data().len() == samples * steps * size {
            true => Ok(nth(view.data(), sample, steps * size).to_vec()),
            false => Err(broken(&format!("{name} is of another shape"))),
        }
    };
    let values = |name: &str, size: usize| -> Result<Vec<f32>> {
        let end = |which: &str| {
            let value = metadata.get(&format!("{name}.{which}")).and_then(|text| text.parse::<f32>().ok());
            value.ok_or_else(|| broken(&format!("the range of {name} is missing")))
        };
        let (low, high) = (end("low")?, end("high")?);
        let value = |byte: u8| low + f32::from(byte) / 255.0 * (high - low);
        Ok(of_sample(name, size)?.into_iter().map(value).collect())
    };
    let scores = |name: &str| -> Result<Vec<Option<f64>>> {
        let score = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let bytes = of_sample(name, 4)?;
        Ok(bytes.chunks_exact(4).map(score).map(|score| (!score.is_nan()).then_some(score)).collect())
    };
    let (target, noisy) = (values("target", image.values())?, values("noisy", image.values())?);
    let (preds, gamma) = (values("preds", k * image.values())?, values("gamma", k * image.pixels())?);
    let groups = of_sample("groups", image.pixels())?;
    let (ami, ari, confidence) = (scores("ami")?, scores("ari")?, scores("confidence")?);
    let step = |t: usize| SnapshotStep {
        target: nth(&target, t, image.values()).to_vec(),
        noisy: nth(&noisy, t, image.values()).to_vec(),
        groups: nth(&groups, t, image.pixels()).to_vec(),
        preds: nth(&preds, t, k * image.values()).to_vec(),
        gamma: nth(&gamma, t, k * image.pixels()).to_vec(),
        ami: ami[t],
        ari: ari[t],
        confidence: confidence[t],
    };
    let iteration = metadata.get("iteration").and_then(|text| text.parse().ok());
    Ok(Snapshot {
        iteration: iteration.ok_or_else(|| broken("the iteration is missing"))?,
        sample,
        input: None,
        image,
        k,
        look: Vec::new(),
        steps: (0..steps).map(step).collect(),
    })
}

/// The number of samples in the album of a run with this many validation samples.
pub fn samples(validation_size: usize) -> usize {
    validation_size.min(ALBUM_SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn snapshot(iteration: u64, sample: usize) -> Snapshot {
        let value = |i: usize| ((i * 37 + sample * 11) % 101) as f32 / 100.0;
        let values = |n: usize| (0..n).map(value).collect::<Vec<f32>>();
        let step = |t: usize| SnapshotStep {
            target: values(6),
            noisy: values(6),
            groups: vec![0, 1, 2, 0, 1, (t + sample) as u8],
            preds: values(12).into_iter().map(|v| 3.0 * v - 1.0).collect(),
            gamma: values(12),
            ami: (t > 0).then_some(0.25),
            ari: Some(-0.5),
            confidence: None,
        };
        Snapshot {
            iteration,
            sample,
            input: None,
            image: ImageSize { channels: 1, height: 2, width: 3 },
            k: 2,
            look: Vec::new(),
            steps: (0..3).map(step).collect(),
        }
    }

    #[test]
    fn a_moment_comes_back_to_within_half_a_byte() {
        let run = tempfile::tempdir().unwrap();
        let mut album = Album::open(run.path(), 0).unwrap();
        album.keep(&[snapshot(7, 0), snapshot(7, 1)], true, &[]).unwrap();
        assert_eq!(moments(run.path()), [7]);
        for sample in 0..2 {
            let (read, was) = (read(run.path(), 7, sample).unwrap(), snapshot(7, sample));
            for (read, was) in read.steps.iter().zip(&was.steps) {
                for (name, of) in FIELDS {
                    let range = if name == "preds" { 3.0 } else { 1.0 };
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= range * 0.5001 / 255.0;
                    assert!(of(read).iter().zip(of(was)).all(near), "{name}");
                }
                assert_eq!((read.groups.clone(), read.ami, read.ari), (was.groups.clone(), was.ami, was.ari));
            }
            assert_eq!((read.iteration, read.k, read.image), (was.iteration, was.k, was.image));
        }
        let error = read(run.path(), 7, 2).unwrap_err().to_string();
        assert!(error.contains("keeps samples 1 to 2"), "{error}");
        let file = run.path().join(ALBUM).join(name_of(7));
        let bytes = std::fs::read(&file).unwrap();
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..cut]).unwrap();
            let error = read(run.path(), 7, 0).unwrap_err().to_string();
            assert!(error.contains("remove it"), "{error}");
        }
    }

    #[test]
    fn what_comes_again_is_removed_and_a_fork_takes_what_was_before_it() {
        let (run, fork) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut album = Album::open(run.path(), 0).unwrap();
        (0..40).filter(|i| is_due(*i)).for_each(|i| album.keep(&[snapshot(i, 0)], i == 2, &[]).unwrap());
        Album::copy(run.path(), fork.path(), 5).unwrap();
        assert_eq!(moments(fork.path()), [0, 1, 2, 3, 4, 5]);
        let album = Album::open(run.path(), 9).unwrap();
        assert_eq!((album.moments, album.best), (vec![0, 1, 2, 3, 4, 5, 6, 7, 8], Some(2)));
        assert_eq!(moments(run.path()).last(), Some(&8));
    }

    #[test]
    fn moments_with_a_checkpoint_stay() {
        let run = tempfile::tempdir().unwrap();
        let mut album = Album::open(run.path(), 0).unwrap();
        (64..72).for_each(|i| album.keep(&[snapshot(i, 0)], false, &[66, 67]).unwrap());
        assert_eq!(moments(run.path()), [64, 66, 67, 71]);
        album.keep(&[snapshot(72, 0)], false, &[67]).unwrap();
        assert_eq!(moments(run.path()), [64, 67, 72], "as long as it is kept");
    }

    proptest! {
        /// However many moments come: the first, the last and the best stay, few are kept, and evenly on a
        /// logarithmic scale.
        #[test]
        fn moments_are_thinned_evenly(gaps in proptest::collection::vec(1u64..400, 1..300), best in 0usize..300) {
            let (mut kept, mut all, mut at) = (vec![0], vec![0], 0);
            let mut found = None;
            for (i, gap) in gaps.iter().enumerate() {
                at += gap;
                kept.push(at);
                all.push(at);
                if i == best {
                    found = Some(at);
                }
                let surplus = surplus(&kept, found);
                kept.retain(|moment| !surplus.contains(moment));
            }
            prop_assert_eq!(kept.first(), Some(&0));
            prop_assert_eq!(kept.last(), Some(&at));
            prop_assert!(found.is_none_or(|best| kept.contains(&best)));
            prop_assert!(kept.len() as i64 <= rung(at) + 5);
            // Nothing was removed that is far from both of its kept neighbours.
            for moment in all {
                let near = |kept: &&u64| rung(**kept) == rung(moment);
                prop_assert!(kept.iter().any(|kept| near(&kept)), "nothing near {moment}");
            }
        }
    }
}
