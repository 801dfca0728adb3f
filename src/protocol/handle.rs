//! A viewer's ends of the channels.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::{Command, Event};
use crate::snapshot::Snapshot;

/// How many events may wait for the user; more are kept back by the worker.
pub const EVENT_CAPACITY: usize = 256;

/// The user's end of a running training. Dropping it makes the worker save and stop, and waits for
/// that; dropping that of an attached viewer disconnects it, and the run goes on.
#[derive(Debug)]
pub struct RunHandle {
    /// To the worker.
    pub commands: mpsc::UnboundedSender<Command>,
    /// From the worker; closes after [`Event::Finished`].
    pub events: mpsc::Receiver<Event>,
    /// From the worker: the newest picture.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The worker, or the bridge to one in another process.
    thread: Option<JoinHandle<()>>,
    is_attached: bool,
}

impl RunHandle {
    /// The user's ends of the channels, and the worker's thread.
    pub fn new(
        commands: mpsc::UnboundedSender<Command>,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        thread: JoinHandle<()>,
    ) -> RunHandle {
        RunHandle { commands, events, snapshots, thread: Some(thread), is_attached: false }
    }

    /// The same of a run in another process, bridged by a thread that ends when the commands' channel
    /// closes.
    pub fn attached(
        commands: mpsc::UnboundedSender<Command>,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        bridge: JoinHandle<()>,
    ) -> RunHandle {
        let mut handle = RunHandle::new(commands, events, snapshots, bridge);
        handle.is_attached = true;
        handle
    }
}

impl Drop for RunHandle {
    /// Also runs while a panic unwinds, so that a run outlives a failing screen.
    fn drop(&mut self) {
        // A worker that still has events to deliver must not wait for a reader that is gone.
        self.events.close();
        if self.is_attached {
            // Closes the channel; what was sent through it is still delivered.
            self.commands = mpsc::unbounded_channel().0;
        } else {
            let _ = self.commands.send(Command::Stop);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
