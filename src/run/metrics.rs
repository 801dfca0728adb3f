//! `metrics.jsonl`: one line for each record of a training, appended at once. An archived run may keep it compressed, as
//! `metrics.jsonl.gz`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tracing::warn;

use crate::error::{Error, Result};
use crate::files::Appender;
use crate::paths::shown;
use crate::preset::Preset;
use crate::protocol::{Epoch, Metrics, Record, RunFailure};

pub(super) const FILE: &str = "metrics.jsonl";
/// The metrics of a run before it had to begin anew.
const BEFORE: &str = "metrics.before.jsonl";
pub(super) const COMPRESSED: &str = "metrics.jsonl.gz";

/// The file of a run that this process has locked.
pub(super) struct MetricsFile {
    file: Appender,
}

impl MetricsFile {
    /// Opens or creates the file in the directory `run`.
    ///
    /// # Errors
    /// A run that is archived; a file that cannot be written.
    pub(super) fn open(run: &Path) -> Result<MetricsFile> {
        let path = run.join(FILE);
        // An empty file beside the compressed metrics would hide them.
        if run.join(COMPRESSED).is_file() && !path.is_file() {
            return Err(Error::content(
                run,
                "an archived run without its checkpoints; it can be compared, not trained",
            ));
        }
        Ok(MetricsFile { file: Appender::open(&path, true)? })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk. The file does not have the line then.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        let mut line =
            serde_json::to_vec(record).map_err(|e| Error::content(self.file.path(), e.to_string()))?;
        line.push(b'\n');
        self.file.append(&line)
    }

    /// Appends the first `bytes` bytes of the metrics of the run in `parent`, as far as they are whole lines.
    ///
    /// # Errors
    /// Metrics that cannot be read; a file that cannot be written.
    pub(super) fn copy(&mut self, parent: &Path, bytes: u64) -> Result<()> {
        let from = parent.join(FILE);
        let mut parents = Vec::new();
        let read = File::open(&from).and_then(|file| file.take(bytes).read_to_end(&mut parents));
        read.map_err(Error::io("read", &from))?;
        self.file.append(whole_lines(&parents))?;
        self.flush().map(|_| ())
    }

    /// Cuts the file back to its first `bytes` bytes, or to the last whole line among them.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(super) fn cut(&mut self, bytes: u64) -> Result<()> {
        let path = self.file.path().to_owned();
        if self.file.length() < bytes {
            warn!(
                "{}: {} bytes, {bytes} when the checkpoint was written; the curves lack what is missing",
                shown(&path),
                self.file.length()
            );
        }
        let mut kept = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(bytes).read_to_end(&mut kept));
        read.map_err(Error::io("read", &path))?;
        self.file.truncate(whole_lines(&kept).len() as u64)
    }

    /// Begins the file anew, for a run without a checkpoint. What it held is kept beside it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn set_aside(&mut self) -> Result<()> {
        if self.file.length() > 0 {
            let path = self.file.path().to_owned();
            std::fs::copy(&path, path.with_file_name(BEFORE)).map_err(Error::io("copy", &path))?;
            self.file.truncate(0)?;
            warn!("{}: no checkpoint, so it begins anew; its earlier metrics are in {BEFORE}", shown(&path));
        }
        Ok(())
    }

    /// Flushes the file to the disk; returns its length in bytes.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub(super) fn flush(&mut self) -> Result<u64> {
        self.file.sync()
    }
}

/// `bytes` without an incomplete last line.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)]
}

/// All metrics of the run in `run`, without scores that mean nothing.
///
/// # Errors
/// Those of [`records`].
pub fn read(run: &Path) -> Result<Metrics> {
    let mut metrics = Metrics::default();
    each(run, |record| metrics.add(record))?;
    drop_meaningless_scores(&mut metrics, run);
    Ok(metrics)
}

/// Without its preset, the scores are as they were recorded.
fn drop_meaningless_scores(metrics: &mut Metrics, run: &Path) {
    if let Ok(preset) = Preset::load(run.join("preset.ron")) {
        metrics.drop_meaningless_scores(&preset);
    }
}

