//! The training thread: commands in, events and snapshots out. Commands are taken between two iterations.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::look::Look;
use super::socket::Viewers;
use super::thread::{self, Ends, Outbox};
use crate::backend::{self, Compute};
use crate::error::{Error, Result, panic_message};
use crate::machine;
use crate::precision::Precision;
use crate::preset::{Preset, Setting};
use crate::protocol::{
    Change, Command, Event, Finish, Iteration, Metrics, Record, RunHandle, RunInfo, WATCHED,
};
use crate::run::album::{self, Album};
use crate::run::checkpoint::Checkpoint;
use crate::run::directory::{self, Repeat, RunDir, RunFile};
use crate::run::{metrics, tensorboard};
use crate::snapshot::{Input, Snapshot};
use crate::snapshot::{TILE, pictures};
use crate::train::trainer::Trainer;
use crate::train::unroll;

/// Snapshots at most this often.
const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);
/// And only so often that they take at most one part in this many of the time.
const SNAPSHOT_SHARE: u32 = 80;

/// A training to start.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to train.
    pub preset: Preset,
    /// Everything random follows from it.
    pub seed: u64,
    /// Where to compute, and how precisely.
    pub compute: Compute,
    /// A run, checkpoint or model whose weights it begins with, in the place of the seed's.
    pub from: Option<PathBuf>,
    /// The run directory; a new one under `runs` if not given.
    pub out: Option<PathBuf>,
    /// Live changes to make at their iterations, in their order.
    pub replay: Vec<Change>,
    /// Keep event files for TensorBoard in the run directory.
    pub tensorboard: bool,
    /// When to stop.
    pub ending: Ending,
}

impl Job {
    /// A new run under `runs` from the seed's weights, until the preset's own end.
    pub fn new(preset: Preset, seed: u64, compute: impl Into<Compute>) -> Job {
        let (compute, ending) = (compute.into(), Ending::default());
        Job { preset, seed, compute, from: None, out: None, replay: Vec::new(), tensorboard: false, ending }
    }
}

/// When a worker stops, apart from the preset's own reasons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// After this many iterations, counted from the run's beginning.
    pub max_iterations: Option<u64>,
    /// Stay when the training is over, to show pictures until told to stop.
    pub stay: bool,
}

/// Starts a new run on a thread of its own.
///
/// # Errors
/// Whatever keeps it from starting: the device, the data, the weights, the run directory.
pub fn start(job: &Job) -> Result<RunHandle> {
    let job = job.clone();
    let (compute, ending) = (job.compute.or(Precision::F32), job.ending);
    let make = move || {
        let device = compute.open()?;
        let mut trainer = Trainer::new(&job.preset, job.seed, &device)?.with_precision(compute.precision());
        let from = job.from.as_deref().map(directory::weights_of).transpose()?;
        if let Some(from) = &from {
            let model = from.model(trainer.preset(), &device.autodiff())?;
            trainer = trainer.from_weights(model);
        }
        let from = from.map(|checkpoint| checkpoint.path);
        let what = RunFile { from, replay: job.replay.clone(), ..run_file(job.seed, compute) };
        let run = RunDir::create(job.out.as_deref(), trainer.preset(), &what)?;
        if job.tensorboard {
            directory::keep_events(run.path())?;
        }
        Ok(Begun { run, trainer, metrics: Metrics::default(), replay: job.replay, compute })
    };
    spawn(make, ending)
}

/// A run that is ready to be trained.
struct Begun {
    run: RunDir,
    trainer: Trainer,
    metrics: Metrics,
    /// Live changes still to be made.
    replay: Vec<Change>,
    compute: Compute,
}

fn spawn(make: impl FnOnce() -> Result<Begun> + Send + 'static, ending: Ending) -> Result<RunHandle> {
    thread::spawn(make, move |begun, ends| {
        let Begun { run, trainer, metrics, replay, compute } = begun;
        Worker::new(run, trainer, replay.into(), ends, compute, ending).run(metrics)
    })
}

/// What a run that begins now is, here and by this program.
fn run_file(seed: u64, compute: Compute) -> RunFile {
    RunFile {
        seed,
        device: compute.device.to_string(),
        precision: compute.precision(),
        machine: machine::description(),
        version: env!("NEM_TUI_VERSION").into(),
        from: None,
        forked: None,
        replay: Vec::new(),
    }
}

