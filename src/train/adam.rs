//! One step of Adam.

use burn_optim::{AdamConfig, GradientsParams, ModuleOptimizer};

use crate::nem::Nem;
use crate::preset::{Adam, Train};

/// Adam with the preset's constants; [`descend`] sets the step size.
pub fn optimizer(adam: &Adam) -> ModuleOptimizer {
    AdamConfig::new()
        .with_beta_1(adam.beta1 as f32)
        .with_beta_2(adam.beta2 as f32)
        .with_epsilon(adam.epsilon as f32)
        .init()
}

/// `model` after one step of Adam, with the step size and the clipping of `train`.
pub fn descend(
    optimizer: &mut ModuleOptimizer,
    train: &Train,
    model: &Nem,
    gradients: GradientsParams,
) -> Nem {
    let gradients = match train.clip_norm {
        Some(limit) => model.cell.clipped(gradients, limit),
        None => gradients,
    };
    model.with_cell(optimizer.step(train.learning_rate, model.cell.clone(), gradients))
}