/// All records of the run in `run`, in the order of the file.
///
/// # Errors
/// A file that cannot be read. A line that is not a record is left out, with a warning.
pub fn records(run: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    each(run, |record| records.push(record))?;
    Ok(records)
}

fn each(run: &Path, take: impl FnMut(Record)) -> Result<()> {
    let (file, damaged) = check(run, take)?;
    if let Some(which) = told(&damaged) {
        warn!("{}: {which} and left out", shown(&file));
    }
    Ok(())
}

/// The words for damaged lines, by their numbers.
pub(super) fn told(damaged: &[u64]) -> Option<String> {
    let list = |lines: &[u64]| lines.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    match damaged {
        [] => None,
        [line] => Some(format!("line {line} is damaged")),
        [some @ .., last] if some.len() < 8 => Some(format!("lines {} and {last} are damaged", list(some))),
        [first, .., last] => Some(format!("{} lines from {first} to {last} are damaged", damaged.len())),
    }
}

/// Passes the records of the run in `run` to `take`. Returns the file, and the numbers of the lines that are no records.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn check(run: &Path, mut take: impl FnMut(Record)) -> Result<(std::path::PathBuf, Vec<u64>)> {
    let plain = run.join(FILE);
    let (file, compressed) = match run.join(COMPRESSED) {
        file if !plain.exists() && file.exists() => (file, true),
        _ => (plain, false),
    };
    let open = File::open(&file).map_err(Error::io("read", &file))?;
    let mut lines: Box<dyn BufRead> = match compressed {
        true => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(open))),
        false => Box::new(BufReader::new(open)),
    };
    let (mut line, mut damaged) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            // A compressed file that is cut short or damaged ends here.
            Err(_) if compressed => {
                damaged.push(number);
                break;
            }
            Err(e) => return Err(Error::io("read", &file)(e)),
        }
        match serde_json::from_slice(&line) {
            Ok(record) => take(record),
            // The last line is incomplete if its writer was killed or is still writing.
            Err(_) if line.last() != Some(&b'\n') => {}
            Err(_) => damaged.push(number),
        }
    }
    Ok((file, damaged))
}

/// Whether the run in `run` has any metrics.
pub fn exist(run: &Path) -> bool {
    [FILE, COMPRESSED].iter().any(|file| run.join(file).exists())
}

/// The latest state of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Latest {
    /// Iterations done.
    pub iteration: u64,
    /// The AMI of the latest epoch, if it has one.
    pub ami: Option<f64>,
    /// Its validation loss.
    pub validation_loss: Option<f64>,
    /// Why the run failed, if it did and was not resumed since.
    pub failure: Option<RunFailure>,
}

/// The latest state of the run in `run`. Only the end of the file is read, so that long runs are listed quickly.
pub fn latest(run: &Path) -> Latest {
    let bytes = end(run, 512 * 1024);
    let mut records = latest_first(&bytes);
    let (last, epoch) = match records.next() {
        Some(Record::Failed(failure)) => (Some(failure), None),
        other => (None, other),
    };
    let mut iteration = last.as_ref().map_or(0, |failure| failure.iteration);
    let epoch = epoch.into_iter().chain(records).find_map(|record| match record {
        Record::Epoch(epoch) => {
            iteration = iteration.max(epoch.iteration);
            Some((epoch.ami, epoch.validation_loss))
        }
        Record::Step(step) => {
            iteration = iteration.max(step.iteration);
            None
        }
        _ => None,
    });
    let (ami, validation_loss) = epoch.unzip();
    Latest { iteration, ami: ami.flatten(), validation_loss, failure: last }
}

