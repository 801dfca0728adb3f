//! The training thread: it receives commands and sends events and snapshots. Commands are read between two iterations.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tracing::{error, info};

use super::socket::Viewers;
use super::thread::Ends;
use crate::backend::{self, Compute};
use crate::error::{Error, Result, panic_message};
use crate::paths::shown;
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Call, Change, Command, Event, Finish, Iteration, Metrics, Record, RunInfo, RunKind, ViewerId, WATCHED,
};
use crate::run::album::{self, Album};
use crate::run::directory::RunDir;
use crate::run::tensorboard::EventFile;
use crate::snapshot::{TILE, pictures};
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// The shortest time between two snapshots.
const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);
/// Snapshots take at most this fraction of the time, as its denominator.
const SNAPSHOT_SHARE: u32 = 80;

/// When a worker stops, besides the preset's own conditions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// Stop after this many iterations, counted from the start of the run.
    pub max_iterations: Option<u64>,
    /// When the training is over, keep showing samples until told to stop.
    pub stay: bool,
}

/// A run that is ready to be trained.
pub(super) struct Begun {
    pub(super) run: RunDir,
    pub(super) trainer: Trainer,
    pub(super) metrics: Metrics,
    /// Live changes still to be made.
    pub(super) replay: Vec<Change>,
    pub(super) compute: Compute,
}

/// Trains `begun` until a condition to stop is met, and reports to `ends`.
pub(super) fn train(begun: Begun, ends: Ends, ending: Ending) {
    let Begun { run, trainer, metrics, replay, compute } = begun;
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
        paused: false,
        steps_to_go: 0,
        saved: None,
        snapshot_due: Instant::now(),
    };
    worker.run(metrics);
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
    paused: bool,
    /// Single iterations still to make while paused.
    steps_to_go: u64,
    /// The iteration and preset of the newest checkpoint.
    saved: Option<(u64, Preset)>,
    snapshot_due: Instant,
}

/// What to do after the commands.
enum Next {
    Iteration,
    Stop,
}

