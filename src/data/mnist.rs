//! MNIST's files, as they are distributed: IDX, plain or compressed by gzip.
//!
//! Nothing here trusts a file. What its header claims is checked before anything is allocated for it,
//! and the content must be as long as claimed to the byte, so that a broken download is refused here
//! and not learned from.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// The four files. Each may also end in `.gz`, or have a dot where its name says `-idx`, as some
/// archives write it.
pub const FILES: [&str; 4] = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Height and width of MNIST's images.
const SIDE: usize = 28;
/// The longest content read: 20 times MNIST's, and more than any of its relatives has.
const LONGEST: usize = 1 << 30;
/// The first two bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The IDX code of unsigned bytes.
const BYTES: u8 = 0x08;

/// Grey images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Height.
    pub rows: usize,
    /// Width.
    pub columns: usize,
    /// One image after the other, each row by row; 0 is background.
    pub pixels: Vec<u8>,
}

impl Images {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.pixels.len().checked_div(self.rows * self.columns).unwrap_or(0)
    }

    /// Image `i`, which must be below [`Images::count`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.rows * self.columns;
        &self.pixels[i * size..][..size]
    }
}

/// MNIST's images. Its labels are left alone, since nothing here learns from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// The 60,000 for training.
    pub train: Images,
    /// The 10,000 for testing.
    pub test: Images,
}

/// Reads an IDX file of images.
///
/// # Errors
/// A file that cannot be read, is cut short, too long or damaged, or holds anything but images of
/// unsigned bytes.
pub fn read_images(path: &Path) -> Result<Images> {
    let ([_, rows, columns], pixels) = read(path, Kind::Images)?;
    if rows == 0 || columns == 0 {
        return Err(Error::content(path, format!("its images are {rows}x{columns}, so empty; {AGAIN}")));
    }
    Ok(Images { rows, columns, pixels })
}

/// Reads an IDX file of labels.
///
/// # Errors
/// A file that cannot be read, is cut short, too long or damaged, or holds anything but labels of
/// unsigned bytes.
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let ([_], labels) = read(path, Kind::Labels)?;
    Ok(labels)
}

/// Where MNIST is looked for by default: `mnist` in this program's data directory.
pub fn default_directory() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "nem-tui").map(|of| of.data_dir().join("mnist"))
}

/// Whether both image files are in `directory`, whatever is in them.
pub fn is_there(directory: &Path) -> bool {
    [TRAIN_IMAGES, TEST_IMAGES].iter().all(|name| find(directory, name).is_some())
}

/// Reads both image files in `directory`.
///
/// # Errors
/// A file that is missing, cannot be read or is damaged, or holds no images of MNIST's size.
pub fn open(directory: &Path) -> Result<Mnist> {
    match (find(directory, TRAIN_IMAGES), find(directory, TEST_IMAGES)) {
        (Some(train), Some(test)) => Ok(Mnist { train: read_digits(&train)?, test: read_digits(&test)? }),
        (None, Some(_)) => Err(missing(directory, &[TRAIN_IMAGES])),
        (Some(_), None) => Err(missing(directory, &[TEST_IMAGES])),
        (None, None) => Err(missing(directory, &[TRAIN_IMAGES, TEST_IMAGES])),
    }
}

/// What [`check`] found of one file.
#[derive(Debug)]
pub struct Found {
    /// Its name, one of [`FILES`].
    pub name: &'static str,
    /// Where it is, if it is there.
    pub path: Option<PathBuf>,
    /// What is in it, or what has to be mended. Missing labels need no mending.
    pub what: Result<String>,
}

/// Reads all four files in `directory` and says what is in each.
pub fn check(directory: &Path) -> Vec<Found> {
    [(TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)]
        .into_iter()
        .flat_map(|(images, labels)| {
            let (images, count) = check_images(directory, images);
            let labels = check_labels(directory, labels, count.map(|count| (count, images.name)));
            [images, labels]
        })
        .collect()
}

