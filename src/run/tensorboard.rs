//! TensorBoard's event files: the scalars and images of a training.
//!
//! A file is a sequence of records in TFRecord's framing:
//!
//! ```text
//!   u64 length, little-endian | u32 masked CRC-32C of these 8 bytes | the message | u32 its masked CRC-32C
//! ```
//!
//! Each message is an `Event` of `tensorflow/core/util/event.proto`; only the fields we write are declared here. Steps
//! are iterations. The first event names the format. The second is the start of a session, at the file's first step: from
//! that step on, TensorBoard drops what it has read in earlier files. It takes the first start that it reads for the
//! beginning of the run and drops nothing there, so every file has one.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::{Message, Oneof};

use crate::error::{Error, Result};
use crate::files::{Appender, list};
use crate::paths::shown;
use crate::protocol::{Epoch, Iteration, RunFailure};
use crate::snapshot::pictures::Canvas;

/// Their directory in a run's.
pub(super) const DIRECTORY: &str = "tensorboard";
/// The tag of the pictures of the watched sample.
const PICTURE: &str = "validation/sample";
/// The beginning of every file's name, by which TensorBoard knows them.
const PREFIX: &str = "events.out.tfevents.";
/// `SessionLog.SessionStatus.START`.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "ValueKind", tags = "2, 4")]
    of: Option<ValueKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ValueKind {
    #[prost(float, tag = "2")]
    Simple(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// 3: red, green and blue.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    /// A PNG file.
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The first records of a file that begins at iteration `first`, counted from 1.
pub fn beginning(time: Duration, first: u64) -> Vec<u8> {
    let version = record(time, 0, What::FileVersion("brain.Event:2".into()));
    [version, record(time, first, What::SessionLog(SessionLog { status: START }))].concat()
}

/// The record of an iteration with its learning rate, at `time` since 1970.
pub fn iteration(time: Duration, done: &Iteration, learning_rate: f64) -> Vec<u8> {
    let always = [
        ("train/loss", Some(done.loss)),
        ("train/intra", Some(done.intra)),
        ("train/inter", Some(done.inter)),
        ("train/AMI", done.ami),
        ("train/ARI", done.ari),
        ("train/learning_rate", Some(learning_rate)),
        ("train/seconds_per_iteration", Some(done.seconds)),
    ];
    scalars(time, done.iteration, &always)
}

/// The record of an epoch's validation. `AMI` and `ARI` are those of the last step.
pub fn epoch(time: Duration, done: &Epoch) -> Vec<u8> {
    let values = [
        ("validation/loss", Some(done.validation_loss)),
        ("validation/AMI", done.ami),
        ("validation/ARI", done.ari),
        ("validation/AMI_all_steps", done.ami_all_steps),
        ("validation/ARI_all_steps", done.ari_all_steps),
        ("validation/confidence", done.confidence),
    ];
    scalars(time, done.iteration, &values)
}

/// The record of a loss that was not finite, which TensorBoard marks; nothing for a run that failed otherwise.
pub fn failure(time: Duration, failure: &RunFailure) -> Vec<u8> {
    let values = [("train/loss", failure.train_loss()), ("validation/loss", failure.validation_loss())];
    if failure.loss.is_some() { scalars(time, failure.iteration, &values) } else { Vec::new() }
}

/// The record of a picture of the watched sample: the bytes of a PNG, with its width and height in pixels.
pub fn picture(time: Duration, iteration: u64, png: Vec<u8>, (width, height): (u32, u32)) -> Vec<u8> {
    let [width, height] = [width, height].map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    let of = Some(ValueKind::Image(Image { height, width, colorspace: 3, encoded: png }));
    record(time, iteration, What::Summary(Summary { value: vec![Value { tag: PICTURE.into(), of }] }))
}

fn scalars(time: Duration, iteration: u64, values: &[(&str, Option<f64>)]) -> Vec<u8> {
    let known = values.iter().filter_map(|(tag, value)| Some((*tag, (*value)?)));
    let value =
        known.map(|(tag, v)| Value { tag: tag.into(), of: Some(ValueKind::Simple(v as f32)) }).collect();
    record(time, iteration, What::Summary(Summary { value }))
}

fn record(time: Duration, step: u64, what: What) -> Vec<u8> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let message = EventRecord { wall_time: time.as_secs_f64(), step, what: Some(what) }.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    [length.as_slice(), &masked_crc(&length), &message, &masked_crc(&message)].concat()
}

/// TFRecord rotates its CRCs and adds a constant, because a CRC of data that contains CRCs is weak.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The name of the file that begins at iteration `first`. TensorBoard reads the files of a directory in the order of
/// their names; `again` distinguishes files that begin at the same iteration.
pub fn file_name(first: u64, again: u32) -> String {
    format!("{PREFIX}{first:010}.{again:03}")
}

/// The iteration and number in the name of the last file in `directory`.
fn last_file(directory: &Path) -> Option<(u64, u32)> {
    let numbers = list(directory).ok()?.into_iter().filter_map(|path| {
        let (first, again) = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
        Some((first.parse().ok()?, again.parse().ok()?))
    });
    numbers.max()
}

/// The event file of a training in progress. Every record is written at once, so that TensorBoard sees it immediately
/// and a killed run loses no more than its last one.
#[derive(Debug)]
pub struct EventFile {
    file: Appender,
}

impl EventFile {
    /// Creates another file in `directory`, for iterations from `first` on. Its name comes after all others there, even
    /// if they begin later because the run resumed at an older checkpoint.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub fn begin(directory: &Path, first: u64) -> Result<EventFile> {
        let (number, mut again) = match last_file(directory) {
            Some((last, again)) if last >= first => (last, again + 1),
            _ => (first, 0),
        };
        loop {
            let path = directory.join(file_name(number, again));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(_) => {
                    let mut file = Appender::open(&path, false)?;
                    return match file.append(&beginning(now(), first)) {
                        Ok(()) => Ok(EventFile { file }),
                        Err(e) => {
                            // So that no empty file is left when this is tried again.
                            let _ = std::fs::remove_file(&path);
                            Err(e)
                        }
                    };
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => again += 1,
                Err(e) => return Err(Error::io("create", &path)(e)),
            }
        }
    }

    /// Adds an iteration with its learning rate.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn iteration(&mut self, done: &Iteration, learning_rate: f64) -> Result<()> {
        self.file.append(&iteration(now(), done, learning_rate))
    }

    /// Adds an epoch's validation, with a picture of the watched sample.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn epoch(&mut self, done: &Epoch, sample: &Canvas) -> Result<()> {
        let time = now();
        let picture = picture(time, done.iteration, sample.png()?, sample.size());
        self.file.append(&[epoch(time, done), picture].concat())
    }

    /// Adds a loss that was not finite, if that is why the run failed.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn failure(&mut self, of: &RunFailure) -> Result<()> {
        self.file.append(&failure(now(), of))
    }

    /// Flushes the file to the disk.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn sync(&mut self) -> Result<()> {
        self.file.sync().map(|_| ())
    }
}

