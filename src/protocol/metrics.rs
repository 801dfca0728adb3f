//! What a training records: iterations, validations, live changes and stages.

use std::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::{RunFailure, number_or_nan};
use crate::preset::{Preset, Setting, Stage, is_scorable};

/// One line of a run's `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A training iteration.
    Step(Iteration),
    /// An epoch's validation.
    Epoch(Epoch),
    /// A live change.
    Change(Change),
    /// The start of a later stage.
    Stage(StageStart),
    /// The run is a fork, and its own records follow. The records before this one were copied from its parent, except
    /// for the changes directly before it, which were made by the fork.
    Fork {
        /// The iteration of the checkpoint that was forked.
        iteration: u64,
    },
    /// The run failed.
    Failed(RunFailure),
    /// A kind that only a later version knows. Readers skip it.
    #[serde(other)]
    Other,
}

impl Record {
    /// The iteration it belongs to.
    pub fn iteration(&self) -> u64 {
        match self {
            Record::Step(iteration) => iteration.iteration,
            Record::Epoch(epoch) => epoch.iteration,
            Record::Change(change) => change.iteration,
            Record::Stage(start) => start.iteration,
            Record::Fork { iteration } => *iteration,
            Record::Failed(failure) => failure.iteration,
            Record::Other => 0,
        }
    }
}

/// What a run has recorded so far, each list in the order of its iterations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The iterations that were kept: some of them in an archived run, the latest in a run in progress.
    pub iterations: Vec<Iteration>,
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// All live changes.
    pub changes: Vec<Change>,
    /// The starts of all later stages.
    pub stages: Vec<StageStart>,
    /// Where the run was forked from its parent, after the forks of its ancestors.
    pub forks: Vec<Fork>,
    /// Why it failed, if it did and was not resumed since.
    pub failure: Option<RunFailure>,
    /// The clock at the last iteration dropped by [`Metrics::keep_latest`].
    pub dropped: Clock,
}

/// Where a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// The iteration of the checkpoint that was forked.
    pub iteration: u64,
    /// How many of the changes belong to the part before it, including those made by the fork itself.
    pub changes: usize,
    /// How many of the stages began before it.
    pub stages: usize,
}

/// A timed part of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timed<'a> {
    /// An iteration.
    Iteration(&'a Iteration),
    /// The end of an epoch, with its validation.
    Epoch(&'a Epoch),
}

impl Timed<'_> {
    /// Iterations done when it ends.
    pub fn iteration(&self) -> u64 {
        match self {
            Timed::Iteration(done) => done.iteration,
            Timed::Epoch(ended) => ended.iteration,
        }
    }
}

/// How many iterations are kept for the curves, at least.
const KEPT_ITERATIONS: usize = 20_000;

