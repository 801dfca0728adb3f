//! From datasets of a file to sequences in memory.

use std::path::Path;

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{Dataset, SliceInfo, SliceInfoElem};

use super::number::{Number, decode};
use crate::data::split::Split;
use crate::data::unit;
use crate::error::{Error, Result};

/// Values that are read at once without chunks.
const BLOCK: usize = 4 << 20;

/// T, N, H, W and C.
pub(super) const AXES: usize = 5;

/// What a file must have.
const LAYOUT: &str = "a file needs the groups training, validation and test, each with the datasets \
                      features and groups";
/// What may be in a dataset.
pub(super) const TYPES: &str = "it must be float32, float64, bool or an integer type";
/// What to do about a file that is damaged.
pub(super) const MEND: &str = "the file is damaged or cut short, so copy or write it again";

/// The name of a part's group in the file.
pub fn group(part: Split) -> &'static str {
    match part {
        Split::Train => "training",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

/// How much a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartShape {
    /// T: frames a sequence; 1 where the images are static.
    pub frames: usize,
    /// N.
    pub sequences: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// C: values a pixel.
    pub channels: usize,
}

/// Sequences in memory, one after the other.
pub(super) struct Block {
    pub(super) frames: usize,
    pub(super) features: Packed,
    pub(super) groups: Vec<u8>,
}

impl Block {
    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        let features = match &self.features {
            Packed::Bytes(bytes) => bytes.len(),
            Packed::Floats(floats) => size_of_val(floats.as_slice()),
        };
        features + self.groups.len()
    }

    /// The first `frames` frames of a sequence, with the channels before the rows.
    pub(super) fn sequence(&self, shape: PartShape, index: usize, frames: usize) -> (Vec<f32>, Vec<u8>) {
        let PartShape { height, width, channels, .. } = shape;
        let pixels = height * width;
        let of = |channels| {
            let size = pixels * channels;
            index * self.frames * size..(index * self.frames + frames) * size
        };
        let groups = self.groups[of(1)].to_vec();
        let features: Vec<f32> = match &self.features {
            Packed::Bytes(bytes) => bytes[of(channels)].iter().map(|v| f32::from(*v)).collect(),
            Packed::Floats(floats) => floats[of(channels)].to_vec(),
        };
        if channels == 1 {
            return (features, groups);
        }
        let frame = |frame: &[f32]| -> Vec<f32> {
            (0..channels).flat_map(|c| frame[c..].iter().step_by(channels).copied()).collect()
        };
        (features.chunks_exact(pixels * channels).flat_map(frame).collect(), groups)
    }
}

/// A part's two datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatasetKind {
    Features,
    Groups,
}

impl DatasetKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            DatasetKind::Features => "features",
            DatasetKind::Groups => "groups",
        }
    }

    /// Whether a value is possible.
    fn fits(self, value: f32) -> bool {
        match self {
            DatasetKind::Features => unit::fits(value),
            DatasetKind::Groups => f32::from(value as u8) == value,
        }
    }

    /// What the values must be, and how to mend a file where they are not.
    fn must(self) -> &'static str {
        match self {
            DatasetKind::Features => {
                "features must lie between 0 and 1, so write the file again with all of them scaled to that, \
                 bytes for example divided by 255"
            }
            DatasetKind::Groups => {
                "groups must be whole numbers from 0 to 255, so write the file again with such numbers"
            }
        }
    }
}

/// What to read of a part: the first `frames` frames of `sequences` sequences, beginning with `first`.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) part: Split,
    pub(super) shape: PartShape,
    pub(super) frames: usize,
    pub(super) first: usize,
    pub(super) sequences: usize,
}

impl Wanted {
    /// Bytes in memory, if there are `fractions`, or if all values are whole numbers.
    pub(super) fn bytes(&self, fractions: bool) -> usize {
        let value = if fractions { size_of::<f32>() } else { 1 };
        let values = self.shape.channels.saturating_mul(value).saturating_add(1);
        let pixels = self.frames * self.sequences * self.shape.height * self.shape.width;
        pixels.saturating_mul(values)
    }
}

/// Values, as bytes where all are whole numbers.
pub(super) enum Packed {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// Why something was not read.
pub(super) enum Stop {
    TooLarge,
    Failed(Error),
}

/// A dataset that is being read into memory.
pub(super) struct Filling<'a> {
    path: &'a Path,
    wanted: Wanted,
    what: DatasetKind,
    /// What is wanted, in the order of the file's axes; `values` has the sequences outermost.
    extent: [usize; AXES],
    pub(super) values: Packed,
    /// Bytes that the values may take.
    room: usize,
    /// How many values have been read.
    come: usize,
}

