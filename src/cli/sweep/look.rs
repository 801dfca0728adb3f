//! `nem-tui sweep status`, `table` and `plot`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::print::{print, print_json};
use crate::error::Result;
use crate::files::output;
use crate::paths::shown;
use crate::sweep::plan::{Plan, directory_of_sweep};
use crate::sweep::plot;
use crate::sweep::state::{self, State};
use crate::sweep::table::{self, Measure, Table};
use crate::sweep::trials::counted;

/// Which sweep.
#[derive(Args, Debug)]
struct Which {
    /// The sweep's directory, or its file if it is in sweeps/FILE
    #[arg(value_name = "SWEEP")]
    sweep: PathBuf,
}

impl Which {
    fn plan(&self) -> Result<Plan> {
        Plan::open(&directory_of_sweep(&self.sweep))
    }
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    which: Which,
    /// Also list the trials that are done or waiting
    #[arg(long)]
    all: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) fn run(self) -> Result<()> {
        let plan = self.which.plan()?;
        let states = state::all(&plan);
        let count = |of: &State| states.iter().filter(|found| found.state == *of).count();
        if self.json {
            let counts: serde_json::Map<_, _> =
                State::ALL.iter().map(|of| (of.name().to_owned(), json!(count(of)))).collect();
            let trials = plan.trials.iter().zip(&states).map(|(trial, state)| {
                let mut line = json!(trial);
                if let (Some(line), Some(state)) = (line.as_object_mut(), json!(state).as_object()) {
                    line.extend(state.clone());
                }
                line
            });
            let trials: Vec<serde_json::Value> = trials.collect();
            return print_json(&json!({
                "directory": plan.directory.to_string_lossy(), "counts": counts, "trials": trials
            }));
        }
        let counts = State::ALL.iter().map(|of| format!("{} {}", count(of), of.name()));
        let counts: Vec<String> = counts.collect();
        let mut text = format!(
            "{}: {}: {}\n",
            shown(&plan.directory),
            counted(plan.trials.len(), "trial"),
            counts.join(", ")
        );
        for (trial, state) in plan.trials.iter().zip(&states) {
            if self.all || !matches!(state.state, State::Done | State::Waiting) {
                let why = state.why.as_deref().unwrap_or_default();
                let line = format!(
                    "{:>6}  {:10}  {:>8}  {}  {why}",
                    trial.trial,
                    state.state.name(),
                    state.iterations,
                    trial.run
                );
                text += line.trim_end();
                text.push('\n');
            }
        }
        print(&text)
    }
}

#[derive(ValueEnum, Debug, Clone, Copy, Default)]
enum MeasureArg {
    /// The validation loss; it compares only trials with the same data, EM steps and weights of the loss
    #[default]
    Loss,
    /// The validation AMI (max) of the last EM step
    Ami,
    /// The validation ARI of the last EM step
    Ari,
}

impl From<MeasureArg> for Measure {
    fn from(measure: MeasureArg) -> Measure {
        match measure {
            MeasureArg::Loss => Measure::Loss,
            MeasureArg::Ami => Measure::Ami,
            MeasureArg::Ari => Measure::Ari,
        }
    }
}

#[derive(ValueEnum, Debug, Clone, Copy, Default)]
enum Format {
    #[default]
    Markdown,
    Csv,
    Json,
}

/// All scores are of the validation split, at the epoch with the best validation loss. Only trials that have ended
/// count.
#[derive(Args, Debug)]
pub(super) struct TableArgs {
    #[command(flatten)]
    which: Which,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What the best combination is chosen by
    #[arg(long, value_enum, default_value_t)]
    by: MeasureArg,
    /// A row for each trial instead of means over seeds
    #[arg(long)]
    each: bool,
}

impl TableArgs {
    pub(super) fn run(self) -> Result<()> {
        let plan = self.which.plan()?;
        let states = state::all(&plan);
        let table = || Table::new(&plan.trials, &states, self.by.into());
        match (self.format, self.each) {
            (Format::Markdown, false) => print(&table().markdown(&plan)),
            (Format::Csv, false) => print(&table().csv()),
            (Format::Json, false) => print_json(&table()),
            (Format::Markdown, true) => print(&table::each_markdown(&plan.trials, &states)),
            (Format::Csv, true) => print(&table::each_csv(&plan.trials, &states)),
            (Format::Json, true) => {
                let row = |(trial, state)| json!({"trial": trial, "state": state});
                let rows: Vec<_> = plan.trials.iter().zip(&states).map(row).collect();
                print_json(&rows)
            }
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct PlotArgs {
    #[command(flatten)]
    which: Which,
    /// The SVG to write; - is stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// What to draw
    #[arg(long, value_enum, default_value_t)]
    score: MeasureArg,
    /// The field on the horizontal axis [default: the first that varies]
    #[arg(long, value_name = "FIELD")]
    x: Option<String>,
    /// The field whose values have a colour each [default: the second that varies, if it has at most seven values]
    #[arg(long, value_name = "FIELD")]
    series: Option<String>,
    /// Draw learning curves instead: the median over seeds with a band between the quartiles, for the best seven
    /// combinations
    #[arg(long, conflicts_with_all = ["x", "series"])]
    curves: bool,
}

impl PlotArgs {
    pub(super) fn run(self) -> Result<()> {
        output::check(&self.out)?;
        let plan = self.which.plan()?;
        let states = state::all(&plan);
        let measure = self.score.into();
        let table = Table::new(&plan.trials, &states, measure);
        let svg = match self.curves {
            true => plot::curves(&plan, &states, &table, measure)?,
            false => plot::scores(&table, measure, self.x.as_deref(), self.series.as_deref())?,
        };
        output::write(&self.out, svg.as_bytes())
    }
}
