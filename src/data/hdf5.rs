//! Image sequences from HDF5 files in the layout of the paper's public code.
//!
//! A file has the groups `training`, `validation` and `test`, each with the datasets `features` and
//! `groups` of shape [T, N, H, W, C]: frames, sequences, rows, columns and channels, of which `groups`
//! has one. Features lie between 0 and 1. How they are stored is the writer's choice; chunks with gzip are usual.
//!
//! Chunks often hold many sequences, or one frame of all of them, so reading sequences one by one would inflate the
//! same bytes over and over. A sequence is therefore read together with those that share its chunks, and all of them
//! are kept: one byte a value where all values are whole numbers, four otherwise. What is kept takes a part of the memory
//! that this process may take, and at most `MAX_HELD`; the blocks that were not used for longest give way. Where the
//! chunks of a part hold too many sequences for a few blocks to fit, its sequences are read one by one, with a cache of
//! chunks.

mod block;
mod number;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use block::{PartShape, group};
use hdf5_reader::{Dataset, FileStorage, Hdf5File, OpenOptions, Storage};

use super::split::Split;
use crate::error::{Error, Result};
use crate::machine::{self, in_words};
use block::{
    AXES, Block, DatasetKind, Filling, MEND, Packed, Stop, TYPES, Wanted, five, name, read, refused,
};
use number::{decode, kind};

/// Bytes that all parts together may take in memory: room for the paper's seventy thousand sequences of twenty
/// 24x24 frames in grey.
const MAX_HELD: usize = 4 << 30;
/// Decoded chunks kept, in bytes, for a part whose sequences are read one by one.
const CHUNK_CACHE: usize = 256 << 20;
/// The largest chunk, or read of one sequence, in bytes: a damaged size must not take all memory.
const MAX_READ: usize = 1 << 30;
/// Values that are read at least at once, where a part has as many.
const LEAST_VALUES: usize = 1 << 18;

/// Memory in bytes.
#[derive(Clone, Copy)]
struct Room {
    /// For what is kept.
    held: usize,
    /// For one chunk, or one sequence: while it is decoded it takes several times its size.
    once: usize,
}

impl Room {
    /// A part of the memory that this process may take.
    fn now() -> Room {
        let free = usize::try_from(machine::free_memory()).unwrap_or(usize::MAX);
        Room { held: MAX_HELD.min(free / 3), once: MAX_READ.min(free / 12) }
    }
}

/// An open file.
pub struct SequenceFile {
    source: Hdf5Source,
    shapes: [PartShape; 3],
    /// One lock for all parts, because they share the memory that may be taken.
    cache: Mutex<Cache>,
}

/// What has been read.
struct Cache {
    parts: [Option<Part>; 3],
    /// By part and first sequence.
    blocks: HashMap<(usize, usize), Held>,
    /// Whether a part has values between whole numbers, as far as is known.
    fractions: [bool; 3],
    /// Counts requests.
    clock: u64,
    /// Bytes that the blocks may take.
    limit: usize,
}

/// How the sequences of a part are read.
#[derive(Clone)]
struct Part {
    /// Features and groups.
    datasets: Arc<[Dataset; 2]>,
    /// As many at once; `None` for one by one, which are not kept.
    together: Option<usize>,
}

struct Held {
    block: Arc<Block>,
    /// The latest request.
    used: u64,
}

impl Cache {
    fn taken(&self) -> usize {
        self.blocks.values().map(|held| held.block.size()).sum()
    }