impl Metrics {
    /// Adds the next record.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Step(iteration) => self.iterations.push(iteration),
            Record::Epoch(epoch) => self.epochs.push(epoch),
            Record::Change(change) => self.changes.push(change),
            Record::Stage(start) => self.stages.push(start),
            Record::Fork { iteration } => {
                if self.iterations.is_empty() && self.epochs.is_empty() {
                    // Its parent's metrics are unknown, so its clock starts here.
                    self.dropped.iteration = iteration;
                }
                self.forks.push(Fork { iteration, changes: self.changes.len(), stages: self.stages.len() });
            }
            Record::Failed(failure) => self.failure = Some(failure),
            Record::Other => {}
        }
    }

    /// Drops the oldest iterations if there are very many. The clock stays right.
    pub fn keep_latest(&mut self) {
        // Only at twice as many, so that the rest is moved rarely.
        let Some(surplus) = self.iterations.len().checked_sub(2 * KEPT_ITERATIONS) else { return };
        let count = surplus + KEPT_ITERATIONS;
        let last = self.iterations[count - 1].iteration;
        let clock = self.timeline().take_while(|(_, timed)| timed.iteration() <= last).last();
        self.dropped = clock.map_or(self.dropped, |(clock, _)| clock);
        self.iterations.drain(..count);
    }

    /// The iterations and epochs in order, each with the clock at its end.
    pub fn timeline(&self) -> impl Iterator<Item = (Clock, Timed<'_>)> {
        let mut iterations = self.iterations.iter().peekable();
        let mut epochs = self.epochs.iter().peekable();
        let merged = std::iter::from_fn(move || match (iterations.peek(), epochs.peek()) {
            (Some(done), Some(ended)) if ended.iteration < done.iteration => epochs.next().map(Timed::Epoch),
            (Some(_), _) => iterations.next().map(Timed::Iteration),
            (None, _) => epochs.next().map(Timed::Epoch),
        });
        // Epochs among the dropped iterations have only their own times.
        let (mut before, mut clock) = (Clock::default(), self.dropped);
        merged.map(move |timed| {
            let clock = if timed.iteration() <= self.dropped.iteration { &mut before } else { &mut clock };
            clock.advance(timed);
            (*clock, timed)
        })
    }

    /// The number of iterations done.
    pub fn last_iteration(&self) -> u64 {
        let forked = self.forks.last().map_or(0, |fork| fork.iteration);
        let done = self.iterations.last().map_or(0, |done| done.iteration);
        self.epochs.last().map_or(0, |ended| ended.iteration).max(done).max(forked)
    }

    /// The live changes of the run itself: for a fork, without those that its first checkpoint already contains.
    pub fn own_changes(&self) -> &[Change] {
        let before = self.forks.last().map_or(0, |fork| fork.changes);
        self.changes.get(before..).unwrap_or_default()
    }

    /// `preset`, in force after `iteration` iterations, with the changes and the stages since.
    pub fn preset_after(&self, preset: Preset, iteration: u64) -> Preset {
        let before = self.forks.last().map_or(0, |fork| fork.stages);
        let stages = self.stages.iter().skip(before).map(|start| (start.iteration, Ok(&start.what)));
        let changes = self.own_changes().iter().map(|change| (change.iteration, Err(change.to)));
        // A stage starts before the commands of its first iteration are read.
        let mut since: Vec<_> = stages.chain(changes).filter(|(first, _)| *first > iteration).collect();
        since.sort_by_key(|(first, _)| *first);
        since.into_iter().fold(preset, |preset, (_, what)| match what {
            Ok(stage) => preset.at_stage(stage),
            Err(setting) => setting.apply(&preset).unwrap_or(preset),
        })
    }

    /// The stage that an iteration belongs to, counted from 1.
    pub fn stage_of(&self, iteration: u64) -> usize {
        self.stages.iter().rfind(|start| start.iteration <= iteration).map_or(1, |start| start.stage)
    }

    /// The stage that the run itself began in, counted from 1: a fork begins in its parent's.
    pub fn first_stage(&self) -> usize {
        let before = self.forks.last().map_or(0, |fork| fork.stages);
        self.stages.get(..before).and_then(<[_]>::last).map_or(1, |start| start.stage)
    }

    /// The learning rates in order, each with its first iteration. See [`Metrics::values_of`].
    pub fn learning_rates(&self, preset: &Preset) -> Vec<(u64, f64)> {
        let rates = self.values_of(Setting::LearningRate(0.0), preset);
        rates.into_iter().map(|(iteration, rate)| (iteration, rate.value())).collect()
    }

    /// The values of `kind` in order, each with its first iteration. `preset` is the one in the run's directory. A fork's
    /// preset has the fork's value, so its parent's initial value is taken from the first change.
    pub fn values_of(&self, kind: Setting, preset: &Preset) -> Vec<(u64, Setting)> {
        let is_of_kind = |setting: &Setting| discriminant(setting) == discriminant(&kind);
        let stages = self.stages.iter().enumerate().flat_map(|(i, start)| {
            let forks = self.forks.iter().filter(|fork| fork.stages <= i).count();
            let rate = Setting::LearningRate(start.what.learning_rate);
            let sets = start.what.set.iter().copied().chain([rate]).filter(is_of_kind);
            sets.map(move |to| (forks, start.iteration, None, to))
        });
        let changes = self.changes.iter().enumerate().filter(|(_, change)| is_of_kind(&change.to));
        let changes = changes.map(|(i, change)| {
            let forks = self.forks.iter().filter(|fork| fork.changes <= i).count();
            (forks, change.iteration, Some(change.from), change.to)
        });
        // A stage starts before the commands of its first iteration are read. A fork comes before both.
        let mut values: Vec<_> = stages.chain(changes).collect();
        values.sort_by_key(|(forks, iteration, ..)| (*forks, *iteration));
        let first = match values.first() {
            Some((_, _, Some(from), _)) => Some(*from),
            Some((_, _, None, _)) => kind.current(&preset.at_first_stage()),
            None => kind.current(preset),
        };
        let later = values.into_iter().map(|(_, iteration, _, value)| (iteration, value));
        first.map(|first| (0, first)).into_iter().chain(later).collect()
    }

    /// Drops the scores that mean nothing, with one component or one object: earlier versions recorded some. `preset` is
    /// the one in the run's directory.
    pub fn drop_meaningless_scores(&mut self, preset: &Preset) {
        let [components, objects] =
            [Setting::K(0), Setting::Objects(0)].map(|kind| self.values_of(kind, preset));
        let at = |values: &[(u64, Setting)], iteration| {
            values.iter().rfind(|(from, _)| *from <= iteration).map(|(_, value)| value.value() as usize)
        };
        let is_scorable = |i| is_scorable((at(&components, i).unwrap_or(preset.k), at(&objects, i)));
        for done in self.iterations.iter_mut().filter(|done| !is_scorable(done.iteration)) {
            (done.ami, done.ari) = (None, None);
        }
        for ended in self.epochs.iter_mut().filter(|ended| !is_scorable(ended.iteration)) {
            (ended.ami, ended.ami_arithmetic, ended.ari) = (None, None, None);
            (ended.ami_all_steps, ended.ari_all_steps) = (None, None);
        }
    }
}