/// Starts a new run with the whole state of `path`, a checkpoint or a run's last one, and with `change` made to
/// its preset. Its curves begin with those of the run that it is forked from.
///
/// # Errors
/// What [`Checkpoint::trainer`] refuses: a `change` that needs another network, for one.
pub fn fork(
    path: &Path,
    compute: impl Into<Compute>,
    change: impl FnOnce(&Preset) -> Result<Preset> + Send + 'static,
    out: Option<PathBuf>,
    replay: Vec<Change>,
    ending: Ending,
) -> Result<RunHandle> {
    let (path, compute) = (path.to_owned(), compute.into());
    let make = move || {
        let opened = compute.open()?;
        let mut checkpoint = Checkpoint::open(&directory::resolve(&path, &["last"])?)?;
        let parent = directory::run_of(&checkpoint.path).map(Path::to_owned);
        let begun = parent.as_deref().and_then(|parent| RunFile::read(parent).ok());
        let compute = compute.or(begun.map_or(Precision::F32, |begun| begun.precision));
        let before = checkpoint.preset.clone();
        checkpoint.preset = change(&before)?;
        if !checkpoint.preset.has_network_of(&before) {
            return Err(Error::Usage(
                "a fork keeps the weights, and these settings need another network; begin a new run with them"
                    .into(),
            ));
        }
        let trainer = checkpoint.trainer(&opened)?.without_best().with_precision(compute.precision());
        let forked = Some(checkpoint.path.clone());
        let what = RunFile { forked, replay: replay.clone(), ..run_file(trainer.seed(), compute) };
        let mut run = RunDir::fork(out.as_deref(), &checkpoint, trainer.preset(), &what)?;
        let iteration = trainer.counters().iteration;
        for kind in Setting::KINDS {
            if let (Some(from), Some(to)) = (kind.current(&before), kind.current(trainer.preset()))
                && from != to
            {
                run.append(&Record::Change(Change { iteration: iteration + 1, from, to }))?;
            }
        }
        run.append(&Record::Fork { iteration })?;
        if let Some(parent) = &parent {
            // A run that still trains may thin its album meanwhile; as everywhere, that costs moments and no run.
            if let Err(e) = Album::copy(parent, run.path(), iteration) {
                info!("{e}; the fork's album begins without what is missing");
            }
        }
        run.begin(&trainer)?;
        let mut metrics = metrics::read(run.path())?;
        metrics.keep_latest();
        Ok(Begun { run, trainer, metrics, replay, compute })
    };
    spawn(make, ending)
}

/// Starts a run that repeats the one in `path`, live changes and all, to its last iteration or to that of
/// `ending`. On a CPU it is the same to the last bit.
///
/// # Errors
/// What [`Repeat::of`], [`start`] and [`fork`] refuse.
pub fn replay(
    path: &Path,
    compute: impl Into<Compute>,
    out: Option<PathBuf>,
    ending: Ending,
) -> Result<RunHandle> {
    let Repeat { run, preset, begin, changes, iterations } = Repeat::of(path)?;
    let compute = compute.into().or(run.precision);
    let ending = Ending { max_iterations: ending.max_iterations.or(Some(iterations)), ..ending };
    match begin {
        Some(begin) => fork(&begin, compute, |preset| Ok(preset.clone()), out, changes, ending),
        None => start(&Job {
            from: run.from,
            out,
            replay: changes,
            ending,
            ..Job::new(preset, run.seed, compute)
        }),
    }
}

/// Goes on with the run in `path` from its last checkpoint.
///
/// # Errors
/// What [`RunDir::resume`] and [`crate::run::checkpoint::Checkpoint::trainer`] refuse.
pub fn resume(
    path: &Path,
    compute: impl Into<Compute>,
    change: impl FnOnce(&Preset) -> Result<Preset> + Send + 'static,
    ending: Ending,
) -> Result<RunHandle> {
    let (path, compute) = (path.to_owned(), compute.into());
    let make = move || {
        let opened = compute.open()?;
        let (run, mut checkpoint) = RunDir::resume(&path)?;
        let begun = RunFile::read(&path)?;
        let compute = compute.or(begun.precision);
        checkpoint.preset = change(&checkpoint.preset)?;
        let trainer = checkpoint.trainer(&opened)?.with_precision(compute.precision());
        // What continues the run the next time continues it as precisely.
        if compute.precision() != begun.precision {
            RunFile { precision: compute.precision(), ..begun.clone() }.write(&path)?;
        }
        let mut metrics = metrics::read(run.path())?;
        metrics.keep_latest();
        // Of what it was to repeat, that which it has not done yet.
        let next = trainer.counters().iteration + 1;
        let to_come = |change: &Change| change.iteration >= next && !metrics.changes.contains(change);
        let replay = begun.replay.into_iter().filter(to_come).collect();
        Ok(Begun { run, trainer, metrics, replay, compute })
    };
    spawn(make, ending)
}

