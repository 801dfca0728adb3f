//! The training thread: it receives commands and sends events and snapshots. Commands are read between two iterations.
//!
//! A checkpoint is written after every epoch, before its validation, and when the last one is some minutes old. A file
//! that cannot be written for now, for example on a full disk, pauses the training until it can be (`files`).

mod commands;
mod files;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tracing::{error, info, warn};

use super::saturation::Saturation;
use super::socket::{NOBODY, Viewers};
use super::thread::Ends;
use crate::backend::{self, Compute};
use crate::error::{Error, Result, panic_message};
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Call, Change, Command, Event, Finish, Floor, Iteration, Metrics, Record, RunInfo, RunKind, number_or_dash,
};
use crate::run::album::{self, Album};
use crate::run::directory::RunDir;
use crate::run::tensorboard::EventFile;
use crate::run::{past, result};
use crate::snapshot::{TILE, pictures};
use crate::train::trainer::{Counters, Trainer};
use crate::train::unroll;

/// The shortest time between two snapshots.
const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);
/// Snapshots take at most this fraction of the time, as its denominator.
const SNAPSHOT_SHARE: u32 = 100;

/// The most calls between two iterations.
const MOST_CALLS: u32 = 32;

/// When a worker stops, besides the preset's own conditions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// Stop after this many iterations, counted from the start of the run.
    pub max_iterations: Option<u64>,
    /// Another limit to the epochs of a run that is resumed or forked.
    pub epochs: Option<Epochs>,
    /// When the training is over, keep showing samples until told to stop.
    pub stay: bool,
}

/// A limit to the epochs of a run that has trained already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epochs {
    /// So many in all.
    Total(u64),
    /// So many more than it has done. With stages the last one is extended.
    More(u64),
}

impl Epochs {
    /// The setting, for a run with these counters; `None` if `preset` has this limit already.
    pub(super) fn limit(self, counters: &Counters, preset: &Preset) -> Option<Setting> {
        match self {
            Epochs::Total(most) => {
                Some(Setting::MaxEpochs(most)).filter(|most| most.current(preset) != Some(*most))
            }
            Epochs::More(more) => Some(Setting::MaxEpochs(counters.limit_for(more, preset))),
        }
    }
}

/// A run that is ready to be trained.
pub(super) struct Begun {
    pub(super) run: RunDir,
    pub(super) trainer: Trainer,
    pub(super) metrics: Metrics,
    /// Live changes still to be made.
    pub(super) replay: Vec<Change>,
    /// A new limit to its epochs.
    pub(super) limit: Option<Setting>,
    pub(super) compute: Compute,
    /// The checkpoint it stands on.
    pub(super) saved: Option<(Counters, Preset)>,
    /// What was made from another run, to tell the viewers.
    pub(super) made: Option<String>,
}

/// Trains `begun` until a condition to stop is met, and reports to `ends`.
pub(super) fn train(begun: Begun, ends: Ends, ending: Ending) {
    let Begun { run, trainer, metrics, replay, limit, compute, saved, made } = begun;
    let trainer = trainer.with_stop(ends.stop.clone());
    let worker = Worker {
        run,
        trainer,
        ends,
        events: None,
        album: None,
        compute,
        ending,
        replay: replay.into(),
        limit,
        floor: Floor::default(),
        paused: false,
        steps_to_go: 0,
        saved,
        saved_at: Instant::now(),
        last_try: None,
        postponed: VecDeque::new(),
        saturation: Saturation::default(),
        snapshot_due: Instant::now(),
        looked: false,
    };
    worker.run(metrics, made);
}

struct Worker {
    run: RunDir,
    trainer: Trainer,
    ends: Ends,
    /// For TensorBoard, if the run keeps event files.
    events: Option<EventFile>,
    /// The snapshots kept for later; `None` once one could not be written.
    album: Option<Album>,
    compute: Compute,
    ending: Ending,
    /// Live changes still to be made, each at its iteration.
    replay: VecDeque<Change>,
    /// A new limit to its epochs, before the first iteration.
    limit: Option<Setting>,
    /// The floor of the current settings.
    floor: Floor,
    paused: bool,
    /// Single iterations still to make while paused.
    steps_to_go: u64,
    /// What the newest checkpoint holds.
    saved: Option<(Counters, Preset)>,
    /// When it was written.
    saved_at: Instant,
    /// When to give up on files that cannot be written; set once the training is being ended.
    last_try: Option<Instant>,
    /// Calls that came while a file could not be written.
    postponed: VecDeque<Call>,
    saturation: Saturation,
    snapshot_due: Instant,
    /// Whether a viewer has asked to see something since the last snapshots: many requests are met together.
    looked: bool,
}