impl Worker {
    fn run(mut self, metrics: Metrics) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.run.path().join("log.txt"));
        // A missing log is no reason to stop the run.
        let _guard = log.ok().map(|file| {
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_writer(std::sync::Mutex::new(file));
            tracing::subscriber::set_default(subscriber.finish())
        });
        let work = |worker: &mut Worker| match worker.announce(metrics).and_then(|()| worker.train()) {
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
            Finish::Failed(e.to_string())
        });
        info!("finished: {finish:?}");
        self.ends.outbox.finish(finish);
    }

    fn announce(&mut self, metrics: Metrics) -> Result<()> {
        let trainer = &self.trainer;
        let info = RunInfo {
            kind: RunKind::Training,
            directory: self.run.path().to_owned(),
            preset: trainer.preset().clone(),
            seed: trainer.seed(),
            device: self.compute.to_string(),
            iteration: trainer.counters().iteration,
            parameters: trainer.model().parameter_count(),
            floor: trainer.floor()?,
            metrics,
        };
        info!(
            "{} on {}, seed {}, {} parameters, from iteration {}",
            info.preset.name, info.device, info.seed, info.parameters, info.iteration
        );
        let first = info.iteration + 1;
        let latest = self.ends.audience.latest().subscribe();
        let viewers = Viewers::listen(info.clone(), self.ends.caller.clone(), latest);
        self.ends.outbox.send(Event::Started(Box::new(info)));
        match viewers {
            Ok(viewers) => self.ends.outbox.admit(viewers),
            Err(e) => info!("{e}; the run continues, but nobody can attach to it"),
        }
        self.events = self.run.events(first)?;
        match Album::open(self.run.path(), first - 1) {
            Ok(album) => self.album = Some(album),
            Err(e) => self.note(&e),
        }
        if first == 1 {
            self.keep_moment(false);
        }
        self.show()
    }

    /// Trains until a condition to stop is met.
    fn train(&mut self) -> Result<Finish> {
        // After a panic during a validation, the run was saved as it was before the validation.
        if self.trainer.epoch_is_over() {
            self.end_epoch()?;
        }
        if let Some(finish) = self.is_done()? {
            return self.stay(finish);
        }
        loop {
            self.repeat_changes()?;
            if let Next::Stop = self.take_commands()? {
                self.save_unsaved()?;
                return Ok(Finish::Stopped);
            }
            let read = self.trainer.step();
            self.record(read)?;
            if self.trainer.epoch_is_over() {
                self.end_epoch()?;
            } else if album::is_due(self.trainer.counters().iteration) {
                self.keep_moment(false);
            }
            self.show_if_due()?;
            self.ends.outbox.flush();
            if let Some(finish) = self.is_done()? {
                self.save_unsaved()?;
                return self.stay(finish);
            }
        }
    }

    /// Ends the training. If asked to stay, shows samples until told to stop.
    fn stay(&mut self, finish: Finish) -> Result<Finish> {
        if self.ending.stay {
            self.ends.outbox.send(Event::Done(finish.clone()));
            self.show()?;
            loop {
                self.ends.outbox.flush();
                match self.ends.calls.blocking_recv() {
                    None | Some(Call::Command(_, Command::Stop)) => break,
                    Some(Call::Join(viewer, snapshots)) => self.ends.audience.admit(viewer, snapshots),
                    Some(Call::Command(viewer, command)) => {
                        if let Some(request) = self.look(viewer, command)? {
                            let why = "the training is over; resume or fork the run to continue it".into();
                            self.ends.outbox.answer(viewer, Event::Refused { request, why });
                        }
                    }
                }
            }
        }
        Ok(finish)
    }

    /// Records and sends the iterations whose losses were read.
    fn record(&mut self, read: Result<Vec<Iteration>>) -> Result<()> {
        for iteration in read.map_err(|e| self.with_kept(e))? {
            self.run.append(&Record::Step(Iteration { profile: None, ..iteration }))?;
            let rate = self.trainer.preset().train.learning_rate;
            self.log_event(|events, _| events.iteration(&iteration, rate));
            self.ends.outbox.iteration(iteration);
        }
        Ok(())
    }

    /// Adds to the event file, if there is one. If that fails, the file ends there and the training continues, because
    /// the metrics contain the same data.
    fn log_event(&mut self, add: impl FnOnce(&mut EventFile, &Trainer) -> Result<()>) {
        let Some(events) = &mut self.events else { return };
        if let Err(e) = add(events, &self.trainer) {
            self.events = None;
            self.note(&e);
        }
    }

    /// Reads and records the outstanding losses, before anything that needs the metrics.
    fn read_losses(&mut self) -> Result<()> {
        let read = self.trainer.read_losses();
        self.record(read)
    }

    fn end_epoch(&mut self) -> Result<()> {
        self.read_losses()?;
        let (epoch, watched) = self.trainer.end_epoch().map_err(|e| self.with_kept(e))?;
        self.run.append(&Record::Epoch(epoch))?;
        info!(
            "epoch {}: train {:.3}, validation {:.3}, AMI {:.4}, ARI {:.4}",
            epoch.epoch, epoch.train_loss, epoch.validation_loss, epoch.ami, epoch.ari
        );
        self.ends.outbox.send(Event::Epoch(epoch));
        self.ends.outbox.send(Event::WatchedScores(watched));
        self.log_event(|events, trainer| {
            let sample = unroll::take(trainer, 0, None, &[])?;
            events.epoch(&epoch, &pictures::step(&sample, sample.steps.len().saturating_sub(1), TILE)?)
        });
        self.keep_moment(epoch.best);
        self.save(epoch.best)
    }

    /// Adds snapshots to the album. If that fails, the album ends there and the training continues.
    fn keep_moment(&mut self, best: bool) {
        let Some(album) = &mut self.album else { return };
        let samples = album::samples(self.trainer.preset().train.validation_size);
        let kept = unroll::take_first(&self.trainer, samples)
            .and_then(|snapshots| album.keep(&snapshots, best).map(|()| snapshots));
        match kept {
            Ok(snapshots) => {
                let first = snapshots.into_iter().next().map(Arc::new);
                self.ends.audience.latest().send_replace(first);
            }
            Err(e) => {
                self.album = None;
                self.note(&e);
            }
        }
    }

    /// Whether the run is over, checked between two iterations. After a stage, starts the next one.
    fn is_done(&mut self) -> Result<Option<Finish>> {
        let iteration = self.trainer.counters().iteration;
        if self.ending.max_iterations.is_some_and(|max| iteration >= max) {
            return Ok(Some(Finish::MaxIterations));
        }
        let Some(finish) = self.trainer.is_done() else { return Ok(None) };
        let best = self.trainer.next_stage(|preset, device| self.run.best()?.model(preset, device));
        let Some(start) = best? else { return Ok(Some(finish)) };
        self.run.append(&Record::Stage(start.clone()))?;
        info!("iteration {}: stage {}, {:?}", start.iteration, start.stage, start.what);
        self.ends.outbox.send(Event::Stage(start));
        self.ends.outbox.send(Event::Floor(self.trainer.floor()?));
        self.save(false)?;
        Ok(None)
    }

    /// Carries out the waiting commands; while paused, waits for more.
    fn take_commands(&mut self) -> Result<Next> {
        loop {
            let waiting = self.paused && self.steps_to_go == 0;
            let call = if waiting {
                self.read_losses()?;
                self.ends.outbox.flush();
                match self.ends.calls.blocking_recv() {
                    Some(call) => call,
                    None => return Ok(Next::Stop),
                }
            } else {
                match self.ends.calls.try_recv() {
                    Ok(call) => call,
                    Err(TryRecvError::Disconnected) => return Ok(Next::Stop),
                    Err(TryRecvError::Empty) => {
                        self.steps_to_go = self.steps_to_go.saturating_sub(1);
                        return Ok(Next::Iteration);
                    }
                }
            };
            self.read_losses()?;
            let (viewer, command) = match call {
                Call::Join(viewer, snapshots) => {
                    self.ends.audience.admit(viewer, snapshots);
                    continue;
                }
                Call::Command(viewer, command) => (viewer, command),
            };
            match self.look(viewer, command)? {
                None => {}
                Some(Command::Stop) => return Ok(Next::Stop),
                Some(command) => self.carry_out(viewer, command)?,
            }
        }
    }

    /// Carries out a command about the viewer's own view; returns any other.
    fn look(&mut self, viewer: ViewerId, command: Command) -> Result<Option<Command>> {
        let preset = self.trainer.preset();
        let samples = preset.train.validation_size.min(WATCHED);
        match self.ends.audience.look(viewer, command, preset.data.image(), samples) {
            Ok(None) => self.show()?,
            Ok(other) => return Ok(other),
            Err(answer) => self.ends.outbox.answer(viewer, answer),
        }
        Ok(None)
    }

    /// Carries out a command that steers the training.
    fn carry_out(&mut self, viewer: ViewerId, command: Command) -> Result<()> {
        match command {
            Command::Pause => self.pause(true)?,
            Command::Resume => self.pause(false)?,
            Command::Step => {
                self.pause(true)?;
                self.steps_to_go += 1;
            }
            Command::Checkpoint => {
                if let Err(e) = self.save(false) {
                    self.refuse(viewer, Command::Checkpoint, &e);
                }
            }
            Command::Set(setting) => {
                if let Err(e) = self.change(setting)? {
                    self.refuse(viewer, Command::Set(setting), &e);
                }
            }
            Command::Profile(on) => self.trainer.set_profiled(on),
            // Handled by `look` and `take_commands`.
            Command::Watch(_) | Command::Look(_) | Command::Input(_) | Command::Show | Command::Stop => {}
        }
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<()> {
        if self.paused == paused {
            return Ok(());
        }
        self.paused = paused;
        self.ends.outbox.send(Event::Paused(paused));
        self.show()
    }

    /// Makes the replayed changes that are due.
    fn repeat_changes(&mut self) -> Result<()> {
        let next = self.trainer.counters().iteration + 1;
        while let Some(change) = self.replay.pop_front_if(|change| change.iteration <= next) {
            self.read_losses()?;
            if let Err(e) = self.change(change.to)? {
                self.note(&e);
            }
        }
        Ok(())
    }

    /// Makes a live change. The inner error does not stop the training.
    fn change(&mut self, setting: Setting) -> Result<Result<()>> {
        let recorded = self.trainer.change(setting).and_then(|change| {
            self.run.append(&Record::Change(change))?;
            Ok(change)
        });
        let change = match recorded {
            Ok(change) => change,
            Err(e) => return Ok(Err(e)),
        };
        let (from, to) = (change.from.value(), change.to.value());
        info!("iteration {}: {} {from} -> {to}", change.iteration, setting.field());
        self.ends.outbox.send(Event::Changed(change));
        if setting.moves_floor() {
            self.ends.outbox.send(Event::Floor(self.trainer.floor()?));
        }
        self.show()?;
        Ok(Ok(()))
    }

    /// Answers a viewer whose request cannot be carried out.
    fn refuse(&mut self, viewer: ViewerId, request: Command, e: &Error) {
        info!("refused: {e}");
        self.ends.outbox.answer(viewer, Event::Refused { request, why: e.to_string() });
    }

    /// Tells all viewers about a problem that does not stop the training.
    fn note(&mut self, e: &Error) {
        info!("{e}");
        self.ends.outbox.send(Event::Note(e.to_string()));
    }

    /// Writes a checkpoint.
    fn save(&mut self, best: bool) -> Result<()> {
        self.read_losses()?;
        let path = self.run.save(&self.trainer, best)?;
        let iteration = self.trainer.counters().iteration;
        info!("saved {}", shown(&path));
        self.saved = Some((iteration, self.trainer.preset().clone()));
        self.ends.outbox.send(Event::Saved { iteration, best });
        Ok(())
    }

    fn save_unsaved(&mut self) -> Result<()> {
        let now = (self.trainer.counters().iteration, self.trainer.preset());
        match &self.saved {
            Some((iteration, preset)) if (*iteration, preset) == now => Ok(()),
            _ => self.save(false),
        }
    }

    /// Adds the kept checkpoint to the error of a loss that is not finite.
    fn with_kept(&self, e: Error) -> Error {
        let kept = match &self.saved {
            Some((iteration, _)) => format!("the checkpoint of iteration {iteration} is kept"),
            None => "no checkpoint had been written yet".to_owned(),
        };
        match e {
            Error::NotFinite { iteration, loss, .. } => Error::NotFinite { iteration, loss, kept },
            other => other,
        }
    }

    fn show_if_due(&mut self) -> Result<()> {
        if Instant::now() >= self.snapshot_due || self.paused { self.show() } else { Ok(()) }
    }

    /// Sends every viewer a snapshot.
    fn show(&mut self) -> Result<()> {
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
