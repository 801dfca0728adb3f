//! Training trials on this machine, with progress bars.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::super::args::PrecisionArg;
use super::super::print::{progress_target, say};
use crate::backend::{self, DeviceName};
use crate::error::{Error, Result, TO_BE_CONTINUED};
use crate::machine;
use crate::paths::quoted;
use crate::protocol::number_or_dash;
use crate::sweep::local::{Local, Outcome, Report, Share, Summary, Watch};
use crate::sweep::plan::Plan;
use crate::sweep::slurm;
use crate::sweep::trials::Trial;

/// How trials share a machine.
#[derive(Args, Debug, Clone)]
pub(in crate::cli) struct ShareArgs {
    /// Trials at once; each gets its share of the cores' threads, unless OMP_NUM_THREADS or RAYON_NUM_THREADS is set
    /// [default: one for each GPU, or for every two cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) jobs: Option<u16>,
    /// GPUs to share out among the trials, as CUDA_VISIBLE_DEVICES names them: 0,1. With more --jobs than GPUs, several
    /// trials share one [default: all, if --device is auto or cuda]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(in crate::cli) gpus: Vec<String>,
    /// How often a failed trial is tried again, from its last checkpoint
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(in crate::cli) retries: u32,
}

impl ShareArgs {
    pub(in crate::cli) fn share(&self, device: DeviceName) -> Share {
        let gpus = match device {
            _ if !self.gpus.is_empty() => self.gpus.clone(),
            DeviceName::Auto | DeviceName::Cuda(0) => visible_gpus(),
            _ => Vec::new(),
        };
        let jobs = match (self.jobs, gpus.len()) {
            (Some(jobs), _) => jobs.into(),
            (None, 0) => (machine::cores() / 2).max(1),
            (None, gpus) => gpus,
        };
        Share { jobs, threads: (machine::cores() / jobs).max(1), gpus }
    }
}

/// The GPUs that a process may see, if there are several.
fn visible_gpus() -> Vec<String> {
    let set = std::env::var("CUDA_VISIBLE_DEVICES").ok().filter(|list| !list.trim().is_empty());
    let gpus: Vec<String> = match set {
        Some(list) => list.split(',').map(|gpu| gpu.trim().to_owned()).collect(),
        None => (0..backend::gpus()).map(|gpu| gpu.to_string()).collect(),
    };
    if gpus.len() > 1 { gpus } else { Vec::new() }
}

/// The arguments that every trial's training gets.
pub(in crate::cli) fn passed_on(device: DeviceName, tf32: bool, precision: PrecisionArg) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    if device != DeviceName::Auto {
        arguments.extend(["--device".into(), device.to_string()]);
    }
    if let Some(precision) = precision.precision {
        arguments.extend(["--precision".into(), precision.to_string()]);
    }
    arguments.extend(tf32.then(|| "--tf32".into()));
    arguments
}

/// Trains trials on this machine; the exit code.
pub(super) fn train(local: &Local) -> Result<ExitCode> {
    let summary = train_with_bars(local)?;
    // After a node has failed, what it had begun may train on for a while.
    let is_to_requeue = summary.asked_to_save && summary.unfinished > 0 || summary.elsewhere > 0;
    if local.ends_on_save && is_to_requeue {
        slurm::requeue()?;
    }
    let directory = quoted(&local.plan.directory);
    match summary.failed.as_slice() {
        [] if summary.unfinished + summary.elsewhere > 0 => Ok(ExitCode::from(TO_BE_CONTINUED)),
        [] => Ok(ExitCode::SUCCESS),
        [(run, why)] => Err(Error::Failed(format!("{run} failed: {why}"))),
        [(run, why), ..] => Err(Error::Failed(format!(
            "{} trials failed, as nem-tui sweep status {directory} lists; the first is {run}: {why}",
            summary.failed.len()
        ))),
    }
}