/// What to do after the commands.
enum Next {
    Iteration,
    Stop,
}

impl Worker {
    fn run(mut self, metrics: Metrics, made: Option<String>) {
        self.ends.log.open(self.run.path());
        let work = |worker: &mut Worker| match worker
            .announce(metrics, made.clone())
            .and_then(|()| worker.train())
        {
            Err(Error::Stopped) => worker.save_unsaved().map(|()| Finish::Stopped),
            other => other,
        };
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut self))).unwrap_or_else(|panic| {
            // Panics of the libraries end here. Weights and moments are intact unless the optimizer panicked.
            let kept = match self.trainer.is_whole() {
                true => catch_unwind(AssertUnwindSafe(|| self.save(false))).is_ok_and(|saved| saved.is_ok()),
                false => false,
            };
            let kept = if kept { "the state before it was saved" } else { "the last checkpoint is kept" };
            Err(Error::Worker(format!("{}; {kept}", backend::explain(&panic_message(&*panic)))))
        });
        let finish = result.unwrap_or_else(|e| {
            error!("{e}");
            self.record_failure(&e);
            Finish::Failed(e.to_string())
        });
        info!("finished: {finish:?}");
        self.keep_result(&finish);
        let _ = self.ends.log.flush();
        self.tell_warnings();
        self.ends.outbox.finish(finish);
    }

    fn announce(&mut self, metrics: Metrics, made: Option<String>) -> Result<()> {
        result::remove(self.run.path());
        let trainer = &self.trainer;
        self.floor = trainer.floor()?;
        let info = RunInfo {
            kind: RunKind::Training,
            directory: self.run.path().to_owned(),
            preset: trainer.preset().clone(),
            seed: trainer.seed(),
            device: self.compute.to_string(),
            iteration: trainer.counters().iteration,
            parameters: trainer.model().parameter_count(),
            floor: self.floor,
            metrics,
        };
        info!(
            "{} on {}, seed {}, {} parameters, from iteration {}",
            info.preset.name, info.device, info.seed, info.parameters, info.iteration
        );
        let first = info.iteration + 1;
        let again = info.metrics.iterations.last().copied().filter(|last| last.iteration == info.iteration);
        let latest = self.ends.audience.latest().subscribe();
        let viewers = Viewers::listen(info.clone(), self.ends.caller.clone(), latest);
        self.ends.outbox.send(Event::Started(Box::new(info)));
        match viewers {
            Ok(viewers) => self.ends.outbox.admit(viewers),
            Err(e) => warn!("{e}; {NOBODY}"),
        }
        made.into_iter().for_each(|made| self.tell(made));
        self.tell_warnings();
        // An epoch that is still to be validated may have been validated before the run was killed, so its iteration
        // is written again.
        let again = again.filter(|_| self.trainer.epoch_is_over());
        let from = again.map_or(first, |last| last.iteration);
        self.events = self.persist(|worker| worker.run.events(from))?;
        if let Some(last) = again {
            let rate = self.trainer.preset().train.learning_rate;
            self.log_event(|events, _| events.iteration(&last, rate))?;
        }
        let inherited: Vec<u64> = past::inherited(self.run.path()).into_keys().collect();
        let open = |worker: &mut Worker| Album::open(worker.run.path(), first - 1);
        let album = self.persist(open).map(|album| album.holding(inherited));
        self.album = self.kept(album)?;
        if first == 1 {
            self.keep_moment(false)?;
        }
        self.show()
    }

    /// Trains until a condition to stop is met.
    fn train(&mut self) -> Result<Finish> {
        // After a panic during a validation, the run was saved as it was before the validation.
        if self.trainer.epoch_is_over() {
            self.end_epoch()?;
        }
        let mut done = self.is_done()?;
        if let Some(limit) = self.limit.take() {
            self.change(limit)??;
            done = self.is_done()?;
        }
        loop {
            if let Some(finish) = done {
                self.save_unsaved()?;
                if let Some(finish) = self.stay(finish)? {
                    return Ok(finish);
                }
            }
            self.repeat_changes()?;
            if let Next::Stop = self.take_commands()? {
                self.save_unsaved()?;
                return Ok(Finish::Stopped);
            }
            let read = self.persist(|worker| worker.trainer.step());
            self.record(read)?;
            self.tell_warnings();
            if self.trainer.epoch_is_over() {
                self.end_epoch()?;
            } else {
                if album::is_due(self.trainer.counters().iteration) {
                    self.keep_moment(false)?;
                }
                if self.saved_at.elapsed() >= self.trainer.preset().train.checkpoint_period() {
                    self.save(false)?;
                }
            }
            self.show_if_due()?;
            done = self.is_done()?;
        }
    }

    /// Ends the training. If asked to stay, shows samples until told to stop, or to train further: `None`.
    fn stay(&mut self, finish: Finish) -> Result<Option<Finish>> {
        if self.ending.stay {
            self.keep_result(&finish);
            self.ends.outbox.send(Event::Done(finish.clone()));
            self.show()?;
            loop {
                self.show_looked()?;
                self.ends.outbox.flush();
                match self.ends.calls.blocking_recv() {
                    None | Some(Call::Command(_, Command::Stop)) => break,
                    Some(Call::Join(viewer, snapshots)) => self.ends.audience.admit(viewer, snapshots),
                    Some(Call::Taken(_)) => {}
                    Some(Call::Command(viewer, command)) => {
                        match self.look(viewer, command)? {
                            None => {}
                            Some(Command::Train(more)) if more > 0 && finish != Finish::MaxIterations => {
                                self.train_further(viewer, more, true)?;
                                // A limit that it has reached already changes nothing.
                                if self.trainer.is_done().is_none() {
                                    result::remove(self.run.path());
                                    return Ok(None);
                                }
                            }
                            Some(request) => {
                                let why = "the training is over; :train N trains N epochs more".into();
                                self.ends.outbox.answer(viewer, Event::Refused { request, why });
                            }
                        }
                    }
                }
            }
        }
        Ok(Some(finish))
    }

    /// Records and sends the iterations whose losses were read.
    fn record(&mut self, read: Result<Vec<Iteration>>) -> Result<()> {
        for iteration in read.map_err(|e| self.with_kept(e))? {
            self.append(&Record::Step(Iteration { profile: None, ..iteration }))?;
            let rate = self.trainer.preset().train.learning_rate;
            self.log_event(|events, _| events.iteration(&iteration, rate))?;
            self.saturation.add(&iteration);
            self.ends.outbox.iteration(iteration);
        }
        Ok(())
    }

    /// Reads and records the outstanding losses, before anything that needs the metrics.
    fn read_losses(&mut self) -> Result<()> {
        let read = self.trainer.read_losses();
        self.record(read)
    }

    fn end_epoch(&mut self) -> Result<()> {
        self.read_losses()?;
        // A validation can take minutes.
        self.save_unsaved()?;
        self.ends.outbox.flush();
        let ended = self.persist(|worker| worker.trainer.end_epoch());
        let (epoch, watched) = ended.map_err(|e| self.with_kept(e))?;
        self.append(&Record::Epoch(epoch))?;
        info!(
            "epoch {}: train {:.3}, validation {:.3}, AMI {}, ARI {}",
            epoch.epoch,
            epoch.train_loss,
            epoch.validation_loss,
            number_or_dash(epoch.ami, 4),
            number_or_dash(epoch.ari, 4)
        );
        self.ends.outbox.send(Event::Epoch(epoch));
        self.ends.outbox.send(Event::WatchedScores(watched));
        if let Some(saturated) = self.saturation.end_epoch(epoch.epoch) {
            self.tell(saturated);
        }
        self.log_event(|events, trainer| {
            let sample = unroll::take(trainer, 0, None, &[])?;
            events.epoch(&epoch, &pictures::step(&sample, sample.steps.len().saturating_sub(1), TILE)?)
        })?;
        self.keep_moment(epoch.best)?;
        self.save(epoch.best)
    }

    /// Whether the run is over, checked between two iterations. After a stage, starts the next one.
    fn is_done(&mut self) -> Result<Option<Finish>> {
        let iteration = self.trainer.counters().iteration;
        if self.ending.max_iterations.is_some_and(|max| iteration >= max) {
            return Ok(Some(Finish::MaxIterations));
        }
        let Some(finish) = self.trainer.is_done() else { return Ok(None) };
        // The run that this one repeats was trained further here.
        if self.trainer.is_finished()
            && self.replay.front().is_some_and(|change| {
                change.iteration <= iteration + 1 && matches!(change.to, Setting::MaxEpochs(_))
            })
        {
            self.repeat_changes()?;
            return self.is_done();
        }
        let start = self.persist(|worker| {
            let Worker { trainer, run, .. } = worker;
            trainer.next_stage(|preset, device| run.best()?.model(preset, device))
        })?;
        let Some(start) = start else { return Ok(Some(finish)) };
        self.append(&Record::Stage(start.clone()))?;
        info!("iteration {}: stage {}, {:?}", start.iteration, start.stage, start.what);
        self.ends.outbox.send(Event::Stage(start));
        self.tell_floor()?;
        self.save(false)?;
        Ok(None)
    }

    /// Carries out the waiting commands; while paused, waits for more.
    fn take_commands(&mut self) -> Result<Next> {
        // More wait for the next iteration, so that no number of them stops the training.
        let mut left = MOST_CALLS;
        loop {
            let waiting = self.paused && self.steps_to_go == 0;
            let call = if let Some(call) = self.postponed.pop_front() {
                call
            } else if waiting {
                self.read_losses()?;
                self.show_looked()?;
                self.ends.outbox.flush();
                match self.ends.calls.blocking_recv() {
                    Some(call) => call,
                    None => return Ok(Next::Stop),
                }
            } else {
                match if left > 0 { self.ends.calls.try_recv() } else { Err(TryRecvError::Empty) } {
                    Ok(call) => call,
                    Err(TryRecvError::Disconnected) => return Ok(Next::Stop),
                    Err(TryRecvError::Empty) => {
                        self.show_looked()?;
                        self.steps_to_go = self.steps_to_go.saturating_sub(1);
                        return Ok(Next::Iteration);
                    }
                }
            };
            left = left.saturating_sub(1);
            self.read_losses()?;
            let (viewer, command) = match call {
                Call::Join(viewer, snapshots) => {
                    self.ends.audience.admit(viewer, snapshots);
                    continue;
                }
                Call::Taken(_) => continue,
                Call::Command(viewer, command) => (viewer, command),
            };
            match self.look(viewer, command)? {
                None => {}
                Some(Command::Stop) => return Ok(Next::Stop),
                Some(command) => self.carry_out(viewer, command)?,
            }
        }
    }

    /// Tells all viewers about a problem that does not stop the training.
    fn note(&mut self, e: &Error) {
        self.tell(e.to_string());
    }

    fn tell_floor(&mut self) -> Result<()> {
        self.floor = self.trainer.floor()?;
        self.ends.outbox.send(Event::Floor(self.floor));
        Ok(())
    }

    fn tell(&mut self, sentence: String) {
        info!("{sentence}");
        self.ends.outbox.send(Event::Note(sentence));
        self.ends.outbox.flush();
    }

    /// Tells all viewers what was logged as a warning.
    fn tell_warnings(&mut self) {
        for sentence in self.ends.log.take_notes() {
            self.ends.outbox.send(Event::Note(sentence));
        }
    }

    /// Adds the kept checkpoint to the error of a loss that is not finite.
    fn with_kept(&self, e: Error) -> Error {
        let kept = match &self.saved {
            Some((Counters { iteration, .. }, _)) => {
                format!("the checkpoint of iteration {iteration} is kept")
            }
            None => "no checkpoint had been written yet".to_owned(),
        };
        match e {
            Error::NotFinite { validation, iteration, loss, .. } => {
                Error::NotFinite { validation, iteration, loss, kept }
            }
            other => other,
        }
    }

    fn show_if_due(&mut self) -> Result<()> {
        if Instant::now() >= self.snapshot_due || self.paused { self.show() } else { Ok(()) }
    }

    /// Shows what viewers have asked for meanwhile.
    fn show_looked(&mut self) -> Result<()> {
        if self.looked { self.show() } else { Ok(()) }
    }

    /// Sends every viewer a snapshot.
    fn show(&mut self) -> Result<()> {
        self.looked = false;
        if self.ends.audience.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let answers = self.ends.audience.show(&self.trainer, self.trainer.counters().iteration)?;
        self.snapshot_due = start + SNAPSHOT_PERIOD.max(start.elapsed() * SNAPSHOT_SHARE);
        for (viewer, answer) in answers {
            self.ends.outbox.answer(viewer, answer);
        }
        Ok(())
    }
}
