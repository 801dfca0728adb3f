//! `nem-tui train`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::args::{Common, PrecisionArg, directory_parser};
use super::print::{print_json, stdout_is_terminal};
use crate::backend::Compute;
use crate::error::{Error, Result};
use crate::live::begin::{self, Ending, Job};
use crate::paths::shown;
use crate::preset::{Images, Preset};
use crate::protocol::{Command, Event, Finish, Iteration, Record, RunHandle, RunInfo};
use crate::run::directory;
use crate::tui::signals::Signals;

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
    /// Also write event files for TensorBoard to tensorboard/ in the run's directory: losses and scores, and at each
    /// validation a picture of a sample. A run that has them continues them when it is resumed
    #[arg(long, conflicts_with_all = ["fork", "replay"])]
    tensorboard: bool,
    /// Print one JSON object per line instead of a progress bar (the default for a pipe)
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
        if let Some(run) = &self.resume {
            if self.tensorboard {
                directory::keep_events(run)?;
            }
            let handle = begin::resume(run, compute()?, limited, ending)?;
            return self.follow(handle).map(|_| ());
        }
        if let Some(of) = &self.fork {
            let sets = self.common.sets.clone();
            let change = move |preset: &Preset| limited(&preset.set(&sets)?);
            let handle = begin::fork(of, compute()?, change, self.out.clone(), vec![], ending)?;
            return self.follow(handle).map(|_| ());
        }
        if let Some(of) = &self.replay {
            let handle = begin::replay(of, compute()?, self.out.clone(), ending)?;
            return self.follow(handle).map(|_| ());
        }
        let Some(name) = &self.preset else { unreachable!("clap asks for a preset or --resume") };
        let preset = limited(&self.common.preset(name)?)?;
        self.common.holds_in(&preset)?;
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let out = match self.seeds {
                1 => self.out.clone(),
                _ => self.out.as_ref().map(|out| out.join(format!("s{seed}"))),
            };
            let job = Job {
                from: self.from.clone(),
                out,
                tensorboard: self.tensorboard,
                ending,
                ..Job::new(preset.clone(), seed, compute()?)
            };
            if self.follow(begin::start(&job)?)? == Finish::Stopped {
                break;
            }
        }
        Ok(())
    }

    /// Reports on a run until it ends.
    fn follow(&self, handle: RunHandle) -> Result<Finish> {
        if self.json || !stdout_is_terminal() {
            follow(handle, None, &mut Lines { directory: PathBuf::new() })
        } else {
            follow(handle, None, &mut Bar::new(self.max_iterations))
        }
    }
}

/// Passes a run's events to `report` until it ends. An interrupt or the deadline stops the run, which saves first.
///
/// # Errors
/// The run's failure, and the errors of `report`.
pub(super) fn follow(
    mut handle: RunHandle,
    deadline: Option<Instant>,
    report: &mut dyn Reporter,
) -> Result<Finish> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::Worker(format!("the event loop could not start: {e}")))?;
    // Without a receiver no snapshots are taken.
    let (_, nobody) = tokio::sync::watch::channel(None);
    handle.snapshots = nobody;
    runtime.block_on(async {
        let mut signals =
            Signals::new().map_err(|e| Error::Worker(format!("cannot listen for signals: {e}")))?;
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let mut stopped = false;
        loop {
            let event = tokio::select! {
                event = handle.events.recv() => event,
                () = signals.next() => {
                    handle.send(Command::Stop);
                    continue;
                }
                () = &mut late, if !stopped => {
                    stopped = true;
                    handle.send(Command::Stop);
                    continue;
                }
            };
            let Some(event) = event else { return Err(Error::Worker("it ended without a result".into())) };
            let Event::Finished(finish) = event else {
                report.event(&event)?;
                continue;
            };
            report.finished(&finish)?;
            return match finish {
                Finish::Failed(sentence) => Err(Error::Failed(sentence)),
                finish => Ok(finish),
            };
        }
    })
}

/// Reports a run's events.
pub(super) trait Reporter {
    fn event(&mut self, event: &Event) -> Result<()>;
    fn finished(&mut self, finish: &Finish) -> Result<()>;
}

/// One JSON object per line.
struct Lines {
    directory: PathBuf,
}

