//! A model's weights by name: export and import. Names follow PyTorch's state dict (`recurrent.wx`,
//! `output.0.weight`, …).

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn_optim::GradientsParams;

use super::cell::InnerNetwork;
use super::initial::{Initial, id};
use super::tensor::host;
use crate::preset::{ImageSize, ModelSpec};
use crate::tensors::{Array, Arrays};

/// Why weights do not fit a model. Messages complete "these weights …".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A parameter of the model is missing.
    #[error("lack {name}; the model has {expected}, and they have {found}")]
    Missing {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
        /// The arrays there are, or the first of many.
        found: String,
    },
    /// The model has no such parameter.
    #[error("hold {name}, which the model does not have; it has {expected}")]
    Unknown {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
    },
    /// Two arrays could be the same parameter.
    #[error("hold both {first} and {second}, which are {name} under other names; keep one of them")]
    Twice {
        /// The parameter.
        name: String,
        /// One array.
        first: String,
        /// The other one.
        second: String,
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
    /// The names of the parameters of the inner network that `model` describes.
    pub fn names(model: &ModelSpec, image: ImageSize, device: &Device) -> Vec<String> {
        let none = Arrays::new();
        let network = InnerNetwork::new(model, image, &mut Initial::given(&none, device));
        network.parameters().into_iter().map(|(name, _)| name).collect()
    }

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
                let found = listed(weights.keys().map(String::as_str));
                return Err(WeightsError::Missing { name: name.clone(), expected: expected(), found });
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

/// The first few of these names, in words.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "no arrays".to_owned(),
        count if count > MOST => format!("{} and {} more", names[..MOST].join(", "), count - MOST),
        _ => names.join(", "),
    }
}
