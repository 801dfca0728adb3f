//! The scores of a checkpoint on held-out images: what `eval` prints and `reproduce` stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::directory;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::paths::lossy;
use crate::precision::Precision;
use crate::preset::{Digits, Work};
use crate::protocol::{number_or_nan, why_unscored};
use crate::scores::mean_and_deviation;
use crate::stop::Stop;
use crate::train::evaluate::{ScoredSteps, StepScores, Subset, Task, evaluate, floor, floors_of_subsets};

/// How to score.
#[derive(Clone, Debug)]
pub struct Scoring {
    /// Fields of the checkpoint's preset to override, as `--set` has them: K, the number of objects, steps, noise, the
    /// data.
    pub sets: Vec<String>,
    /// Digits to use instead of the preset's.
    pub digits: Option<Digits>,
    /// The split of the data.
    pub split: Split,
    /// Number of samples; `None` for the whole split.
    pub samples: Option<usize>,
    /// Precision of the model's products and convolutions.
    pub precision: Precision,
    /// Ends the scoring with [`Error::Stopped`].
    pub stop: Stop,
}

/// The scores of one checkpoint. A score is `None` where nothing can be scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// Its path, or the name of a model that comes with the program.
    #[serde(serialize_with = "lossy")]
    pub checkpoint: PathBuf,
    /// Iterations it was trained for.
    pub iteration: u64,
    /// The seed of its run, and of the data it was scored on.
    pub seed: u64,
    /// The split of the data.
    pub split: String,
    /// Samples scored.
    pub samples: usize,
    /// K.
    pub k: usize,
    /// T.
    pub steps: usize,
    /// Objects per image, where the data says so.
    pub objects: Option<usize>,
    /// Whether the digits were synthetic; such scores are not comparable with the paper's.
    pub synthetic: bool,
    /// Mean AMI (max), weighted over steps.
    pub ami: Option<f64>,
    /// Mean AMI (arithmetic), weighted over steps.
    pub ami_arithmetic: Option<f64>,
    /// Mean ARI, weighted over steps.
    pub ari: Option<f64>,
    /// Mean confidence, weighted over steps.
    pub confidence: Option<f64>,
    /// Mean AMI (max) of the last step.
    pub ami_last: Option<f64>,
    /// Mean AMI (arithmetic) of the last step.
    pub ami_arithmetic_last: Option<f64>,
    /// Mean ARI of the last step.
    pub ari_last: Option<f64>,
    /// Mean confidence of the last step.
    pub confidence_last: Option<f64>,
    /// The training loss.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// The next-step loss, Σ_t w_t · intra_t.
    #[serde(deserialize_with = "number_or_nan")]
    pub next_step_loss: f64,
    /// Its upper bound, NLL of max_k ψ.
    #[serde(deserialize_with = "number_or_nan")]
    pub upper_bound: f64,
    /// The best AMI (max) of a split by position alone.
    pub floor: Option<f64>,
    /// The best ARI of a split by position alone.
    pub floor_ari: Option<f64>,
    /// Frames with an AMI, over all steps that have a weight; `None` in files from before they were counted.
    #[serde(default)]
    pub frames: Option<usize>,
    /// Frames with an AMI in the last step; `None` in such files.
    #[serde(default)]
    pub frames_last: Option<usize>,
    /// Why frames have no AMI, if there are such frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscored: Option<String>,
    /// Scores by step.
    pub per_step: Vec<StepScores>,
    /// Frames with and without overlap, and samples with and without identical objects, if known.
    pub subsets: Vec<Subset>,
}

impl ScoreReport {
    /// The scores of the subset called `name`, if it has samples.
    pub fn subset(&self, name: &str) -> Option<&Subset> {
        self.subsets.iter().find(|subset| subset.name == name)
    }
}