/// How long a run has trained in wall time, including validations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Seconds so far.
    pub seconds: f64,
    /// The iteration it has reached.
    iteration: u64,
    /// Seconds until the end of the last validation, by the times of the epochs.
    epochs: f64,
}

impl Clock {
    /// Advances to the end of an iteration or epoch.
    pub fn advance(&mut self, timed: Timed) {
        match timed {
            // If not all iterations were kept, one stands for those missing before it.
            Timed::Iteration(done) => {
                let iterations = done.iteration.saturating_sub(self.iteration);
                self.seconds += known(done.seconds) * iterations as f64;
            }
            Timed::Epoch(ended) => {
                self.epochs += known(ended.seconds);
                if self.epochs <= self.seconds {
                    return;
                }
                self.seconds = self.epochs;
            }
        }
        self.iteration = self.iteration.max(timed.iteration());
    }
}

/// A time in seconds; 0 if it is negative or not a number.
fn known(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}

/// Scores of the best fixed split of the image into K regions, made without looking at an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Mean AMI, normalised by the larger entropy; `None` where nothing can be scored.
    pub ami: Option<f64>,
    /// Mean ARI of the best split by ARI; `None` where nothing can be scored.
    pub ari: Option<f64>,
}

/// One training iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Counted from 1.
    pub iteration: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// The training loss: step-weighted, noisy input, mean over the batch.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// Its intra-cluster part, step-weighted.
    #[serde(deserialize_with = "number_or_nan")]
    pub intra: f64,
    /// Its inter-cluster part, step-weighted, before `inter_weight`.
    #[serde(deserialize_with = "number_or_nan")]
    pub inter: f64,
    /// Mean AMI (max) of the last EM step on some images of the batch, every `score_every` iterations; `None` also where
    /// nothing can be scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami: Option<f64>,
    /// Mean ARI of the same images, as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<f64>,
    /// Euclidean norm of the gradient of all weights, before `train.clip_norm` scales it, as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Wall time of the iteration. The only field that differs between two equal runs.
    #[serde(deserialize_with = "number_or_nan")]
    pub seconds: f64,
    /// How the time was spent, if that was measured; not written to the metrics file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// How an iteration's time was spent, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Waiting for the batch, and moving it to the device.
    pub data: f64,
    /// Masked deltas, E-step and losses.
    pub em: f64,
    /// From the masked deltas to θ.
    pub encoder: f64,
    /// From θ to ψ.
    pub decoder: f64,
    /// Backward through all of these.
    pub backward: f64,
    /// Adam.
    pub optimizer: f64,
    /// Scores of the training batch, if they were due.
    pub scores: f64,
}

