//! What a training records: iterations, validations, live changes and stages.

use serde::{Deserialize, Serialize};

use crate::preset::{Setting, Stage};

/// The metrics that a resumed run brings along, or one that was attached to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// As many of the latest iterations as were kept, 20 000 at least.
    pub iterations: Vec<Iteration>,
    /// All epochs.
    pub epochs: Vec<Epoch>,
    /// All live changes.
    pub changes: Vec<Change>,
    /// The beginnings of all later stages.
    pub stages: Vec<StageStart>,
}

/// Iterations that curves begin with.
const KEPT_ITERATIONS: usize = 20_000;

impl Past {
    /// Takes in an iteration. Of very many only the latest are kept.
    pub fn add_iteration(&mut self, iteration: Iteration) {
        // Twice as many, so that they are moved only once in a long while.
        if self.iterations.len() >= 2 * KEPT_ITERATIONS {
            self.iterations.drain(..KEPT_ITERATIONS);
        }
        self.iterations.push(iteration);
    }
}

/// Scores of the best fixed split of the image into K regions, which has seen no image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Mean AMI, normalised by the larger entropy.
    pub ami: f64,
    /// Mean ARI of the best split by ARI.
    pub ari: f64,
}

/// One training iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Counted from 1.
    pub iteration: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// The training loss: step-weighted, noisy input, mean over the batch.
    pub loss: f64,
    /// Its intra-cluster part, step-weighted.
    pub intra: f64,
    /// Its inter-cluster part, step-weighted, before `inter_weight`.
    pub inter: f64,
    /// Mean AMI (max) of the last step on some images of the batch, every `score_every` iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ami: Option<f64>,
    /// Mean ARI of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ari: Option<f64>,
    /// Euclidean norm of the gradient of all weights, before `train.clip_norm` scales it, as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Wall time of the iteration. The only field that differs between two equal runs.
    pub seconds: f64,
    /// Where it went, where that is measured; not kept with the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Where an iteration's time went, in seconds.
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
    /// Scores of the training batch, when it is their turn.
    pub scores: f64,
}

impl Profile {
    /// The means of some; `None` where there are none.
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

/// The validation at an epoch's end. Scores are of the last EM step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Iterations done so far.
    pub iteration: u64,
    /// Mean training loss of the epoch.
    pub train_loss: f64,
    /// Validation loss, by which training stops early.
    pub validation_loss: f64,
    /// Mean AMI, normalised by the larger entropy.
    pub ami: f64,
    /// Mean AMI, normalised by the arithmetic mean of the entropies.
    pub ami_arithmetic: f64,
    /// Mean ARI.
    pub ari: f64,
    /// Mean of the largest gamma.
    pub confidence: f64,
    /// NLL of max_k ψ, weighted over steps like the loss (§4.2's upper bound); `None` in metrics from before it was
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    /// Whether the validation loss is the best so far.
    pub best: bool,
    /// Wall time of the epoch, validation included.
    pub seconds: f64,
}

/// What a validation found of single samples and of single components, in the last EM step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The AMI (max) of each watched sample; `None` where its frame has no group.
    pub amis: Vec<Option<f64>>,
    /// The share of all objects' pixels that each component holds: where its γ is the largest.
    pub held: Vec<f64>,
}

/// A live change, as it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The first iteration that ran with it.
    pub iteration: u64,
    /// The value before.
    pub from: Setting,
    /// The value after.
    pub to: Setting,
}

/// The beginning of a later stage of a training in stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStart {
    /// Which, counted from 1; so this is 2 or more.
    pub stage: usize,
    /// Its first iteration.
    pub iteration: u64,
    /// What is other in it.
    pub what: Stage,
}
