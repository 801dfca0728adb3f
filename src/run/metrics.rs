//! `metrics.jsonl`: one line for each record of a training, appended at once. An archived run may keep it compressed, as
//! `metrics.jsonl.gz`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::protocol::{Metrics, Record, RunFailure};

pub(super) const FILE: &str = "metrics.jsonl";
pub(super) const COMPRESSED: &str = "metrics.jsonl.gz";

/// The file of a run in progress. The process that has it open owns the run.
pub(super) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens the file in the directory `run`, and locks it. With `create` it need not exist yet.
    ///
    /// # Errors
    /// A run that another process is training or that is archived; a file that cannot be written.
    pub(super) fn open(run: &Path, create: bool) -> Result<MetricsFile> {
        let path = run.join(FILE);
        // An empty file beside the compressed metrics would hide them.
        if run.join(COMPRESSED).is_file() && !path.is_file() {
            return Err(Error::content(
                run,
                "an archived run without its checkpoints; it can be compared, not trained",
            ));
        }
        let file = OpenOptions::new()
            .create(create)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        file.try_lock().map_err(|e| not_locked(run, e))?;
        Ok(MetricsFile { path, file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).map_err(|e| Error::content(&self.path, e.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io("write to", &self.path))
    }

    /// Appends the first `bytes` bytes of the metrics of the run in `parent`.
    ///
    /// # Errors
    /// Metrics that cannot be read; a file that cannot be written.
    pub(super) fn copy(&mut self, parent: &Path, bytes: u64) -> Result<()> {
        let from = parent.join(FILE);
        let mut parents = File::open(&from).map_err(Error::io("read", &from))?.take(bytes);
        std::io::copy(&mut parents, &mut self.file).map_err(Error::io("copy the metrics to", &self.path))?;
        Ok(())
    }

    /// Truncates the file after the first `bytes` bytes.
    ///
    /// # Errors
    /// A file that is shorter, or cannot be written.
    pub(super) fn cut(&mut self, bytes: u64) -> Result<()> {
        let length = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length < bytes {
            return Err(Error::content(
                &self.path,
                format!(
                    "shorter ({length} bytes) than when the checkpoint was written ({bytes}); restore the file"
                ),
            ));
        }
        self.file.set_len(bytes).map_err(Error::io("cut", &self.path))?;
        self.file.seek(SeekFrom::End(0)).map_err(Error::io("read", &self.path))?;
        Ok(())
    }

    /// Flushes the file to the disk; returns its length in bytes.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub(super) fn flush(&self) -> Result<u64> {
        self.file.sync_data().map_err(Error::io("flush", &self.path))?;
        Ok(self.file.metadata().map_err(Error::io("read", &self.path))?.len())
    }
}

/// Why the run in `run` was not locked. Only a lock that is already held means that another process trains it.
fn not_locked(run: &Path, error: TryLockError) -> Error {
    match error {
        TryLockError::WouldBlock => {
            Error::content(run, "another process is training this run; stop it first")
        }
        TryLockError::Error(source) => Error::io("lock the metrics of the run in", run)(source),
    }
}

/// All metrics of the run in `run`.
///
/// # Errors
/// Those of [`records`].
pub fn read(run: &Path) -> Result<Metrics> {
    let mut metrics = Metrics::default();
    each(run, |record| metrics.add(record))?;
    Ok(metrics)
}

/// All records of the run in `run`, in the order of the file.
///
/// # Errors
/// A file that cannot be read, or a line that is not a record.
pub fn records(run: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    each(run, |record| records.push(record))?;
    Ok(records)
}

fn each(run: &Path, mut take: impl FnMut(Record)) -> Result<()> {
    let plain = run.join(FILE);
    let (file, compressed) = match run.join(COMPRESSED) {
        file if !plain.exists() && file.exists() => (file, true),
        _ => (plain, false),
    };
    let open = File::open(&file).map_err(Error::io("read", &file))?;
    let lines: Box<dyn BufRead> = match compressed {
        true => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(open))),
        false => Box::new(BufReader::new(open)),
    };
    let mut lines = lines.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(Error::io("read", &file))?;
        match serde_json::from_str(&line) {
            Ok(record) => take(record),
            // The last line is incomplete if its writer was killed or is still writing.
            Err(e) if e.is_eof() && lines.peek().is_none() => {}
            Err(e) => return Err(Error::content(&file, format!("line {} is not a record: {e}", number + 1))),
        }
    }
    Ok(())
}

/// Whether the run in `run` has any metrics.
pub fn exist(run: &Path) -> bool {
    [FILE, COMPRESSED].iter().any(|file| run.join(file).exists())
}

/// The latest state of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Latest {
    /// The AMI of the latest epoch, if it has one.
    pub ami: Option<f64>,
    /// Why the run failed, if it did and was not resumed since.
    pub failure: Option<RunFailure>,
}

/// The latest state of the run in `run`. Only the end of the file is read, so that long runs are listed quickly.
pub fn latest(run: &Path) -> Latest {
    const TAIL: u64 = 512 * 1024;
    let tail = || {
        let mut file = File::open(run.join(FILE))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = tail().unwrap_or_default();
    let mut records =
        bytes.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let (last, epoch) = match records.next() {
        Some(Record::Failed(failure)) => (Some(failure), None),
        other => (None, other),
    };
    let ami = epoch.into_iter().chain(records).find_map(|record| match record {
        Record::Epoch(epoch) => Some(epoch.ami),
        _ => None,
    });
    Latest { ami: ami.flatten(), failure: last }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Epoch;

    #[test]
    fn only_a_held_lock_means_another_process() {
        let run = tempfile::tempdir().unwrap();
        let _held = MetricsFile::open(run.path(), true).unwrap();
        let error = MetricsFile::open(run.path(), false).err().unwrap().to_string();
        assert!(error.contains("another process is training this run"), "{error}");
        let unsupported = std::io::Error::from(std::io::ErrorKind::Unsupported);
        let error = not_locked(run.path(), TryLockError::Error(unsupported)).to_string();
        assert!(error.starts_with("cannot lock") && error.contains("unsupported"), "{error}");
    }

    /// A failure is the last record, and what comes after a resumption is no failure any more.
    #[test]
    fn the_latest_state_is_read_from_the_end() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(latest(run.path()), Latest::default());
        let mut file = MetricsFile::open(run.path(), true).unwrap();
        let epoch = |ami| Record::Epoch(Epoch { ami, ..Epoch::default() });
        file.append(&epoch(Some(0.5))).unwrap();
        let before = file.flush().unwrap();
        let failure =
            RunFailure { iteration: 7, epoch: 2, loss: None, why: "the disk – é – is gone".into() };
        file.append(&Record::Failed(failure.clone())).unwrap();
        let failed = Latest { ami: Some(0.5), failure: Some(failure.clone()) };
        assert_eq!(latest(run.path()), failed);
        assert_eq!(read(run.path()).unwrap().failure, Some(failure));
        file.cut(before).unwrap();
        assert_eq!(latest(run.path()), Latest { ami: Some(0.5), failure: None });
        file.append(&epoch(None)).unwrap();
        assert_eq!(latest(run.path()), Latest::default());
    }
}
