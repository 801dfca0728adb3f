//! The values that a network is built with: drawn from a seed, or given.
//!
//! A parameter's id is derived from its name: burn keys an optimizer's state by id, and so it fits again in another
//! process.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::tensor::tensor;
use crate::random::{Purpose, Stream};
use crate::tensors::Arrays;

/// burn's id of the parameter `name`.
pub(super) fn id(name: &str) -> ParamId {
    let digest = Sha256::digest(name.as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    ParamId::from(u64::from_le_bytes(word))
}

/// The values a network is built with: drawn, or given.
pub(super) struct Initial<'a> {
    source: Source<'a>,
    device: &'a Device,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Seed(u64),
    Weights(&'a Arrays),
}

impl<'a> Initial<'a> {
    pub(super) fn drawn(seed: u64, device: &'a Device) -> Initial<'a> {
        Initial { source: Source::Seed(seed), device }
    }

    pub(super) fn given(weights: &'a Arrays, device: &'a Device) -> Initial<'a> {
        Initial { source: Source::Weights(weights), device }
    }

    /// Uniform in ±`bound`. Every parameter has its own stream, so adding one changes no other.
    pub(super) fn uniform<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        bound: f64,
    ) -> Param<Tensor<D>> {
        self.param(name, shape, |seed, device| {
            #[cfg(test)]
            DRAWN.set(DRAWN.get() + 1);
            let mut stream = Stream::new(seed, Purpose::Weights, 0, id(name).val());
            let values = (0..shape.iter().product())
                .map(|_| ((2.0 * f64::from(stream.uniform()) - 1.0) * bound) as f32)
                .collect();
            tensor(values, shape, device)
        })
    }

    pub(super) fn zeros<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.param(name, shape, |_, device| Tensor::zeros(shape, device))
    }

    pub(super) fn ones<const D: usize>(&mut self, name: &str, shape: [usize; D]) -> Param<Tensor<D>> {
        self.param(name, shape, |_, device| Tensor::ones(shape, device))
    }

    /// A parameter, with a gradient if the device records gradients.
    fn param<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        draw: impl FnOnce(u64, &Device) -> Tensor<D>,
    ) -> Param<Tensor<D>> {
        let value = match self.source {
            Source::Seed(seed) => draw(seed, self.device),
            Source::Weights(weights) => match weights.get(name) {
                Some(array) if array.values.len() == shape.iter().product::<usize>() => {
                    tensor(array.values.clone(), shape, self.device)
                }
                // `InnerNetwork::with_weights` refuses the network.
                _ => Tensor::zeros(shape, self.device),
            },
        };
        Param::initialized(id(name), value.set_require_grad(self.device.is_autodiff()))
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

#[cfg(test)]
thread_local! {
    /// How many parameters this thread has drawn.
    pub(crate) static DRAWN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
