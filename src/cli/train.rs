//! `nem-tui train`.

mod report;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{mpsc, oneshot};

pub(super) use self::report::{Bar, Reporter};
use self::report::{Lines, ended, finished};
use super::args::{Common, PrecisionArg, directory_parser};
use super::print::{print_json, say, stdout_is_terminal};
use crate::error::{Error, Result, TO_BE_CONTINUED};
use crate::live::begin::{self, Ending, Epochs, Job};
use crate::paper::runs::TrainedRun;
use crate::paths::shown;
use crate::preset::Preset;
use crate::protocol::{Command, Event, Finish, Floor, RunHandle};
use crate::run::directory::RunDir;
use crate::run::result::{Reason, RunResult};
use crate::run::{begun, checkpoint, directory, past};
use crate::signals::{Request, Requests};
use crate::stop::Stop;
use crate::sweep::slurm;

#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    /// Name or path of the preset
    #[arg(required_unless_present_any = ["resume", "fork", "replay"])]
    preset: Option<PathBuf>,
    /// Resume this run from its last checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "sets", "mnist", "seed", "out"])]
    resume: Option<PathBuf>,
    /// Begin a new run with the complete state of this run (its last checkpoint) or checkpoint, changed by --set
    #[arg(long, value_name = "RUN-OR-CHECKPOINT", conflicts_with_all = ["preset", "resume", "from", "mnist", "seed", "seeds"])]
    fork: Option<PathBuf>,
    /// Fork the run from its checkpoint of this iteration, or the nearest earlier one; or from its best checkpoint
    #[arg(long, value_name = "ITERATION|best", requires = "fork", conflicts_with_all = ["preset", "resume", "replay"])]
    at: Option<String>,
    /// Repeat this run with its live changes, up to its last iteration; on a CPU the result is bit-identical
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "resume", "from", "fork", "sets", "mnist", "seed", "seeds", "epochs"])]
    replay: Option<PathBuf>,
    /// Begin with the weights of this run (its best checkpoint), checkpoint or model, and a fresh optimizer
    #[arg(long, value_name = "RUN-OR-CHECKPOINT", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Train this many runs, one after another, each with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "resume")]
    seeds: u64,
    /// Maximum number of epochs, instead of the preset's; +N with --resume or --fork trains N more than are done
    #[arg(long, value_name = "N|+N", value_parser = epochs)]
    epochs: Option<Epochs>,
    /// Maximum number of iterations, counted from the beginning of the run
    #[arg(long, value_name = "N")]
    max_iterations: Option<u64>,
    /// The run's directory, or with --seeds the parent of directories sSEED; must be new or empty [default:
    /// runs/PRESET-sSEED]
    #[arg(long, value_name = "DIR", value_parser = directory_parser())]
    out: Option<PathBuf>,
    /// Resume the run in the run's directory if there is one, else begin it, so that the same command always continues
    /// the work; likewise for each run of --seeds. A run that has ended stays as it is; one that was begun with other
    /// settings is refused
    #[arg(long, conflicts_with_all = ["resume", "fork", "replay"])]
    resume_if_exists: bool,
    /// On SIGUSR1 save the run, have Slurm requeue this job (scontrol requeue), and end, instead of continuing: for jobs
    /// with --signal=B:USR1@120. The job's command should have --resume-if-exists
    #[arg(long)]
    requeue: bool,
    /// Also write event files for TensorBoard to tensorboard/ in the run's directory: losses and scores, and at each
    /// validation a picture of a sample. A run that has them continues them when it is resumed
    #[arg(long, conflicts_with_all = ["fork", "replay"])]
    tensorboard: bool,
    /// Print one JSON object per line instead of a progress bar (the default for a pipe). If the reader is gone, the
    /// training continues without it; if stdout fails, as on a full disk, it also says so on stderr and at the end
    /// returns 1. Either way the run has all lines in its metrics.jsonl
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

