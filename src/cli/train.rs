//! `nem-tui train`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::args::{Common, PrecisionArg, directory_parser};
use super::print::{StatusBar, print_json, say, stdout_is_terminal};
use crate::backend::Compute;
use crate::error::{Error, Result};
use crate::live::begin::{self, Ending, Job};
use crate::paper::runs::TrainedRun;
use crate::paths::shown;
use crate::preset::{Images, Preset};
use crate::protocol::{
    Command, Event, Finish, Floor, Iteration, Record, RunHandle, RunInfo, UNSCORABLE, number_or_dash,
    why_unscored,
};
use crate::run::directory::RunDir;
use crate::run::{begun, directory};
use crate::signals::{Request, Requests};
use crate::stop::Stop;

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
    /// Maximum number of epochs, instead of the preset's
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
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
    pub(super) fn run(self) -> Result<()> {
        let epochs: Vec<String> = self.epochs.iter().map(|n| format!("train.max_epochs={n}")).collect();
        let limited = move |preset: &Preset| match epochs.is_empty() {
            false if preset.is_set_by_stages("train.max_epochs") => Err(Error::Usage(format!(
                "--epochs: the stages of {} have their own numbers of epochs; use --max-iterations instead",
                preset.name
            ))),
            _ => preset.set(&epochs),
        };
        let ending = Ending { max_iterations: self.max_iterations, stay: false };
        let compute = || self.precision.compute(&self.common);
        let resume = |run: &Path| {
            if self.tensorboard {
                directory::keep_events(run)?;
            }
            begin::resume(run, compute()?, limited.clone(), ending)
        };
        // Why lines are missing on stdout.
        let mut unwritten = Ok(());
        if let Some(run) = &self.resume {
            self.follow(resume(run)?, &mut unwritten)?;
            return unwritten;
        }
        if let Some(of) = &self.fork {
            let sets = self.common.sets.clone();
            let limited = limited.clone();
            let change = move |preset: &Preset| limited(&preset.set(&sets)?);
            let handle = begin::fork(of, compute()?, change, self.out.clone(), vec![], ending)?;
            self.follow(handle, &mut unwritten)?;
            return unwritten;
        }
        if let Some(of) = &self.replay {
            let handle = begin::replay(of, compute()?, self.out.clone(), ending)?;
            self.follow(handle, &mut unwritten)?;
            return unwritten;
        }
        let Some(name) = &self.preset else { unreachable!("clap asks for a preset or --resume") };
        let preset = limited(&self.common.preset(name)?)?;
        self.common.holds_in(&preset)?;
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
            if self.follow(handle, &mut unwritten)? == Finish::Stopped {
                break;
            }
        }
        unwritten
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
            TrainedRun { finished: true, epochs, .. } if self.epochs.is_none_or(|most| epochs >= most) => {
                Some(if epochs >= begun.most_epochs() { Finish::MaxEpochs } else { Finish::EarlyStop })
            }
            _ => None,
        }
    }

    fn tell_ended(&self, finish: &Finish, run: &Path) -> Result<()> {
        // If it was killed in its last save, that is completed.
        let _ = RunDir::resume(run);
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
    fn follow(&self, handle: RunHandle, unwritten: &mut Result<()>) -> Result<Finish> {
        let stop = Stop::default();
        if self.prints_json() {
            let lines = Lines { directory: PathBuf::new(), unwritten: Ok(()) };
            let (finish, lines) = follow(handle, None, lines, &stop)?;
            *unwritten =
                std::mem::replace(unwritten, Ok(())).and(lines.map_or(Ok(()), |lines| lines.unwritten));
            Ok(finish)
        } else {
            Ok(follow(handle, None, Bar::new(self.max_iterations), &stop)?.0)
        }
    }
}

