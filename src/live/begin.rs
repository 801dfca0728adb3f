//! Starting a run: new, resumed, forked or replayed.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::thread;
use super::worker::{self, Begun};
pub use super::worker::{Ending, Epochs};
use crate::backend::Compute;
use crate::error::{Error, Result};
use crate::machine;
use crate::paths::{Shown, shown};
use crate::precision::Precision;
use crate::preset::{Difference, Preset, Setting, differences};
use crate::protocol::{Change, Metrics, Record, RunHandle};
use crate::run::album::Album;
use crate::run::checkpoint::first_trainer;
use crate::run::directory::{self, Repeat, RunDir, RunFile};
use crate::run::metrics;
use crate::run::origin::Origin;
use crate::train::trainer::Counters;

/// A training to start.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to train.
    pub preset: Preset,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The device and the precision.
    pub compute: Compute,
    /// A run, checkpoint or model whose weights it begins with, instead of the seed's.
    pub from: Option<PathBuf>,
    /// The run that it repeats, which must have begun with the weights in `from` and the same data.
    pub repeats: Option<RunFile>,
    /// The run that it restarts with other settings, for the viewers.
    pub restarts: Option<PathBuf>,
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
    /// A new run under `runs` with the seed's weights and the preset's own conditions to stop.
    pub fn new(preset: Preset, seed: u64, compute: impl Into<Compute>) -> Job {
        let (compute, ending) = (compute.into(), Ending::default());
        Job {
            preset,
            seed,
            compute,
            from: None,
            repeats: None,
            restarts: None,
            out: None,
            replay: Vec::new(),
            tensorboard: false,
            ending,
        }
    }
}

/// Starts a new run on a thread of its own.
///
/// # Errors
/// A device, data, weights or run directory that cannot be used.
pub fn start(job: &Job) -> Result<RunHandle> {
    let job = job.clone();
    let (compute, ending) = (job.compute.or(Precision::F32), job.ending);
    let make = move || {
        let device = compute.open()?;
        let from = match &job.repeats {
            Some(repeated) => repeated.first_weights()?,
            None => job.from.as_deref().map(directory::weights_of).transpose()?,
        };
        let trainer = first_trainer(&job.preset, job.seed, from.as_ref(), &device)?;
        let trainer = trainer.with_precision(compute.precision());
        if let Some(repeated) = &job.repeats {
            repeated.origin.check_data(trainer.data())?;
        }
        let origin = Origin::of(from.as_ref(), trainer.data())?;
        let from = from.map(|checkpoint| checkpoint.whole_path()).transpose()?;
        let what = RunFile { from, origin, replay: job.replay.clone(), ..run_file(job.seed, compute) };
        let mut run = RunDir::create(job.out.as_deref(), trainer.preset(), &what)?;
        if job.tensorboard {
            run.keep_events()?;
        }
        run.commit()?;
        let made = job.restarts.as_deref().map(|of| restarted(run.path(), of, trainer.preset()));
        Ok(Begun {
            run,
            trainer,
            metrics: Metrics::default(),
            replay: job.replay,
            limit: None,
            compute,
            saved: None,
            made,
        })
    };
    spawn(make, ending)
}

fn spawn(make: impl FnOnce() -> Result<Begun> + Send + 'static, ending: Ending) -> Result<RunHandle> {
    thread::spawn(make, move |begun, ends| worker::train(begun, ends, ending))
}

/// The description of a run that begins now on this machine.
fn run_file(seed: u64, compute: Compute) -> RunFile {
    RunFile {
        seed,
        device: compute.device.to_string(),
        precision: compute.precision(),
        machine: machine::description(),
        version: env!("NEM_TUI_VERSION").into(),
        from: None,
        forked: None,
        origin: Origin::default(),
        replay: Vec::new(),
    }
}