    /// What is wanted: held already, or read by `read` in at most the bytes it is given. `None` where it does not fit.
    fn get(
        &mut self,
        wanted: Wanted,
        mut read: impl FnMut(usize) -> Result<Block, Stop>,
    ) -> Result<Option<Arc<Block>>> {
        self.clock += 1;
        let part = wanted.part as usize;
        let key = (part, wanted.first);
        if let Some(held) = self.blocks.get_mut(&key).filter(|held| held.block.frames >= wanted.frames) {
            held.used = self.clock;
            return Ok(Some(held.block.clone()));
        }
        // Dropped first, so that memory never has to hold both.
        self.blocks.remove(&key);
        loop {
            // Only small blocks make others give way: large ones would take turns.
            let size = wanted.bytes(self.fractions[part]);
            while size <= self.limit / 4 && size > self.limit - self.taken() {
                let oldest = self.blocks.iter().min_by_key(|(_, held)| held.used).map(|(key, _)| *key);
                let Some(oldest) = oldest else { break };
                self.blocks.remove(&oldest);
            }
            match read(self.limit.saturating_sub(self.taken())) {
                Ok(block) => {
                    let block = Arc::new(block);
                    self.blocks.insert(key, Held { block: block.clone(), used: self.clock });
                    return Ok(Some(block));
                }
                // They take more than whole numbers would.
                Err(Stop::TooLarge) if !self.fractions[part] => self.fractions[part] = true,
                Err(Stop::TooLarge) => return Ok(None),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }
}

impl SequenceFile {
    /// Opens a file and checks its layout.
    ///
    /// # Errors
    /// A file that cannot be read, is not HDF5 or is damaged; a dataset that is missing or has the wrong type or shape.
    pub fn open(path: &Path) -> Result<SequenceFile> {
        SequenceFile::open_in(path, Room::now())
    }

    fn open_in(path: &Path, room: Room) -> Result<SequenceFile> {
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        // Read, not mapped: a mapped file that someone shortens would end the program.
        let storage = FileStorage::from_file(file).map_err(|error| refused(path, "the file", error))?;
        let source = Hdf5Source { path: path.to_owned(), storage: Arc::new(storage), room };
        let file = source.hdf5(0)?;
        let (there, due) = (source.storage.len(), file.superblock().eof_address);
        if there < due {
            return Err(Error::content(path, format!("only {there} of its {due} bytes are present; {MEND}")));
        }
        let [training, validation, test] = Split::ALL.map(|part| source.check(&file, part));
        let shapes = [training?, validation?, test?];
        let cache = Cache {
            parts: Default::default(),
            blocks: HashMap::new(),
            fractions: [false; 3],
            clock: 0,
            limit: room.held,
        };
        Ok(SequenceFile { source, shapes, cache: Mutex::new(cache) })
    }

    /// How much a part holds.
    pub fn shape(&self, part: Split) -> PartShape {
        self.shapes[part as usize]
    }

    /// The first `frames` frames of sequence `index`, counted from 0: the features of each frame as
    /// [C, H, W], and its groups as [H, W].
    ///
    /// The sequences that share its chunks are read with it and kept; calls from other threads wait for that.
    ///
    /// # Errors
    /// A sequence or frames that do not exist, features outside of 0 to 1, groups that are not whole numbers from 0 to
    /// 255, or damage, in this sequence or in one that is read with it.
    pub fn sequence(&self, part: Split, index: usize, frames: usize) -> Result<(Vec<f32>, Vec<u8>)> {
        let shape = self.shape(part);
        let (path, name) = (&self.source.path, group(part));
        if index >= shape.sequences {
            let problem = format!(
                "{name} has {} sequences, counted from 0, so there is no sequence {index}",
                shape.sequences
            );
            return Err(Error::content(path, problem));
        }
        if frames > shape.frames {
            let problem = format!(
                "the sequences of {name} have {} frames, but {frames} are needed; reduce steps",
                shape.frames
            );
            return Err(Error::content(path, problem));
        }
        let datasets = {
            // Blocks and parts are only ever replaced whole, so a panic elsewhere leaves nothing half done.
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            let known = cache.parts[part as usize].clone();
            let found = match known {
                Some(found) => found,
                None => cache.parts[part as usize].insert(self.source.part(part, shape, frames)?).clone(),
            };
            if let Some(together) = found.together {
                let first = index / together * together;
                let sequences = together.min(shape.sequences - first);
                let wanted = Wanted { part, shape, frames, first, sequences };
                let read = |room| self.source.block(&found.datasets, wanted, room);
                if let Some(block) = cache.get(wanted, read)? {
                    drop(cache);
                    return Ok(block.sequence(shape, index - first, frames));
                }
                cache.blocks.retain(|(of, _), _| *of != part as usize);
                let found = self.source.one_by_one(part)?;
                cache.parts[part as usize].insert(found).datasets.clone()
            } else {
                found.datasets
            }
        };
        Ok(self.source.alone(&datasets, part, shape, index, frames)?.sequence(shape, 0, frames))
    }
}

/// Where values come from.
struct Hdf5Source {
    path: PathBuf,
    storage: Arc<FileStorage>,
    room: Room,
}

impl Hdf5Source {
    /// The file, with a cache of `cache` bytes of decoded chunks.
    fn hdf5(&self, cache: usize) -> Result<Hdf5File> {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(cache)
            .with_max_chunk_bytes(self.room.once)
            .with_max_read_bytes(MAX_READ);
        Hdf5File::from_storage_with_options(self.storage.clone(), options)
            .map_err(|error| refused(&self.path, "the file", error))
    }

    fn datasets(&self, file: &Hdf5File, part: Split) -> Result<[Dataset; 2]> {
        let dataset = |what| {
            let name = name(part, what);
            file.dataset(&name).map_err(|error| refused(&self.path, &name, error))
        };
        Ok([dataset(DatasetKind::Features)?, dataset(DatasetKind::Groups)?])
    }

    /// The shape of a part, if its datasets can be read.
    fn check(&self, file: &Hdf5File, part: Split) -> Result<PartShape> {
        let wrong = |what, problem: String| {
            Err(Error::content(&self.path, format!("{} {problem}", name(part, what))))
        };
        let datasets = self.datasets(file, part)?;
        let mut shapes = [[0; AXES]; 2];
        for ((dataset, what), shape) in
            datasets.iter().zip([DatasetKind::Features, DatasetKind::Groups]).zip(&mut shapes)
        {
            let there = dataset.shape();
            if decode(dataset.dtype(), &[]).is_none() {
                return wrong(what, format!("has type {}; {TYPES}", kind(dataset.dtype())));
            }
            let Some(axes) = five(there) else {
                let expected = "frames, sequences, height, width and channels";
                return wrong(what, format!("has shape {there:?}; it needs the five axes {expected}"));
            };
            if there.contains(&0) {
                return wrong(what, format!("has shape {there:?} and is empty"));
            }
            // Nothing that is computed from a shape below can overflow then.
            if axes.iter().try_fold(size_of::<f64>(), |size, axis| size.checked_mul(*axis)).is_none() {
                return wrong(what, format!("has the impossible shape {there:?}; {MEND}"));
            }
            if let Some(chunk) = dataset.chunks() {
                let size = dataset
                    .raw_element_size()
                    .map_err(|error| refused(&self.path, &name(part, what), error))?;
                let size = chunk.iter().fold(size as u64, |size, axis| size.saturating_mul(u64::from(*axis)));
                if size > self.room.once as u64 {
                    let problem = format!(
                        "is stored in chunks of {}, and {} is the most that can be read at once here; write it again \
                         in smaller chunks, or allow more memory",
                        in_words(size),
                        in_words(self.room.once as u64)
                    );
                    return wrong(what, problem);
                }
            }
            *shape = axes;
        }
        let [features, groups] = shapes;
        if groups[..4] != features[..4] {
            let problem = format!(
                "has shape {groups:?}, but the features have {features:?}; \
                 frames, sequences, height and width must be the same"
            );
            return wrong(DatasetKind::Groups, problem);
        }
        if groups[4] != 1 {
            return wrong(DatasetKind::Groups, format!("has {} channels; a pixel has one group", groups[4]));
        }
        // A filter that cannot be undone shows only when something is read.
        for (dataset, what) in datasets.iter().zip([DatasetKind::Features, DatasetKind::Groups]) {
            read(dataset, [0; AXES], [1; AXES])
                .map_err(|error| refused(&self.path, &name(part, what), error))?;
        }
        let [frames, sequences, height, width, channels] = features;
        Ok(PartShape { frames, sequences, height, width, channels })
    }

    /// How the sequences of a part are read, at first: with those that share chunks.
    fn part(&self, part: Split, shape: PartShape, frames: usize) -> Result<Part> {
        let datasets = self.datasets(&self.hdf5(0)?, part)?;
        let in_chunk = |axis: usize| {
            let length = |dataset: &Dataset| Some(*dataset.chunks()?.get(axis)? as usize);
            datasets.iter().filter_map(length).max().unwrap_or(1).max(1)
        };
        let (deep, chunk) = (in_chunk(0).min(frames), in_chunk(1));
        let image = shape.height * shape.width * shape.channels;
        let values = frames * image;
        let together = chunk.saturating_mul(LEAST_VALUES.div_ceil(values.saturating_mul(chunk)));
        let together = together.min(shape.sequences);
        // What is read at once, as it is in the file and twice as floats.
        let read = (deep * image).saturating_mul(together).saturating_mul(12);
        if together < shape.sequences && read > self.room.held {
            return self.one_by_one(part);
        }
        Ok(Part { datasets: Arc::new(datasets), together: Some(together) })
    }

    /// A part whose sequences are read one by one.
    fn one_by_one(&self, part: Split) -> Result<Part> {
        let cache = CHUNK_CACHE.min(self.room.once);
        Ok(Part { datasets: Arc::new(self.datasets(&self.hdf5(cache)?, part)?), together: None })
    }

    /// One sequence of a part.
    fn alone(
        &self,
        datasets: &[Dataset; 2],
        part: Split,
        shape: PartShape,
        first: usize,
        frames: usize,
    ) -> Result<Block> {
        let wanted = Wanted { part, shape, frames, first, sequences: 1 };
        self.block(datasets, wanted, self.room.once).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::TooLarge => {
                let problem = format!(
                    "a sequence of {} takes more than {}, the most that can be read at once here; reduce steps, write \
                     the file again with smaller images, or allow more memory",
                    group(part),
                    in_words(self.room.once as u64)
                );
                Error::content(&self.path, problem)
            }
        })
    }