/// Creates the directory of the event files of the run in `run`, which makes the run keep them.
pub(super) fn keep(run: &Path) -> Result<()> {
    let directory = run.join(DIRECTORY);
    std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))
}

/// Checks the framing of the event files of the run in `run`: for each its path inside the run, and its size in records.
///
/// # Errors
/// A directory that cannot be read.
pub fn check_all(run: &Path) -> Result<Vec<(String, Result<String>)>> {
    let directory = run.join(DIRECTORY);
    let mut files = match list(&directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(Error::io("read", &directory))?,
    };
    files.sort();
    let checked = files.into_iter().map(|file| {
        let name = shown(file.strip_prefix(run).unwrap_or(&file)).to_string();
        let records = std::fs::read(&file).map_err(Error::io("read", &file)).and_then(|bytes| {
            check(&bytes).map_err(|record| {
                Error::content(&file, format!("record {record} is damaged; TensorBoard stops there"))
            })
        });
        (name, records.map(|records| format!("{records} records")))
    });
    Ok(checked.collect())
}

/// The number of whole records, or the first damaged one, counted from 1. A killed process may leave half a record at the
/// end, which TensorBoard skips.
fn check(mut bytes: &[u8]) -> Result<usize, usize> {
    let mut records = 0;
    while let Some((head, rest)) = bytes.split_at_checked(12) {
        let (length, sum) = head.split_at(8);
        if sum != masked_crc(length) {
            return Err(records + 1);
        }
        let length = length.iter().rev().fold(0, |all, byte| all << 8 | usize::from(*byte));
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        let Some((sum, rest)) = rest.split_at_checked(4) else { break };
        if sum != masked_crc(message) {
            return Err(records + 1);
        }
        (bytes, records) = (rest, records + 1);
    }
    Ok(records)
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