impl Reporter for Lines {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Started(info) => {
                self.directory.clone_from(&info.directory);
                let compute: Compute = info.device.parse()?;
                print_json(&json!({
                    "kind": "started", "run": info.directory.to_string_lossy(), "preset": info.preset.name, "seed": info.seed,
                    "device": compute.device.to_string(), "precision": compute.precision(), "iteration": info.iteration, "parameters": info.parameters,
                    "floor": info.floor.ami, "floor_ari": info.floor.ari,
                }))
            }
            Event::Iterations(list) => {
                let step = |step: &Iteration| Record::Step(Iteration { profile: None, ..*step });
                list.iter().try_for_each(|iteration| print_json(&step(iteration)))
            }
            Event::Epoch(epoch) => print_json(&Record::Epoch(*epoch)),
            Event::Changed(change) => print_json(&Record::Change(*change)),
            Event::Stage(start) => print_json(&Record::Stage(start.clone())),
            Event::Floor(floor) => {
                print_json(&json!({"kind": "floor", "floor": floor.ami, "floor_ari": floor.ari}))
            }
            Event::Saved { iteration, best } => {
                print_json(&json!({"kind": "saved", "iteration": iteration, "best": best}))
            }
            Event::Refused { why, .. } => print_json(&json!({"kind": "refused", "why": why})),
            Event::Note(note) => print_json(&json!({"kind": "note", "note": note})),
            Event::WatchedScores(_)
            | Event::WrongSize { .. }
            | Event::Paused(_)
            | Event::Done(_)
            | Event::Finished(_) => Ok(()),
        }
    }

    fn finished(&mut self, finish: &Finish) -> Result<()> {
        let mut line =
            json!({"kind": "finished", "reason": reason(finish), "run": self.directory.to_string_lossy()});
        if let Finish::Failed(sentence) = finish {
            line["error"] = json!(sentence);
        }
        print_json(&line)
    }
}

/// A progress bar on stderr with a line for each epoch above it; only the lines where stderr is not a terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    directory: PathBuf,
    max_iterations: Option<u64>,
}

impl Bar {
    /// For a run that ends at `max_iterations` at the latest.
    pub(super) fn new(max_iterations: Option<u64>) -> Bar {
        Bar { bar: ProgressBar::no_length(), directory: PathBuf::new(), max_iterations }
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }

    fn start(&mut self, info: &RunInfo) {
        let all = info.preset.most_epochs().saturating_mul(info.preset.iterations_per_epoch());
        self.bar.set_length(self.max_iterations.map_or(all, |max| max.min(all)));
        // A malformed template would be a bug here; the bar merely looks plainer without it.
        if let Ok(style) =
            ProgressStyle::with_template("{bar:24.cyan/dim} {pos}/{len} {per_sec:.dim} {eta:.dim} {wide_msg}")
        {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(250));
        self.bar.set_position(info.iteration);
        self.bar.reset_eta();
        self.line(&format!(
            "{} on {}, seed {}, {} parameters -> {}\nfloor: AMI {:.3} for a split by position alone",
            info.preset.name,
            info.device,
            info.seed,
            info.parameters,
            shown(&info.directory),
            info.floor.ami
        ));
    }
}

impl Reporter for Bar {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Started(info) => {
                self.directory.clone_from(&info.directory);
                self.start(info);
            }
            Event::Iterations(list) => {
                if let Some(step) = list.last() {
                    self.bar.set_position(step.iteration);
                    self.bar.set_message(format!("loss {:.2}", step.loss));
                }
            }
            Event::Epoch(e) => self.line(&format!(
                "epoch {:>3}  train {:9.3}  validation {:9.3}{} AMI {:.3}  ARI {:.3}  {:.1} s",
                e.epoch,
                e.train_loss,
                e.validation_loss,
                if e.best { "*" } else { " " },
                e.ami,
                e.ari,
                e.seconds
            )),
            Event::Refused { why: note, .. } | Event::Note(note) => self.line(note),
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
            Event::Floor(floor) => {
                self.line(&format!("floor: AMI {:.3} for a split by position alone", floor.ami));
            }
            Event::Changed(_)
            | Event::WatchedScores(_)
            | Event::WrongSize { .. }
            | Event::Saved { .. }
            | Event::Paused(_)
            | Event::Done(_)
            | Event::Finished(_) => {}
        }
        Ok(())
    }

    fn finished(&mut self, finish: &Finish) -> Result<()> {
        self.bar.finish_and_clear();
        self.line(&format!("{}: {}", reason(finish).replace('_', " "), shown(&self.directory)));
        Ok(())
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
