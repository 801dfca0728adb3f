//! Training, evaluation and inference: what drives the model.
//!
//! [`trainer`] is the protocol, one iteration at a time, without thread, channel or file.
//! [`worker`] runs it on a thread of its own, takes commands between iterations and reports, and [`viewer`]
//! shows a trained model in the same way; [`socket`] lets other processes look on; [`run_dir`] and [`checkpoint`] are what a run leaves on the disk. [`score`] tests it;
//! [`experiments`] lists what the paper tested, and [`results`], [`figure`] and [`kept`] put ours beside it.

pub mod album;
pub mod batch;
pub mod bench;
pub mod checkpoint;
pub mod evaluate;
pub mod experiments;
pub mod figure;
pub mod infer;
pub mod kept;
mod look;
mod pass;
pub mod results;
pub mod run_dir;
pub mod score;
pub mod snapshot;
#[cfg_attr(not(unix), path = "engine/no_socket.rs")]
pub mod socket;
mod thread;
pub mod trainer;
pub mod viewer;
pub mod worker;

use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};

use crate::nem::Nem;
use crate::preset::{Adam, Train};

/// Adam with the preset's constants; the step size is given with every step.
pub fn optimizer(adam: &Adam) -> ModuleOptimizer {
    AdamConfig::new()
        .with_beta_1(adam.beta1 as f32)
        .with_beta_2(adam.beta2 as f32)
        .with_epsilon(adam.epsilon as f32)
        .init()
}

/// `model` after one step of Adam along `gradients`, with the step size and the clipping of `train`.
pub fn descend(
    optimizer: &mut ModuleOptimizer,
    train: &Train,
    model: &Nem,
    gradients: GradientsParams,
) -> Nem {
    let gradients = match train.clip_norm {
        Some(limit) => model.clipped(gradients, limit),
        None => gradients,
    };
    model.with_cell(optimizer.step(train.learning_rate, model.cell.clone(), gradients))
}
