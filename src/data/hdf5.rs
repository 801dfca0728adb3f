//! Image sequences from HDF5 files, laid out as the paper's public code lays them out.
//!
//! A file has the groups `training`, `validation` and `test`, each with the datasets `features` and
//! `groups` of shape [T, N, H, W, C]: frames, sequences, rows, columns and channels, of which `groups`
//! has one. Features lie between 0 and 1. How they are stored is the writer's choice; chunks with gzip are usual.
//!
//! Chunks often hold many sequences, or one frame of all of them, so reading sequences one by one would inflate the
//! same bytes over and over. The first request for a part therefore reads the whole part, chunk by chunk, and keeps
//! it: one byte a value where all values are whole numbers, four otherwise. A part that does not fit into what the
//! others leave of `MAX_HELD` stays in the file, and its sequences are read one by one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{
    ByteOrder, Dataset, Datatype, FileStorage, H5Type, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem,
    Storage, VarLenKind,
};

use crate::error::{Error, Result};

/// Bytes that all parts together may take in memory: room for the paper's seventy thousand sequences of twenty
/// 24x24 frames in grey.
const MAX_HELD: usize = 4 << 30;
/// Decoded chunks kept, in bytes, for a part that stays in its file.
const CHUNK_CACHE: usize = 256 << 20;
/// The largest chunk, or read of one sequence, in bytes: a damaged size must not take all memory.
const MAX_READ: usize = 1 << 30;
/// Values that are read at once where there are no chunks to go by.
const BLOCK: usize = 4 << 20;

/// T, N, H, W and C.
const AXES: usize = 5;

/// What a file must have.
const LAYOUT: &str = "a file needs the groups training, validation and test, each with the datasets \
                      features and groups";
/// What may be in a dataset.
const TYPES: &str = "it must be float32, float64, bool or an integer type";
/// What to do about a file that is damaged.
const MEND: &str = "the file is damaged or cut short, so copy or write it again";

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `training`.
    Training,
    /// `validation`.
    Validation,
    /// `test`.
    Test,
}

impl Part {
    /// All three.
    pub const ALL: [Part; 3] = [Part::Training, Part::Validation, Part::Test];

