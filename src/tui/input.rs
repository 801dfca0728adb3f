//! What the terminal says: keys, the mouse, a new size.

use std::io;

use crossterm::event::Event;
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// The terminal's events, read on a thread of its own. crossterm's reader does not return from a terminal that
/// has gone away, and where it is polled as a stream the loop could then hear no signal, save nothing and not end.
pub struct Input {
    events: mpsc::UnboundedReceiver<io::Result<Event>>,
}

impl Input {
    /// Starts reading, until the process ends.
    ///
    /// # Errors
    /// A system that gives no thread.
    pub fn read() -> Result<Input> {
        let (told, events) = mpsc::unbounded_channel();
        let read = move || {
            loop {
                let event = crossterm::event::read();
                let failed = event.is_err();
                if told.send(event).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("input".into()).spawn(read);
        thread.map_err(|e| Error::Terminal(format!("nothing can be read from it: {e}")))?;
        Ok(Input { events })
    }

    /// The next event; an error or none where there will be no more.
    pub async fn next(&mut self) -> Option<io::Result<Event>> {
        self.events.recv().await
    }
}