struct Worker {
    run: RunDir,
    trainer: Trainer,
    /// From the user; closed when the handle is dropped, which means stop.
    commands: mpsc::UnboundedReceiver<Command>,
    /// For viewers to send commands by.
    callers: mpsc::WeakUnboundedSender<Command>,
    outbox: Outbox,
    /// To the user and to viewers; nobody has to look.
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    /// For TensorBoard, where the run keeps that.
    events: Option<tensorboard::Log>,
    /// The moments that are kept for looking back; `None` once one could not be.
    album: Option<Album>,
    compute: Compute,
    ending: Ending,
    /// Live changes still to be made, each at its iteration.
    replay: VecDeque<Change>,
    /// What is on the screen.
    look: Look,
    paused: bool,
    /// Iterations to make although paused.
    steps_to_go: u64,
    /// The iteration and preset of the newest checkpoint.
    saved: Option<(u64, Preset)>,
    snapshot_due: Instant,
}

/// Why the loop over iterations was left.
enum Next {
    Iteration,
    Stop,
}

impl Worker {
    fn new(
        run: RunDir,
        trainer: Trainer,
        replay: VecDeque<Change>,
        ends: Ends,
        compute: Compute,
        ending: Ending,
    ) -> Worker {
        let Ends { commands, callers, outbox, snapshots } = ends;
        Worker {
            run,
            trainer,
            commands,
            callers,
            outbox,
            snapshots,
            events: None,
            album: None,
            compute,
            ending,
            replay,
            look: Look::default(),
            paused: false,
            steps_to_go: 0,
            saved: None,
            snapshot_due: Instant::now(),
        }
    }