    /// Its group in the file.
    pub fn name(self) -> &'static str {
        match self {
            Part::Training => "training",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// How much a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
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

/// An open file.
pub struct File {
    source: Source,
    shapes: [Shape; 3],
    /// One lock for all parts, because they share the memory that may be taken.
    held: Mutex<[Option<Held>; 3]>,
}

/// Where the sequences of a part are read from.
#[derive(Clone)]
enum Held {
    Memory(Arc<Block>),
    /// The part's features and groups, where it is too large to be held.
    File(Arc<[Dataset; 2]>),
}

impl Held {
    fn covers(&self, frames: usize) -> bool {
        match self {
            Held::Memory(block) => block.frames >= frames,
            Held::File(_) => true,
        }
    }

    /// Bytes in memory.
    fn size(&self) -> usize {
        match self {
            Held::Memory(block) => block.size(),
            Held::File(_) => 0,
        }
    }
}

impl File {
    /// Opens a file and checks its layout.
    ///
    /// # Errors
    /// A file that cannot be read, is not HDF5 or is damaged; a dataset that is missing or has the wrong type or shape.
    pub fn open(path: &Path) -> Result<File> {
        File::open_within(path, MAX_HELD)
    }

    fn open_within(path: &Path, max_held: usize) -> Result<File> {
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        // Read, not mapped: a mapped file that someone shortens would end the program.
        let storage = FileStorage::from_file(file).map_err(|error| refused(path, "the file", error))?;
        let source = Source { path: path.to_owned(), storage: Arc::new(storage), max_held };
        let file = source.hdf5(0)?;
        let (there, due) = (source.storage.len(), file.superblock().eof_address);
        if there < due {
            return Err(Error::content(path, format!("only {there} of its {due} bytes are there; {MEND}")));
        }
        let [training, validation, test] = Part::ALL.map(|part| source.check(&file, part));
        Ok(File { source, shapes: [training?, validation?, test?], held: Mutex::default() })
    }

    /// How much a part holds.
    pub fn shape(&self, part: Part) -> Shape {
        self.shapes[part as usize]
    }

    /// The first `frames` frames of sequence `index`, counted from 0: the features of each frame as
    /// [C, H, W], and its groups as [H, W].
    ///
    /// The first call for a part, and every call for more frames than before, reads the part into memory. That can
    /// take seconds, during which calls from other threads wait.
    ///
    /// # Errors
    /// A sequence or frames that do not exist, features outside of 0 to 1, groups that are not whole numbers from 0 to
    /// 255, or damage. Where the part is held in memory, such values are an error whichever sequence they are in.
    pub fn sequence(&self, part: Part, index: usize, frames: usize) -> Result<(Vec<f32>, Vec<u8>)> {
        let shape = self.shape(part);
        let (path, name) = (&self.source.path, part.name());
        if index >= shape.sequences {
            let problem = format!(
                "{name} has {} sequences, counted from 0, so there is no sequence {index}",
                shape.sequences
            );
            return Err(Error::content(path, problem));
        }
        if frames > shape.frames {
            let problem = format!(
                "the sequences of {name} have {} frames, but {frames} are needed; make steps smaller",
                shape.frames
            );
            return Err(Error::content(path, problem));
        }
        let held = {
            // Parts are only ever replaced whole, so a panic elsewhere leaves nothing half done.
            let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            match &all[part as usize] {
                Some(held) if held.covers(frames) => held.clone(),
                _ => {
                    // Dropped first, so that memory never has to hold both.
                    all[part as usize] = None;
                    let taken = all.iter().flatten().map(Held::size).sum();
                    let room = self.source.max_held.saturating_sub(taken);
                    all[part as usize].insert(self.source.hold(part, shape, frames, room)?).clone()
                }
            }
        };
        match held {
            Held::Memory(block) => Ok(block.sequence(shape, index, frames)),
            Held::File(datasets) => {
                Ok(self.source.alone(&datasets, part, shape, index, frames)?.sequence(shape, 0, frames))
            }
        }
    }
}

/// Where values come from.
struct Source {
    path: PathBuf,
    storage: Arc<FileStorage>,
    max_held: usize,
}

impl Source {
    /// The file, with a cache of so many bytes of decoded chunks.
    fn hdf5(&self, cache: usize) -> Result<Hdf5File> {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(cache)
            .with_max_chunk_bytes(MAX_READ)
            .with_max_read_bytes(MAX_READ);
        Hdf5File::from_storage_with_options(self.storage.clone(), options)
            .map_err(|error| refused(&self.path, "the file", error))
    }

    fn datasets(&self, file: &Hdf5File, part: Part) -> Result<[Dataset; 2]> {
        let dataset = |what| {
            let name = name(part, what);
            file.dataset(&name).map_err(|error| refused(&self.path, &name, error))
        };
        Ok([dataset(What::Features)?, dataset(What::Groups)?])
    }

    /// The shape of a part whose datasets are fit to be read.
    fn check(&self, file: &Hdf5File, part: Part) -> Result<Shape> {
        let wrong = |what, problem: String| {
            Err(Error::content(&self.path, format!("{} {problem}", name(part, what))))
        };
        let datasets = self.datasets(file, part)?;
        let mut shapes = [[0; AXES]; 2];
        for ((dataset, what), shape) in datasets.iter().zip([What::Features, What::Groups]).zip(&mut shapes) {
            let there = dataset.shape();
            if decode(dataset.dtype(), &[]).is_none() {
                return wrong(what, format!("has type {}; {TYPES}", kind(dataset.dtype())));
            }
            let Some(axes) = five(there) else {
                let expected = "frames, sequences, height, width and channels";
                return wrong(what, format!("has shape {there:?}; it needs the five axes {expected}"));
            };
            if there.contains(&0) {
                return wrong(what, format!("has shape {there:?}, so there is nothing in it"));
            }
            // Nothing that is computed from a shape below can overflow then.
            if axes.iter().try_fold(size_of::<f64>(), |size, axis| size.checked_mul(*axis)).is_none() {
                return wrong(what, format!("has the impossible shape {there:?}; {MEND}"));
            }
            *shape = axes;
        }
        let [features, groups] = shapes;
        if groups[..4] != features[..4] {
            let problem = format!(
                "has shape {groups:?}, but the features have {features:?}; \
                 frames, sequences, height and width must be the same"
            );
            return wrong(What::Groups, problem);
        }
        if groups[4] != 1 {
            return wrong(What::Groups, format!("has {} channels; a pixel has one group", groups[4]));
        }
        // A filter that cannot be undone shows only when something is read.
        for (dataset, what) in datasets.iter().zip([What::Features, What::Groups]) {
            read(dataset, [0; AXES], [1; AXES])
                .map_err(|error| refused(&self.path, &name(part, what), error))?;
        }
        let [frames, sequences, height, width, channels] = features;
        Ok(Shape { frames, sequences, height, width, channels })
    }

    /// Reads a part into at most `room` bytes, or makes it ready to be read from the file.
    fn hold(&self, part: Part, shape: Shape, frames: usize, room: usize) -> Result<Held> {
        let wanted = Wanted { part, shape, frames, first: 0, sequences: shape.sequences };
        match self.block(&self.datasets(&self.hdf5(0)?, part)?, wanted, room) {
            Ok(block) => Ok(Held::Memory(Arc::new(block))),
            Err(Stop::TooLarge) => Ok(Held::File(Arc::new(self.datasets(&self.hdf5(CHUNK_CACHE)?, part)?))),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// One sequence of a part.
    fn alone(
        &self,
        datasets: &[Dataset; 2],
        part: Part,
        shape: Shape,
        first: usize,
        frames: usize,
    ) -> Result<Block> {
        let wanted = Wanted { part, shape, frames, first, sequences: 1 };
        self.block(datasets, wanted, usize::MAX).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::TooLarge => {
                let problem = format!("a sequence of {} takes more memory than there is", part.name());
                Error::content(&self.path, problem)
            }
        })
    }

    /// What is wanted, in at most `max` bytes.
    fn block(&self, [features, groups]: &[Dataset; 2], wanted: Wanted, max: usize) -> Result<Block, Stop> {
        let size = wanted.frames * wanted.sequences * wanted.shape.height * wanted.shape.width;
        let room = max.checked_sub(size).ok_or(Stop::TooLarge)?;
        let filled = |what, dataset, room| {
            let mut filling = Filling::new(&self.path, wanted, what, dataset, room)?;
            if dataset.chunks().is_some() && wanted.sequences == wanted.shape.sequences {
                filling.by_chunks(dataset)?;
            } else {
                filling.by_slices(dataset)?;
            }
            Ok::<_, Stop>(filling.values)
        };
        let features = filled(What::Features, features, room)?;
        let groups = match filled(What::Groups, groups, size)? {
            Values::Bytes(groups) => groups,
            Values::Floats(_) => unreachable!("groups that are no bytes are refused"),
        };
        Ok(Block { frames: wanted.frames, features, groups })
    }
}

/// Sequences in memory: of all their frames, one after the other.
struct Block {
    frames: usize,
    features: Values,
    groups: Vec<u8>,
}

impl Block {
    /// Bytes in memory.
    fn size(&self) -> usize {
        let features = match &self.features {
            Values::Bytes(bytes) => bytes.len(),
            Values::Floats(floats) => size_of_val(floats.as_slice()),
        };
        features + self.groups.len()
    }

    /// The first `frames` frames of a sequence, with the channels before the rows.
    fn sequence(&self, shape: Shape, index: usize, frames: usize) -> (Vec<f32>, Vec<u8>) {
        let Shape { height, width, channels, .. } = shape;
        let pixels = height * width;
        let of = |channels| {
            let size = pixels * channels;
            index * self.frames * size..(index * self.frames + frames) * size
        };
        let groups = self.groups[of(1)].to_vec();
        let features: Vec<f32> = match &self.features {
            Values::Bytes(bytes) => bytes[of(channels)].iter().map(|v| f32::from(*v)).collect(),
            Values::Floats(floats) => floats[of(channels)].to_vec(),
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

/// One or the other dataset of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Features,
    Groups,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Features => "features",
            What::Groups => "groups",
        }
    }

    /// Whether a value can be one of these.
    fn fits(self, value: f32) -> bool {
        match self {
            What::Features => (0.0..=1.0).contains(&value),
            What::Groups => f32::from(value as u8) == value,
        }
    }

    /// What the values must be, and what to do where they are not.
    fn must(self) -> &'static str {
        match self {
            What::Features => {
                "features must lie between 0 and 1, so write the file again with all of them scaled to that, \
                 bytes for example divided by 255"
            }
            What::Groups => "groups must be whole numbers from 0 to 255, so write the file again with such",
        }
    }
}

/// What to read of a part: `frames` frames of `sequences` sequences, from `first` on.
#[derive(Clone, Copy)]
struct Wanted {
    part: Part,
    shape: Shape,
    frames: usize,
    first: usize,
    sequences: usize,
}

/// Values that take as little room as they can.
enum Values {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

/// Why something was not read.
enum Stop {
    TooLarge,
    Failed(Error),
}

/// A dataset on its way into memory.
struct Filling<'a> {
    path: &'a Path,
    wanted: Wanted,
    what: What,
    /// What is wanted, in the order of the file's axes; `values` has the sequences outermost.
    extent: [usize; AXES],
    values: Values,
    /// Bytes that the values may take.
    room: usize,
    /// How many values have come.
    come: usize,
}

impl<'a> Filling<'a> {
    fn new(path: &'a Path, wanted: Wanted, what: What, dataset: &Dataset, room: usize) -> Result<Self, Stop> {
        let Shape { height, width, channels, .. } = wanted.shape;
        let channels = if what == What::Groups { 1 } else { channels };
        let extent = [wanted.frames, wanted.sequences, height, width, channels];
        let values = Values::Bytes(reserved(extent.iter().product(), room)?);
        let mut filling = Filling { path, wanted, what, extent, values, room, come: 0 };
        if let Values::Bytes(bytes) = &mut filling.values {
            bytes.resize(extent.iter().product(), fill(dataset) as u8);
        }
        Ok(filling)
    }

