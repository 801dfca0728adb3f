//! Initial weights.
//!
//! A parameter's id is derived from its name: burn keys an optimizer's state by id, and so it fits again in another
//! process.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::tensor::tensor;
use crate::random::{Purpose, Stream};

/// burn's id of the parameter `name`.
pub(super) fn id(name: &str) -> ParamId {
    let digest = Sha256::digest(name.as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    ParamId::from(u64::from_le_bytes(word))
}

/// Draws initial weights.
pub(super) struct Initial<'a> {
    seed: u64,
    device: &'a Device,
}

impl<'a> Initial<'a> {
    pub(super) fn new(seed: u64, device: &'a Device) -> Initial<'a> {
        Initial { seed, device }
    }

    /// Uniform in ±`bound`. Every parameter has its own stream, so adding one changes no other.
    pub(super) fn uniform<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        bound: f64,
    ) -> Param<Tensor<D>> {
        let id = id(name);
        let mut stream = Stream::new(self.seed, Purpose::Weights, 0, id.val());
        let values = (0..shape.iter().product())
            .map(|_| ((2.0 * f64::from(stream.uniform()) - 1.0) * bound) as f32)
            .collect();
        self.param(id, tensor(values, shape, self.device))
    }

    pub(super) fn zeros<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.param(id(name), Tensor::zeros(shape, self.device))
    }

    pub(super) fn ones<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.param(id(name), Tensor::ones(shape, self.device))
    }

    /// A parameter, with a gradient if the device records gradients.
    fn param<const D: usize>(&self, id: ParamId, value: Tensor<D>) -> Param<Tensor<D>> {
        Param::initialized(id, value.set_require_grad(self.device.is_autodiff()))
    }

    /// A single number, uniform in ±`bound`: \[1\], because burn has no tensor without axes.
    pub(super) fn scalar(&mut self, name: &str, bound: f64) -> Param<Tensor<1>> {
        self.uniform(name, [1], bound)
    }
}

/// The bound of Glorot and Bengio's uniform initialisation (2010, eq. 16).
pub(super) fn glorot(inputs: usize, outputs: usize) -> f64 {
    (6.0 / (inputs + outputs) as f64).sqrt()
}