/// The last bytes of the file of the run in `run`, at most so many.
fn end(run: &Path, most: u64) -> Vec<u8> {
    let tail = || {
        let mut file = File::open(run.join(FILE))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    tail().unwrap_or_default()
}

/// The records in the last bytes of a file, the latest first.
fn latest_first(bytes: &[u8]) -> impl Iterator<Item = Record> {
    bytes.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// The iterations that the run in `run` has recorded. Only the end of the file is read.
pub fn last_iteration(run: &Path) -> u64 {
    let bytes = end(run, 16 * 1024);
    let trained =
        |record: &Record| matches!(record, Record::Step(_) | Record::Epoch(_) | Record::Fork { .. });
    latest_first(&bytes).find(trained).map_or(0, |record| record.iteration())
}

/// The epochs of the run in `run`, without scores that mean nothing. Its iterations are passed over without reading
/// them.
///
/// # Errors
/// A file that cannot be read.
pub fn epochs(run: &Path) -> Result<Vec<Epoch>> {
    let file = run.join(FILE);
    let bytes = std::fs::read(&file).map_err(Error::io("read", &file))?;
    let others = bytes.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"{\"kind\":\"step\""));
    let mut metrics = Metrics::default();
    others.filter_map(|line| serde_json::from_slice(line).ok()).for_each(|record| metrics.add(record));
    drop_meaningless_scores(&mut metrics, run);
    Ok(metrics.epochs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Iteration;

    fn step(iteration: u64) -> Record {
        Record::Step(Iteration { iteration, ..Iteration::default() })
    }

    #[test]
    fn a_damaged_line_costs_that_line() {
        let run = tempfile::tempdir().unwrap();
        let mut file = MetricsFile::open(run.path()).unwrap();
        (1..=4).for_each(|n| file.append(&step(n)).unwrap());
        drop(file);
        let path = run.path().join(FILE);
        let text = std::fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        // Half a record, zeros as a loss of power leaves them, and bytes that are not text.
        let halves = [lines[0], &lines[1][..20], b"\n", b"\0\0\0\n", b"\xff\xfe\n", lines[2], &lines[3][..9]];
        std::fs::write(&path, halves.concat()).unwrap();
        assert_eq!(records(run.path()).unwrap(), [step(1), step(3)]);
        let (_, damaged) = check(run.path(), |_| ()).unwrap();
        assert_eq!(told(&damaged).unwrap(), "lines 2, 3 and 4 are damaged");
        // A resumed run begins its next record on a line of its own.
        let mut file = MetricsFile::open(run.path()).unwrap();
        file.cut(text.len() as u64).unwrap();
        file.append(&step(4)).unwrap();
        assert_eq!(records(run.path()).unwrap(), [step(1), step(3), step(4)]);
    }

    #[test]
    fn a_file_that_lost_its_end_is_continued() {
        let run = tempfile::tempdir().unwrap();
        let mut file = MetricsFile::open(run.path()).unwrap();
        (1..=3).for_each(|n| file.append(&step(n)).unwrap());
        let bytes = file.flush().unwrap();
        file.file.truncate(bytes - 5).unwrap();
        file.cut(bytes).unwrap();
        file.append(&step(4)).unwrap();
        assert_eq!(records(run.path()).unwrap(), [step(1), step(2), step(4)]);
    }

    /// A failure is the last record, and what comes after a resumption is no failure any more.
    #[test]
    fn the_latest_state_is_read_from_the_end() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(latest(run.path()), Latest::default());
        let mut file = MetricsFile::open(run.path()).unwrap();
        let epoch = |ami| Record::Epoch(Epoch { ami, validation_loss: 7.0, ..Epoch::default() });
        let validated = || Latest { validation_loss: Some(7.0), ..Latest::default() };
        file.append(&epoch(Some(0.5))).unwrap();
        let before = file.flush().unwrap();
        let failure =
            RunFailure { iteration: 7, epoch: 2, loss: None, why: "the disk – é – is gone".into() };
        file.append(&Record::Failed(failure.clone())).unwrap();
        let failed = Latest { iteration: 7, ami: Some(0.5), failure: Some(failure.clone()), ..validated() };
        assert_eq!(latest(run.path()), failed);
        assert_eq!(read(run.path()).unwrap().failure, Some(failure));
        file.cut(before).unwrap();
        assert_eq!(latest(run.path()), Latest { ami: Some(0.5), ..validated() });
        file.append(&epoch(None)).unwrap();
        assert_eq!(latest(run.path()), validated());
    }
}