impl<'a> Filling<'a> {
    pub(super) fn new(
        path: &'a Path,
        wanted: Wanted,
        what: DatasetKind,
        dataset: &Dataset,
        room: usize,
    ) -> Result<Self, Stop> {
        let PartShape { height, width, channels, .. } = wanted.shape;
        let channels = if what == DatasetKind::Groups { 1 } else { channels };
        let extent = [wanted.frames, wanted.sequences, height, width, channels];
        let values = Packed::Bytes(reserved(extent.iter().product(), room)?);
        let mut filling = Filling { path, wanted, what, extent, values, room, come: 0 };
        if let Packed::Bytes(bytes) = &mut filling.values {
            bytes.resize(extent.iter().product(), fill(dataset) as u8);
        }
        Ok(filling)
    }

    /// Reads what is wanted, which is all sequences, chunk by chunk in the file's order.
    pub(super) fn by_chunks(&mut self, dataset: &Dataset) -> Result<(), Stop> {
        for chunk in dataset.iter_chunks().map_err(|error| self.refused(error))? {
            let chunk = chunk.map_err(|error| self.refused(error))?;
            let values = decode(dataset.dtype(), chunk.bytes());
            let (Some(mut values), Some(start), Some(size)) =
                (values, five(chunk.offsets()), five(chunk.shape()))
            else {
                return Err(self.damaged());
            };
            self.take(start, size, &mut values)?;
        }
        // Chunks that were never written hold the fill value, which `values` began with if it is a byte.
        let fill = fill(dataset);
        if self.come < self.extent.iter().product()
            && !(f32::from(fill as u8) == fill && self.what.fits(fill))
        {
            let problem = format!("{} was not written to its end; {MEND}", self.name());
            return Err(Stop::Failed(Error::content(self.path, problem)));
        }
        Ok(())
    }

    /// Reads what is wanted in boxes of about [`BLOCK`] values, each chunk once.
    pub(super) fn by_slices(&mut self, dataset: &Dataset) -> Result<(), Stop> {
        let [frames, sequences, height, width, channels] = self.extent;
        let fitting = |values: usize| (BLOCK / values).max(1);
        let image = height * width * channels;
        let (tall, wide) = match dataset.chunks() {
            Some(chunk) => {
                let deep = chunk.first().map_or(1, |deep| *deep as usize).clamp(1, frames);
                (deep.saturating_mul(fitting(deep.saturating_mul(sequences * image))), sequences)
            }
            None if sequences == 1 => (fitting(image), 1),
            None => (1, fitting(image)),
        };
        for t in (0..frames).step_by(tall) {
            for n in (0..sequences).step_by(wide) {
                let size = [tall.min(frames - t), wide.min(sequences - n), height, width, channels];
                let mut values = read(dataset, [t, self.wanted.first + n, 0, 0, 0], size)
                    .map_err(|error| self.refused(error))?;
                self.take([t, n, 0, 0, 0], size, &mut values)?;
            }
        }
        Ok(())
    }

    /// Takes those values of a box that are wanted.
    fn take(&mut self, start: [usize; AXES], size: [usize; AXES], values: &mut [f32]) -> Result<(), Stop> {
        if self.what == DatasetKind::Features {
            values.iter_mut().for_each(|value| *value = unit::clamped(*value));
        }
        if start[0] >= self.extent[0] {
            return Ok(());
        }
        let mut count = size;
        for axis in 0..AXES {
            let left = self.extent[axis].checked_sub(start[axis]).filter(|left| *left > 0);
            count[axis] = size[axis].min(left.ok_or_else(|| self.damaged())?);
        }
        if values.len() != size.iter().product::<usize>() {
            return Err(self.damaged());
        }
        // Values that are contiguous in the box and in memory are copied at once.
        let [frames, _, height, width, channels] = self.extent;
        let all = |axis: usize| count[axis] == size[axis] && count[axis] == self.extent[axis];
        let (rows, columns, run) = match (all(3), all(4)) {
            (true, true) => (1, 1, count[2] * width * channels),
            (false, true) => (count[2], 1, count[3] * channels),
            (_, false) => (count[2], count[3], count[4]),
        };
        for t in 0..count[0] {
            for n in 0..count[1] {
                for row in 0..rows {
                    for column in 0..columns {
                        let from = (((t * size[1] + n) * size[2] + row) * size[3] + column) * size[4];
                        let to = (start[1] + n) * frames + start[0] + t;
                        let to = (to * height + start[2] + row) * width + start[3] + column;
                        self.put(to * channels + start[4], &values[from..][..run])?;
                    }
                }
            }
        }
        self.come += count.iter().product::<usize>();
        Ok(())
    }

