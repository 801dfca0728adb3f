//! A model's weights by name: initial values, export and import.
//!
//! Names follow PyTorch's state dict (`recurrent.wx`, `output.0.weight`, …). A parameter's id is derived from its
//! name: burn keys an optimizer's state by id, and so it fits again in another process.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::cell::InnerNetwork;
use super::tensor::{host, tensor};
use crate::preset::{ImageSize, ModelSpec};
use crate::random::{Purpose, Stream};
use crate::tensors::{Array, Arrays};

/// Why weights do not fit a model. Messages complete "these weights …".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A parameter of the model is missing.
    #[error("lack {name}; the model has {expected}")]
    Missing {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
    },
    /// The model has no such parameter.
    #[error("hold {name}, which the model does not have; it has {expected}")]
    Unknown {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
    },
    /// A parameter's shape differs.
    #[error("hold {name} with shape {found:?}, but the model's is {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The weights' shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
}

/// burn's id of the parameter `name`.
fn id(name: &str) -> ParamId {
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

    fn given(weights: &'a Arrays, device: &'a Device) -> Initial<'a> {
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

impl InnerNetwork {
    /// Every parameter's name and exported shape.
    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut lister = Lister { path: Vec::new(), found: Vec::new() };
        self.visit(&mut lister);
        lister.found
    }
}

/// Collects names from the module's structure, leaving out the enum's variant.
struct Lister {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container: &str) {
        let variant = container.starts_with("Enum");
        self.path.push(if variant { String::new() } else { name.to_owned() });
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let parts: Vec<&str> = self.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let name = parts.join(".");
        debug_assert_eq!(param.id, id(&name), "parameter {name} was made under another name");
        // N-EM's rate is exported as a number, not as a list of one.
        let shape = if name == "lr" { Vec::new() } else { param.val().dims().to_vec() };
        self.found.push((name, shape));
    }
}

impl InnerNetwork {
    /// The weights, on the host.
    pub fn weights(&self) -> Arrays {
        self.read(None)
    }

    /// The gradients of the weights, on the host; zeros where the backward pass left no gradient.
    pub fn gradients(&self, gradients: &GradientsParams) -> Arrays {
        self.read(Some(gradients))
    }

    fn read(&self, gradients: Option<&GradientsParams>) -> Arrays {
        struct ValueReader<'a>(Option<&'a GradientsParams>, Vec<Vec<f32>>);
        impl ModuleVisitor for ValueReader<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val();
                let zeros = || Tensor::zeros(weight.dims(), &weight.device());
                self.1.push(host(match self.0 {
                    Some(gradients) => gradients.get::<D>(param.id).unwrap_or_else(zeros),
                    None => weight,
                }));
            }
        }
        let mut reader = ValueReader(gradients, Vec::new());
        self.visit(&mut reader);
        let named = self.parameters().into_iter().zip(reader.1);
        named.map(|((name, shape), values)| (name, Array { shape, values })).collect()
    }

    /// The inner network that `model` describes, with these weights. It records gradients if `device` does.
    ///
    /// # Errors
    /// Weights that are missing, unknown or of the wrong shape.
    pub fn with_weights(
        model: &ModelSpec,
        image: ImageSize,
        weights: &Arrays,
        device: &Device,
    ) -> Result<InnerNetwork, WeightsError> {
        let network = InnerNetwork::new(model, image, &mut Initial::given(weights, device));
        let parameters = network.parameters();
        let expected = || parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        for (name, shape) in &parameters {
            let Some(array) = weights.get(name) else {
                return Err(WeightsError::Missing { name: name.clone(), expected: expected() });
            };
            if &array.shape != shape {
                return Err(WeightsError::Shape {
                    name: name.clone(),
                    found: array.shape.clone(),
                    expected: shape.clone(),
                });
            }
        }
        if let Some(name) = weights.keys().find(|name| !parameters.iter().any(|(known, _)| known == *name)) {
            return Err(WeightsError::Unknown { name: name.clone(), expected: expected() });
        }
        Ok(network)
    }
}

#[cfg(test)]
thread_local! {
    /// How many parameters this thread has drawn.
    pub(crate) static DRAWN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
