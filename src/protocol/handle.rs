//! A viewer's end of a run.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};

use super::{Command, Event};
use crate::snapshot::Snapshot;
use crate::stop::Stop;

/// The number of events that may wait for a viewer; the worker keeps the rest.
pub const EVENT_CAPACITY: usize = 256;

/// Tells a run's viewers apart; a number is never reused.
pub type ViewerId = u64;

/// The viewer that started the run.
pub const OWNER: ViewerId = 0;

/// Where a viewer's snapshots go: a newer one replaces an older one that was not seen.
pub type SnapshotSender = watch::Sender<Option<Arc<Snapshot>>>;

/// What a run's thread receives from its viewers.
#[derive(Debug)]
pub enum Call {
    /// A viewer wants snapshots, and gets them until it drops its receiver.
    Join(ViewerId, SnapshotSender),
    /// A viewer's command.
    Command(ViewerId, Command),
    /// All calls before this one were taken once the channel is closed.
    Taken(oneshot::Sender<()>),
}

/// Sends calls to a run's thread. A request to stop is also seen by the work in progress there.
#[derive(Clone, Debug)]
pub struct Caller {
    calls: mpsc::UnboundedSender<Call>,
    stop: Stop,
}

impl Caller {
    /// To the thread that receives `calls` and checks `stop`.
    pub fn new(calls: mpsc::UnboundedSender<Call>, stop: Stop) -> Caller {
        Caller { calls, stop }
    }

    /// Sends a call. A run that has ended ignores it.
    pub fn send(&self, call: Call) {
        if matches!(call, Call::Command(_, Command::Stop)) {
            self.stop.request();
        }
        let _ = self.calls.send(call);
    }

    /// The same, but it does not keep the channel open.
    pub fn downgrade(&self) -> WeakCaller {
        WeakCaller { calls: self.calls.downgrade(), stop: self.stop.clone() }
    }
}

/// A [`Caller`] for as long as the owner holds its handle.
#[derive(Clone, Debug)]
pub struct WeakCaller {
    calls: mpsc::WeakUnboundedSender<Call>,
    stop: Stop,
}

impl WeakCaller {
    /// `None` once the run is ending.
    pub fn upgrade(&self) -> Option<Caller> {
        Some(Caller { calls: self.calls.upgrade()?, stop: self.stop.clone() })
    }
}

/// A viewer's end of a run. Dropping the owner's makes the worker save and stop, and waits for that; dropping an
/// attached viewer's disconnects it, and the run continues.
#[derive(Debug)]
pub struct RunHandle {
    /// To the worker.
    caller: Caller,
    /// From the worker; closes after [`Event::Finished`].
    pub events: mpsc::Receiver<Event>,
    /// From the worker: the newest snapshot. Without a receiver none is taken.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The worker, or the bridge to one in another process.
    thread: Option<JoinHandle<()>>,
    is_attached: bool,
}

impl RunHandle {
    /// The owner's handle of the run on `thread`.
    pub fn new(
        caller: Caller,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        thread: JoinHandle<()>,
    ) -> RunHandle {
        RunHandle { caller, events, snapshots, thread: Some(thread), is_attached: false }
    }

    /// The handle of a run in another process. `bridge` ends when the channel of calls closes.
    pub fn attached(
        caller: Caller,
        events: mpsc::Receiver<Event>,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        bridge: JoinHandle<()>,
    ) -> RunHandle {
        let mut handle = RunHandle::new(caller, events, snapshots, bridge);
        handle.is_attached = true;
        handle
    }

    /// Whether the run belongs to another process, and continues without this viewer.
    pub fn is_attached(&self) -> bool {
        self.is_attached
    }

    /// Sends a command. A run that has ended ignores it; its last event said so.
    pub fn send(&self, command: Command) {
        self.caller.send(Call::Command(OWNER, command));
    }
}

impl Drop for RunHandle {
    /// Also runs while a panic unwinds, so that a run survives a failing screen.
    fn drop(&mut self) {
        // A worker with events left to deliver must not wait for a reader that is gone.
        self.events.close();
        if self.is_attached {
            // Closes the channel; calls already in it are still delivered.
            self.caller.calls = mpsc::unbounded_channel().0;
        } else {
            self.send(Command::Stop);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
