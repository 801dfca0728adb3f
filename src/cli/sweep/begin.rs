//! `nem-tui sweep FILE.ron`: begins a sweep, or continues it.

use std::collections::HashSet;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::super::args::{Common, PrecisionArg, directory_parser};
use super::super::print::{print, say, settle};
use super::local::{ShareArgs, passed_on, train};
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::precision::Precision;
use crate::preset::Preset;
use crate::sweep::local::Local;
use crate::sweep::plan::{Asked, PRESET, Plan, directory_of_sweep};
use crate::sweep::slurm::{self, Submission};
use crate::sweep::spec::Spec;
use crate::sweep::state::{self, State, TrialState};
use crate::sweep::trials::{Resolved, Trial, counted, resolve};
use crate::train::bench::{bench, operations};
use crate::train::trainer::Trainer;

/// More trials than these are asked about.
const MANY: usize = 10_000;

#[derive(Args, Debug)]
pub(super) struct BeginArgs {
    /// The sweep's file: a preset, what varies, seeds, and what Slurm is asked for
    #[arg(value_name = "FILE.ron", required = true)]
    file: Option<PathBuf>,
    /// The sweep's directory; a sweep that was begun there is continued [default: sweeps/FILE]
    #[arg(long, value_name = "DIR", value_parser = directory_parser())]
    out: Option<PathBuf>,
    /// Where to train: processes of this machine, or an array of jobs
    #[arg(long, value_enum, default_value_t)]
    executor: Executor,
    /// Print the trials, their number and an estimate of the hours, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the script for Slurm, and do nothing
    #[arg(long)]
    print_only: bool,
    /// Add trials or iterations to the sweep in the directory, which is otherwise refused if the file has changed
    #[arg(long)]
    extend: bool,
    /// Train more than 10,000 trials without being asked
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    share: ShareArgs,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Executor {
    /// One process for each trial; Ctrl-C saves all
    #[default]
    Local,
    /// An array of jobs
    Slurm,
}

impl BeginArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        let Some(file) = &self.file else { unreachable!("clap asks for a file or a command") };
        let spec = Spec::load(file)?;
        let base = self.common.applied(&spec.base(file)?)?;
        self.common.holds_in(&base)?;
        let Resolved { trials, left_out, doubled } = resolve(&spec, &base, PRESET, &shown(file).to_string())?;
        let directory = self.out.clone().unwrap_or_else(|| directory_of_sweep(file));
        let asked = Asked::new(directory, base, trials, self.extend)?;
        if self.dry_run {
            return self.tell(&asked, left_out, doubled).map(|()| ExitCode::SUCCESS);
        }
        if asked.trials.len() > MANY && !self.print_only {
            self.ask(asked.trials.len())?;
        }
        if self.executor == Executor::Slurm || self.print_only {
            return self.submit(&asked, &spec).map(|()| ExitCode::SUCCESS);
        }
        let plan = asked.write()?;
        let device = self.common.device;
        train(&Local {
            plan: &plan,
            trials: plan.trials.clone(),
            share: self.share.share(device),
            arguments: passed_on(device, self.common.tf32, self.precision),
            retries: self.share.retries,
            ends_on_save: false,
        })
    }

    fn ask(&self, trials: usize) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() && std::io::stderr().is_terminal() {
            say(&format!("{trials} trials: begin them? [y/N]"));
            settle();
            let mut answer = String::new();
            let _ = stdin.lock().read_line(&mut answer);
            if matches!(answer.trim(), "y" | "Y" | "yes") {
                return Ok(());
            }
        }
        Err(Error::Usage(format!(
            "{trials} trials are more than {MANY}; if they are meant, repeat this with --yes"
        )))
    }

    /// Prints the trials, and how long they take.
    fn tell(&self, asked: &Asked, left_out: usize, doubled: usize) -> Result<()> {
        let plan = asked.check()?;
        let states = state::all(&plan);
        let mut text = String::new();
        for (trial, state) in plan.trials.iter().zip(&states) {
            let state = if state.state == State::Waiting { "" } else { state.state.name() };
            text += format!("{:>6}  {}  {state}", trial.trial, trial.run).trim_end();
            text.push('\n');
        }
        text += &format!("{} in {}", counted(plan.trials.len(), "trial"), shown(&plan.directory));
        if left_out > 0 {
            text += &format!("; the conditions leave out {}", counted(left_out, "combination"));
        }
        if doubled > 0 {
            text += &format!("; {} repeated, counted once", counted(doubled, "combination"));
        }
        print(&(text + "\n"))?;
        print(&self.hours(&asked.base, &plan, &states)?)
    }

    /// How many hours the trials that have not ended take at most, in words.
    fn hours(&self, base: &Preset, plan: &Plan, states: &[TrialState]) -> Result<String> {
        let with_states = || plan.trials.iter().zip(states);
        let seconds: Vec<f64> = with_states()
            .filter_map(|(_, state)| {
                Some(state.result.as_ref().filter(|_| state.state == State::Done)?.seconds)
            })
            .collect();
        let due: Vec<&Trial> =
            with_states().filter(|(_, state)| state.state != State::Done).map(|(trial, _)| trial).collect();
        let Some(first) = due.first() else { return Ok("all of them are done\n".into()) };
        if !seconds.is_empty() {
            let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
            return Ok(format!(
                "about {} one after another, as long as the {} that are done\n",
                duration(mean * due.len() as f64),
                seconds.len()
            ));
        }
        let of = |trial: &Trial| base.set(&trial.set);
        let preset = of(first)?.at_first_stage();
        let compute = self.precision.compute(&self.common)?.or(Precision::F32);
        let trainer = Trainer::new(&preset, first.seed, &compute.open()?)?;
        let timing = bench(&mut trainer.with_precision(compute.precision()), 1, 3)?;
        let per_operation = timing.median_s / operations(&preset).max(1.0);
        let mut most = 0.0;
        for trial in &due {
            let preset = of(trial)?;
            let iterations = preset.most_epochs().saturating_mul(preset.iterations_per_epoch());
            let iterations = trial.max_iterations.map_or(iterations, |most| most.min(iterations));
            // A validation has no backward pass, which takes two thirds.
            let validated = preset.train.validation_size as f64 / preset.train.batch as f64 / 3.0;
            let epochs = iterations as f64 / preset.iterations_per_epoch().max(1) as f64;
            let all = iterations as f64 + epochs.floor() * validated;
            most += all * operations(&preset) * per_operation;
        }
        Ok(format!(
            "at most {} one after another, by {:.4} s for an iteration of the first on {}; early stopping \
             ends trials sooner\n",
            duration(most),
            timing.median_s,
            compute
        ))
    }

    /// Submits what neither has ended nor waits or runs already.
    fn submit(&self, asked: &Asked, spec: &Spec) -> Result<()> {
        let plan = match self.print_only {
            true => asked.check()?,
            false => {
                slurm::check()?;
                asked.write()?
            }
        };
        let mut arguments = passed_on(self.common.device, self.common.tf32, self.precision);
        arguments.extend(["--retries".into(), self.share.retries.to_string()]);
        let submission = Submission { plan: &plan, slurm: &spec.slurm, arguments };
        if self.print_only {
            let scripts = submission.scripts(&submission.due(&HashSet::new()).0, slurm::largest_array())?;
            return scripts.iter().try_for_each(|(script, _)| print(script));
        }
        submission.submit_due().map(|sentence| say(&sentence))
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => counted(seconds.ceil() as usize, "second"),
        ..7200.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.1} hours", seconds / 3600.0),
    }
}
