use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;

/// An IDX file of bytes.
fn idx(sizes: &[u32], content: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, BYTES, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(content);
    file
}

fn some_images(count: u32, side: u32) -> Vec<u8> {
    let pixels: Vec<u8> = (0..count * side * side).map(|i| (i * 7 % 256) as u8).collect();
    idx(&[count, side, side], &pixels)
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What reading these bytes as images and as labels gives.
fn reading(bytes: &[u8]) -> (Result<IdxImages>, Result<Vec<u8>>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("some-file");
    std::fs::write(&path, bytes).unwrap();
    (read_images(&path), read_labels(&path))
}

fn as_images(bytes: &[u8]) -> Result<IdxImages> {
    reading(bytes).0
}

fn as_labels(bytes: &[u8]) -> Result<Vec<u8>> {
    reading(bytes).1
}

fn put(directory: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(directory.join(name), bytes).unwrap();
}

#[test]
fn what_is_in_a_file_is_read_plain_or_packed() {
    let images = some_images(3, 4);
    let labels = idx(&[3], &[5, 0, 9]);
    for packed in [false, true] {
        let form = |bytes: &[u8]| if packed { pack(bytes) } else { bytes.to_vec() };
        let read = as_images(&form(&images)).unwrap();
        assert_eq!((read.rows, read.columns, read.count()), (4, 4, 3));
        assert_eq!(read.pixels, images[16..]);
        assert_eq!(read.image(2), &images[16 + 32..]);
        assert_eq!(as_labels(&form(&labels)).unwrap(), [5, 0, 9]);
    }
    assert_eq!(as_images(&idx(&[0, 4, 4], &[])).unwrap().count(), 0);
}

#[test]
fn a_packed_file_of_several_streams_is_one_file() {
    let file = some_images(2, 3);
    let packed = [pack(&file[..20]), pack(&file[20..])].concat();
    assert_eq!(as_images(&packed).unwrap().pixels, file[16..]);
}

#[test]
fn every_cut_is_refused() {
    for file in [some_images(2, 3), pack(&some_images(2, 3))] {
        for cut in 0..file.len() {
            let error = as_images(&file[..cut]).unwrap_err().to_string();
            assert!(error.contains("cut short") && error.contains("some-file"), "{cut}: {error}");
        }
    }
    // Packed well, but cut before that.
    let file = some_images(2, 3);
    for cut in 0..file.len() {
        assert!(as_images(&pack(&file[..cut])).unwrap_err().to_string().contains("cut short"));
    }
}

#[test]
fn whatever_follows_is_refused() {
    let file = some_images(2, 3);
    let longer = [file.as_slice(), &[0]].concat();
    for bytes in [&longer, &pack(&longer)] {
        let error = as_images(bytes).unwrap_err().to_string();
        assert!(error.contains("too long: more follows the 18 bytes of images"), "{error}");
    }
    let error = as_images(&[pack(&file), b"more".to_vec()].concat()).unwrap_err().to_string();
    assert!(error.contains("gzip"), "{error}");
}

#[test]
fn files_in_each_others_place_are_named() {
    let error = |bytes: &[u8]| as_images(bytes).unwrap_err().to_string();
    assert!(error(&idx(&[3], &[1, 2, 3])).contains("holds labels, not images"));
    let labels = as_labels(&some_images(1, 2)).unwrap_err().to_string();
    assert!(labels.contains("holds images, not labels"), "{labels}");
    assert!(error(&idx(&[1, 2], &[1, 2])).contains("has 2 dimensions"));
    assert!(error(&[0, 0, 0x0d, 3]).contains("holds 32-bit floats (IDX type 0x0d)"));
    assert!(error(&[0, 0, 0x77, 3]).contains("an unknown kind of number (IDX type 0x77)"));
    assert!(error(b"PK\x03\x04").contains("not an IDX file: it begins with 50 4b"));
    assert!(error(&idx(&[1, 0, 28], &[])).contains("0x28, which is empty"));
}

#[test]
fn a_header_that_claims_too_much_allocates_nothing() {
    for sizes in [[u32::MAX; 3], [1 << 20, 1 << 10, 2]] {
        for bytes in [idx(&sizes, &[1, 2, 3]), pack(&idx(&sizes, &[1, 2, 3]))] {
            let error = as_images(&bytes).unwrap_err().to_string();
            assert!(error.contains("more than any file of images has"), "{error}");
        }
    }
    let error = as_images(&idx(&[1 << 20, 1 << 10, 1], &[1, 2, 3])).unwrap_err().to_string();
    assert!(error.contains("cut short: its header claims 1073741824 bytes of images, but 3 follow"));
}

#[test]
fn a_directory_is_opened_in_all_forms() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(!is_there(directory));
    let error = open(directory).unwrap_err().to_string();
    assert!(error.contains("train-images-idx3-ubyte and t10k-images-idx3-ubyte are missing"), "{error}");
    std::fs::create_dir(directory.join(TRAIN_IMAGES)).unwrap();
    put(directory, "train-images.idx3-ubyte", &some_images(2, 28));
    let error = open(directory).unwrap_err().to_string();
    for hint in ["t10k-images-idx3-ubyte is missing", "--mnist DIR", "data.digits=Synthetic", ".gz"] {
        assert!(error.contains(hint) && !error.contains("train-images"), "{error}");
    }
    put(directory, "t10k-images-idx3-ubyte.gz", &pack(&some_images(1, 28)));
    assert!(is_there(directory));
    let mnist = open(directory).unwrap();
    assert_eq!((mnist.train.count(), mnist.test.count()), (2, 1));

    put(directory, "t10k-images-idx3-ubyte", &some_images(1, 20));
    let error = open(directory).unwrap_err().to_string();
    assert!(error.contains("its images are 20x20, but MNIST's are 28x28"), "{error}");
    put(directory, "t10k-images-idx3-ubyte", &some_images(0, 28));
    assert!(open(directory).unwrap_err().to_string().contains("holds no images"));
}

