//! What the terminal says: keys, the mouse, a new size.

use std::io;
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// The thread ends at most this long after the last listener is gone.
const LISTENS: Duration = Duration::from_millis(50);

/// The terminal's events, read on a thread of its own. crossterm's reader does not return from a terminal that
/// has gone away, and where it is polled as a stream the loop could then hear no signal, save nothing and not end.
/// Here it costs a core until the run is saved.
pub struct TerminalEvents {
    events: mpsc::UnboundedReceiver<io::Result<Event>>,
    /// Closed by the thread's end.
    ended: std::sync::mpsc::Receiver<()>,
}

impl TerminalEvents {
    /// Starts reading, until this is dropped.
    ///
    /// # Errors
    /// A system that gives no thread.
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
        thread.map_err(|e| Error::Terminal(format!("its events cannot be read: {e}")))?;
        Ok(TerminalEvents { events, ended })
    }

    /// The next event; an error or `None` is the last.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }
}

/// What is typed from now on is the shell's. A terminal that is gone is waited for no longer than it takes one that
/// is there.
impl Drop for TerminalEvents {
    fn drop(&mut self) {
        self.events.close();
        let _ = self.ended.recv_timeout(4 * LISTENS);
    }
}
