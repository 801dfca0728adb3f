//! Reports of a run without a screen: JSON lines, or a progress bar.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::backend::Compute;
use crate::cli::print::{StatusBar, print_json, say};
use crate::error::Result;
use crate::paths::shown;
use crate::preset::{Images, Preset};
use crate::protocol::{
    Event, Finish, Floor, Iteration, Record, RunInfo, UNSCORABLE, number_or_dash, why_unscored,
};

/// Reports a run's events.
pub(in crate::cli) trait Reporter {
    fn event(&mut self, event: Event);
}

/// One JSON object per line.
pub(super) struct Lines {
    directory: PathBuf,
    /// Why there are no more lines, if stdout has failed.
    pub(super) unwritten: Result<()>,
}

impl Lines {
    /// For a run that is about to start.
    pub(super) fn new() -> Lines {
        Lines { directory: PathBuf::new(), unwritten: Ok(()) }
    }

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
pub(super) fn finished(finish: &Finish, run: &Path) -> serde_json::Value {
    let mut line = json!({"kind": "finished", "reason": reason(finish), "run": run.to_string_lossy()});
    if let Finish::Failed(sentence) = finish {
        line["error"] = json!(sentence);
    }
    line
}

/// A progress bar on stderr with a line for each epoch above it; only the lines where stderr is not a terminal.
pub(in crate::cli) struct Bar {
    bar: StatusBar,
    directory: PathBuf,
    max_iterations: Option<u64>,
    preset: Option<Preset>,
}

impl Bar {
    /// For a run that ends at `max_iterations` at the latest.
    pub(in crate::cli) fn new(max_iterations: Option<u64>) -> Bar {
        let bar = StatusBar::new("{bar:24.cyan/dim} {pos}/{len} {per_sec:.dim} {eta:.dim} {wide_msg}");
        Bar { bar, directory: PathBuf::new(), max_iterations, preset: None }
    }

    /// Sets the length to all iterations of `preset`.
    fn measure(&mut self, preset: &Preset) {
        let all = preset.most_epochs().saturating_mul(preset.iterations_per_epoch());
        self.bar.bar().set_length(self.max_iterations.map_or(all, |max| max.min(all)));
        self.preset = Some(preset.clone());
    }

    fn line(&mut self, text: &str) {
        self.bar.line(text);
    }

    fn start(&mut self, info: &RunInfo) {
        self.measure(&info.preset);
        let bar = self.bar.bar();
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
                if let Some(steps) = &start.what.loss_steps {
                    what += &format!(", loss.steps {steps:?}");
                }
                self.line(&format!("stage {}  {what}", start.stage));
            }
            Event::Floor(of) => self.line(&floor(&of)),
            Event::Finished(finish) => {
                self.bar.bar().finish_and_clear();
                self.line(&ended(&finish, &self.directory));
            }
            Event::Changed(change) => {
                if let Some(Ok(preset)) = self.preset.as_ref().map(|preset| change.to.apply(preset)) {
                    self.measure(&preset);
                }
            }
            Event::WatchedScores(_)
            | Event::WrongSize { .. }
            | Event::Saved { .. }
            | Event::Paused(_)
            | Event::Done(_) => {}
        }
    }
}

/// How a run has ended, for people.
pub(super) fn ended(finish: &Finish, run: &Path) -> String {
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