    /// Reads what is requested, in at most `max` bytes.
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
        let features = filled(DatasetKind::Features, features, room)?;
        let groups = match filled(DatasetKind::Groups, groups, size)? {
            Packed::Bytes(groups) => groups,
            Packed::Floats(_) => unreachable!("groups that are not bytes are refused"),
        };
        Ok(Block { frames: wanted.frames, features, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name)
    }

    /// Bytes in memory, part by part.
    fn sizes(file: &SequenceFile) -> [usize; 3] {
        let cache = file.cache.lock().unwrap();
        Split::ALL.map(|part| {
            let of_part = cache.blocks.iter().filter(|((of, _), _)| *of == part as usize);
            of_part.map(|(_, held)| held.block.size()).sum()
        })
    }

    /// Opens a file, with `held` bytes for what is kept.
    fn open_within(path: &Path, held: usize) -> SequenceFile {
        SequenceFile::open_in(path, Room { held, ..Room::now() }).unwrap()
    }

    /// A part that does not fit in memory is read sequence by sequence, with the same result.
    #[test]
    fn a_part_too_large_to_hold_reads_the_same() {
        for name in ["earliest.h5", "latest.h5", "kinds.h5", "static.h5"] {
            let path = fixture(name);
            let (whole, apart) = (SequenceFile::open(&path).unwrap(), open_within(&path, 100));
            for part in Split::ALL {
                let PartShape { frames, sequences, .. } = whole.shape(part);
                for (index, frames) in (0..sequences).flat_map(|i| [(i, 1), (i, frames)]) {
                    let read = |file: &SequenceFile| file.sequence(part, index, frames).unwrap();
                    assert_eq!(read(&whole), read(&apart), "{name} {part:?} {index} {frames}");
                }
            }
            assert_eq!(sizes(&apart), [0; 3]);
        }
    }