/// As torchvision and Kaggle's archive lay them out.
#[test]
fn files_below_the_directory_are_found() {
    for [train, test] in [
        ["MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/t10k-images-idx3-ubyte"],
        ["raw/train-images-idx3-ubyte.gz", "raw/t10k-images.idx3-ubyte"],
        [
            "train-images-idx3-ubyte/train-images-idx3-ubyte",
            "t10k-images.idx3-ubyte/t10k-images.idx3-ubyte.gz",
        ],
    ] {
        let directory = tempfile::tempdir().unwrap();
        for name in [train, test] {
            std::fs::create_dir_all(directory.path().join(name).parent().unwrap()).unwrap();
            put(directory.path(), name, &some_images(3, 28));
        }
        assert!(is_there(directory.path()), "{train}");
        assert_eq!(open(directory.path()).unwrap().test.count(), 3);
    }
}

#[test]
fn a_check_says_what_is_in_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let what = || -> Vec<String> {
        let said = |found: FoundFile| match found.what {
            Ok(what) => what,
            Err(error) => error.to_string(),
        };
        check(directory).into_iter().map(said).collect()
    };
    assert!(check(directory).iter().map(|found| found.name).eq(FILES));
    let none = what();
    assert!(none[0].contains("train-images-idx3-ubyte is missing"), "{none:?}");
    assert_eq!(none[1], "missing, but not needed");

    put(directory, TRAIN_IMAGES, &some_images(3, 28));
    put(directory, "train-labels-idx1-ubyte.gz", &pack(&idx(&[3], &[5, 0, 9])));
    put(directory, TEST_IMAGES, &some_images(1, 28));
    put(directory, TEST_LABELS, &idx(&[2], &[1, 1]));
    let all = what();
    assert_eq!(all[..3], ["3 images of 28x28", "3 labels, 0 to 9", "1 image of 28x28"]);
    assert!(all[3].contains("has 2 labels, but t10k-images-idx3-ubyte has 1 image;"), "{all:?}");
    let found = check(directory);
    let path = found[1].path.as_deref().unwrap();
    assert!(path.ends_with("train-labels-idx1-ubyte.gz") && found[3].what.is_err());

    put(directory, TEST_IMAGES, b"<html>");
    let broken = what();
    assert!(broken[2].contains("not an IDX file") && broken[3] == "2 labels, 1", "{broken:?}");
}

#[test]
fn halving_takes_the_mean_of_blocks() {
    assert_eq!(halve(&[255, 255, 255, 255, 0, 255, 0, 0], 4, 2), [1.0, 0.25]);
    assert_eq!(halve(&[51; 9], 3, 3), [0.2]);
    assert_eq!(halve(&[], 0, 0), [0.0; 0]);
    assert_eq!(halve(&[255; 28 * 28], 28, 28), [1.0; 14 * 14]);
}

proptest! {
    #[test]
    fn any_images_are_read_back(count in 0u32..5, rows in 1u32..9, columns in 1u32..9, seed in any::<u8>()) {
        let pixels: Vec<u8> = (0..count * rows * columns).map(|i| (i as u8).wrapping_mul(seed)).collect();
        let file = idx(&[count, rows, columns], &pixels);
        let expected = IdxImages { rows: rows as usize, columns: columns as usize, pixels };
        prop_assert_eq!(expected.count(), count as usize);
        prop_assert_eq!(&as_images(&file).unwrap(), &expected);
        prop_assert_eq!(&as_images(&pack(&file)).unwrap(), &expected);
    }

    /// Random bytes seldom get past the first four, so half of these begin as they should.
    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80), begin in 0usize..4, packed in any::<bool>()) {
        let beginnings: [&[u8]; 4] = [&[], &[0, 0, 8, 3], &[0, 0, 8, 1, 0, 0, 0], &[0x1f, 0x8b, 8, 0]];
        bytes.splice(0..0, beginnings[begin].iter().copied());
        let (images, labels) = reading(&if packed { pack(&bytes) } else { bytes });
        if let Ok(images) = &images {
            prop_assert_eq!(images.count() * images.rows * images.columns, images.pixels.len());
        }
        for error in [images.err(), labels.err()].into_iter().flatten() {
            prop_assert!(error.to_string().contains("some-file"));
        }
    }

    /// A flipped bit is caught wherever it is: by the checksum, or by the length.
    #[test]
    fn a_damaged_stream_is_no_other_file(at in any::<prop::sample::Index>(), bit in 0u8..8, tail in prop::collection::vec(any::<u8>(), 1..40)) {
        let file = some_images(2, 3);
        let good = pack(&file);
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= 1 << bit;
        // The header has fields that say nothing about the content, such as a time.
        if let Ok(images) = as_images(&bad) {
            prop_assert_eq!(&images.pixels, &file[16..]);
        }
        prop_assert!(as_images(&[good, tail].concat()).is_err());
    }
}

/// What cannot be read is not told of as missing.
#[test]
fn a_directory_that_cannot_be_read_is_not_an_empty_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(file.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && !error.contains("missing"), "{error}");
}