/// Trains trials on this machine, and says what came of them.
pub(in crate::cli) fn train_with_bars(local: &Local) -> Result<Summary> {
    let summary = local.run(&mut Bars::new(local))?;
    say(&told(&summary));
    Ok(summary)
}

/// What came of the trials, in words.
fn told(summary: &Summary) -> String {
    let Summary { done, unfinished, elsewhere, failed, .. } = summary;
    let mut told = format!("{done} done");
    for (count, what) in [
        (failed.len(), "failed"),
        (*unfinished, "to be continued by the same command"),
        (*elsewhere, "trained by other processes"),
    ] {
        if count > 0 {
            told += &format!(", {count} {what}");
        }
    }
    told
}

/// A bar for each trial in training and one for all, on stderr; only the lines where that is not a terminal.
struct Bars<'a> {
    plan: &'a Plan,
    all: MultiProgress,
    total: ProgressBar,
    slots: Vec<Option<ProgressBar>>,
    is_hidden: bool,
    /// What trials have said; all may say the same.
    said: HashSet<String>,
}

impl Bars<'_> {
    fn new<'a>(local: &Local<'a>) -> Bars<'a> {
        let target = progress_target();
        let is_hidden = target.is_hidden();
        let all = MultiProgress::with_draw_target(target);
        let total =
            all.add(styled(local.trials.len() as u64, "{bar:24.green/dim} {pos}/{len} trials {eta:.dim}"));
        total.tick();
        let slots = vec![None; local.share.jobs.max(1)];
        Bars { plan: local.plan, all, total, slots, is_hidden, said: HashSet::new() }
    }

    fn line(&self, line: &str) {
        if self.is_hidden {
            say(line);
        } else {
            let _ = self.all.println(line);
        }
    }
}

fn styled(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // A malformed template would be a bug here; the bar merely looks plainer without it.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

impl Watch for Bars<'_> {
    fn begins(&mut self, slot: usize, trial: &Trial) {
        let iterations = self.plan.preset(trial).map_or(0, |preset| {
            let all = preset.most_epochs().saturating_mul(preset.iterations_per_epoch());
            trial.max_iterations.map_or(all, |most| most.min(all))
        });
        let bar = styled(iterations, "{bar:24.cyan/dim} {pos}/{len} {eta:.dim} {prefix} {wide_msg}");
        bar.set_prefix(trial.run.clone());
        self.slots[slot] = Some(self.all.insert_before(&self.total, bar));
    }

    fn reports(&mut self, slot: usize, report: Report) {
        let Some(bar) = &self.slots[slot] else { return };
        match report {
            Report::Started(iteration) => {
                bar.set_position(iteration);
                bar.reset_eta();
            }
            Report::Step(iteration, _) => bar.set_position(iteration),
            Report::Epoch(loss, ami) => {
                bar.set_message(format!("validation {loss:.3}  AMI {}", number_or_dash(ami, 3)));
            }
            Report::Note(note) => {
                if self.said.insert(note.clone()) {
                    self.line(&format!("note     {}: {note}", bar.prefix()));
                }
            }
        }
    }

    fn ends(&mut self, slot: Option<usize>, trial: &Trial, outcome: &Outcome) {
        if let Some(bar) = slot.and_then(|slot| self.slots[slot].take()) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        let run = &trial.run;
        match outcome {
            // It had ended before.
            Outcome::Done if slot.is_none() => {}
            Outcome::Done => self.line(&format!("done     {run}")),
            Outcome::Stopped => self.line(&format!("saved    {run}")),
            Outcome::Retried(why) => self.line(&format!("again    {run}, which failed: {why}")),
            Outcome::Failed(why) => self.line(&format!("failed   {run}: {why}")),
            Outcome::Elsewhere(who) => self.line(&format!("left to  {who}: {run}")),
        }
        if !matches!(outcome, Outcome::Retried(_)) {
            self.total.inc(1);
        }
    }
}

impl Drop for Bars<'_> {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}
