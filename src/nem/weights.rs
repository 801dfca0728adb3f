//! A model's weights by name, on the host: how they begin, leave and come back.
//!
//! Names are those of a PyTorch state dict (`recurrent.wx`, `output.0.weight`, …). A parameter's id
//! is derived from its name, so that an optimizer's state, which burn keys by id, finds its
//! parameter again in another process.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::{Cell, Nem, host, tensor};
use crate::preset::Preset;
use crate::random::{Purpose, Stream};
use crate::tensors::{Array, Arrays};

/// Why weights do not fit a model. The sentences complete "these weights …".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// The model has a parameter that the weights lack.
    #[error("lack {name}; the model has {expected}")]
    Missing {
        /// The parameter.
        name: String,
        /// All the model's parameters.
        expected: String,
    },
    /// The weights have a parameter that the model lacks.
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

/// The id burn knows the parameter `name` by.
fn id(name: &str) -> ParamId {
    let digest = Sha256::digest(name.as_bytes());
    let mut word = [0; 8];
    word.copy_from_slice(&digest[..8]);
    ParamId::from(u64::from_le_bytes(word))
}

/// The values a model is built with: drawn, or given.
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

    /// Uniform in ±`bound`. Every parameter has its own stream, so none depends on the others.
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

    /// A parameter, which is tracked where the device records gradients.
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
                // `Nem::with_weights` refuses the model.
                _ => Tensor::zeros(shape, self.device),
            },
        };
        Param::initialized(id(name), value.set_require_grad(self.device.is_autodiff()))
    }

    /// A single number, uniform in ±`bound`. burn has no tensor without axes, so it is [1].
    pub(super) fn scalar(&mut self, name: &str, bound: f64) -> Param<Tensor<1>> {
        self.uniform(name, [1], bound)
    }
}

impl Cell {
    /// Every parameter's name with the shape it is exported with.
    fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut lister = Lister { path: Vec::new(), found: Vec::new() };
        self.visit(&mut lister);
        lister.found
    }
}

/// Collects names from the module's structure. The enum's variant is not part of a name.
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
        // N-EM's rate is a number, not a list of one.
        let shape = if name == "lr" { Vec::new() } else { param.val().dims().to_vec() };
        self.found.push((name, shape));
    }
}

impl Nem {
    /// How many weights there are.
    pub fn parameter_count(&self) -> usize {
        self.cell.num_params()
    }

    /// How many tensors they are in.
    pub fn parameter_tensors(&self) -> usize {
        self.cell.parameters().len()
    }

    /// The weights.
    pub fn weights(&self) -> Arrays {
        self.read(None)
    }

    /// The gradients of the weights, as a backward pass left them; zeros where it reached none.
    pub fn gradients(&self, gradients: &GradientsParams) -> Arrays {
        self.read(Some(gradients))
    }

