//! `nem-tui bench`.

use clap::Args;
use serde::Serialize;

use super::{Common, print, print_json};
use crate::engine::bench::{Timing, bench};
use crate::engine::trainer::Trainer;
use crate::error::{Error, Result};

#[derive(Args, Debug)]
pub(super) struct BenchArgs {
    /// Name or path of the preset
    preset: String,
    /// Images per iteration
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// Components
    #[arg(long)]
    k: Option<usize>,
    /// EM steps
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Iterations to time
    #[arg(long, value_name = "N", default_value_t = 20)]
    iterations: usize,
    /// Iterations before, which are not timed
    #[arg(long, value_name = "N", default_value_t = 3)]
    warm_up: usize,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Report {
    preset: String,
    device: String,
    batch: usize,
    k: usize,
    steps: usize,
    parameters: usize,
    #[serde(flatten)]
    timing: Timing,
}

impl BenchArgs {
    pub(super) fn run(self) -> Result<()> {
        if self.iterations == 0 {
            return Err(Error::Usage("--iterations is 0; time at least 1".into()));
        }
        let mut sets = self.common.sets.clone();
        sets.extend(self.batch.map(|n| format!("train.batch={n}")));
        // An epoch must hold at least one batch, however large that is.
        sets.extend(self.batch.map(|n| format!("train.train_size={}", n.saturating_mul(1000))));
        sets.extend(self.k.map(|n| format!("k={n}")));
        sets.extend(self.steps.map(|n| format!("steps={n}")));
        let preset = Common { sets, ..self.common.clone() }.preset(&self.preset)?;
        let device = self.common.device();
        let mut trainer = Trainer::new(&preset, self.seed, &device.open()?)?;
        let timing = bench(&mut trainer, self.warm_up, self.iterations)?;
        let report = Report {
            preset: preset.name,
            device: device.to_string(),
            batch: preset.train.batch,
            k: preset.k,
            steps: preset.steps,
            parameters: trainer.model().parameter_count(),
            timing,
        };
        if self.json {
            return print_json(&report);
        }
        let Report { preset, device, batch, k, steps, parameters, timing } = report;
        print(&format!(
            "{preset} on {device}: batch {batch}, K {k}, {steps} steps, {parameters} parameters\n\
             {:.4} s per iteration (median of {}; min {:.4}, max {:.4})\n",
            timing.median_s, timing.iterations, timing.min_s, timing.max_s
        ))
    }
}
