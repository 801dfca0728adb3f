//! `nem-tui eval`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::ProgressFinish;
use serde_json::json;

use super::args::{Common, Conditions, PrecisionArg};
use super::print::{StatusBar, print, print_json};
use crate::data::Split;
use crate::error::Result;
use crate::paths::shown;
use crate::protocol::{UNSCORABLE, number_or_dash as number};
use crate::run::score::{ScoreReport, Scoring, means, score};
use crate::stop::Stop;
use crate::train::evaluate::Subset;

#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// The directory of a run (its best checkpoint is scored) or a checkpoint, or the name of a model that comes with
    /// the program; several also get a mean and a deviation
    #[arg(value_name = "RUN-OR-MODEL", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    conditions: Conditions,
    /// Score on this many images instead of the whole split
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Which split of the data
    #[arg(long, value_enum, default_value_t)]
    split: SplitName,
    /// Also print every EM step: AMI with quartiles, losses
    #[arg(long)]
    per_step: bool,
    /// Print one JSON object (which always has every EM step)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy, Default)]
pub(super) enum SplitName {
    /// What the weights were fitted to
    Train,
    /// What decided when to stop
    Validation,
    /// What had no influence on the training
    #[default]
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Split {
        match name {
            SplitName::Train => Split::Train,
            SplitName::Validation => Split::Validation,
            SplitName::Test => Split::Test,
        }
    }
}

impl EvalArgs {
    pub(super) fn run(self) -> Result<()> {
        let mut sets = self.common.all_sets()?;
        sets.extend(self.conditions.sets());
        let compute = self.precision.compute(&self.common)?;
        let precision = compute.precision();
        let (digits, split) = (None, self.split.into());
        let scoring =
            Scoring { sets, digits, split, samples: self.samples, precision, stop: Stop::default() };
        let device = compute.open()?;
        let mut reports = Vec::new();
        for path in &self.paths {
            let report = score(path, &scoring, &device, &progress_bar(""))?;
            if !self.json {
                print(&table(&report, self.per_step))?;
            }
            reports.push(report);
        }
        match (reports.as_slice(), self.json) {
            ([report], true) => print_json(report),
            (_, true) => print_json(&json!({"mean": summary(&reports), "runs": reports})),
            ([_], false) => Ok(()),
            (_, false) => print(&summary_table(&reports)),
        }
    }
}

/// A bar with `message` on stderr, hidden where that is not a terminal. The result is called with the samples done, and
/// with all samples; dropping it removes the bar.
pub(super) fn progress_bar(message: &str) -> impl Fn(usize, usize) + Sync + use<> {
    let progress = StatusBar::new("{bar:24.cyan/dim} {pos}/{len} images {eta:.dim} {wide_msg}");
    let bar = progress.bar().clone().with_finish(ProgressFinish::AndClear);
    bar.set_message(message.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    move |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    }
}

fn summary(reports: &[ScoreReport]) -> serde_json::Value {
    means(reports).into_iter().map(|(name, mean)| (name.to_owned(), json!(mean))).collect()
}

fn summary_table(reports: &[ScoreReport]) -> String {
    let mut table = format!("{} runs{:14}{:>10}{:>12}\n", reports.len(), "", "mean", "deviation");
    for (name, of) in means(reports) {
        let name = shown_name(name);
        table += &format!("{name:20}{:>10}{:>12}", number(of.mean, 4), number(of.deviation, 4));
        if of.runs < reports.len() {
            table += &format!("  of {} runs that have it", of.runs);
        }
        table.push('\n');
    }
    table
}

/// What a number of the JSON output is called in tables and on the screen.
fn shown_name(key: &str) -> &str {
    match key {
        "ami" => "AMI (all steps)",
        "ami_last" => "AMI (last step)",
        "ari" => "ARI (all steps)",
        "ari_last" => "ARI (last step)",
        "upper_bound" => "upper bound",
        other => other,
    }
}

fn table(report: &ScoreReport, per_step: bool) -> String {
    let mut table = format!(
        "{}, iteration {}\n{} {} {}, K {}, {} steps\n\n",
        shown(&report.checkpoint),
        report.iteration,
        report.samples,
        report.split,
        match report.objects {
            Some(objects) => format!("images of {objects} objects"),
            None => "images".to_owned(),
        },
        report.k,
        report.steps
    );
    let score = |value: Option<f64>| number(value, 4);
    let loss = |value: f64| number(Some(value), 3);
    let mut row = |name: &str, value: String, floor: String, note: String| {
        table.push_str(format!("{name:28}{value:>10}{floor:>10}  {note}").trim_end());
        table.push('\n');
    };
    let none = String::new;
    row("", "score".into(), "floor".into(), none());
    for (name, ami, of_subset) in [
        ("AMI (last step)", report.ami_last, (|part| part.ami_last) as fn(&Subset) -> Option<f64>),
        ("AMI (all steps)", report.ami, |part| part.ami),
    ] {
        row(name, score(ami), score(report.floor), none());
        for part in &report.subsets {
            let floor = part.floor.map_or(String::new(), |floor| score(Some(floor)));
            row(
                &format!("  {}", part.name),
                score(of_subset(part)),
                floor,
                format!("{} frames in all steps", part.frames),
            );
        }
    }
    row("ARI (last step)", score(report.ari_last), score(report.floor_ari), none());
    row("ARI (all steps)", score(report.ari), score(report.floor_ari), none());
    let mut row = |name: &str, value: String| row(name, value, none(), none());
    row("AMI (last step), arithmetic", score(report.ami_arithmetic_last));
    row("AMI (all steps), arithmetic", score(report.ami_arithmetic));
    row("confidence (last step)", score(report.confidence_last));
    row("confidence (all steps)", score(report.confidence));
    row("", none());
    row("loss", loss(report.loss));
    row("next-step loss", loss(report.next_step_loss));
    row("upper bound", loss(report.upper_bound));
    table += &match (report.floor, report.ami_last) {
        (None, _) => format!("There is no floor: {UNSCORABLE}.\n"),
        (Some(_), None) => "The floor is the score of a split by position alone.\n".to_owned(),
        (Some(floor), Some(ami)) => {
            let learned = if ami > floor { "above" } else { "not above" };
            format!("The floor is the score of a split by position alone; AMI (last step) is {learned} it.\n")
        }
    };
    // Means leave frames out.
    if let (Some(why), Some(scored)) = (&report.unscored, report.frames_last) {
        table +=
            &format!("AMI and ARI of the last step are of {scored} of {} frames: {why}.\n", report.samples);
    }
    if report.synthetic {
        table += "The digits are synthetic: these scores do not compare with the paper's.\n";
    }
    if per_step {
        table += &format!(
            "\n{:>4}{:>10}{:>10}{:>10}{:>10}{:>12}{:>12}{:>12}\n",
            "step", "AMI", "lower", "median", "upper", "loss", "next-step", "bound"
        );
        for step in &report.per_step {
            let quartiles = step.quartiles;
            table += &format!(
                "{:>4}{:>10}{:>10}{:>10}{:>10}{:>12}{:>12}{:>12}\n",
                step.step,
                score(step.ami),
                score(quartiles.map(|q| q.lower)),
                score(quartiles.map(|q| q.median)),
                score(quartiles.map(|q| q.upper)),
                loss(step.loss),
                loss(step.intra),
                loss(step.upper_bound)
            );
        }
    }
    table
}