    fn run(mut self, metrics: Metrics) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.run.path().join("log.txt"));
        // A run without its log is still a run.
        let _guard = log.ok().map(|file| {
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_writer(std::sync::Mutex::new(file));
            tracing::subscriber::set_default(subscriber.finish())
        });
        let work = |worker: &mut Worker| worker.announce(metrics).and_then(|()| worker.train());
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut self))).unwrap_or_else(|panic| {
            // What the libraries below throw ends here; weights and moments are whole unless it was
            // the optimizer's.
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
        self.outbox.finish(finish);
    }

    fn announce(&mut self, metrics: Metrics) -> Result<()> {
        let trainer = &self.trainer;
        let info = RunInfo {
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
        let viewers = Viewers::listen(info.clone(), self.callers.clone(), self.snapshots.clone());
        self.outbox.send(Event::Started(Box::new(info)));
        match viewers {
            Ok(viewers) => self.outbox.admit(viewers),
            Err(e) => info!("{e}; the run goes on, and nobody can attach to it"),
        }
        self.events = self.run.events(first)?;
        match Album::open(self.run.path(), first - 1) {
            Ok(album) => self.album = Some(album),
            Err(e) => self.refuse(&e),
        }
        if first == 1 {
            self.keep_moment(false);
        }
        self.show()
    }

    /// Trains until there is a reason to end.
    fn train(&mut self) -> Result<Finish> {
        // A panic in a validation saved the run as it was before it.
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
            self.outbox.flush();
            if let Some(finish) = self.is_done()? {
                self.save_unsaved()?;
                return self.stay(finish);
            }
        }
    }

    /// The training is over. If asked to stay, shows samples until told to stop.
    fn stay(&mut self, finish: Finish) -> Result<Finish> {
        if self.ending.stay {
            self.outbox.send(Event::Done(finish.clone()));
            self.show()?;
            loop {
                self.outbox.flush();
                match self.commands.blocking_recv() {
                    None | Some(Command::Stop) => break,
                    Some(Command::Watch(sample)) => self.watch(sample)?,
                    Some(Command::Look(look)) => self.look(look)?,
                    Some(Command::Input(input)) => self.open(input)?,
                    Some(Command::Show) => self.show()?,
                    // The rest steers a training, and there is none any more.
                    Some(_) => {}
                }
            }
        }
        Ok(finish)
    }

    /// Keeps and sends the iterations whose losses were read.
    fn record(&mut self, read: Result<Vec<Iteration>>) -> Result<()> {
        for iteration in read.map_err(|e| self.with_kept(e))? {
            self.run.append(&Record::Step(Iteration { profile: None, ..iteration }))?;
            let rate = self.trainer.preset().train.learning_rate;
            self.log_event(|events, _, _| events.iteration(&iteration, rate));
            self.outbox.iteration(iteration);
        }
        Ok(())
    }

    /// Adds to the event file, if there is one. Where that fails, the file ends there and the training goes on: it is
    /// a copy of what the metrics hold.
    fn log_event(&mut self, add: impl FnOnce(&mut tensorboard::Log, &Trainer, usize) -> Result<()>) {
        let Some(events) = &mut self.events else { return };
        if let Err(e) = add(events, &self.trainer, self.look.sample) {
            self.events = None;
            self.refuse(&e);
        }
    }

    /// Records what is still unread, before anything that looks at the metrics.
    fn settle(&mut self) -> Result<()> {
        let read = self.trainer.settle();
        self.record(read)
    }

    fn end_epoch(&mut self) -> Result<()> {
        self.settle()?;
        let (epoch, watched) = self.trainer.end_epoch().map_err(|e| self.with_kept(e))?;
        self.run.append(&Record::Epoch(epoch))?;
        info!(
            "epoch {}: train {:.3}, validation {:.3}, AMI {:.4}, ARI {:.4}",
            epoch.epoch, epoch.train_loss, epoch.validation_loss, epoch.ami, epoch.ari
        );
        self.outbox.send(Event::Epoch(epoch));
        self.outbox.send(Event::WatchedScores(watched));
        self.log_event(|events, trainer, watched| {
            let sample = unroll::take(trainer, watched, None, &[])?;
            events.epoch(&epoch, &pictures::step(&sample, sample.steps.len().saturating_sub(1), TILE)?)
        });
        self.keep_moment(epoch.best);
        self.save(epoch.best)
    }

    /// Adds this moment to the album. Where that fails, the album ends there and the training goes on.
    fn keep_moment(&mut self, best: bool) {
        let Some(album) = &mut self.album else { return };
        let samples = album::samples(self.trainer.preset().train.validation_size);
        let kept = unroll::take_first(&self.trainer, samples)
            .and_then(|snapshots| album.keep(&snapshots, best).map(|()| snapshots));
        match kept {
            // Who begins to look while an iteration is in progress sees this until it is done.
            Ok(mut snapshots) if self.look.sample < samples && self.snapshots.receiver_count() == 0 => {
                self.snapshots.send_replace(Some(Arc::new(snapshots.swap_remove(self.look.sample))));
            }
            Ok(_) => {}
            Err(e) => {
                self.album = None;
                self.refuse(&e);
            }
        }
    }

    /// Whether the run is over, between two iterations. A stage that is over gives way to the next.
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
        self.outbox.send(Event::Stage(start));
        self.outbox.send(Event::Floor(self.trainer.floor()?));
        self.save(false)?;
        Ok(None)
    }

    /// Takes what the user asked for; while paused, waits for it.
    fn take_commands(&mut self) -> Result<Next> {
        loop {
            let waiting = self.paused && self.steps_to_go == 0;
            let command = if waiting {
                self.settle()?;
                self.outbox.flush();
                match self.commands.blocking_recv() {
                    Some(command) => command,
                    None => return Ok(Next::Stop),
                }
            } else {
                match self.commands.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Disconnected) => return Ok(Next::Stop),
                    Err(TryRecvError::Empty) => {
                        self.steps_to_go = self.steps_to_go.saturating_sub(1);
                        return Ok(Next::Iteration);
                    }
                }
            };
            self.settle()?;
            match command {
                Command::Stop => return Ok(Next::Stop),
                Command::Pause => self.pause(true)?,
                Command::Resume => self.pause(false)?,
                Command::Step => {
                    self.pause(true)?;
                    self.steps_to_go += 1;
                }
                Command::Checkpoint => {
                    if let Err(e) = self.save(false) {
                        self.refuse(&e);
                    }
                }
                Command::Set(setting) => self.change(setting)?,
                Command::Watch(sample) => self.watch(sample)?,
                Command::Look(look) => self.look(look)?,
                Command::Input(input) => self.open(input)?,
                Command::Show => self.show()?,
                Command::Profile(on) => self.trainer.set_profiled(on),
            }
        }
    }

    fn watch(&mut self, sample: usize) -> Result<()> {
        self.look.watch(sample % self.trainer.preset().train.validation_size.min(WATCHED));
        self.outbox.send(Event::Watched(self.look.sample));
        self.show()
    }

    /// Shows samples under other conditions.
    fn look(&mut self, conditions: Vec<Setting>) -> Result<()> {
        self.look.under(conditions);
        self.show()
    }

    /// Shows an image of the user's own, or samples again.
    fn open(&mut self, input: Option<Input>) -> Result<()> {
        match self.look.open(input, self.trainer.preset().data.image()) {
            Ok(()) => self.show(),
            Err(event) => {
                self.outbox.send(event);
                Ok(())
            }
        }
    }

    fn pause(&mut self, paused: bool) -> Result<()> {
        if self.paused == paused {
            return Ok(());
        }
        self.paused = paused;
        self.outbox.send(Event::Paused(paused));
        self.show()
    }

    /// Makes the changes whose turn it is.
    fn repeat_changes(&mut self) -> Result<()> {
        let next = self.trainer.counters().iteration + 1;
        while let Some(change) = self.replay.pop_front_if(|change| change.iteration <= next) {
            self.settle()?;
            self.change(change.to)?;
        }
        Ok(())
    }

    fn change(&mut self, setting: Setting) -> Result<()> {
        match self
            .trainer
            .change(setting)
            .and_then(|change| self.run.append(&Record::Change(change)).map(|()| change))
        {
            Ok(change) => {
                info!(
                    "iteration {}: {} {} -> {}",
                    change.iteration,
                    setting.field(),
                    change.from.value(),
                    change.to.value()
                );
                self.outbox.send(Event::Changed(change));
                if setting.moves_floor() {
                    self.outbox.send(Event::Floor(self.trainer.floor()?));
                }
                self.show()
            }
            Err(e) => {
                self.refuse(&e);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, e: &Error) {
        info!("refused: {e}");
        self.outbox.send(Event::Refused(e.to_string()));
    }

    /// Writes a checkpoint.
    fn save(&mut self, best: bool) -> Result<()> {
        self.settle()?;
        let path = self.run.save(&self.trainer, best)?;
        let iteration = self.trainer.counters().iteration;
        info!("saved {}", path.display());
        self.saved = Some((iteration, self.trainer.preset().clone()));
        self.outbox.send(Event::Saved { iteration, best });
        Ok(())
    }

    fn save_unsaved(&mut self) -> Result<()> {
        let now = (self.trainer.counters().iteration, self.trainer.preset());
        match &self.saved {
            Some((iteration, preset)) if (*iteration, preset) == now => Ok(()),
            _ => self.save(false),
        }
    }

    /// A loss that is no number ends the run; says what it can be gone on from.
    fn with_kept(&self, e: Error) -> Error {
        let kept = match &self.saved {
            Some((iteration, _)) => format!("the checkpoint of iteration {iteration} is kept"),
            None => "no checkpoint had been written by then".to_owned(),
        };
        match e {
            Error::NotFinite { iteration, loss, .. } => Error::NotFinite { iteration, loss, kept },
            other => other,
        }
    }

    fn show_if_due(&mut self) -> Result<()> {
        if Instant::now() >= self.snapshot_due || self.paused { self.show() } else { Ok(()) }
    }

    /// Takes a snapshot, unless nobody can see it.
    fn show(&mut self) -> Result<()> {
        if self.snapshots.receiver_count() == 0 {
            return Ok(());
        }
        let start = Instant::now();
        let (snapshot, refused) = self.look.take(&self.trainer)?;
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
        self.snapshot_due = start + SNAPSHOT_PERIOD.max(start.elapsed() * SNAPSHOT_SHARE);
        if let Some(e) = refused {
            self.refuse(&e);
        }
        Ok(())
    }
}