    /// Reads all that is wanted, in whatever order the chunks come.
    fn by_chunks(&mut self, dataset: &Dataset) -> Result<(), Stop> {
        for chunk in dataset.iter_chunks().map_err(|error| self.refused(error))? {
            let chunk = chunk.map_err(|error| self.refused(error))?;
            let values = decode(dataset.dtype(), chunk.bytes());
            let (Some(values), Some(start), Some(size)) =
                (values, five(chunk.offsets()), five(chunk.shape()))
            else {
                return Err(self.damaged());
            };
            self.take(start, size, &values)?;
        }
        // Chunks that were never written hold the fill value, which is there already if it is a byte.
        let fill = fill(dataset);
        if self.come < self.extent.iter().product()
            && !(f32::from(fill as u8) == fill && self.what.fits(fill))
        {
            let problem = format!("{} was not written to its end; {MEND}", self.name());
            return Err(Stop::Failed(Error::content(self.path, problem)));
        }
        Ok(())
    }

    /// Reads what is wanted as the file has it: one sequence, or a frame of as many as make a block.
    fn by_slices(&mut self, dataset: &Dataset) -> Result<(), Stop> {
        let [frames, sequences, height, width, channels] = self.extent;
        let block = (BLOCK / (height * width * channels)).max(1);
        let (tall, wide) = if sequences == 1 { (block, 1) } else { (1, block) };
        for t in (0..frames).step_by(tall) {
            for n in (0..sequences).step_by(wide) {
                let size = [tall.min(frames - t), wide.min(sequences - n), height, width, channels];
                let values = read(dataset, [t, self.wanted.first + n, 0, 0, 0], size)
                    .map_err(|error| self.refused(error))?;
                self.take([t, n, 0, 0, 0], size, &values)?;
            }
        }
        Ok(())
    }