/// Events that may wait for the reporter.
const REPORTS: usize = 64;
/// How long a reporter that is blocked, by a full pipe or a stopped terminal, is waited for after a request to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Passes a run's events to `report` until it ends, on a thread of its own, so that the run can be saved and ended while
/// nobody reads the reports. A request to end or the deadline stops the run, which saves first; the request is also made
/// to `stop`. Returns the reporter too, unless it was left behind, blocked.
///
/// # Errors
/// The run's failure.
pub(super) fn follow<R: Reporter + Send + 'static>(
    mut handle: RunHandle,
    deadline: Option<Instant>,
    mut report: R,
    stop: &Stop,
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
                request = requests.next() => match request {
                    Request::Save => handle.send(Command::Checkpoint),
                    _ => {
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

/// Reports a run's events.
pub(super) trait Reporter {
    fn event(&mut self, event: Event);
}

/// One JSON object per line.
struct Lines {
    directory: PathBuf,
    /// Why there are no more lines, if stdout has failed.
    unwritten: Result<()>,
}

impl Lines {
    fn print(&mut self, line: &impl serde::Serialize) {
        if self.unwritten.is_ok() {
            self.unwritten = print_json(line);
            if let Err(e) = &self.unwritten {
                say(&format!(
                    "nem-tui: {e}; the training continues without these lines, which metrics.jsonl has too"
                ));
            }
        }
    }
}

impl Reporter for Lines {
    fn event(&mut self, event: Event) {
        match event {
            Event::Started(info) => {
                self.directory.clone_from(&info.directory);
                let compute = info.device.parse::<Compute>().ok();
                self.print(&json!({
                    "kind": "started", "run": info.directory.to_string_lossy(), "preset": info.preset.name,
                    "seed": info.seed, "device": compute.map(|compute| compute.device.to_string()),
                    "precision": compute.map(Compute::precision), "iteration": info.iteration,
                    "parameters": info.parameters, "floor": info.floor.ami, "floor_ari": info.floor.ari,
                }));
            }
            Event::Iterations(list) => {
                let steps = list.into_iter().map(|step| Record::Step(Iteration { profile: None, ..step }));
                steps.for_each(|step| self.print(&step));
            }
            Event::Epoch(epoch) => self.print(&Record::Epoch(epoch)),
            Event::Changed(change) => self.print(&Record::Change(change)),
            Event::Stage(start) => self.print(&Record::Stage(start)),
            Event::Floor(floor) => {
                self.print(&json!({"kind": "floor", "floor": floor.ami, "floor_ari": floor.ari}));
            }
            Event::Saved { iteration, best } => {
                self.print(&json!({"kind": "saved", "iteration": iteration, "best": best}));
            }
            Event::Refused { why, .. } => self.print(&json!({"kind": "refused", "why": why})),
            Event::Note(note) => self.print(&json!({"kind": "note", "note": note})),
            Event::Finished(finish) => self.print(&finished(&finish, &self.directory)),
            Event::WatchedScores(_) | Event::WrongSize { .. } | Event::Paused(_) | Event::Done(_) => {}
        }
    }
}

/// The last line about a run.
fn finished(finish: &Finish, run: &Path) -> serde_json::Value {
    let mut line = json!({"kind": "finished", "reason": reason(finish), "run": run.to_string_lossy()});
    if let Finish::Failed(sentence) = finish {
        line["error"] = json!(sentence);
    }
    line
}

/// A progress bar on stderr with a line for each epoch above it; only the lines where stderr is not a terminal.
pub(super) struct Bar {
    bar: StatusBar,
    directory: PathBuf,
    max_iterations: Option<u64>,
}

impl Bar {
    /// For a run that ends at `max_iterations` at the latest.
    pub(super) fn new(max_iterations: Option<u64>) -> Bar {
        let bar = StatusBar::new("{bar:24.cyan/dim} {pos}/{len} {per_sec:.dim} {eta:.dim} {wide_msg}");
        Bar { bar, directory: PathBuf::new(), max_iterations }
    }

    fn line(&mut self, text: &str) {
        self.bar.line(text);
    }

    fn start(&mut self, info: &RunInfo) {
        let all = info.preset.most_epochs().saturating_mul(info.preset.iterations_per_epoch());
        let bar = self.bar.bar();
        bar.set_length(self.max_iterations.map_or(all, |max| max.min(all)));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar.set_position(info.iteration);
        bar.reset_eta();
        self.line(&format!(
            "{} on {}, seed {}, {} parameters -> {}\n{}",
            info.preset.name,
            info.device,
            info.seed,
            info.parameters,
            shown(&info.directory),
            floor(&info.floor)
        ));
    }
}

impl Reporter for Bar {
    fn event(&mut self, event: Event) {
        match event {
            Event::Started(info) => {
                self.directory.clone_from(&info.directory);
                self.start(&info);
            }
            Event::Iterations(list) => {
                self.bar.catch_up();
                if let Some(step) = list.last() {
                    self.bar.bar().set_position(step.iteration);
                    self.bar.bar().set_message(format!("loss {:.2}", step.loss));
                }
            }
            Event::Epoch(e) => {
                let line = format!(
                    "epoch {:>3}  train {:9.3}  validation {:9.3}{} AMI (last step) {}  ARI (last step) {}  {:.1} s",
                    e.epoch,
                    e.train_loss,
                    e.validation_loss,
                    if e.best { "*" } else { " " },
                    number_or_dash(e.ami, 3),
                    number_or_dash(e.ari, 3),
                    e.seconds
                );
                let why = why_unscored(e.validation_loss, e.confidence);
                self.line(&if e.ami.is_some() { line } else { format!("{line}  ({why})") });
            }
            Event::Refused { why: note, .. } | Event::Note(note) => self.line(&note),
            Event::Stage(start) => {
                let mut what = format!("learning rate {}", start.what.learning_rate);
                if let Images::First(n) = start.what.images {
                    what += &format!(", the first {n} digit images");
                }
                for setting in &start.what.set {
                    what += &format!(", {} {}", setting.field(), setting.value());
                }
                self.line(&format!("stage {}  {what}", start.stage));
            }
            Event::Floor(of) => self.line(&floor(&of)),
            Event::Finished(finish) => {
                self.bar.bar().finish_and_clear();
                self.line(&ended(&finish, &self.directory));
            }
            Event::Changed(_)
            | Event::WatchedScores(_)
            | Event::WrongSize { .. }
            | Event::Saved { .. }
            | Event::Paused(_)
            | Event::Done(_) => {}
        }
    }
}

/// How a run has ended, for people.
fn ended(finish: &Finish, run: &Path) -> String {
    format!("{}: {}", reason(finish).replace('_', " "), shown(run))
}

/// The floor, in words.
fn floor(floor: &Floor) -> String {
    match floor.ami {
        Some(ami) => format!("floor: AMI {ami:.3} for a split by position alone"),
        None => format!("floor: AMI –, because {UNSCORABLE}"),
    }
}

/// The reason's name in JSON.
fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::EarlyStop => "early_stop",
        Finish::MaxEpochs => "max_epochs",
        Finish::MaxIterations => "max_iterations",
        Finish::Stopped => "stopped",
        Finish::Failed(_) => "failed",
    }
}
