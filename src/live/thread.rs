//! A thread that computes for viewers, and its ends of the channels.
//!
//! Events that find the owner's channel full stay in the [`Outbox`]; the thread never waits for a reader. Snapshots go
//! through a `watch` channel for each viewer, where a newer one replaces an older one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::audience::Audience;
use super::socket::Viewers;
use crate::backend;
use crate::error::{Error, Result, TRAINING, panic_message};
use crate::protocol::{
    Call, Caller, EVENT_CAPACITY, Event, Finish, Iteration, OWNER, RunHandle, ViewerId, WeakCaller,
};
use crate::run::log::RunLog;
use crate::stop::Stop;

/// Iterations kept for an owner that does not read; older ones are in `metrics.jsonl`.
const KEPT_ITERATIONS: usize = 8192;
/// The shortest time between two events of iterations.
const ITERATIONS_PERIOD: Duration = Duration::from_millis(100);

/// The thread's ends of the channels.
pub(super) struct Ends {
    /// From all viewers; closes when the owner drops its handle, which means stop.
    pub(super) calls: mpsc::UnboundedReceiver<Call>,
    /// For attached viewers' calls, as long as the owner holds its handle.
    pub(super) caller: WeakCaller,
    /// Requested as soon as a viewer sends [`Command::Stop`](crate::protocol::Command::Stop).
    pub(super) stop: Stop,
    /// To all viewers.
    pub(super) outbox: Outbox,
    /// To those that want snapshots.
    pub(super) audience: Audience,
    /// What the thread logs.
    pub(super) log: RunLog,
}

/// Starts the thread, and waits until `make`, which runs on it, has made the input of `work`. A run computes on
/// that thread alone: libtorch keeps a pool for every thread that has computed, and if their threads outnumber the
/// cores they sleep between operations, which halves the speed.
pub(super) fn spawn<T>(
    make: impl FnOnce() -> Result<T> + Send + 'static,
    work: impl FnOnce(T, Ends) + Send + 'static,
) -> Result<RunHandle> {
    let (calls, calls_in) = mpsc::unbounded_channel();
    let (events_out, events) = mpsc::channel(EVENT_CAPACITY);
    let (snapshots_out, snapshots) = watch::channel(None);
    let stop = Stop::default();
    let caller = Caller::new(calls, stop.clone());
    let weak = caller.downgrade();
    let (made, is_made) = std::sync::mpsc::channel();
    let body = move || {
        let log = RunLog::default();
        let _logged = tracing::subscriber::set_default(log.subscriber());
        let parts = match backend::caught(make) {
            Ok(parts) => parts,
            Err(e) => return drop(made.send(Err(e))),
        };
        // `spawn` waits for this.
        let _ = made.send(Ok(()));
        let mut audience = Audience::new(watch::channel(None).0);
        audience.admit(OWNER, snapshots_out);
        let outbox = Outbox::new(events_out);
        work(parts, Ends { calls: calls_in, caller: weak, stop, outbox, audience, log });
    };
    let thread = std::thread::Builder::new().name(TRAINING.into()).spawn(body);
    let thread = thread.map_err(|e| Error::Worker(format!("its thread could not be started: {e}")))?;
    match is_made.recv() {
        Ok(Ok(())) => Ok(RunHandle::new(caller, events, snapshots, thread)),
        Ok(Err(e)) => Err(e),
        Err(_) => Err(Error::Worker(match thread.join() {
            Err(panic) => panic_message(&*panic),
            Ok(()) => "the thread ended before the run started".into(),
        })),
    }
}

/// Events on their way to the viewers.
pub(super) struct Outbox {
    /// To the owner; when it is full, events wait here, and when it is closed they are dropped.
    events: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
    /// Attached viewers, where the run can listen for them.
    viewers: Option<Viewers>,
    /// Iterations that are still to be sent, and when some were sent last.
    iterations: Vec<Iteration>,
    sent_at: Instant,
}

impl Outbox {
    fn new(events: mpsc::Sender<Event>) -> Outbox {
        let (waiting, iterations) = (VecDeque::new(), Vec::new());
        Outbox { events, waiting, viewers: None, iterations, sent_at: Instant::now() }
    }

    /// From now on also sends to attached viewers.
    pub(super) fn admit(&mut self, viewers: Viewers) {
        self.viewers = Some(viewers);
    }

    fn tell(&self, to: Option<ViewerId>, event: &Event) {
        if let Some(viewers) = &self.viewers {
            viewers.tell(to, event);
        }
    }

    /// To all viewers.
    pub(super) fn send(&mut self, event: Event) {
        self.send_iterations();
        self.tell(None, &event);
        self.keep(event);
    }

    /// To one viewer.
    pub(super) fn answer(&mut self, viewer: ViewerId, event: Event) {
        self.send_iterations();
        match viewer {
            OWNER => self.keep(event),
            _ => self.tell(Some(viewer), &event),
        }
    }

    /// To all viewers, together with others if the last ones were sent just before: waking the viewers for each
    /// iteration takes time from a fast training.
    pub(super) fn iteration(&mut self, iteration: Iteration) {
        self.iterations.push(iteration);
        if self.sent_at.elapsed() >= ITERATIONS_PERIOD {
            self.flush();
        }
    }

    /// Sends the iterations, and as many events as there is room for.
    pub(super) fn flush(&mut self) {
        self.send_iterations();
        self.send_waiting();
    }

    fn send_iterations(&mut self) {
        if self.iterations.is_empty() {
            return;
        }
        self.sent_at = Instant::now();
        let mut iterations = std::mem::take(&mut self.iterations);
        self.tell(None, &Event::Iterations(iterations.clone()));
        // Added to the last event if that has not left yet.
        match self.waiting.back_mut() {
            Some(Event::Iterations(list)) => {
                list.append(&mut iterations);
                list.drain(..list.len().saturating_sub(KEPT_ITERATIONS));
            }
            _ => self.waiting.push_back(Event::Iterations(iterations)),
        }
    }

    fn keep(&mut self, event: Event) {
        self.waiting.push_back(event);
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
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

    /// Sends everything, the end last, and waits for the owner to read it.
    pub(super) fn finish(mut self, finish: Finish) {
        self.send_iterations();
        let last = Event::Finished(finish);
        self.tell(None, &last);
        self.waiting.push_back(last);
        // A process that waits for the end must find the socket gone.
        drop(self.viewers);
        for event in self.waiting {
            if self.events.blocking_send(event).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_leave_together_and_before_any_other_event() {
        let (sender, mut events) = mpsc::channel(8);
        let mut outbox = Outbox::new(sender);
        // None is due.
        outbox.sent_at = Instant::now() + Duration::from_secs(3600);
        let iterations: Vec<Iteration> =
            (1..=3).map(|iteration| Iteration { iteration, ..Iteration::default() }).collect();
        outbox.iteration(iterations[0]);
        outbox.iteration(iterations[1]);
        assert!(events.try_recv().is_err());
        outbox.send(Event::Paused(true));
        assert_eq!(events.try_recv(), Ok(Event::Iterations(iterations[..2].to_vec())));
        assert_eq!(events.try_recv(), Ok(Event::Paused(true)));
        outbox.iteration(iterations[2]);
        outbox.finish(Finish::Stopped);
        assert_eq!(events.try_recv(), Ok(Event::Iterations(iterations[2..].to_vec())));
        assert_eq!(events.try_recv(), Ok(Event::Finished(Finish::Stopped)));
    }
}
