//! `log.txt`: the run's log, for people to read.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::error::{Error, Result};

const LOG: &str = "log.txt";
/// Bytes kept for a file that cannot be written; older ones are dropped.
const MOST_WAITING: usize = 1 << 20;

/// The log of a run's thread. Lines wait until the run's directory is known, and while the disk is full. Warnings are
/// also kept as notes, for the run's viewers.
#[derive(Clone, Default)]
pub struct RunLog(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    path: Option<PathBuf>,
    file: Option<File>,
    waiting: VecDeque<u8>,
    notes: Vec<String>,
    /// All notes so far.
    told: Vec<String>,
}

impl RunLog {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives what a thread logs.
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + use<> {
        let (log, told) = (self.clone(), self.clone());
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            // These errors would go to stderr; the caller of `flush` gets them instead.
            .log_internal_errors(false)
            .with_writer(move || log.clone());
        let warnings = Warnings(move |sentence: String| told.lines().note(sentence));
        let info = tracing_subscriber::filter::LevelFilter::INFO;
        tracing_subscriber::registry().with(info).with(lines).with(warnings)
    }

    /// From now on the log of the run in `run`.
    pub fn open(&self, run: &Path) {
        self.lines().path = Some(run.join(LOG));
    }

    /// Writes what is waiting.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn flush(&self) -> Result<()> {
        self.lines().flush()
    }

    /// The warnings since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.lines().notes)
    }
}

impl Lines {
    /// Keeps a sentence for the viewers. A problem that returns at every checkpoint is kept once.
    fn note(&mut self, sentence: String) {
        if !self.told.contains(&sentence) {
            self.told.push(sentence.clone());
            self.notes.push(sentence);
        }
    }

    fn flush(&mut self) -> Result<()> {
        let Lines { path: Some(path), file, waiting, .. } = self else { return Ok(()) };
        let mut write = || {
            while !waiting.is_empty() {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(OpenOptions::new().create(true).append(true).open(&path)?),
                };
                let written = file.write(waiting.make_contiguous())?;
                waiting.drain(..written);
            }
            Ok(())
        };
        write().map_err(|e| {
            *file = None;
            Error::io("write to", path)(e)
        })
    }
}

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = self.lines();
        lines.waiting.extend(bytes);
        let surplus = lines.waiting.len().saturating_sub(MOST_WAITING);
        lines.waiting.drain(..surplus);
        // What cannot be written now waits for the next line, or for `RunLog::flush`.
        if let Err(e) = lines.flush() {
            lines.note(format!("{e}; the lines of the log are kept and written later"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Passes the warnings of a thread or the program to `tell`.
pub fn warnings(tell: impl Fn(String) + Send + Sync + 'static) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(Warnings(tell))
}

struct Warnings<F>(F);

impl<S: Subscriber, F: Fn(String) + 'static> Layer<S> for Warnings<F> {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            let mut message = Message(String::new());
            event.record(&mut message);
            (self.0)(message.0);
        }
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// The latest lines of the log of the run in `run`, the newest last.
///
/// # Errors
/// A log that cannot be read.
pub fn latest(run: &Path) -> Result<Vec<String>> {
    const BYTES: u64 = 64 * 1024;
    let path = run.join(LOG);
    let read = || {
        let mut file = File::open(&path)?;
        let from = file.metadata()?.len().saturating_sub(BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok((from, bytes))
    };
    let (from, bytes) = read().map_err(Error::io("read", &path))?;
    // The first line may be cut, even in the middle of a character.
    let cut = usize::from(from > 0);
    Ok(String::from_utf8_lossy(&bytes).lines().skip(cut).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_for_their_file_and_warnings_become_notes() {
        let run = tempfile::tempdir().unwrap();
        let log = RunLog::default();
        tracing::subscriber::with_default(log.subscriber(), || {
            tracing::info!("begins");
            tracing::warn!("no {}", "locks");
            log.flush().unwrap();
            log.open(&run.path().join("gone"));
            assert!(log.flush().is_err());
            log.open(run.path());
            log.flush().unwrap();
        });
        let lines = latest(run.path()).unwrap();
        assert!(lines[0].ends_with("begins") && lines[1].ends_with("no locks"), "{lines:?}");
        assert_eq!((lines.len(), log.take_notes()), (2, vec!["no locks".to_owned()]));
        assert!(log.take_notes().is_empty());
    }

    #[test]
    fn of_a_long_log_the_latest_whole_lines_are_read() {
        let directory = tempfile::tempdir().unwrap();
        assert!(latest(directory.path()).unwrap_err().to_string().contains("log.txt"));
        let all: Vec<String> = (0..9000).map(|n| format!("line {n} of a log – long")).collect();
        let write = |lines: &[String]| {
            std::fs::write(directory.path().join("log.txt"), lines.join("\n")).unwrap();
        };
        write(&all[..5]);
        assert_eq!(latest(directory.path()).unwrap(), all[..5]);
        write(&all);
        let latest = latest(directory.path()).unwrap();
        assert!(latest.len() > 1000 && all.ends_with(&latest), "{} lines", latest.len());
    }
}
