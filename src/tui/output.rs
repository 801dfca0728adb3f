//! Standard output, written on a thread of its own: a terminal that is stopped, or a line that hangs, blocks whoever
//! writes, and the loop must still receive signals and save the run.

use std::io::{self, Write};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

/// What one flush has completed waits here until the thread writes it. Frames are drawn only while nothing waits.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Whether the thread is writing.
    writes: bool,
    started: bool,
    failed: Option<(io::ErrorKind, String)>,
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.failed.is_some() || (self.bytes.is_empty() && !self.writes)
    }
}

static WAITING: Mutex<Waiting> =
    Mutex::new(Waiting { bytes: Vec::new(), writes: false, started: false, failed: None });
static CHANGED: Condvar = Condvar::new();
static WRITTEN: LazyLock<Notify> = LazyLock::new(Notify::new);

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A writer whose flush does not block.
#[derive(Debug, Default)]
pub struct Output(Vec<u8>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut waiting = waiting();
        if let Some((kind, why)) = &waiting.failed {
            return Err(io::Error::new(*kind, why.clone()));
        }
        if !waiting.started {
            thread::Builder::new().name("output".into()).spawn(write_all)?;
            waiting.started = true;
        }
        waiting.bytes.append(&mut self.0);
        CHANGED.notify_all();
        Ok(())
    }
}

/// Whether everything is written, or cannot be.
pub fn is_written() -> bool {
    waiting().is_over()
}

/// Waits until everything is written, or cannot be.
pub async fn written() {
    while !is_written() {
        WRITTEN.notified().await;
    }
}

/// The same, but not longer than `most`.
pub fn wait(most: Duration) {
    let waited = CHANGED.wait_timeout_while(waiting(), most, |waiting| !waiting.is_over());
    drop(waited.unwrap_or_else(PoisonError::into_inner));
}

/// The thread.
fn write_all() {
    loop {
        let mut waiting = CHANGED
            .wait_while(waiting(), |waiting| waiting.bytes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let bytes = std::mem::take(&mut waiting.bytes);
        waiting.writes = true;
        drop(waiting);
        let written = write(&bytes);
        let mut waiting = self::waiting();
        waiting.writes = false;
        waiting.failed = written.err().map(|error| (error.kind(), error.to_string()));
        drop(waiting);
        CHANGED.notify_all();
        WRITTEN.notify_one();
    }
}

#[cfg(unix)]
fn write(mut bytes: &[u8]) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    let terminal = rustix::stdio::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(terminal, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Another program that shares the terminal may have made it so.
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&terminal, PollFlags::OUT)], None)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}
