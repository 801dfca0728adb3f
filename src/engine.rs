//! Training, evaluation and inference: what drives the model. No thread and no channel outside
//! `worker`.

pub mod infer;

use burn::optim::{AdamConfig, ModuleOptimizer};

use crate::preset::Adam;

/// Adam with the preset's constants; the step size is given with every step.
pub fn optimizer(adam: &Adam) -> ModuleOptimizer {
    AdamConfig::new()
        .with_beta_1(adam.beta1 as f32)
        .with_beta_2(adam.beta2 as f32)
        .with_epsilon(adam.epsilon as f32)
        .init()
}
