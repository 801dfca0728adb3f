//! Writing to stdout and stderr. Either may be closed, full, blocked or someone else's screen at any time.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::error::{Error, Result};

/// Writes `text` to stdout. A reader that is gone (`nem-tui presets | head -1`, a closed terminal) is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    match write_whole(&mut io::stdout().lock(), text.as_bytes()) {
        Err(e) if is_gone(&e) => Ok(()),
        other => other.map_err(stdout_error),
    }
}

/// Writes one JSON object as a line.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let line =
        serde_json::to_string(value).map_err(|e| Error::Usage(format!("cannot be written as JSON: {e}")))?;
    print(&(line + "\n"))
}

pub(super) fn stdout_error(source: io::Error) -> Error {
    Error::Io { action: "write to", path: "stdout".into(), source }
}

pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether nobody can read what is written any more.
fn is_gone(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        // A terminal that was closed; a disk that fails gives the same error.
        let file = io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
        return file.and_then(|file| file.metadata()).is_ok_and(|of| of.file_type().is_char_device());
    }
    error.kind() == ErrorKind::BrokenPipe
}

/// Writes and flushes all of `bytes`. Waits where another program has made the stream non-blocking.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let done = match bytes {
            [] => out.flush().map(|()| None),
            _ => out.write(bytes).map(Some),
        };
        match done {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(ErrorKind::WriteZero.into()),
            Ok(Some(written)) => bytes = &bytes[written..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
            Err(e) => return Err(e),
        }
    }
}

/// Texts that may wait for stderr. More are lost: no work waits for a terminal that is stopped or a pipe that is full.
const WAITING: usize = 1024;
/// How long the program waits for stderr at its end.
const PATIENCE: Duration = Duration::from_secs(1);

enum ForStderr {
    Text(String),
    /// Answered when everything before it was written.
    Settle(SyncSender<()>),
}

/// The way to the thread that writes to stderr, so that only that thread waits for it.
fn stderr() -> Option<&'static SyncSender<ForStderr>> {
    static STDERR: OnceLock<Option<SyncSender<ForStderr>>> = OnceLock::new();
    let start = || {
        let (texts, to_write) = sync_channel(WAITING);
        let write = move || write_all(&to_write);
        thread::Builder::new().name("stderr".into()).spawn(write).is_ok().then_some(texts)
    };
    STDERR.get_or_init(start).as_ref()
}

fn write_all(texts: &Receiver<ForStderr>) {
    for text in texts {
        // There is nowhere to report that stderr is gone or full.
        let _ = match text {
            ForStderr::Text(text) => write_whole(&mut io::stderr(), text.as_bytes()).is_ok(),
            ForStderr::Settle(done) => done.send(()).is_ok(),
        };
    }
}

fn to_stderr(text: String) {
    if let Some(stderr) = stderr() {
        let _ = stderr.try_send(ForStderr::Text(text));
    }
}

/// Writes a line to stderr. Never fails and never waits.
pub fn say(line: &str) {
    to_stderr(format!("{line}\n"));
}

/// Waits until everything was written to stderr, unless that takes long.
pub fn settle() {
    let (done, is_done) = sync_channel(1);
    if stderr().is_some_and(|stderr| stderr.try_send(ForStderr::Settle(done)).is_ok()) {
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

/// Whether the terminal on stderr is another program's now: nothing must be drawn there.
fn is_in_background() -> bool {
    #[cfg(unix)]
    {
        let foreground = rustix::termios::tcgetpgrp(io::stderr());
        foreground.is_ok_and(|group| group != rustix::process::getpgrp())
    }
    #[cfg(not(unix))]
    false
}

/// A progress bar on stderr, hidden where that is not a terminal, with lines above it. In the background it draws
/// nothing, and its latest lines wait until it is in the foreground again.
pub(super) struct StatusBar {
    bar: ProgressBar,
    held: Vec<String>,
}

impl StatusBar {
    /// The most lines that wait for the foreground.
    const HELD: usize = 100;

    /// A bar of this template.
    pub(super) fn new(template: &str) -> StatusBar {
        let bar = ProgressBar::with_draw_target(None, progress_target());
        // A malformed template would be a bug here; the bar merely looks plainer without it.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        StatusBar { bar, held: Vec::new() }
    }

    /// The bar itself.
    pub(super) fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Writes a line above the bar; without a bar, only the line.
    pub(super) fn line(&mut self, line: &str) {
        if self.bar.is_hidden() {
            return say(line);
        }
        if self.held.len() == Self::HELD {
            self.held.remove(0);
        }
        self.held.push(line.to_owned());
        self.catch_up();
    }

    /// Writes the lines that have waited for the foreground.
    pub(super) fn catch_up(&mut self) {
        if !self.held.is_empty() && !is_in_background() {
            self.held.drain(..).for_each(|line| self.bar.println(line));
        }
    }
}

/// Where bars are drawn: on stderr if that is a terminal that can move its cursor.
pub(super) fn progress_target() -> ProgressDrawTarget {
    let stderr = ProgressDrawTarget::stderr();
    match cfg!(unix) && !stderr.is_hidden() {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(Drawing::default()), 20),
        false => stderr,
    }
}

/// What is being drawn on the terminal, until it is flushed.
#[derive(Debug, Default)]
struct Drawing(Mutex<String>);

impl Drawing {
    fn add(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn move_cursor(&self, n: usize, to: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\x1b[{n}{to}")) }
    }
}

impl TermLike for Drawing {
    fn width(&self) -> u16 {
        #[cfg(unix)]
        let known = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col);
        #[cfg(not(unix))]
        let known = 0;
        if known == 0 { 80 } else { known }
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(line)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !text.is_empty() && !is_in_background() {
            to_stderr(text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a byte at a time, and now and then none.
    #[derive(Default)]
    struct Slow {
        written: Vec<u8>,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => {
                    self.written.push(bytes[0]);
                    Ok(1)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.calls += 1;
            if self.calls.is_multiple_of(2) { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
        }
    }

    #[test]
    fn everything_is_written_to_a_stream_that_is_not_ready() {
        let mut slow = Slow::default();
        write_whole(&mut slow, b"a table").unwrap();
        assert_eq!(slow.written, b"a table");
    }
}