/// Scores the run (its best checkpoint) or checkpoint in `path`, or the model of that name. `progress` is called with
/// the samples done, and with all samples.
///
/// # Errors
/// Another kind of path, an impossible override, weights that do not fit it, data that cannot be read.
pub fn score(
    path: &Path,
    scoring: &Scoring,
    device: &Device,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<ScoreReport> {
    let checkpoint = directory::weights_of(path)?;
    let mut preset = checkpoint.preset_to_test().set(&scoring.sets)?;
    if let Some(digits) = &scoring.digits {
        preset.data = preset.data.with_digits(digits.clone());
    }
    let split = scoring.split;
    let samples = scoring.samples.unwrap_or_else(|| split.size(&preset.train));
    if samples == 0 {
        return Err(Error::Usage("--samples is 0; score at least 1 image".into()));
    }
    if u32::try_from(samples).is_err() {
        return Err(Error::Usage(format!("--samples is {samples}; a split has at most {} images", u32::MAX)));
    }
    preset.fits(Work::Scoring { samples, steps: preset.steps })?;
    let model = checkpoint.model(&preset, device)?.with_precision(scoring.precision);
    let seed = checkpoint.manifest.seed;
    let data = Arc::new(Dataset::new(&preset, seed)?);
    data.holds(split, samples)?;
    let task = Task {
        model: &model,
        preset: &preset,
        data: &data,
        seed,
        split,
        samples,
        scored: ScoredSteps::AllSteps,
        stop: &scoring.stop,
    };
    let mut result = evaluate(task, device, &|done| progress(done, samples))?;
    let floor = floor(&preset, &data, split, samples, &scoring.stop)?;
    for (name, floor) in floors_of_subsets(&preset, &data, split, samples, &scoring.stop)? {
        let subset = result.subsets.iter_mut().find(|subset| subset.name == name);
        subset.into_iter().for_each(|subset| subset.floor = floor.ami);
    }
    let weights = preset.loss.steps.weights(preset.steps);
    let unscored = match () {
        () if result.last.ami.is_none() => Some(why_unscored(result.loss, result.last.confidence)),
        () if result.frames_last < samples => {
            Some("frames without objects, or with one object in one component, have no score")
        }
        () => None,
    };
    Ok(ScoreReport {
        iteration: checkpoint.manifest.counters.iteration,
        checkpoint: checkpoint.path,
        seed,
        split: split.name().into(),
        samples,
        k: preset.k,
        steps: preset.steps,
        objects: preset.data.objects(),
        synthetic: data.spec().is_synthetic(),
        ami: result.weighted.ami,
        ami_arithmetic: result.weighted.ami_arithmetic,
        ari: result.weighted.ari,
        confidence: result.weighted.confidence,
        ami_last: result.last.ami,
        ami_arithmetic_last: result.last.ami_arithmetic,
        ari_last: result.last.ari,
        confidence_last: result.last.confidence,
        loss: result.loss,
        next_step_loss: result.steps.iter().zip(&weights).map(|(step, weight)| weight * step.intra).sum(),
        upper_bound: result.upper_bound,
        floor: floor.ami,
        floor_ari: floor.ari,
        frames: Some(result.frames),
        frames_last: Some(result.frames_last),
        unscored: unscored.map(str::to_owned),
        per_step: result.steps,
        subsets: result.subsets,
    })
}

/// The mean of a score over the reports that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanOfReports {
    /// The mean; `None` without reports.
    pub mean: Option<f64>,
    /// The deviation (of a sample); `None` without two reports.
    pub deviation: Option<f64>,
    /// The number of reports.
    pub runs: usize,
}

/// The means over `reports` of the scores that are worth one, by their names.
pub fn means(reports: &[ScoreReport]) -> [(&'static str, MeanOfReports); 6] {
    let of = |value: fn(&ScoreReport) -> Option<f64>| {
        let values: Vec<f64> = reports.iter().filter_map(value).filter(|value| value.is_finite()).collect();
        let (mean, deviation) = mean_and_deviation(&values);
        MeanOfReports { mean, deviation, runs: values.len() }
    };
    [
        ("ami", of(|report| report.ami)),
        ("ami_last", of(|report| report.ami_last)),
        ("ari", of(|report| report.ari)),
        ("ari_last", of(|report| report.ari_last)),
        ("loss", of(|report| Some(report.loss))),
        ("upper_bound", of(|report| Some(report.upper_bound))),
    ]
}