impl TrainArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        // Why lines are missing on stdout.
        let mut unwritten = Ok(());
        let requeue = self.requeue.then(Stop::default);
        let finish = self.train(&mut unwritten, requeue.as_ref())?;
        if requeue.is_some_and(|requeue| requeue.is_requested()) {
            slurm::requeue()?;
        }
        unwritten?;
        Ok(match finish {
            Finish::Stopped => ExitCode::from(TO_BE_CONTINUED),
            _ => ExitCode::SUCCESS,
        })
    }

    /// Trains what the arguments name; how the last run ended.
    fn train(&self, unwritten: &mut Result<()>, requeue: Option<&Stop>) -> Result<Finish> {
        let total = |epochs| if let Epochs::Total(most) = epochs { Some(most) } else { None };
        let most = self.epochs.and_then(total);
        let is_more = self.epochs.is_some() && most.is_none();
        if is_more && (self.resume_if_exists || self.resume.is_none() && self.fork.is_none()) {
            return Err(Error::Usage(
                "--epochs +N trains a run further: name the run with --resume, or with --fork".into(),
            ));
        }
        let epochs: Vec<String> = most.iter().map(|n| format!("train.max_epochs={n}")).collect();
        let limited = move |preset: &Preset| match epochs.is_empty() {
            false if preset.is_set_by_stages("train.max_epochs") => Err(Error::Usage(format!(
                "--epochs: the stages of {} have their own numbers of epochs; use --max-iterations instead",
                preset.name
            ))),
            _ => preset.set(&epochs),
        };
        let ending = Ending { max_iterations: self.max_iterations, ..Ending::default() };
        let compute = || self.precision.compute(&self.common);
        let resume = |run: &Path| {
            if self.tensorboard {
                directory::keep_events(run)?;
            }
            // Stages without limits of their own share the training's.
            let staged = most.is_some() && !directory::preset(run)?.train.stages.is_empty();
            match self.epochs.filter(|_| !staged) {
                Some(epochs) => {
                    let ending = Ending { epochs: Some(epochs), ..ending };
                    begin::resume(run, compute()?, |preset| Ok(preset.clone()), ending)
                }
                None => begin::resume(run, compute()?, limited.clone(), ending),
            }
        };
        if let Some(run) = &self.resume {
            let had_ended = self.epochs.is_none() && self.has_ended(run).is_some();
            let finish = self.follow(resume(run)?, unwritten, requeue)?;
            if had_ended {
                say("nem-tui: this run had ended before; --epochs +N trains it N epochs further");
            }
            return Ok(finish);
        }
        if let Some(of) = &self.fork {
            let sets = self.common.sets.clone();
            let limited = limited.clone();
            let change = move |preset: &Preset| limited(&preset.set(&sets)?);
            let of = match &self.at {
                Some(_) if checkpoint::is_checkpoint(of) => {
                    return Err(Error::Usage(format!(
                        "--at: {} is a checkpoint; leave the option out, or name the run",
                        shown(of)
                    )));
                }
                Some(at) => past::named(of, at)?,
                None => of.clone(),
            };
            let ending = Ending { epochs: self.epochs.filter(|_| is_more), ..ending };
            let handle = begin::fork(&of, compute()?, change, self.out.clone(), vec![], ending)?;
            return self.follow(handle, unwritten, requeue);
        }
        if let Some(of) = &self.replay {
            let handle = begin::replay(of, compute()?, self.out.clone(), ending)?;
            return self.follow(handle, unwritten, requeue);
        }
        let Some(name) = &self.preset else { unreachable!("clap asks for a preset or --resume") };
        let preset = limited(&self.common.preset(name)?)?;
        self.common.holds_in(&preset)?;
        let mut last = Finish::MaxEpochs;
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let out = match self.seeds {
                1 => self.out.clone(),
                _ => self.out.as_ref().map(|out| out.join(format!("s{seed}"))),
            };
            let usual = || Path::new("runs").join(format!("{}-s{seed}", preset.name));
            let out = out.or_else(|| self.resume_if_exists.then(usual));
            let there = out.as_deref().filter(|run| self.resume_if_exists && run.join("run.json").is_file());
            let handle = match there {
                Some(run) => {
                    self.check_begun(run, &preset, seed)?;
                    if let Some(finish) = self.has_ended(run) {
                        self.tell_ended(&finish, run)?;
                        last = finish;
                        continue;
                    }
                    resume(run)?
                }
                None => begin::start(&Job {
                    from: self.from.clone(),
                    out,
                    tensorboard: self.tensorboard,
                    ending,
                    ..Job::new(preset.clone(), seed, compute()?)
                })?,
            };
            last = self.follow(handle, unwritten, requeue)?;
            if last == Finish::Stopped {
                break;
            }
        }
        Ok(last)
    }

    /// Refuses the run in `run` if it is not the one that these arguments begin.
    fn check_begun(&self, run: &Path, preset: &Preset, seed: u64) -> Result<()> {
        let mut asked = preset.clone();
        if self.epochs.is_some() {
            // A resumed run may have another limit.
            asked.train.max_epochs = directory::preset(run)?.train.max_epochs;
        }
        let others = begun::otherwise(run, &asked, seed, self.from.as_deref())?;
        if others.is_empty() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{} was begun with other settings than this command asks for ({}); repeat the command that began it, or \
             name another directory with --out",
            shown(&run),
            others.join(", ")
        )))
    }

    /// How the run in `run` has ended, if there is nothing left to do for it.
    fn has_ended(&self, run: &Path) -> Option<Finish> {
        // A run that cannot be read says why when it is resumed.
        let (trained, begun) = (TrainedRun::read(run).ok()?, directory::preset(run).ok()?);
        match trained {
            _ if self.max_iterations.is_some_and(|most| trained.iterations >= most) => {
                Some(Finish::MaxIterations)
            }
            TrainedRun { finished: true, epochs, .. }
                if self.epochs.is_none_or(|most| {
                    most == Epochs::Total(begun.last_stage_epochs())
                        || matches!(most, Epochs::Total(most) if epochs >= most)
                }) =>
            {
                Some(if epochs >= begun.most_epochs() { Finish::MaxEpochs } else { Finish::EarlyStop })
            }
            _ => None,
        }
    }

    fn tell_ended(&self, finish: &Finish, run: &Path) -> Result<()> {
        // If it was killed in its last save, that is completed.
        let _ = RunDir::resume(run);
        if let Ok(None) = RunResult::read(run) {
            let result = RunResult::of(run, Reason::from(finish), Floor::default());
            // Its metrics have it all.
            let _ = result.and_then(|result| result.write(run));
        }
        if self.prints_json() {
            print_json(&finished(finish, run))
        } else {
            say(&format!("{} (it had ended before)", ended(finish, run)));
            Ok(())
        }
    }

    fn prints_json(&self) -> bool {
        self.json || !stdout_is_terminal()
    }

    /// Reports on a run until it ends.
    fn follow(
        &self,
        handle: RunHandle,
        unwritten: &mut Result<()>,
        requeue: Option<&Stop>,
    ) -> Result<Finish> {
        let stop = Stop::default();
        if self.prints_json() {
            let (finish, lines) = follow(handle, None, Lines::new(), &stop, requeue)?;
            *unwritten =
                std::mem::replace(unwritten, Ok(())).and(lines.map_or(Ok(()), |lines| lines.unwritten));
            Ok(finish)
        } else {
            Ok(follow(handle, None, Bar::new(self.max_iterations), &stop, requeue)?.0)
        }
    }
}