    /// Takes a box of values, of which those outside of what is wanted are left.
    fn take(&mut self, start: [usize; AXES], size: [usize; AXES], values: &[f32]) -> Result<(), Stop> {
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
        // Values that lie together in the box and in memory are taken at once.
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

    /// Puts values in their place.
    fn put(&mut self, at: usize, run: &[f32]) -> Result<(), Stop> {
        if !run.iter().fold(true, |fit, value| fit & self.what.fits(*value)) {
            return Err(self.unfit(at, run));
        }
        if let Values::Bytes(bytes) = &mut self.values {
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
            self.values = Values::Floats(floats);
        }
        if let Values::Floats(floats) = &mut self.values {
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
fn name(part: Part, what: What) -> String {
    format!("{}/{}", part.name(), what.name())
}

/// The lengths of, or places on, the five axes.
fn five(axes: &[u64]) -> Option<[usize; AXES]> {
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
fn read(dataset: &Dataset, start: [usize; AXES], size: [usize; AXES]) -> Result<Vec<f32>, Hdf5Error> {
    let of = |(start, size): (usize, usize)| SliceInfoElem::Slice {
        start: start as u64,
        end: (start + size) as u64,
        step: 1,
    };
    let selections = start.into_iter().zip(size).map(of).collect();
    let values = dataset.read_slice::<Value>(&SliceInfo { selections })?;
    Ok(values.into_raw_vec_and_offset().0.into_iter().map(|Value(value)| value).collect())
}

/// What a value that was never written counts as.
fn fill(dataset: &Dataset) -> f32 {
    let value = dataset.fill_value().and_then(|fill| fill.value.as_deref());
    let value = value.and_then(|bytes| decode(dataset.dtype(), bytes));
    value.and_then(|values| values.first().copied()).unwrap_or(0.0)
}

/// A value of any kind of number, as the nearest float of 32 bits.
#[derive(Clone)]
struct Value(f32);

impl H5Type for Value {
    fn hdf5_type() -> Datatype {
        f32::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], datatype: &Datatype) -> Result<Value, Hdf5Error> {
        let value = decode(datatype, bytes).and_then(|values| values.first().copied());
        value.map(Value).ok_or_else(|| Hdf5Error::InvalidData("a value is cut short".into()))
    }

    fn element_size(datatype: &Datatype) -> usize {
        hdf5_reader::datatype_api::dtype_element_size(datatype).unwrap_or(0)
    }

    fn decode_vec(bytes: &[u8], datatype: &Datatype, _: usize) -> Option<Result<Vec<Value>, Hdf5Error>> {
        decode(datatype, bytes).map(|values| Ok(values.into_iter().map(Value).collect()))
    }
}

/// The values of numbers in a file; `None` where they are no numbers. All whole numbers that matter
/// here are exact in 32 bits.
fn decode(datatype: &Datatype, bytes: &[u8]) -> Option<Vec<f32>> {
    macro_rules! numbers {
        ($number:ty, $order:expr) => {{
            let (values, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
            Some(match $order {
                ByteOrder::LittleEndian => {
                    values.iter().map(|v| <$number>::from_le_bytes(*v) as f32).collect()
                }
                ByteOrder::BigEndian => values.iter().map(|v| <$number>::from_be_bytes(*v) as f32).collect(),
            })
        }};
    }
    match datatype {
        // h5py writes booleans as an enumeration of bytes.
        Datatype::Enum { base, .. } => decode(base, bytes),
        Datatype::FixedPoint { size, signed, byte_order } => match (size, signed) {
            (1, false) => numbers!(u8, byte_order),
            (1, true) => numbers!(i8, byte_order),
            (2, false) => numbers!(u16, byte_order),
            (2, true) => numbers!(i16, byte_order),
            (4, false) => numbers!(u32, byte_order),
            (4, true) => numbers!(i32, byte_order),
            (8, false) => numbers!(u64, byte_order),
            (8, true) => numbers!(i64, byte_order),
            _ => None,
        },
        Datatype::FloatingPoint { size: 4, byte_order } => numbers!(f32, byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => numbers!(f64, byte_order),
        _ => None,
    }
}

/// What users call a type.
fn kind(datatype: &Datatype) -> String {
    match datatype {
        Datatype::FixedPoint { size, signed, .. } => {
            format!("{}int{}", if *signed { "" } else { "u" }, 8 * u32::from(*size))
        }
        Datatype::FloatingPoint { size, .. } => format!("float{}", 8 * u32::from(*size)),
        Datatype::String { .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => "string".into(),
        Datatype::Compound { .. } => "compound".into(),
        Datatype::Enum { .. } => "enumeration".into(),
        Datatype::Array { .. } => "array".into(),
        Datatype::VarLen { .. } => "variable-length array".into(),
        Datatype::Opaque { .. } => "opaque".into(),
        Datatype::Reference { .. } => "reference".into(),
        Datatype::Bitfield { .. } => "bit field".into(),
    }
}

/// The error of the crate that reads HDF5, as a sentence about the file.
fn refused(path: &Path, name: &str, error: Hdf5Error) -> Error {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name)
    }

    /// Bytes in memory, part by part.
    fn sizes(file: &File) -> [usize; 3] {
        let held = file.held.lock().unwrap();
        Part::ALL.map(|part| held[part as usize].as_ref().map_or(0, Held::size))
    }

    /// A part that does not fit in memory is read sequence by sequence, with the same result.
    #[test]
    fn a_part_too_large_to_hold_reads_the_same() {
        for name in ["earliest.h5", "latest.h5", "kinds.h5", "static.h5"] {
            let path = fixture(name);
            let (whole, apart) = (File::open(&path).unwrap(), File::open_within(&path, 100).unwrap());
            for part in Part::ALL {
                let Shape { frames, sequences, .. } = whole.shape(part);
                for (index, frames) in (0..sequences).flat_map(|i| [(i, 1), (i, frames)]) {
                    let read = |file: &File| file.sequence(part, index, frames).unwrap();
                    assert_eq!(read(&whole), read(&apart), "{name} {part:?} {index} {frames}");
                }
            }
            assert_eq!(sizes(&apart), [0; 3]);
        }
    }

    /// The limit is for all parts together: what does not fit beside the others stays in the file.
    #[test]
    fn parts_share_the_memory_that_may_be_taken() {
        let path = fixture("earliest.h5");
        let read_all = |file: &File| Part::ALL.map(|part| file.sequence(part, 0, 3).unwrap());
        let whole = File::open(&path).unwrap();
        let wanted = read_all(&whole);
        let [training, validation, test] = sizes(&whole);
        assert!(training > 0 && validation > 0 && test > 0);
        let limit = training + validation + test - 1;
        let limited = File::open_within(&path, limit).unwrap();
        assert_eq!(read_all(&limited), wanted);
        assert_eq!(sizes(&limited), [training, validation, 0]);
    }
}