    /// The sum of the squares of all gradients, on the device.
    pub fn squared_norm(&self, gradients: &GradientsParams) -> Tensor<1> {
        struct Summer<'a>(&'a GradientsParams, Option<Tensor<1>>);
        impl ModuleVisitor for Summer<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(gradient) = self.0.get::<D>(param.id) else { return };
                let squares = gradient.square().sum();
                self.1 = Some(match self.1.take() {
                    Some(sum) => sum + squares,
                    None => squares,
                });
            }
        }
        let mut summer = Summer(gradients, None);
        self.cell.visit(&mut summer);
        let device = || self.cell.devices().into_iter().next().unwrap_or_default().without_autodiff();
        summer.1.unwrap_or_else(|| Tensor::zeros([1], &device()))
    }

    /// `gradients`, all scaled by one factor so that the norm of them together is at most `limit`. The factor
    /// stays on the device.
    pub fn clipped(&self, gradients: GradientsParams, limit: f64) -> GradientsParams {
        struct Scaler {
            gradients: GradientsParams,
            factor: Tensor<1>,
        }
        impl ModuleVisitor for Scaler {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
                self.gradients.register(param.id, gradient * self.factor.clone().unsqueeze());
            }
        }
        let norm = self.squared_norm(&gradients).sqrt();
        // A norm of 0 gives limit/0 = ∞, which the clamp makes 1, so that zeros stay zeros.
        let factor = norm.recip().mul_scalar(limit).clamp_max(1.0);
        let mut scaler = Scaler { gradients, factor };
        self.cell.visit(&mut scaler);
        scaler.gradients
    }

    /// The sum of some gradients, added in their order.
    pub fn added(&self, of: Vec<GradientsParams>) -> GradientsParams {
        struct Adder(Vec<GradientsParams>, GradientsParams);
        impl ModuleVisitor for Adder {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let gradients = self.0.iter_mut().filter_map(|of| of.remove::<D>(param.id));
                if let Some(sum) = gradients.reduce(|sum, gradient| sum + gradient) {
                    self.1.register(param.id, sum);
                }
            }
        }
        let mut adder = Adder(of, GradientsParams::new());
        self.cell.visit(&mut adder);
        adder.1
    }

    /// The same model, whose gradients are recorded apart from this one's, so that both can be worked out at once.
    pub fn with_own_graph(&self) -> Nem {
        struct Leaves;
        impl ModuleMapper for Leaves {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weight| {
                    let tracked = weight.is_require_grad();
                    weight.detach().set_require_grad(tracked)
                })
            }
        }
        self.with_cell(self.cell.clone().map(&mut Leaves))
    }

    fn read(&self, gradients: Option<&GradientsParams>) -> Arrays {
        struct Reader<'a>(Option<&'a GradientsParams>, Vec<Vec<f32>>);
        impl ModuleVisitor for Reader<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let weight = param.val();
                let zeros = || Tensor::zeros(weight.dims(), &weight.device());
                self.1.push(host(match self.0 {
                    Some(gradients) => gradients.get::<D>(param.id).unwrap_or_else(zeros),
                    None => weight,
                }));
            }
        }
        let mut reader = Reader(gradients, Vec::new());
        self.cell.visit(&mut reader);
        let named = self.cell.parameters().into_iter().zip(reader.1);
        named.map(|((name, shape), values)| (name, Array { shape, values })).collect()
    }

    /// The model that `preset` describes, with these weights. Gradients are recorded where `device` records them.
    ///
    /// # Errors
    /// Weights that are missing, unknown, or of another shape: another architecture's.
    pub fn with_weights(preset: &Preset, weights: &Arrays, device: &Device) -> Result<Nem, WeightsError> {
        let nem = Nem::built(preset, &mut Initial::given(weights, device));
        let parameters = nem.cell.parameters();
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
        Ok(nem)
    }
}

#[cfg(test)]
thread_local! {
    /// How many parameters this thread has drawn.
    pub(crate) static DRAWN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;

    /// Gradients of the same value everywhere.
    struct Same(f64, GradientsParams);
    impl ModuleVisitor for Same {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let weight = param.val();
            self.1.register(param.id, Tensor::<D>::full(weight.dims(), self.0, &weight.device()));
        }
    }

    /// The norm of gradients that are `value` everywhere, after clipping.
    fn clipped(value: f64, limit: f64) -> f32 {
        let preset = Preset::load("quickstart").unwrap();
        let nem = Nem::new(&preset, 1, &DeviceName::Flex.open().unwrap());
        let mut same = Same(value, GradientsParams::new());
        nem.cell.visit(&mut same);
        let all = nem.clipped(same.1, limit);
        assert_eq!(all.len(), nem.cell.parameters().len());
        nem.squared_norm(&all).sqrt().into_scalar::<f32>()
    }

    #[test]
    fn clipped_gradients_are_as_long_as_allowed_and_zeros_stay_zeros() {
        assert!((clipped(1.0, 0.5) - 0.5).abs() < 1e-4);
        assert!((clipped(-3.0, 2.0) - 2.0).abs() < 1e-4);
        assert_eq!(clipped(0.0, 0.5), 0.0);
        let short = clipped(1e-6, 1.0);
        assert!(short > 0.0 && short < 1e-2, "{short}");
    }
}
