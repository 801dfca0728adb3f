//! The terminal's events: keys, the mouse, pasted text, answers, a new size.

#[cfg_attr(not(unix), allow(dead_code))]
mod decode;

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::decode::{Answer, TerminalEvent};

#[cfg(unix)]
use self::decode::Decoder;
use crate::error::{Error, Result};

/// How long the thread waits for each event; it ends within this time after its receiver is dropped.
const LISTENS: Duration = Duration::from_millis(50);

/// The terminal's events, read on a thread of its own, because a read may block.
pub struct TerminalEvents {
    events: mpsc::UnboundedReceiver<io::Result<TerminalEvent>>,
    /// Closed when the thread ends.
    ended: std::sync::mpsc::Receiver<()>,
    #[cfg(unix)]
    resized: tokio::signal::unix::Signal,
}

impl TerminalEvents {
    /// Starts reading, until this is dropped. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A system that cannot start a thread.
    pub fn read() -> Result<TerminalEvents> {
        let failed = |e| Error::Terminal(format!("cannot read the terminal's events: {e}"));
        let (told, events) = mpsc::unbounded_channel();
        let (ends, ended) = std::sync::mpsc::channel();
        let read = move || {
            let _ends: std::sync::mpsc::Sender<()> = ends;
            if let Err(error) = listen(&told) {
                let _ = told.send(Err(error));
            }
        };
        std::thread::Builder::new().name("input".into()).spawn(read).map_err(failed)?;
        Ok(TerminalEvents {
            events,
            ended,
            #[cfg(unix)]
            resized: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())
                .map_err(failed)?,
        })
    }

    /// The next event; an error or `None` ends the events.
    pub async fn next(&mut self) -> Option<io::Result<TerminalEvent>> {
        #[cfg(unix)]
        tokio::select! {
            biased;
            event = self.events.recv() => event,
            _ = self.resized.recv() => Some(Ok(TerminalEvent::Resized)),
        }
        #[cfg(not(unix))]
        self.events.recv().await
    }
}

/// Sends events until nobody wants them.
///
/// # Errors
/// A terminal that is gone.
#[cfg(unix)]
fn listen(told: &mpsc::UnboundedSender<io::Result<TerminalEvent>>) -> io::Result<()> {
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::{Errno, read};

    let terminal = rustix::stdio::stdin();
    let mut decoder = Decoder::default();
    let (mut buffer, mut events) = ([0; 4096], Vec::new());
    let mut heard = Instant::now();
    while !told.is_closed() {
        let left = decoder.patience().map(|patience| patience.saturating_sub(heard.elapsed()));
        let wait = Timespec::try_from(left.unwrap_or(LISTENS).min(LISTENS)).unwrap_or_default();
        let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
        match poll(&mut polled, Some(&wait)) {
            Ok(0) if left.is_some_and(|left| left <= LISTENS) => {
                decoder.give_up(&mut events);
                heard = Instant::now();
            }
            Ok(0) | Err(Errno::INTR) => continue,
            // The keys are the shell's, and reading them would stop the whole process.
            Ok(_) if !super::terminal::is_in_foreground() => std::thread::sleep(LISTENS),
            Ok(_) => match read(terminal, &mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    decoder.read(&buffer[..length], &mut events);
                    heard = Instant::now();
                }
                // Another program that shares the terminal may have made it so.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let _ = told.send(Ok(event));
        }
    }
    Ok(())
}

/// Sends events until nobody wants them.
///
/// # Errors
/// A terminal that is gone.
#[cfg(not(unix))]
fn listen(told: &mpsc::UnboundedSender<io::Result<TerminalEvent>>) -> io::Result<()> {
    use crossterm::event::{Event, KeyEventKind, poll, read};
    while !told.is_closed() {
        if !poll(LISTENS)? {
            continue;
        }
        let event = match read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => TerminalEvent::Key(key),
            Event::Mouse(event) => TerminalEvent::Mouse(event),
            Event::Paste(text) => TerminalEvent::Paste(text),
            Event::Resize(..) => TerminalEvent::Resized,
            _ => continue,
        };
        let _ = told.send(Ok(event));
    }
    Ok(())
}

/// Leaves further input to the shell. The wait is limited, because a read may block.
impl Drop for TerminalEvents {
    fn drop(&mut self) {
        self.events.close();
        let _ = self.ended.recv_timeout(4 * LISTENS);
    }
}
