//! What the worker writes, and what it does while that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::info;

use super::Worker;
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::protocol::{BrokenLoss, Call, Command, Event, Finish, Record, RunFailure};
use crate::run::album;
use crate::run::result::RunResult;
use crate::run::tensorboard::EventFile;
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// The pause after a file could not be written, which doubles each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long to try on when the training is being ended.
const LAST_TRIES: Duration = Duration::from_secs(2);

impl Worker {
    /// Does what may fail for a while, such as writing to a full disk. Until it succeeds nothing is trained; the state
    /// stays in memory, the viewers are told, and they can look and stop.
    ///
    /// # Errors
    /// A failure that will not pass, or one that has not passed when the training is ended.
    pub(super) fn persist<T>(&mut self, mut attempt: impl FnMut(&mut Worker) -> Result<T>) -> Result<T> {
        let (mut pause, mut told) = (FIRST_PAUSE, None);
        loop {
            let e = match attempt(self) {
                Err(e) if e.may_pass() => e.to_string(),
                other => {
                    if told.is_some() && other.is_ok() {
                        self.tell("the files can be written again; the training continues".into());
                    }
                    return other;
                }
            };
            if self.ends.stop.is_requested() || self.ends.calls.is_closed() {
                let until = *self.last_try.get_or_insert_with(|| Instant::now() + LAST_TRIES);
                if Instant::now() >= until {
                    return Err(Error::Failed(format!("{e}; {}", self.lost())));
                }
                pause = FIRST_PAUSE;
            }
            if told.as_ref() != Some(&e) {
                self.tell(format!("{e}; the training waits and tries again, and loses nothing meanwhile"));
                told = Some(e);
            }
            self.wait(pause)?;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Waits, at most as long as `pause`, and lets viewers look meanwhile. Other calls are postponed.
    pub(super) fn wait(&mut self, pause: Duration) -> Result<()> {
        let until = Instant::now() + pause;
        // Without I/O, so that it needs no file descriptors, of which there may be none left.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|e| Error::Worker(format!("cannot wait: {e}")))?;
        while let Ok(call) =
            runtime.block_on(async { tokio::time::timeout_at(until.into(), self.ends.calls.recv()).await })
        {
            self.ends.outbox.flush();
            match call {
                Some(Call::Join(viewer, snapshots)) => self.ends.audience.admit(viewer, snapshots),
                Some(Call::Command(viewer, command)) => {
                    let is_stop = command == Command::Stop;
                    if let Some(command) = self.look(viewer, command)? {
                        self.postponed.push_back(Call::Command(viewer, command));
                    }
                    if is_stop {
                        break;
                    }
                }
                // Not before the postponed ones.
                Some(call @ Call::Taken(_)) => self.postponed.push_back(call),
                None => {
                    std::thread::sleep(until.saturating_duration_since(Instant::now()));
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is lost if the process ends now, in words.
    pub(super) fn lost(&self) -> String {
        let now = self.trainer.counters().iteration;
        match &self.saved {
            Some((counters, _)) if counters.iteration == now => "no iteration is lost".into(),
            Some((counters, _)) => format!(
                "iterations {} to {now} are lost, and the checkpoint of iteration {} is kept",
                counters.iteration + 1,
                counters.iteration
            ),
            None => format!("the iterations up to {now} since the run was started or resumed are lost"),
        }
    }

    /// The result of writing what the training can do without; `None` if that failed, which the viewers are told.
    pub(super) fn kept<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(kept) => Ok(Some(kept)),
            Err(Error::Stopped) => Err(Error::Stopped),
            Err(e) => {
                self.note(&e);
                Ok(None)
            }
        }
    }

    /// Appends a record to the metrics.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        self.persist(|worker| worker.run.append(record))
    }

    /// Adds to the event file, if there is one. If that fails for good, the file ends there and the training continues,
    /// because the metrics contain the same data.
    pub(super) fn log_event(&mut self, add: impl Fn(&mut EventFile, &Trainer) -> Result<()>) -> Result<()> {
        let added = self.persist(|worker| match &mut worker.events {
            Some(events) => add(events, &worker.trainer),
            None => Ok(()),
        });
        if self.kept(added)?.is_none() {
            self.events = None;
        }
        Ok(())
    }

    /// Adds snapshots to the album. If that fails for good, the album ends there and the training continues.
    pub(super) fn keep_moment(&mut self, best: bool) -> Result<()> {
        if self.album.is_none() {
            return Ok(());
        }
        let samples = album::samples(self.trainer.preset().train.validation_size);
        let kept = unroll::take_first(&self.trainer, samples).and_then(|snapshots| {
            self.persist(|worker| {
                let past = worker.run.past();
                worker.album.as_mut().map_or(Ok(()), |album| album.keep(&snapshots, best, &past))
            })?;
            Ok(snapshots)
        });
        match self.kept(kept)? {
            Some(snapshots) => {
                let first = snapshots.into_iter().next().map(Arc::new);
                self.ends.audience.latest().send_replace(first);
            }
            None => self.album = None,
        }
        Ok(())
    }

    /// Writes a checkpoint.
    pub(super) fn save(&mut self, best: bool) -> Result<()> {
        self.read_losses()?;
        let path = self.persist(|worker| worker.run.save(&worker.trainer, best))?;
        self.tell_warnings();
        self.log_event(|events, _| events.sync())?;
        let counters = self.trainer.counters().clone();
        info!("saved {}", shown(&path));
        self.ends.outbox.send(Event::Saved { iteration: counters.iteration, best });
        self.saved = Some((counters, self.trainer.preset().clone()));
        self.saved_at = Instant::now();
        let logged = self.persist(|worker| worker.ends.log.flush());
        self.kept(logged).map(|_| ())
    }

    pub(super) fn save_unsaved(&mut self) -> Result<()> {
        let now = (self.trainer.counters(), self.trainer.preset());
        match &self.saved {
            Some((counters, preset)) if (counters, preset) == now => Ok(()),
            _ => self.save(false),
        }
    }

    /// Writes `result.json`. The training is saved without it.
    pub(super) fn keep_result(&mut self, finish: &Finish) {
        let run = self.run.path();
        let written = RunResult::of(run, finish.into(), self.floor).and_then(|result| result.write(run));
        if let Err(e) = written {
            self.note(&e);
        }
    }

    /// Records why the run failed. Where that cannot be written either, the log and the viewers know.
    pub(super) fn record_failure(&mut self, e: &Error) {
        let counters = self.trainer.counters();
        let (iteration, loss) = match *e {
            Error::NotFinite { validation: true, iteration, loss, .. } => {
                (iteration, Some(BrokenLoss::Validation(loss)))
            }
            Error::NotFinite { iteration, loss, .. } => (iteration, Some(BrokenLoss::Train(loss))),
            _ => (counters.iteration, None),
        };
        let failure = RunFailure { iteration, epoch: counters.epochs + 1, loss, why: e.to_string() };
        if let Some(events) = &mut self.events {
            let _ = events.failure(&failure);
        }
        if let Err(e) = self.run.append(&Record::Failed(failure)) {
            info!("{e}");
        }
    }
}
