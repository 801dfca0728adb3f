//! The terminal's events: keys, the mouse, a new size.

use std::io;
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// How long the thread waits for each event; it ends within this time after its receiver is dropped.
const LISTENS: Duration = Duration::from_millis(50);

/// The terminal's events, read on a thread of its own. When the terminal is gone, crossterm's reader never returns.
/// Polled as a stream it would block the loop, which could then neither receive signals nor save the run. On its own
/// thread it only keeps one core busy until the run is saved.
pub struct TerminalEvents {
    events: mpsc::UnboundedReceiver<io::Result<Event>>,
    /// Closed when the thread ends.
    ended: std::sync::mpsc::Receiver<()>,
}

impl TerminalEvents {
    /// Starts reading, until this is dropped.
    ///
    /// # Errors
    /// A system that cannot start a thread.
    pub fn read() -> Result<TerminalEvents> {
        let (told, events) = mpsc::unbounded_channel();
        let (ends, ended) = std::sync::mpsc::channel();
        let read = move || {
            let _ends: std::sync::mpsc::Sender<()> = ends;
            while !told.is_closed() {
                let event = match crossterm::event::poll(LISTENS) {
                    Ok(true) => crossterm::event::read(),
                    Ok(false) => continue,
                    Err(error) => Err(error),
                };
                let failed = event.is_err();
                if told.send(event).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("input".into()).spawn(read);
        thread.map_err(|e| Error::Terminal(format!("cannot read the terminal's events: {e}")))?;
        Ok(TerminalEvents { events, ended })
    }

    /// The next event; an error or `None` ends the events.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }
}

/// Leaves further input to the shell. The wait is limited, because the thread does not end if the terminal is gone.
impl Drop for TerminalEvents {
    fn drop(&mut self) {
        self.events.close();
        let _ = self.ended.recv_timeout(4 * LISTENS);
    }
}
