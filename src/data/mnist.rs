//! MNIST's files as they are distributed: IDX, plain or compressed with gzip.
//!
//! Files are not trusted. What a header claims is checked before memory is allocated, and the content must have exactly
//! the claimed length, so that a broken download is refused.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::machine::{self, in_words};

/// The four files. Each may also end in `.gz`, or have a dot instead of the hyphen before `idx`, as in some archives.
pub const FILES: [&str; 4] = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Height and width of MNIST's images.
const SIDE: usize = 28;
/// The longest content that is read: 20 times MNIST's, and more than any related data set has.
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
    /// One image after another, each row by row; 0 is background.
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

/// MNIST's images. Labels are not used.
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
        return Err(Error::content(
            path,
            format!("its images are {rows}x{columns}, which is empty; {AGAIN}"),
        ));
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

/// Where MNIST is expected by default: `mnist` in this program's data directory.
pub fn default_directory() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "nem-tui").map(|of| of.data_dir().join("mnist"))
}

/// Whether both image files exist in `directory`; their content is not checked.
pub fn is_there(directory: &Path) -> bool {
    [TRAIN_IMAGES, TEST_IMAGES].iter().all(|name| find(directory, name).is_some())
}

/// Reads both image files in `directory`.
///
/// # Errors
/// A file that is missing, cannot be read, is damaged, or does not hold images of MNIST's size.
pub fn open(directory: &Path) -> Result<Mnist> {
    match (find(directory, TRAIN_IMAGES), find(directory, TEST_IMAGES)) {
        (Some(train), Some(test)) => Ok(Mnist { train: read_digits(&train)?, test: read_digits(&test)? }),
        (None, Some(_)) => Err(missing(directory, &[TRAIN_IMAGES])),
        (Some(_), None) => Err(missing(directory, &[TEST_IMAGES])),
        (None, None) => Err(missing(directory, &[TRAIN_IMAGES, TEST_IMAGES])),
    }
}

/// What [`check`] found out about a file.
#[derive(Debug)]
pub struct FoundFile {
    /// Its name, one of [`FILES`].
    pub name: &'static str,
    /// Its path, if it exists.
    pub path: Option<PathBuf>,
    /// Its content in words, or its fault. Missing labels are not a fault.
    pub what: Result<String>,
}

/// Reads all four files in `directory` and describes each.
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

/// Half as high and half as wide, as in the paper: the mean of every 2x2 block, in 0..=1. The last row or column of an odd
/// side is dropped.
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

/// How to mend a file that differs from the published one.
const AGAIN: &str = "download or copy it again";

/// What a file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdxKind {
    Images,
    Labels,
}

impl IdxKind {
    /// What MNIST's files with this number of dimensions hold.
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

/// The sizes in the header of a file of `kind`, which has `N` dimensions, and the content after it.
fn read<const N: usize>(path: &Path, kind: IdxKind) -> Result<([usize; N], Vec<u8>)> {
    let (mut source, packed) = unpacked(path)?;
    // The next bytes; fewer than `most` only at the end.
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
    let free = machine::free_memory();
    if claimed as u64 > free {
        return Err(Error::content(
            path,
            format!("takes {} of memory, and {} is available", in_words(claimed as u64), in_words(free)),
        ));
    }
    // Reading one byte more shows whether anything follows, and makes gzip verify its checksum.
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

/// The content of a file, and whether the file is packed.
pub(super) fn unpacked(path: &Path) -> Result<(Box<dyn Read>, bool)> {
    let mut file = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    // Judged by content, because browsers unpack files and keep their names.
    let packed = file.fill_buf().map_err(Error::io("read", path))?.starts_with(&GZIP);
    Ok((if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) }, packed))
}

/// Whether a file is an IDX file of images or labels.
pub(super) fn is_whole(path: &Path) -> bool {
    read_images(path).is_ok() || read_labels(path).is_ok()
}

/// Whether the bytes are at fault, and not the disk.
pub(super) fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData)
}

/// What is wrong with the first four bytes of a file that should hold `kind`.
fn check_magic(magic: &[u8], kind: IdxKind) -> Result<(), String> {
    let wanted = kind.name();
    let &[first, second, element, dimensions] = magic else {
        return Err(format!("cut short: it ends after {} bytes, within its header; {AGAIN}", magic.len()));
    };
    if [first, second] != [0, 0] {
        return Err(format!(
            "not an IDX file: it begins with {first:02x} {second:02x}, not with 00 00; replace it with MNIST's file of {wanted}"
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
            "holds {what} (IDX type {element:#04x}), but only unsigned bytes ({BYTES:#04x}) are read; replace it with MNIST's own file of {wanted}"
        ));
    }
    match IdxKind::of(dimensions) {
        Some(is) if is == kind => Ok(()),
        Some(is) => Err(format!(
            "holds {}, not {wanted}; replace it with MNIST's file of {wanted}, or swap the two if their names were mixed up",
            is.name()
        )),
        None => Err(format!(
            "has {dimensions} dimensions, but images have 3 and labels 1; replace it with MNIST's file of {wanted}"
        )),
    }
}

/// The file called `name` in `directory`, in any of its forms; plain rather than compressed. Some archives put each file
/// in a directory of the same name, and torchvision all of them below the directory it is given.
pub(super) fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let forms = [name.to_owned(), dotted.clone(), format!("{name}.gz"), format!("{dotted}.gz")];
    let below = ["", name, &dotted, "raw", "MNIST/raw"];
    let directories = below.iter().map(|below| directory.join(below));
    let mut paths = directories.flat_map(|directory| forms.each_ref().map(|form| directory.join(form)));
    paths.find(|path| path.is_file())
}

/// The error for files that were not found in `directory`.
fn missing(directory: &Path, names: &[&str]) -> Error {
    match std::fs::read_dir(directory) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Error::io("read", directory)(e),
        _ => {}
    }
    let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    Error::content(
        directory,
        format!(
            "{} {is} missing; put {it} there, plain or as .gz, run `nem-tui data fetch mnist`, name the directory that has {it} with --mnist DIR, or set data.digits=Synthetic",
            names.join(" and ")
        ),
    )
}

/// Reads images, at least one, of MNIST's size.
fn read_digits(path: &Path) -> Result<IdxImages> {
    let images = read_images(path)?;
    if (images.rows, images.columns) != (SIDE, SIDE) {
        return Err(Error::content(
            path,
            format!(
                "its images are {}x{}, but MNIST's are {SIDE}x{SIDE}; replace it with MNIST's file",
                images.rows, images.columns
            ),
        ));
    }
    if images.count() == 0 {
        return Err(Error::content(path, "holds no images; replace it with MNIST's file"));
    }
    Ok(images)
}

/// The description of a file of images, and how many it has.
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

/// The description of a file of labels; `images` is the number of images, and the file they are in.
fn check_labels(directory: &Path, name: &'static str, images: Option<(usize, &str)>) -> FoundFile {
    let path = find(directory, name);
    let what = match &path {
        None => Ok("missing, but not needed".to_owned()),
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