/// Starts a new run from the complete state of `path` (a checkpoint, or a run's last one), with its preset changed by
/// `change`. Its curves begin with its parent's. If there is nothing left to train, it gets as many epochs as its last
/// stage has.
///
/// # Errors
/// Those of [`Checkpoint::trainer`](crate::run::checkpoint::Checkpoint::trainer), for example for a `change` that
/// needs another network; a limit to the epochs that leaves nothing to train.
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
        let mut checkpoint = directory::checkpoint_or_last(&path)?;
        let parent = directory::run_of(&checkpoint.path).map(Path::to_owned);
        let begun = parent.as_deref().and_then(|parent| RunFile::read(parent).ok());
        let compute = compute.or(begun.as_ref().map_or(Precision::F32, |begun| begun.precision));
        let before = checkpoint.preset.clone();
        checkpoint.preset = change(&before)?;
        if !checkpoint.preset.has_network_of(&before) {
            return Err(Error::Usage(
                "a fork keeps the weights, but these settings need another network; start a new run with them"
                    .into(),
            ));
        }
        let counters = &checkpoint.manifest.counters;
        let limit = ending.epochs.and_then(|epochs| epochs.limit(counters, &checkpoint.preset));
        if let Some(limit) = limit {
            checkpoint.preset = limit.apply(&checkpoint.preset)?;
        }
        let given = with_epochs_to_train(ending.epochs.is_some(), &before, &checkpoint.preset, counters)?;
        checkpoint.preset = given.apply(&checkpoint.preset)?;
        let trainer = checkpoint.trainer(&opened)?.without_best().with_precision(compute.precision());
        if let Some(begun) = begun.filter(|_| checkpoint.preset.data.has_files_of(&before.data)) {
            begun.origin.check_data(trainer.data())?;
        }
        let origin = Origin::of(Some(&checkpoint), trainer.data())?;
        let forked = Some(checkpoint.whole_path()?);
        let what = RunFile { forked, origin, replay: replay.clone(), ..run_file(trainer.seed(), compute) };
        let mut run = RunDir::fork(out.as_deref(), &checkpoint, trainer.preset(), &what)?;
        let iteration = trainer.counters().iteration;
        for kind in Setting::KINDS.into_iter().chain([Setting::MaxEpochs(0)]) {
            if let (Some(from), Some(to)) = (kind.current(&before), kind.current(trainer.preset()))
                && from != to
            {
                run.append(&Record::Change(Change { iteration: iteration + 1, from, to }))?;
            }
        }
        run.append(&Record::Fork { iteration })?;
        if let Some(parent) = &parent {
            // A parent in training may thin its album meanwhile; an incomplete copy is no reason to fail.
            if let Err(e) = Album::copy(parent, run.path(), iteration) {
                info!("{e}; the fork's album lacks it");
            }
        }
        run.begin(&trainer)?;
        run.commit()?;
        let mut metrics = metrics::read(run.path())?;
        metrics.keep_latest();
        let saved = Some((trainer.counters().clone(), trainer.preset().clone()));
        let made = parent.as_deref().unwrap_or(&path);
        let made = format!("{}, forked at {iteration} of {}", name(run.path()), name(made));
        let made = Some(made + &with(&differences(&before, trainer.preset())));
        Ok(Begun { run, trainer, metrics, replay, limit: None, compute, saved, made })
    };
    spawn(make, ending)
}

/// What a restart of the run in `of` has made.
fn restarted(run: &Path, of: &Path, preset: &Preset) -> String {
    let before = directory::preset(of);
    let settings = before.map_or(String::new(), |before| with(&differences(&before, preset)));
    format!("{}, restarted from the initial weights of {}{settings}", name(run), name(of))
}

/// The settings of a new run that its parent had otherwise, in words.
fn with(settings: &[Difference]) -> String {
    let each = |one: &Difference| format!("{} {}", one.path, one.after);
    match settings {
        [] => String::new(),
        [some @ .., last] if some.len() < 4 => {
            let some: String = some.iter().map(|one| each(one) + ", ").collect();
            format!(", with {some}{}", each(last))
        }
        many => format!(", with {} other settings", many.len()),
    }
}

fn name(run: &Path) -> Shown<'_> {
    shown(run.file_name().map_or(run, Path::new))
}

