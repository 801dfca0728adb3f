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
pub struct IdxImages {
    /// Height.
    pub rows: usize,
    /// Width.
    pub columns: usize,
    /// One image after the other, each row by row; 0 is background.
    pub pixels: Vec<u8>,
}

impl IdxImages {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.pixels.len().checked_div(self.rows * self.columns).unwrap_or(0)
    }

    /// Image `i`, which must be below [`IdxImages::count`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.rows * self.columns;
        &self.pixels[i * size..][..size]
    }
}

/// MNIST's images. Its labels are left alone, since nothing here learns from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// The 60,000 for training.
    pub train: IdxImages,
    /// The 10,000 for testing.
    pub test: IdxImages,
}

/// Reads an IDX file of images.
///
/// # Errors
/// A file that cannot be read, is cut short, too long or damaged, or holds anything but images of
/// unsigned bytes.
pub fn read_images(path: &Path) -> Result<IdxImages> {
    let ([_, rows, columns], pixels) = read(path, IdxKind::Images)?;
    if rows == 0 || columns == 0 {
        return Err(Error::content(path, format!("its images are {rows}x{columns}, so empty; {AGAIN}")));
    }
    Ok(IdxImages { rows, columns, pixels })
}

/// Reads an IDX file of labels.
///
/// # Errors
/// A file that cannot be read, is cut short, too long or damaged, or holds anything but labels of
/// unsigned bytes.
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let ([_], labels) = read(path, IdxKind::Labels)?;
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
pub struct FoundFile {
    /// Its name, one of [`FILES`].
    pub name: &'static str,
    /// Where it is, if it is there.
    pub path: Option<PathBuf>,
    /// What is in it, or what has to be mended. Missing labels need no mending.
    pub what: Result<String>,
}

/// Reads all four files in `directory` and says what is in each.
pub fn check(directory: &Path) -> Vec<FoundFile> {
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
enum IdxKind {
    Images,
    Labels,
}

impl IdxKind {
    /// What IDX files of so many dimensions hold, in MNIST.
    fn of(dimensions: u8) -> Option<IdxKind> {
        match dimensions {
            3 => Some(IdxKind::Images),
            1 => Some(IdxKind::Labels),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            IdxKind::Images => "images",
            IdxKind::Labels => "labels",
        }
    }
}

/// The sizes in the header of a file of `kind`, which has `N` dimensions, and all that follows it.
fn read<const N: usize>(path: &Path, kind: IdxKind) -> Result<([usize; N], Vec<u8>)> {
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
fn check_magic(magic: &[u8], kind: IdxKind) -> Result<(), String> {
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
    match IdxKind::of(dimensions) {
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
fn read_digits(path: &Path) -> Result<IdxImages> {
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
fn check_images(directory: &Path, name: &'static str) -> (FoundFile, Option<usize>) {
    let path = find(directory, name);
    let images = match &path {
        Some(path) => read_digits(path),
        None => Err(missing(directory, &[name])),
    };
    let count = images.as_ref().ok().map(IdxImages::count);
    let what = images.map(|of| format!("{} of {}x{}", counted(of.count(), "image"), of.rows, of.columns));
    (FoundFile { name, path, what }, count)
}

/// What was found of a file of labels, where `images` says how many images there are and in which file.
fn check_labels(directory: &Path, name: &'static str, images: Option<(usize, &str)>) -> FoundFile {
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
    FoundFile { name, path, what }
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
mod tests;