    /// Stores contiguous values.
    fn put(&mut self, at: usize, run: &[f32]) -> Result<(), Stop> {
        if !run.iter().fold(true, |fit, value| fit & self.what.fits(*value)) {
            return Err(self.unfit(at, run));
        }
        if let Packed::Bytes(bytes) = &mut self.values {
            let places = bytes[at..][..run.len()].iter_mut();
            let whole = places.zip(run).fold(true, |whole, (place, &value)| {
                *place = value as u8;
                whole & (f32::from(*place) == value)
            });
            if whole {
                return Ok(());
            }
            let mut floats = reserved(bytes.len(), self.room)?;
            floats.extend(bytes.iter().map(|byte| f32::from(*byte)));
            self.values = Packed::Floats(floats);
        }
        if let Packed::Floats(floats) = &mut self.values {
            floats[at..][..run.len()].copy_from_slice(run);
        }
        Ok(())
    }

    /// The error for the value of a run that does not fit.
    fn unfit(&self, at: usize, run: &[f32]) -> Stop {
        let place = run.iter().position(|value| !self.what.fits(*value)).unwrap_or(0);
        let [frames, _, height, width, channels] = self.extent;
        let frame = (at + place) / (height * width * channels);
        let problem = format!(
            "{} holds {} in frame {} of sequence {}, counted from 0; {}",
            self.name(),
            run[place],
            frame % frames,
            self.wanted.first + frame / frames,
            self.what.must()
        );
        Stop::Failed(Error::content(self.path, problem))
    }

    fn name(&self) -> String {
        name(self.wanted.part, self.what)
    }

    fn refused(&self, error: Hdf5Error) -> Stop {
        Stop::Failed(refused(self.path, &self.name(), error))
    }

    fn damaged(&self) -> Stop {
        self.refused(Hdf5Error::InvalidData("its chunks contradict its shape".into()))
    }
}

/// An empty vector with room for `size` values, if that is no more than `room` bytes.
fn reserved<T>(size: usize, room: usize) -> Result<Vec<T>, Stop> {
    let mut values = Vec::new();
    let small = size.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= room);
    if small && values.try_reserve_exact(size).is_ok() { Ok(values) } else { Err(Stop::TooLarge) }
}

/// A dataset's path in the file.
pub(super) fn name(part: Split, what: DatasetKind) -> String {
    format!("{}/{}", group(part), what.name())
}

/// Lengths or positions on the five axes.
pub(super) fn five(axes: &[u64]) -> Option<[usize; AXES]> {
    let mut five = [0; AXES];
    if axes.len() != AXES {
        return None;
    }
    for (to, from) in five.iter_mut().zip(axes) {
        *to = usize::try_from(*from).ok()?;
    }
    Some(five)
}

/// A box of a dataset.
pub(super) fn read(
    dataset: &Dataset,
    start: [usize; AXES],
    size: [usize; AXES],
) -> Result<Vec<f32>, Hdf5Error> {
    let of = |(start, size): (usize, usize)| SliceInfoElem::Slice {
        start: start as u64,
        end: (start + size) as u64,
        step: 1,
    };
    let selections = start.into_iter().zip(size).map(of).collect();
    let values = dataset.read_slice::<Number>(&SliceInfo { selections })?;
    Ok(values.into_raw_vec_and_offset().0.into_iter().map(|Number(value)| value).collect())
}

/// What a value that was never written counts as.
fn fill(dataset: &Dataset) -> f32 {
    let value = dataset.fill_value().and_then(|fill| fill.value.as_deref());
    let value = value.and_then(|bytes| decode(dataset.dtype(), bytes));
    value.and_then(|values| values.first().copied()).unwrap_or(0.0)
}

/// The error of the crate that reads HDF5, as a sentence about the file.
pub(super) fn refused(path: &Path, name: &str, error: Hdf5Error) -> Error {
    use Hdf5Error as E;
    let problem = match error {
        E::Context { source, .. } => return refused(path, name, *source),
        E::Io(error) => return Error::io("read", path)(error),
        E::InvalidMagic => "this is not an HDF5 file".into(),
        E::DatasetNotFound(_) | E::GroupNotFound(_) => format!("there is no {name}; {LAYOUT}"),
        E::ResourceLimit(limit) => {
            format!(
                "{name} is stored in pieces that are too large ({limit}); write it again in smaller chunks"
            )
        }
        E::UnsupportedFilter(_)
        | E::UnsupportedEncoding(_)
        | E::UnsupportedLayoutClass(_)
        | E::UnsupportedLayoutVersion(_)
        | E::UnsupportedChunkIndexType(_)
        | E::UnsupportedLinkType(_) => {
            format!(
                "{name} is stored in a way that cannot be read ({error}); write it again, with gzip or without compression"
            )
        }
        error => format!("{name} cannot be read ({error}); {MEND}"),
    };
    Error::content(path, problem)
}