/// Half as high and half as wide, as the paper shrinks them: the mean of every 2x2 block, in 0..=1.
/// What is left of an odd side is dropped.
pub fn halve(image: &[u8], rows: usize, columns: usize) -> Vec<f32> {
    let at = |row: usize, column: usize| f32::from(image[row * columns + column]);
    let mut halved = Vec::with_capacity((rows / 2) * (columns / 2));
    for row in (1..rows).step_by(2) {
        for column in (1..columns).step_by(2) {
            let sum = at(row - 1, column - 1) + at(row - 1, column) + at(row, column - 1) + at(row, column);
            halved.push(sum / (4.0 * 255.0));
        }
    }
    halved
}

/// How to mend a file that is not what was published.
const AGAIN: &str = "download or copy it again";

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Images,
    Labels,
}

impl Kind {
    /// What IDX files of so many dimensions hold, in MNIST.
    fn of(dimensions: u8) -> Option<Kind> {
        match dimensions {
            3 => Some(Kind::Images),
            1 => Some(Kind::Labels),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Images => "images",
            Kind::Labels => "labels",
        }
    }
}

/// The sizes in the header of a file of `kind`, which has `N` dimensions, and all that follows it.
fn read<const N: usize>(path: &Path, kind: Kind) -> Result<([usize; N], Vec<u8>)> {
    let mut file = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    // By content, since browsers unpack files and keep their names.
    let packed = file.fill_buf().map_err(Error::io("read", path))?.starts_with(&GZIP);
    let mut source: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    // At most so many bytes, of which there may be fewer only at the end.
    let mut next = |most: usize| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match source.by_ref().take(most as u64).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if packed && is_damage(error.kind()) => Err(Error::content(
                path,
                format!("its gzip stream is cut short or damaged ({error}); {AGAIN}"),
            )),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    };

    let magic = next(4)?;
    check_magic(&magic, kind).map_err(|problem| Error::content(path, problem))?;
    let header = next(4 * N)?;
    if header.len() < 4 * N {
        let there = magic.len() + header.len();
        return Err(Error::content(
            path,
            format!("cut short: it ends after {there} of the {} bytes of its header; {AGAIN}", 4 + 4 * N),
        ));
    }
    let mut sizes = [0; N];
    for (size, bytes) in sizes.iter_mut().zip(header.chunks_exact(4)) {
        *size = bytes.iter().fold(0, |size, byte| (size << 8) | usize::from(*byte));
    }
    let claimed = sizes
        .iter()
        .try_fold(1, |product: usize, size| product.checked_mul(*size))
        .filter(|claimed| *claimed <= LONGEST)
        .ok_or_else(|| {
            let sizes = sizes.map(|size| size.to_string()).join("x");
            Error::content(
                path,
                format!(
                    "its header claims {sizes} bytes, more than any file of {} has; {AGAIN}",
                    kind.name()
                ),
            )
        })?;
    // One more than claimed shows whether anything follows, and makes gzip compare its checksum.
    let content = next(claimed + 1)?;
    if content.len() < claimed {
        return Err(Error::content(
            path,
            format!(
                "cut short: its header claims {claimed} bytes of {}, but {} follow; {AGAIN}",
                kind.name(),
                content.len()
            ),
        ));
    }
    if content.len() > claimed {
        return Err(Error::content(
            path,
            format!(
                "too long: more follows the {claimed} bytes of {} its header claims; {AGAIN}",
                kind.name()
            ),
        ));
    }
    Ok((sizes, content))
}

/// Whether the bytes are wrong, and not the disk.
fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData)
}

/// What is wrong with the first four bytes of a file that is to hold `kind`.
fn check_magic(magic: &[u8], kind: Kind) -> Result<(), String> {
    let wanted = kind.name();
    let &[first, second, element, dimensions] = magic else {
        return Err(format!("cut short: it ends after {} bytes, within its header; {AGAIN}", magic.len()));
    };
    if [first, second] != [0, 0] {
        return Err(format!(
            "not an IDX file: it begins with {first:02x} {second:02x}, not with 00 00; put MNIST's file of {wanted} in its place"
        ));
    }
    if element != BYTES {
        let what = match element {
            0x09 => "signed bytes",
            0x0b => "16-bit integers",
            0x0c => "32-bit integers",
            0x0d => "32-bit floats",
            0x0e => "64-bit floats",
            _ => "an unknown kind of number",
        };
        return Err(format!(
            "holds {what} (IDX type {element:#04x}), but only unsigned bytes ({BYTES:#04x}) are read; put MNIST's own file of {wanted} in its place"
        ));
    }
    match Kind::of(dimensions) {
        Some(is) if is == kind => Ok(()),
        Some(is) => Err(format!(
            "holds {}, not {wanted}; put MNIST's file of {wanted} in its place, or swap the two if their names were mixed up",
            is.name()
        )),
        None => Err(format!(
            "has {dimensions} dimensions, but images have 3 and labels 1; put MNIST's file of {wanted} in its place"
        )),
    }
}