/// Reads `N` or `+N`.
fn epochs(text: &str) -> Result<Epochs, String> {
    let (number, limit): (_, fn(u64) -> Epochs) = match text.strip_prefix('+') {
        Some(more) => (more, Epochs::More),
        None => (text, Epochs::Total),
    };
    match number.parse() {
        Ok(epochs @ 1..) => Ok(limit(epochs)),
        _ => Err("a number of epochs from 1, or +N for N more".into()),
    }
}

/// Events that may wait for the reporter.
const REPORTS: usize = 64;
/// How long a reporter that is blocked, by a full pipe or a stopped terminal, is waited for after a request to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Passes a run's events to `report` until it ends, on a thread of its own, so that the run can be saved and ended while
/// nobody reads the reports. A request to end or the deadline stops the run, which saves first; the request is also made
/// to `stop`. With `requeue` a request to save is made to it, and also ends the run. Returns the reporter too, unless it
/// was left behind, blocked.
///
/// # Errors
/// The run's failure.
pub(super) fn follow<R: Reporter + Send + 'static>(
    mut handle: RunHandle,
    deadline: Option<Instant>,
    mut report: R,
    stop: &Stop,
    requeue: Option<&Stop>,
) -> Result<(Finish, Option<R>)> {
    let failed = |e: std::io::Error| Error::Worker(format!("its reports could not be started: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Without a receiver no snapshots are taken.
    let (_, nobody) = tokio::sync::watch::channel(None);
    handle.snapshots = nobody;
    let (reports, mut to_report) = mpsc::channel(REPORTS);
    let (reported, is_reported) = oneshot::channel();
    let reporting = move || {
        while let Some(event) = to_report.blocking_recv() {
            report.event(event);
        }
        // Nobody waits for it after a request to end.
        let _ = reported.send(report);
    };
    std::thread::Builder::new().name("reports".into()).spawn(reporting).map_err(failed)?;
    runtime.block_on(async {
        let mut requests = Requests::listen();
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let mut is_late = false;
        let mut waiting = VecDeque::new();
        let finish = loop {
            tokio::select! {
                event = handle.events.recv(), if waiting.is_empty() || stop.is_requested() => {
                    let Some(event) = event else { return Err(Error::Worker("it ended without a result".into())) };
                    let finish = match &event {
                        Event::Finished(finish) => Some(finish.clone()),
                        _ => None,
                    };
                    waiting.push_back(event);
                    if let Some(finish) = finish {
                        break finish;
                    }
                }
                room = reports.reserve(), if !waiting.is_empty() => {
                    if let (Some(event), Ok(room)) = (waiting.pop_front(), room) {
                        room.send(event);
                    }
                }
                request = requests.next() => match (request, requeue) {
                    (Request::Save, None) => handle.send(Command::Checkpoint),
                    (request, _) => {
                        if let (Request::Save, Some(requeue)) = (request, requeue) {
                            requeue.request();
                        }
                        stop.request();
                        handle.send(Command::Stop);
                    }
                },
                () = &mut late, if !is_late => {
                    is_late = true;
                    handle.send(Command::Stop);
                }
            }
        };
        // The run has ended; what is left is to read.
        let rest = async move {
            for event in waiting {
                let _ = reports.send(event).await;
            }
            drop(reports);
            is_reported.await.ok()
        };
        let impatience = async {
            while !stop.is_requested() {
                if requests.next().await == Request::End {
                    stop.request();
                }
            }
            tokio::time::sleep(PATIENCE).await;
        };
        let report = tokio::select! {
            report = rest => report,
            () = impatience => None,
        };
        match finish {
            Finish::Failed(sentence) => Err(Error::Failed(sentence)),
            finish => Ok((finish, report)),
        }
    })
}
