//! Image sequences from HDF5 files in the layout of the paper's public code.
//!
//! A file has the groups `training`, `validation` and `test`, each with the datasets `features` and
//! `groups` of shape [T, N, H, W, C]: frames, sequences, rows, columns and channels, of which `groups`
//! has one. Features lie between 0 and 1. How they are stored is the writer's choice; chunks with gzip are usual.
//!
//! Chunks often hold many sequences, or one frame of all of them, so reading sequences one by one would inflate the
//! same bytes over and over. The first request for a part therefore reads the whole part, chunk by chunk, and keeps
//! it: one byte a value where all values are whole numbers, four otherwise. A part that does not fit into what the
//! others leave of `MAX_HELD` stays in the file, and its sequences are read one by one.

mod block;
mod number;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use block::{PartShape, group};
use hdf5_reader::{Dataset, FileStorage, Hdf5File, OpenOptions, Storage};

use super::split::Split;
use crate::error::{Error, Result};
use block::{
    AXES, Block, DatasetKind, Filling, MEND, Packed, Stop, TYPES, Wanted, five, name, read, refused,
};
use number::{decode, kind};

/// Bytes that all parts together may take in memory: room for the paper's seventy thousand sequences of twenty
/// 24x24 frames in grey.
const MAX_HELD: usize = 4 << 30;
/// Decoded chunks kept, in bytes, for a part that stays in its file.
const CHUNK_CACHE: usize = 256 << 20;
/// The largest chunk, or read of one sequence, in bytes: a damaged size must not take all memory.
const MAX_READ: usize = 1 << 30;

/// An open file.
pub struct SequenceFile {
    source: Hdf5Source,
    shapes: [PartShape; 3],
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

impl SequenceFile {
    /// Opens a file and checks its layout.
    ///
    /// # Errors
    /// A file that cannot be read, is not HDF5 or is damaged; a dataset that is missing or has the wrong type or shape.
    pub fn open(path: &Path) -> Result<SequenceFile> {
        SequenceFile::open_within(path, MAX_HELD)
    }

    fn open_within(path: &Path, max_held: usize) -> Result<SequenceFile> {
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        // Read, not mapped: a mapped file that someone shortens would end the program.
        let storage = FileStorage::from_file(file).map_err(|error| refused(path, "the file", error))?;
        let source = Hdf5Source { path: path.to_owned(), storage: Arc::new(storage), max_held };
        let file = source.hdf5(0)?;
        let (there, due) = (source.storage.len(), file.superblock().eof_address);
        if there < due {
            return Err(Error::content(path, format!("only {there} of its {due} bytes are present; {MEND}")));
        }
        let [training, validation, test] = Split::ALL.map(|part| source.check(&file, part));
        Ok(SequenceFile { source, shapes: [training?, validation?, test?], held: Mutex::default() })
    }

    /// How much a part holds.
    pub fn shape(&self, part: Split) -> PartShape {
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
struct Hdf5Source {
    path: PathBuf,
    storage: Arc<FileStorage>,
    max_held: usize,
}

impl Hdf5Source {
    /// The file, with a cache of so many bytes of decoded chunks.
    fn hdf5(&self, cache: usize) -> Result<Hdf5File> {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(cache)
            .with_max_chunk_bytes(MAX_READ)
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

    /// Reads a part into at most `room` bytes, or makes it ready to be read from the file.
    fn hold(&self, part: Split, shape: PartShape, frames: usize, room: usize) -> Result<Held> {
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
        part: Split,
        shape: PartShape,
        first: usize,
        frames: usize,
    ) -> Result<Block> {
        let wanted = Wanted { part, shape, frames, first, sequences: 1 };
        self.block(datasets, wanted, usize::MAX).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::TooLarge => {
                let problem = format!("a sequence of {} takes more memory than there is", group(part));
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
            Packed::Floats(_) => unreachable!("groups that are no bytes are refused"),
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
        let held = file.held.lock().unwrap();
        Split::ALL.map(|part| held[part as usize].as_ref().map_or(0, Held::size))
    }

    /// A part that does not fit in memory is read sequence by sequence, with the same result.
    #[test]
    fn a_part_too_large_to_hold_reads_the_same() {
        for name in ["earliest.h5", "latest.h5", "kinds.h5", "static.h5"] {
            let path = fixture(name);
            let (whole, apart) =
                (SequenceFile::open(&path).unwrap(), SequenceFile::open_within(&path, 100).unwrap());
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
        let limited = SequenceFile::open_within(&path, limit).unwrap();
        assert_eq!(read_all(&limited), wanted);
        assert_eq!(sizes(&limited), [training, validation, 0]);
    }
}