impl Profile {
    /// The mean of several profiles; `None` without any.
    pub fn mean<'a>(of: impl ExactSizeIterator<Item = &'a Profile> + Clone) -> Option<Profile> {
        let mean = |part: fn(&Profile) -> f64| of.clone().map(part).sum::<f64>() / of.len() as f64;
        (of.len() > 0).then(|| Profile {
            data: mean(|p| p.data),
            em: mean(|p| p.em),
            encoder: mean(|p| p.encoder),
            decoder: mean(|p| p.decoder),
            backward: mean(|p| p.backward),
            optimizer: mean(|p| p.optimizer),
            scores: mean(|p| p.scores),
        })
    }

    /// The parts with their names, in the order of an iteration.
    pub fn parts(&self) -> [(&'static str, f64); 7] {
        [
            ("data", self.data),
            ("E-step and losses", self.em),
            ("encoder", self.encoder),
            ("decoder", self.decoder),
            ("backward", self.backward),
            ("optimizer", self.optimizer),
            ("scores", self.scores),
        ]
    }
}

/// The validation at an epoch's end. Scores are of the last EM step unless they say otherwise, and `None` where nothing
/// can be scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Iterations done so far.
    pub iteration: u64,
    /// Mean training loss of the epoch.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// Validation loss, by which training stops early.
    #[serde(deserialize_with = "number_or_nan")]
    pub validation_loss: f64,
    /// Mean AMI, normalised by the larger entropy: the AMI (last step) of the screen.
    #[serde(default)]
    pub ami: Option<f64>,
    /// The same weighted over EM steps like the loss: the AMI (all steps). `None` in metrics of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami_all_steps: Option<f64>,
    /// Mean AMI, normalised by the arithmetic mean of the entropies.
    #[serde(default)]
    pub ami_arithmetic: Option<f64>,
    /// Mean ARI: the ARI (last step).
    #[serde(default)]
    pub ari: Option<f64>,
    /// Mean ARI, weighted over EM steps like the loss; `None` in metrics of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari_all_steps: Option<f64>,
    /// Mean of the largest gamma.
    #[serde(default)]
    pub confidence: Option<f64>,
    /// NLL of max_k ψ, weighted over steps like the loss (§4.2's upper bound); `None` in metrics of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    /// Whether the validation loss is the best so far.
    pub best: bool,
    /// Wall time of the epoch, validation included.
    #[serde(deserialize_with = "number_or_nan")]
    pub seconds: f64,
}

/// Results of a validation for single samples and single components, in the last EM step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The AMI (max) of each watched sample; `None` if its frame cannot be scored.
    pub amis: Vec<Option<f64>>,
    /// The share of all objects' pixels that each component holds, that is, where its γ is the largest.
    pub held: Vec<f64>,
}

/// A live change that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The first iteration that ran with it.
    pub iteration: u64,
    /// The value before.
    pub from: Setting,
    /// The value after.
    pub to: Setting,
}

/// The start of a later stage of a training in stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStart {
    /// Its number, counted from 1; so this is 2 or more.
    pub stage: usize,
    /// Its first iteration.
    pub iteration: u64,
    /// Its settings.
    pub what: Stage,
}

#[cfg(test)]
mod tests;
