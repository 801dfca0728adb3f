//! HDF5 files as h5py writes them; `fixtures/hdf5/make.py` made them.
#![allow(clippy::unwrap_used)] // a test's way to fail

use std::path::{Path, PathBuf};

use nem_tui::data::Split;
use nem_tui::data::hdf5::{PartShape, SequenceFile};
use proptest::prelude::*;

const PARTS: [Split; 3] = Split::ALL;
/// T, N, H and W of the fixtures.
const SHAPE: [usize; 4] = [3, 5, 4, 6];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5").join(name)
}

/// The values that a function of (t, n, h, w, c) gives for sequence `n`, channels before rows.
fn expected(n: usize, frames: usize, channels: usize, of: impl Fn([usize; 5]) -> f32) -> Vec<f32> {
    let [_, _, height, width] = SHAPE;
    let mut values = Vec::new();
    for t in 0..frames {
        for c in 0..channels {
            values.extend((0..height * width).map(|pixel| of([t, n, pixel / width, pixel % width, c])));
        }
    }
    values
}

fn binary([t, n, h, w, c]: [usize; 5]) -> f32 {
    if (t + n * n + h * w + c) % 3 == 1 { 1.0 } else { 0.0 }
}

fn grey([t, n, h, w, c]: [usize; 5]) -> f32 {
    ((t * 100 + n * 20 + h * 4) as f32 + w as f32 / 2.0 + c as f32 / 8.0) / 512.0
}

fn groups([t, n, h, w, _]: [usize; 5]) -> f32 {
    ((t + 2 * n + h + w) % 4 * 85) as f32
}

fn refused(name: &str, index: usize) -> String {
    let error = SequenceFile::open(&fixture(name))
        .and_then(|file| PARTS.iter().try_for_each(|part| file.sequence(*part, index, 3).map(|_| ())));
    let error = error.expect_err(name).to_string();
    assert!(error.contains(name), "{error} does not name {name}");
    error
}

#[test]
fn every_way_of_storing_reads_the_same_values() {
    type Values = fn([usize; 5]) -> f32;
    for (name, frames, channels, features) in
        [("earliest.h5", 3, 1, binary as Values), ("latest.h5", 3, 2, grey), ("static.h5", 1, 1, binary)]
    {
        let file = SequenceFile::open(&fixture(name)).unwrap();
        for part in PARTS {
            let shape = PartShape { frames, sequences: 5, height: 4, width: 6, channels };
            assert_eq!(file.shape(part), shape);
            for n in 0..5 {
                let (x, z) = file.sequence(part, n, frames).unwrap();
                assert_eq!(x, expected(n, frames, channels, features), "{name} {part:?} {n}");
                let z: Vec<f32> = z.into_iter().map(f32::from).collect();
                assert_eq!(z, expected(n, frames, 1, groups), "{name} {part:?} {n}");
            }
        }
    }
}

#[test]
fn kinds_of_numbers_are_read_as_what_they_are() {
    let file = SequenceFile::open(&fixture("kinds.h5")).unwrap();
    let features: [fn([usize; 5]) -> f32; 3] = [binary, binary, grey];
    for (part, features) in PARTS.into_iter().zip(features) {
        for n in 0..5 {
            let (x, z) = file.sequence(part, n, 2).unwrap();
            assert_eq!(x, expected(n, 2, 1, features), "{part:?} {n}");
            let z: Vec<f32> = z.into_iter().map(f32::from).collect();
            assert_eq!(z, expected(n, 2, 1, groups), "{part:?} {n}");
        }
    }
}

/// Half precision, and values that rounding has put outside of 0 to 1.
#[test]
fn half_precision_and_rounding_are_read() {
    let file = SequenceFile::open(&fixture("half.h5")).unwrap();
    for n in 0..5 {
        let (x, _) = file.sequence(Split::Test, n, 3).unwrap();
        let expected = expected(n, 3, 1, grey);
        assert!(x.iter().zip(&expected).all(|(x, exact)| (x - exact).abs() <= exact / 2048.0), "{x:?}");
    }
    let file = SequenceFile::open(&fixture("rounded.h5")).unwrap();
    for n in 0..5 {
        assert_eq!(file.sequence(Split::Train, n, 3).unwrap().0, expected(n, 3, 1, binary));
    }
}