/// The limit to the epochs of a fork from `before`: that of `preset`, unless it leaves nothing to train and was not
/// asked for.
///
/// # Errors
/// A limit that was asked for and leaves nothing to train.
fn with_epochs_to_train(
    asked: bool,
    before: &Preset,
    preset: &Preset,
    counters: &Counters,
) -> Result<Setting> {
    let (had, most) = (before.last_stage_epochs(), preset.last_stage_epochs());
    let over = counters.batches >= preset.iterations_per_epoch();
    let epochs = counters.epochs + u64::from(over);
    let within_epoch = counters.batches > 0 && !over;
    // A fork begins its patience anew.
    let begun = Counters { epochs, batches: 0, stale_epochs: 0, ..counters.clone() };
    if within_epoch || !begun.is_finished(&preset.train) {
        return Ok(Setting::MaxEpochs(most));
    }
    let done = epochs - counters.stage_epochs;
    if asked || most != had {
        return Err(Error::Usage(format!(
            "this fork has nothing to train: its limit of {most} epochs counts those that are done already, which are \
             {done}; name a higher one, such as train.max_epochs={}",
            done + most
        )));
    }
    warn!("this fork trains {had} more epochs, up to {}: its parent has done all of its {done}", done + had);
    Ok(Setting::MaxEpochs(done + had))
}

/// Starts a run that repeats the one in `path`, including its live changes, up to its last iteration or that of
/// `ending`. On a CPU the result is identical to the bit.
///
/// # Errors
/// Those of [`Repeat::of`], [`start`] and [`fork`].
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
            from: run.from.clone(),
            repeats: Some(run.clone()),
            out,
            replay: changes,
            ending,
            ..Job::new(preset, run.seed, compute)
        }),
    }
}

/// Resumes the run in `path` from its newest whole checkpoint, or from its beginning if it has none yet. A new limit to
/// its epochs is recorded as a live change.
///
/// # Errors
/// Those of [`RunDir::resume`] and [`Checkpoint::trainer`](crate::run::checkpoint::Checkpoint::trainer).
pub fn resume(
    path: &Path,
    compute: impl Into<Compute>,
    change: impl FnOnce(&Preset) -> Result<Preset> + Send + 'static,
    ending: Ending,
) -> Result<RunHandle> {
    let (path, compute) = (path.to_owned(), compute.into());
    let make = move || {
        let opened = compute.open()?;
        let (run, checkpoint) = RunDir::resume(&path)?;
        let begun = RunFile::read(&path)?;
        let compute = compute.or(begun.precision);
        let saved = checkpoint.as_ref().map(|checkpoint| {
            let (counters, preset) = (&checkpoint.manifest.counters, &checkpoint.preset);
            (counters.clone(), preset.clone())
        });
        let trainer = match checkpoint {
            Some(mut checkpoint) => {
                checkpoint.preset = change(&checkpoint.preset)?;
                checkpoint.trainer(&opened)?
            }
            None => {
                let preset = change(&directory::preset(&path)?)?;
                let from = begun.first_weights()?;
                first_trainer(&preset, begun.seed, from.as_ref(), &opened)?
            }
        };
        let trainer = trainer.with_precision(compute.precision());
        begun.origin.check_data(trainer.data())?;
        // So that the next resume keeps this precision.
        if compute.precision() != begun.precision {
            RunFile { precision: compute.precision(), ..begun.clone() }.write(&path)?;
        }
        let limit = ending.epochs.and_then(|epochs| epochs.limit(trainer.counters(), trainer.preset()));
        let mut metrics = metrics::read(run.path())?;
        metrics.keep_latest();
        // The part of a replay that is still to come.
        let next = trainer.counters().iteration + 1;
        let to_come = |change: &Change| change.iteration >= next && !metrics.changes.contains(change);
        let replay = begun.replay.into_iter().filter(to_come).collect();
        Ok(Begun { run, trainer, metrics, replay, limit, compute, saved, made: None })
    };
    spawn(make, ending)
}
