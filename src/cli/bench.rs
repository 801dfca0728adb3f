//! `nem-tui bench`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::args::{Common, PrecisionArg};
use super::print::{print, print_json};
use crate::error::{Error, Result};
use crate::machine;
use crate::precision::Precision;
use crate::train::bench::{Timing, bench, ceiling, operations};
use crate::train::trainer::Trainer;

#[derive(Args, Debug)]
pub(super) struct BenchArgs {
    /// Name or path of the preset
    preset: PathBuf,
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
    /// Iterations before that, which are not timed
    #[arg(long, value_name = "N", default_value_t = 3)]
    warm_up: usize,
    /// The seed of all random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also print where the time goes
    #[arg(long)]
    profile: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionArg,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct BenchReport {
    preset: String,
    device: String,
    precision: Precision,
    batch: usize,
    k: usize,
    steps: usize,
    parameters: usize,
    /// Operations in an iteration's matrix products and convolutions, in 10^9.
    gflop: f64,
    /// The device's rate in large matrix products, in 10^9 operations a second.
    ceiling_gflops: f64,
    /// The iteration's share of that.
    share: f64,
    /// The program's peak memory, where the system reports it; a GPU's own memory does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bytes: Option<u64>,
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
        // An epoch must hold at least one batch, however large.
        sets.extend(
            self.batch.map(|n| {
                format!("train.train_size={}", n.saturating_mul(1000).min(n.max(u32::MAX as usize)))
            }),
        );
        sets.extend(self.k.map(|n| format!("k={n}")));
        sets.extend(self.steps.map(|n| format!("steps={n}")));
        // Times what the preset and the arguments say, not what a first stage would make of it.
        sets.push("train.stages=[]".into());
        let preset = Common { sets, ..self.common.clone() }.preset(&self.preset)?;
        let compute = self.precision.compute(&self.common)?.or(Precision::F32);
        let mut trainer =
            Trainer::new(&preset, self.seed, &compute.open()?)?.with_precision(compute.precision());
        trainer.set_profiled(self.profile);
        let timing = bench(&mut trainer, self.warm_up, self.iterations)?;
        let peak_bytes = machine::peak_memory();
        let (gflop, ceiling_gflops) =
            (operations(&preset) / 1e9, ceiling(&trainer.plain_device(), compute.precision()) / 1e9);
        let report = BenchReport {
            preset: preset.name.clone(),
            device: compute.device.to_string(),
            precision: compute.precision(),
            batch: preset.train.batch,
            k: preset.k,
            steps: preset.steps,
            parameters: trainer.model().parameter_count(),
            gflop,
            ceiling_gflops,
            share: gflop / timing.median_s / ceiling_gflops,
            peak_bytes,
            timing,
        };
        if self.json {
            return print_json(&report);
        }
        print(&report.text())
    }
}

impl BenchReport {
    fn text(&self) -> String {
        let BenchReport {
            preset,
            device,
            precision,
            batch,
            k,
            steps,
            parameters,
            gflop,
            ceiling_gflops,
            share,
            ..
        } = self;
        let timing = &self.timing;
        let mut text = format!(
            "{preset} on {device} in {precision}: batch {batch}, K {k}, {steps} steps, {parameters} parameters\n\
             {:.4} s per iteration (median of {}; min {:.4}, max {:.4})\n\
             {gflop:.1} GFLOP an iteration: {:.0} % of the {ceiling_gflops:.0} GFLOP/s that large matrix products reach\n",
            timing.median_s,
            timing.iterations,
            timing.min_s,
            timing.max_s,
            share * 100.0
        );
        if let Some(peak) = self.peak_bytes {
            text += &format!("{:.2} GiB of memory at peak\n", peak as f64 / (1u64 << 30) as f64);
        }
        if let Some(profile) = timing.profile {
            let all: f64 = profile.parts().iter().map(|(_, seconds)| seconds).sum();
            for (name, seconds) in profile.parts() {
                text += &format!("  {name:18}{seconds:9.4} s {:5.1} %\n", 100.0 * seconds / all);
            }
        }
        text
    }
}
