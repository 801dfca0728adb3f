//! A thread that computes for a user who sits elsewhere, and the ends of its channels.
//!
//! Events that find the channel full are kept in the [`Outbox`] and sent later; the thread never waits for
//! whoever reads them. Snapshots go through a `watch` channel, where a newer one replaces an older one that
//! nobody has looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::socket::Viewers;
use crate::backend;
use crate::error::{Error, Result, TRAINING, panic_message};
use crate::protocol::{Command, EVENT_CAPACITY, Event, Finish, Iteration, RunHandle};
use crate::snapshot::Snapshot;

/// Iterations kept for a user who does not read; older ones are in `metrics.jsonl` anyway.
const KEPT_ITERATIONS: usize = 8192;

/// The thread's ends of the channels.
pub(crate) struct Ends {
    /// From the user; closed when the handle is dropped, which means stop.
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    /// For others than the user to send commands by, as long as the user holds the handle.
    pub(crate) callers: mpsc::WeakUnboundedSender<Command>,
    /// To the user.
    pub(crate) outbox: Outbox,
    /// To the user; nobody has to look.
    pub(crate) snapshots: watch::Sender<Option<Arc<Snapshot>>>,
}

/// Starts the thread, and waits until `make` has made there what `work` works with. All that computes for a
/// run computes on that thread: every other one that has would keep threads of libtorch's own, and once there
/// are more of those than cores they no longer wait for work but sleep, at half the speed.
pub(crate) fn spawn<T>(
    make: impl FnOnce() -> Result<T> + Send + 'static,
    work: impl FnOnce(T, Ends) + Send + 'static,
) -> Result<RunHandle> {
    let (commands, commands_in) = mpsc::unbounded_channel();
    let (events_out, events) = mpsc::channel(EVENT_CAPACITY);
    let (snapshots_out, snapshots) = watch::channel(None);
    let callers = commands.downgrade();
    let (made, is_made) = std::sync::mpsc::channel();
    let body = move || {
        let parts = match backend::caught(make) {
            Ok(parts) => parts,
            Err(e) => return drop(made.send(Err(e))),
        };
        // Whoever started the thread waits for this.
        let _ = made.send(Ok(()));
        let outbox = Outbox { events: events_out, waiting: VecDeque::new(), viewers: None };
        work(parts, Ends { commands: commands_in, callers, outbox, snapshots: snapshots_out });
    };
    let thread = std::thread::Builder::new().name(TRAINING.into()).spawn(body);
    let thread = thread.map_err(|e| Error::Worker(format!("its thread could not be started: {e}")))?;
    match is_made.recv() {
        Ok(Ok(())) => Ok(RunHandle::new(commands, events, snapshots, thread)),
        Ok(Err(e)) => Err(e),
        Err(_) => Err(Error::Worker(match thread.join() {
            Err(panic) => panic_message(&*panic),
            Ok(()) => "it ended before it began".into(),
        })),
    }
}

/// Events on their way to the user, and to viewers in other processes.
pub(crate) struct Outbox {
    /// To the user; when it is full, events wait here, and when it is closed they are dropped.
    events: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
    /// Those that attach, where that is possible.
    viewers: Option<Viewers>,
}

impl Outbox {
    /// From now on viewers hear what is sent.
    pub(crate) fn admit(&mut self, viewers: Viewers) {
        self.viewers = Some(viewers);
    }

    fn tell(&self, event: &Event) {
        if let Some(viewers) = &self.viewers {
            viewers.tell(event);
        }
    }

    pub(crate) fn send(&mut self, event: Event) {
        self.tell(&event);
        self.waiting.push_back(event);
        self.flush();
    }

    /// Adds an iteration, to the last event if that has not left yet.
    pub(crate) fn iteration(&mut self, iteration: Iteration) {
        self.tell(&Event::Iterations(vec![iteration]));
        match self.waiting.back_mut() {
            Some(Event::Iterations(list)) => {
                if list.len() >= KEPT_ITERATIONS {
                    list.remove(0);
                }
                list.push(iteration);
            }
            _ => self.waiting.push_back(Event::Iterations(vec![iteration])),
        }
    }

    /// Sends what there is room for.
    pub(crate) fn flush(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    /// Sends everything, the end last; now there is time to wait.
    pub(crate) fn finish(mut self, finish: Finish) {
        let last = Event::Finished(finish);
        self.tell(&last);
        self.waiting.push_back(last);
        // Whoever waits for the end finds no socket any more.
        drop(self.viewers);
        for event in self.waiting {
            if self.events.blocking_send(event).is_err() {
                return;
            }
        }
    }
}