    /// Only what is asked for is read, and no more is kept than may be: the file's shape is that of gigabytes.
    #[test]
    fn sequences_are_read_by_need() {
        for name in ["large.h5", "large_plain.h5"] {
            let file = open_within(&fixture(name), 10 << 20);
            let sequences = file.shape(Split::Train).sequences;
            let empty = (vec![0.0; 20 * 28 * 28], vec![0; 20 * 28 * 28]);
            let mut most = 0;
            for index in (0..64).chain((0..sequences).rev().step_by(1009)).chain([0]) {
                assert_eq!(file.sequence(Split::Train, index, 20).unwrap(), empty, "{name} {index}");
                let taken: usize = sizes(&file).iter().sum();
                most = most.max(taken);
                assert!(taken <= 10 << 20, "{taken} bytes are kept");
            }
            assert!(most > 1 << 20, "{name}: what was read is kept");
        }
    }

    /// A block is read once while it is held, and again for more frames; the oldest gives way.
    #[test]
    fn blocks_are_kept_until_others_need_the_room() {
        let shape = PartShape { frames: 4, sequences: 100, height: 2, width: 5, channels: 1 };
        let mut cache = Cache {
            parts: Default::default(),
            blocks: HashMap::new(),
            fractions: [true, false, false],
            clock: 0,
            limit: 1000,
        };
        let mut get = |first: usize, frames: usize| -> bool {
            let wanted = Wanted { part: Split::Train, shape, frames, first, sequences: 2 };
            let mut was_read = false;
            let read = |room: usize| {
                was_read = true;
                let size = 2 * frames * 10;
                assert!(size * 5 <= room);
                Ok(Block { frames, features: Packed::Floats(vec![0.5; size]), groups: vec![0; size] })
            };
            assert!(cache.get(wanted, read).unwrap().is_some());
            assert!(cache.taken() <= 1000);
            was_read
        };
        // Each takes 200 bytes.
        assert!(get(0, 2) && get(2, 2) && get(4, 2) && get(6, 2) && get(8, 2));
        assert!(!get(0, 2) && !get(0, 1) && !get(2, 2));
        assert!(get(10, 2), "the oldest, 4, makes room");
        assert!(!get(0, 2) && get(4, 2) && !get(2, 1));
    }

    /// The limit is for all parts together: what does not fit beside the others stays in the file.
    #[test]
    fn parts_share_the_memory_that_may_be_taken() {
        let path = fixture("earliest.h5");
        let read_all = |file: &SequenceFile| Split::ALL.map(|part| file.sequence(part, 0, 3).unwrap());
        let whole = SequenceFile::open(&path).unwrap();
        let wanted = read_all(&whole);
        let [training, validation, test] = sizes(&whole);
        assert!(training > 0 && validation > 0 && test > 0);
        let limit = training + validation + test - 1;
        let limited = open_within(&path, limit);
        assert_eq!(read_all(&limited), wanted);
        assert_eq!(sizes(&limited), [training, validation, 0]);
    }
}
