//! Arithmetic on the gradients of a model: their norm, clipping, and sums over the shares of a batch.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_optim::GradientsParams;

use super::cell::InnerNetwork;

impl InnerNetwork {
    /// The squared Euclidean norm of all gradients together, on the device: \[1\].
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
        self.visit(&mut summer);
        let device = || self.devices().into_iter().next().unwrap_or_default().without_autodiff();
        summer.1.unwrap_or_else(|| Tensor::zeros([1], &device()))
    }

    /// `gradients` scaled so that their norm together is at most `limit`. The factor stays on the device.
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
        // For a norm of 0, limit/0 = ∞ is clamped to 1, so zeros stay zeros.
        let factor = norm.recip().mul_scalar(limit).clamp_max(1.0);
        let mut scaler = Scaler { gradients, factor };
        self.visit(&mut scaler);
        scaler.gradients
    }

    /// The sum of several sets of gradients, added in order.
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
        self.visit(&mut adder);
        adder.1
    }

    /// The same network with an autodiff graph of its own, so that both can run backward at the same time.
    pub fn with_own_graph(&self) -> InnerNetwork {
        struct Leaves;
        impl ModuleMapper for Leaves {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weight| {
                    let tracked = weight.is_require_grad();
                    weight.detach().set_require_grad(tracked)
                })
            }
        }
        self.clone().map(&mut Leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::DeviceName;
    use crate::nem::Nem;
    use crate::preset::Preset;

    /// Gradients with the same value everywhere.
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
        let cell = Nem::new(&preset, 1, &DeviceName::Flex.open().unwrap()).cell;
        let mut same = Same(value, GradientsParams::new());
        cell.visit(&mut same);
        let all = cell.clipped(same.1, limit);
        assert_eq!(all.len(), cell.parameters().len());
        cell.squared_norm(&all).sqrt().into_scalar::<f32>()
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
