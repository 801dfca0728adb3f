//! `nem-tui eval`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Common, print, print_json};
use crate::data::{Dataset, Split};
use crate::engine::batch::Prefetch;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::evaluate::{Scored, evaluate, floor};
use crate::engine::run_dir;
use crate::error::{Error, Result};

#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    /// A run's directory (its best checkpoint is scored), or a checkpoint's
    #[arg(value_name = "RUN-OR-CHECKPOINT")]
    path: PathBuf,
    /// Components, in the place of the preset's
    #[arg(long)]
    k: Option<usize>,
    /// Images, in the place of the whole split
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t)]
    split: SplitName,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(ValueEnum, Debug, Clone, Copy, Default)]
enum SplitName {
    /// What the weights were fitted to
    Train,
    /// What decided when to stop
    Validation,
    /// What nothing was decided by
    #[default]
    Test,
}

#[derive(Serialize)]
struct Report {
    checkpoint: PathBuf,
    iteration: u64,
    split: String,
    samples: usize,
    k: usize,
    steps: usize,
    ami: f64,
    ami_arithmetic: f64,
    ari: f64,
    confidence: f64,
    ami_last: f64,
    ami_arithmetic_last: f64,
    ari_last: f64,
    confidence_last: f64,
    loss: f64,
    upper_bound: f64,
    floor: f64,
    floor_ari: f64,
}

impl EvalArgs {
    pub(super) fn run(self) -> Result<()> {
        let checkpoint = Checkpoint::open(&run_dir::resolve(&self.path, &["best", "last"])?)?;
        let mut sets = self.common.sets.clone();
        sets.extend(self.k.map(|k| format!("k={k}")));
        let preset = checkpoint.preset.set(&sets)?;
        let (split, size) = match self.split {
            SplitName::Train => (Split::Train, preset.train.train_size),
            SplitName::Validation => (Split::Validation, preset.train.validation_size),
            SplitName::Test => (Split::Test, preset.train.test_size),
        };
        let samples = self.samples.unwrap_or(size);
        if samples == 0 {
            return Err(Error::Usage("--samples is 0; score at least 1 image".into()));
        }
        let device = self.common.device().open()?;
        let model = checkpoint.model(&preset, &device)?;
        let seed = checkpoint.manifest.seed;
        let data = Arc::new(Dataset::new(&preset.data, seed)?);
        let what = (seed, split, samples);
        let mut prefetch = Prefetch::new();
        let result = evaluate(&model, &preset, &data, what, Scored::WeightedSteps, &device, &mut prefetch);
        let floor = floor(&preset, &data, split);
        let report = Report {
            checkpoint: checkpoint.path,
            iteration: checkpoint.manifest.counters.iteration,
            split: format!("{split:?}").to_lowercase(),
            samples,
            k: preset.k,
            steps: preset.steps,
            ami: result.weighted.ami,
            ami_arithmetic: result.weighted.ami_arithmetic,
            ari: result.weighted.ari,
            confidence: result.weighted.confidence,
            ami_last: result.last.ami,
            ami_arithmetic_last: result.last.ami_arithmetic,
            ari_last: result.last.ari,
            confidence_last: result.last.confidence,
            loss: result.loss,
            upper_bound: result.upper_bound,
            floor: floor.ami,
            floor_ari: floor.ari,
        };
        if self.json { print_json(&report) } else { print(&report.table()) }
    }
}

impl Report {
    fn table(&self) -> String {
        let learned = if self.ami_last > self.floor { "above" } else { "not above" };
        format!(
            "{}, iteration {}\n{} {} images, K {}, {} steps\n\n\
             {:20}{:>10}{:>12}\n\
             {:20}{:>10.4}{:>12.4}\n\
             {:20}{:>10.4}{:>12.4}\n\
             {:20}{:>10.4}{:>12.4}\n\
             {:20}{:>10.4}{:>12.4}\n\n\
             {:20}{:>10.3}\n{:20}{:>10.3}\n\
             {:20}{:>10.4}  a split by position alone; this model's AMI is {learned} it\n",
            self.checkpoint.display(),
            self.iteration,
            self.samples,
            self.split,
            self.k,
            self.steps,
            "",
            "all steps",
            "last step",
            "AMI (max)",
            self.ami,
            self.ami_last,
            "AMI (arithmetic)",
            self.ami_arithmetic,
            self.ami_arithmetic_last,
            "ARI",
            self.ari,
            self.ari_last,
            "confidence",
            self.confidence,
            self.confidence_last,
            "loss",
            self.loss,
            "upper bound",
            self.upper_bound,
            "floor (AMI, max)",
            self.floor,
        )
    }
}