/// The file of that name in `directory`, in any of the forms it comes in; plain rather than packed.
fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    [name.to_owned(), dotted.clone(), format!("{name}.gz"), format!("{dotted}.gz")]
        .iter()
        .map(|form| directory.join(form))
        // Some archives put each file in a directory of the same name.
        .find(|path| path.is_file())
}

fn missing(directory: &Path, names: &[&str]) -> Error {
    let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    Error::content(
        directory,
        format!(
            "{} {is} missing; put {it} there, plain or as .gz, say with --mnist DIR which directory has {it}, or set data.digits=Synthetic",
            names.join(" and ")
        ),
    )
}

/// Images, of which there must be some, and of MNIST's size.
fn read_digits(path: &Path) -> Result<Images> {
    let images = read_images(path)?;
    if (images.rows, images.columns) != (SIDE, SIDE) {
        return Err(Error::content(
            path,
            format!(
                "its images are {}x{}, but MNIST's are {SIDE}x{SIDE}; put MNIST's file in its place",
                images.rows, images.columns
            ),
        ));
    }
    if images.count() == 0 {
        return Err(Error::content(path, "holds no images; put MNIST's file in its place"));
    }
    Ok(images)
}

/// What was found of a file of images, and how many it has.
fn check_images(directory: &Path, name: &'static str) -> (Found, Option<usize>) {
    let path = find(directory, name);
    let images = match &path {
        Some(path) => read_digits(path),
        None => Err(missing(directory, &[name])),
    };
    let count = images.as_ref().ok().map(Images::count);
    let what = images.map(|of| format!("{} of {}x{}", counted(of.count(), "image"), of.rows, of.columns));
    (Found { name, path, what }, count)
}

/// What was found of a file of labels, where `images` says how many images there are and in which file.
fn check_labels(directory: &Path, name: &'static str, images: Option<(usize, &str)>) -> Found {
    let path = find(directory, name);
    let what = match &path {
        None => Ok("not there, nor needed".to_owned()),
        Some(path) => read_labels(path).and_then(|labels| match images {
            Some((count, of)) if count != labels.len() => Err(Error::content(
                path,
                format!(
                    "has {}, but {of} has {}; put both files of one MNIST there",
                    counted(labels.len(), "label"),
                    counted(count, "image")
                ),
            )),
            _ => Ok(describe(&labels)),
        }),
    };
    Found { name, path, what }
}

fn describe(labels: &[u8]) -> String {
    let count = counted(labels.len(), "label");
    match (labels.iter().min(), labels.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("{count}, {least}"),
        (Some(least), Some(most)) => format!("{count}, {least} to {most}"),
        _ => count,
    }
}

fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
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
    fn reading(bytes: &[u8]) -> (Result<Images>, Result<Vec<u8>>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some-file");
        std::fs::write(&path, bytes).unwrap();
        (read_images(&path), read_labels(&path))
    }

    fn as_images(bytes: &[u8]) -> Result<Images> {
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
        assert!(error(&idx(&[1, 0, 28], &[])).contains("0x28, so empty"));
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

    #[test]
    fn a_check_says_what_is_in_every_file() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let what = || -> Vec<String> {
            let said = |found: Found| match found.what {
                Ok(what) => what,
                Err(error) => error.to_string(),
            };
            check(directory).into_iter().map(said).collect()
        };
        assert!(check(directory).iter().map(|found| found.name).eq(FILES));
        let none = what();
        assert!(none[0].contains("train-images-idx3-ubyte is missing"), "{none:?}");
        assert_eq!(none[1], "not there, nor needed");

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
            let expected = Images { rows: rows as usize, columns: columns as usize, pixels };
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
}