#[test]
fn what_was_never_written_is_the_fill_value() {
    let file = SequenceFile::open(&fixture("unwritten.h5")).unwrap();
    for n in 0..5 {
        let (x, z) = file.sequence(Split::Train, n, 3).unwrap();
        let written = if n < 2 { expected(n, 3, 1, grey) } else { vec![0.0; 72] };
        assert_eq!((x, z), (written, vec![7; 72]));
    }
}

#[test]
fn files_that_do_not_fit_are_refused_by_name_and_place() {
    for (name, said) in [
        ("no_part.h5", "there is no test/features; a file needs the groups training, validation and test"),
        ("no_groups.h5", "there is no validation/groups"),
        ("strings.h5", "training/features has type string; it must be float32"),
        ("complex.h5", "test/features has type compound"),
        ("huge_chunks.h5", "training/features is stored in chunks of 15.0 GiB"),
        ("four_axes.h5", "training/groups has shape [3, 5, 4, 6]; it needs the five axes"),
        ("fewer_groups.h5", "must be the same"),
        ("two_groups.h5", "training/groups has 2 channels; a pixel has one group"),
        ("empty.h5", "and is empty"),
        ("lzf.h5", "write it again, with gzip or without compression"),
        ("nan.h5", "training/features holds NaN in frame 1 of sequence 2, counted from 0"),
        ("beyond.h5", "test/features holds 1.5 in frame 2 of sequence 1, counted from 0"),
        ("below.h5", "validation/features holds -0.25 in frame 0 of sequence 4"),
        ("bytes.h5", "training/features holds 255 in frame 0 of sequence 0"),
        ("bytes.h5", "between 0 and 1, so write the file again with all of them scaled to that"),
        ("fraction.h5", "training/groups holds 2.5 in frame 2 of sequence 4"),
        ("too_many.h5", "training/groups holds 256 in frame 0 of sequence 0"),
    ] {
        let error = refused(name, 0);
        assert!(error.contains(said), "{name}: {error}");
    }
    let file = SequenceFile::open(&fixture("latest.h5")).unwrap();
    let error = |index, frames| file.sequence(Split::Test, index, frames).unwrap_err().to_string();
    assert!(error(5, 1).contains("test has 5 sequences, counted from 0, so there is no sequence 5"));
    assert!(error(0, 4).contains("have 3 frames, but 4 are needed; reduce steps"));
    let error = SequenceFile::open(&fixture("make.py")).err().unwrap().to_string();
    assert!(error.contains("this is not an HDF5 file"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A truncated file is refused. A damaged one is refused too, unless the damage is in a part that is not read
    /// or that has no checksum; then as many images are read, with other values.
    #[test]
    fn cut_files_are_refused_and_damaged_ones_read_as_they_were_where_checksums_tell(which in 0usize..3, cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4)) {
        // The newest format has checksums for its structure, and gzip has one for the values.
        let (name, channels, checked) =
            [("latest.h5", 2, true), ("earliest.h5", 1, false), ("static.h5", 1, false)][which];
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        let whole = bytes.len();
        for (at, flip) in &flips {
            bytes[at.index(whole)] ^= flip;
        }
        if flips.is_empty() {
            bytes.truncate(cut.index(whole));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let read = SequenceFile::open(file.path())
            .and_then(|file| Ok((file.shape(Split::Train), file.sequence(Split::Train, 0, 1)?)));
        match read {
            Err(error) => prop_assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}"),
            Ok(_) if flips.is_empty() => prop_assert!(false, "a file cut short was read"),
            Ok((_, (x, z))) if checked => {
                prop_assert_eq!(x, expected(0, 1, channels, grey));
                prop_assert_eq!(z.into_iter().map(f32::from).collect::<Vec<_>>(), expected(0, 1, 1, groups));
            }
            Ok((PartShape { height, width, channels, .. }, (x, z))) => {
                prop_assert_eq!((x.len(), z.len()), (height * width * channels, height * width));
                prop_assert!(x.iter().all(|value| (0.0..=1.0).contains(value)));
            }
        }
    }
}
