//! `nem-tui reproduce`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::args::{Common, PrecisionArg, directory_parser};
use super::eval::progress_bar;
use super::print::{print, print_json, say};
use super::sweep::local::{ShareArgs, passed_on, train_with_bars};
use super::train::{Bar, follow};
use crate::error::{Error, Result};
use crate::paper::experiments::Section;
use crate::paper::reproduce::{Progress, Reproduced, Reproduction};
use crate::paths::shown;
use crate::preset::Preset;
use crate::protocol::{Finish, RunHandle};
use crate::signals::{Listener, Request};
use crate::stop::Stop;
use crate::sweep::local::{Local, Summary};
use crate::sweep::plan::list_in;
use crate::sweep::slurm::Submission;
use crate::sweep::spec::Slurm;
use crate::sweep::trials::counted;

#[derive(Args, Debug)]
pub(super) struct ReproduceArgs {
    /// Which section of the paper's results
    #[arg(value_enum, default_value_t)]
    what: SectionArg,
    /// Total time to train, shared equally by the unfinished runs; 0 trains nothing and scores the existing runs
    /// [default: until every run has ended]
    #[arg(long, value_name = "MINUTES")]
    budget: Option<f64>,
    /// Number of seeds to train each preset with; seed 1 of every preset comes first
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Directory for runs, scores and tables; existing runs are resumed
    #[arg(long, value_name = "DIR", default_value = "reproduced", value_parser = directory_parser())]
    out: PathBuf,
    /// Score on this many samples [default: the whole test split, or the first 1000 for an unfinished run]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    samples: Option<usize>,
    /// Maximum number of iterations of each run; a run that stops there counts as unfinished
    #[arg(long, value_name = "N")]
    max_iterations: Option<u64>,
    /// Submit the runs to Slurm, as `slurm` of a sweep's file asks for it: '(time: "8:00:00", gres: "gpu:1")'. Repeat the
    /// command with --budget 0 instead to score what they have done
    #[arg(long, value_name = "RON", conflicts_with_all = ["budget", "jobs"])]
    slurm: Option<Slurm>,
    #[command(flatten)]
    share: ShareArgs,
    /// Print the tables as one JSON object instead of Markdown
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SectionArg {
    /// N-EM and RNN-EM on static shapes (§4.1)
    Static,
    /// Flying shapes with other numbers of objects and components (Table 1)
    Table1,
    /// Loss bounds with one component and many; sequences longer than trained (Fig. 6)
    Figure6,
    /// Flying digits, directly and in stages (§4.3)
    Mnist,
    /// The same data with our own recipes, which learn more in less time
    Faster,
    /// All of these
    #[default]
    All,
}

impl SectionArg {
    fn sections(self) -> Vec<Section> {
        match self {
            SectionArg::Static => vec![Section::Static],
            SectionArg::Table1 => vec![Section::Table1],
            SectionArg::Figure6 => vec![Section::Figure6],
            SectionArg::Mnist => vec![Section::Mnist],
            SectionArg::Faster => vec![Section::Faster],
            SectionArg::All => Section::ALL.to_vec(),
        }
    }
}

impl ReproduceArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.budget.is_some_and(|minutes| !(0.0..=1e6).contains(&minutes)) {
            return Err(Error::Usage("--budget takes minutes, 0 or more".into()));
        }
        let settings = |preset: &Preset| {
            let preset = self.common.applied(preset)?;
            self.common.holds_in(&preset).map(|()| preset)
        };
        let stop = Stop::default();
        let asks_for_settings = !self.common.sets.is_empty() || self.common.mnist.is_some();
        let mut reproduction = Reproduction {
            sections: self.what.sections(),
            seeds: self.seeds,
            out: self.out.clone(),
            budget: self.budget.map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
            samples: self.samples,
            max_iterations: self.max_iterations,
            compute: self.precision.compute(&self.common)?,
            settings: asks_for_settings.then_some(&settings),
            stop: stop.clone(),
        };
        let sets = |preset: &Preset| match preset.data.digits() {
            Some(_) => self.common.all_sets(),
            None => Ok(self.common.sets.clone()),
        };
        let passed_on = passed_on(self.common.device, self.common.tf32, self.precision);
        let trials = || list_in(&reproduction.runs(), reproduction.trials(sets)?);
        if let Some(slurm) = &self.slurm {
            let plan = trials()?;
            let arguments = [&passed_on[..], &["--retries".into(), self.share.retries.to_string()]].concat();
            let submission = Submission { plan: &plan, slurm, arguments };
            return submission.submit_due().map(|sentence| say(&sentence));
        }
        let mut failed = Vec::new();
        if self.share.jobs.is_some() || !self.share.gpus.is_empty() {
            let plan = trials()?;
            let summary = train_with_bars(&Local {
                plan: &plan,
                trials: plan.trials.clone(),
                share: self.share.share(self.common.device),
                arguments: passed_on,
                retries: self.share.retries,
                ends_on_save: false,
            })?;
            let Summary { unfinished, failed: failures, .. } = summary;
            if unfinished > 0 {
                return Err(Error::Stopped);
            }
            failed = failures;
            // What is left is to score.
            reproduction.budget = Some(Duration::ZERO);
        }
        let Reproduced { results, markdown } =
            reproduction.run(&mut Bars { max_iterations: self.max_iterations, stop })?;
        if self.json {
            print_json(&results)?
        } else {
            print(&markdown)?
        }
        if let Some((run, why)) = failed.first() {
            return Err(Error::Failed(format!(
                "{} failed; the first is {run}: {why}",
                counted(failed.len(), "run")
            )));
        }
        match results.failures.as_slice() {
            [] => Ok(()),
            [failure] => Err(Error::Failed(failure.to_string())),
            [failure, ..] => Err(Error::Failed(format!(
                "{} runs failed, as {} lists; the first is {failure}",
                results.failures.len(),
                shown(&self.out.join("results.md"))
            ))),
        }
    }
}

/// Progress bars on stderr.
struct Bars {
    max_iterations: Option<u64>,
    stop: Stop,
}

impl Progress for Bars {
    fn follow(&mut self, run: RunHandle, deadline: Option<Instant>) -> Result<Finish> {
        Ok(follow(run, deadline, Bar::new(self.max_iterations), &self.stop, None)?.0)
    }

    fn scoring(&mut self, what: &str) -> Box<dyn Fn(usize, usize) + Sync> {
        let (bar, stop) = (progress_bar(what), self.stop.clone());
        // Scores that are not complete are lost, so saving has nothing to do.
        let listener = Listener::new(move |request| {
            if request == Request::End {
                stop.request();
            }
        });
        Box::new(move |done, all| {
            let _ = &listener;
            bar(done, all);
        })
    }

    fn note(&mut self, sentence: &str) {
        say(sentence);
    }
}
