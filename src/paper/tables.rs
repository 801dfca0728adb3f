//! The tables: the paper's numbers beside the means of ours. They are made from stored scores alone.

use serde::Serialize;

use super::experiments::{Experiment, Measure, Published, Section};
use super::runs::{FailedRun, ScoredRun, TrainedRun};
use crate::run::score::ScoreReport;
use crate::scores::mean_and_deviation;

/// The tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Results {
    /// The rows, section by section.
    pub rows: Vec<ResultRow>,
    /// The runs they were measured on.
    pub runs: Vec<TrainedRun>,
    /// The number of seeds for each row.
    pub seeds: u64,
    /// The runs that could not be trained or scored this time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedRun>,
}

/// A row: one experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultRow {
    /// Its section.
    #[serde(rename = "part")]
    pub section: Section,
    /// Its title.
    #[serde(rename = "row")]
    pub title: String,
    /// The preset trained for it.
    pub preset: String,
    /// How it was tested.
    pub test: String,
    /// Which score is compared.
    pub score: String,
    /// The paper's.
    pub paper: Option<Published>,
    /// Ours, over the runs that the protocol has ended and that have the score.
    pub ours: Option<MeanScore>,
    /// Ours, over the runs that are unfinished, or whose protocol was cut short.
    pub unfinished: Option<MeanScore>,
    /// Seeds without scores.
    pub missing: Vec<u64>,
    /// Seeds whose runs could not be trained or scored this time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<u64>,
    /// Whether a run's settings were not the paper's.
    pub changed: bool,
    /// Whether the digits were synthetic; the scores do not compare with the paper's then.
    pub synthetic: bool,
}

/// A mean over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanScore {
    /// The mean.
    pub mean: f64,
    /// The deviation (of a sample); `None` for a single run.
    pub deviation: Option<f64>,
    /// The mean AMI, weighted over all EM steps like the loss, where the row is about that of the last step.
    pub all_steps: Option<f64>,
    /// The mean of the floors on the images that are scored; `None` where the row is not a score of the grouping, or a
    /// floor was not measured.
    pub floor: Option<f64>,
    /// The runs' seeds.
    pub seeds: Vec<u64>,
    /// The fewest samples that any of them was scored on.
    pub samples: usize,
    /// The fewest iterations that any of them was trained for.
    pub iterations: u64,
    /// Whether any of them ended sooner than its preset says, so that it is not a result of the protocol.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
}

impl Results {
    /// The rows of `sections`, and of every other section with scores.
    pub fn new(sections: &[Section], seeds: u64, scored: &[ScoredRun], failures: &[FailedRun]) -> Results {
        let of = |experiment: &Experiment| {
            let (preset, test) = (experiment.preset, experiment.test.name);
            scored.iter().filter(move |s| s.training.preset == preset && s.test == test)
        };
        let has_scores = |section: &Section| section.experiments().any(|one| of(one).next().is_some());
        let wanted = |section: &Section| sections.contains(section) || has_scores(section);
        let all = Section::ALL.into_iter().filter(wanted).flat_map(Section::experiments);
        let experiments: Vec<&Experiment> = all.collect();
        let row = |one: &Experiment, synthetic: bool, scored: &[&ScoredRun]| {
            let failed = failures.iter().filter(|failure| failure.preset == one.preset).map(|f| f.seed);
            ResultRow { failed: failed.collect(), ..ResultRow::new(one, seeds, synthetic, scored) }
        };
        let mut rows = Vec::new();
        for one in &experiments {
            // Scores on real and on synthetic digits are never in one mean.
            let (synthetic, real): (Vec<_>, Vec<_>) = of(one).partition(|s| s.training.synthetic);
            if !real.is_empty() || synthetic.is_empty() {
                rows.push(row(one, false, &real));
            }
            if !synthetic.is_empty() {
                rows.push(row(one, true, &synthetic));
            }
        }
        let mut runs: Vec<TrainedRun> = Vec::new();
        for training in experiments.iter().flat_map(|one| of(one)).map(|s| &s.training) {
            if !runs.iter().any(|run| run.name() == training.name()) {
                runs.push(training.clone());
            }
        }
        Results { rows, runs, seeds, failures: failures.to_vec() }
    }
}

impl ResultRow {
    fn new(experiment: &Experiment, seeds: u64, synthetic: bool, scored: &[&ScoredRun]) -> ResultRow {
        let mean = |complete: bool| {
            let of: Vec<&ScoredRun> =
                scored.iter().copied().filter(|s| s.training.is_complete() == complete).collect();
            MeanScore::new(experiment.measure, &of)
        };
        let there: Vec<u64> = scored.iter().map(|s| s.training.seed).collect();
        ResultRow {
            section: experiment.section,
            title: experiment.title.into(),
            preset: experiment.preset.into(),
            test: experiment.test.name.into(),
            score: experiment.measure.name().into(),
            paper: experiment.published,
            ours: mean(true),
            unfinished: mean(false),
            missing: (1..=seeds).filter(|seed| !there.contains(seed)).collect(),
            failed: Vec::new(),
            changed: scored.iter().any(|s| !s.training.changed.is_empty()),
            synthetic,
        }
    }
}

impl MeanScore {
    fn new(measure: Measure, scored: &[&ScoredRun]) -> Option<MeanScore> {
        let scored: Vec<(&ScoredRun, f64)> =
            scored.iter().filter_map(|s| Some((*s, measure.of(&s.report)?))).collect();
        let over = |of: fn(&ScoreReport) -> Option<f64>| {
            mean_and_deviation(&scored.iter().filter_map(|(s, _)| of(&s.report)).collect::<Vec<_>>()).0
        };
        let floors: Option<Vec<f64>> = scored.iter().map(|(s, _)| measure.floor(&s.report)).collect();
        let (mean, deviation) =
            mean_and_deviation(&scored.iter().map(|(_, value)| *value).collect::<Vec<_>>());
        let mean = mean?;
        // Where the loss is that of the last step, so is the mean.
        let beside = |all: &f64| measure == Measure::AmiLast && *all != mean;
        Some(MeanScore {
            mean,
            deviation,
            all_steps: over(|report| report.ami).filter(beside),
            floor: floors.and_then(|floors| mean_and_deviation(&floors).0),
            seeds: scored.iter().map(|(s, _)| s.training.seed).collect(),
            samples: scored.iter().map(|(s, _)| s.report.samples).min()?,
            iterations: scored.iter().map(|(s, _)| s.training.iterations).min()?,
            cut_short: scored.iter().any(|(s, _)| s.training.is_cut_short()),
        })
    }
}
