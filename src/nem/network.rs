//! The layers an inner network is made of.
//!
//! Weights are laid out as PyTorch has them, [outputs, inputs], so that exported files read the same
//! there.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use super::weights::Initial;
use crate::preset::{Activation, Distribution};

/// activation(W·x + b).
#[derive(Module, Debug)]
pub struct Dense {
    weight: Param<Tensor<2>>, // [outputs, inputs]
    bias: Param<Tensor<1>>,   // [outputs]
    #[module(skip)]
    activation: Link,
}

/// A non-linearity, with [`Activation::Output`] resolved.
#[derive(Clone, Copy, Debug)]
enum Link {
    Sigmoid,
    Relu,
    Elu,
    Linear,
}

impl Dense {
    /// Weights Glorot-uniform, biases 0 (paper, appendix).
    pub(super) fn new(
        initial: &mut Initial,
        name: &str,
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        distribution: Distribution,
    ) -> Dense {
        Dense {
            weight: initial.uniform(&format!("{name}.weight"), [outputs, inputs], glorot(inputs, outputs)),
            bias: initial.zeros(&format!("{name}.bias"), [outputs]),
            activation: Link::new(activation, distribution),
        }
    }

    /// `x` is [rows, inputs]; returns [rows, outputs].
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze();
        match self.activation {
            Link::Sigmoid => activation::sigmoid(y),
            Link::Relu => activation::relu(y),
            Link::Elu => activation::elu(y, 1.0),
            Link::Linear => y,
        }
    }
}

impl Link {
    fn new(activation: Activation, distribution: Distribution) -> Link {
        match (activation, distribution) {
            (Activation::Sigmoid, _) | (Activation::Output, Distribution::Bernoulli) => Link::Sigmoid,
            (Activation::Linear, _) | (Activation::Output, Distribution::Gaussian { .. }) => Link::Linear,
            (Activation::Relu, _) => Link::Relu,
            (Activation::Elu, _) => Link::Elu,
        }
    }
}

/// h ← σ(Wx·x + Wh·h + b).
#[derive(Module, Debug)]
pub struct Recurrent {
    wx: Param<Tensor<2>>,   // [units, inputs]
    wh: Param<Tensor<2>>,   // [units, units]
    bias: Param<Tensor<1>>, // [units]
}

impl Recurrent {
    /// Wx and Wh share one Glorot bound, as the joined matrix [Wx Wh] has it.
    pub(super) fn new(initial: &mut Initial, inputs: usize, units: usize) -> Recurrent {
        let bound = glorot(inputs + units, units);
        Recurrent {
            wx: initial.uniform("recurrent.wx", [units, inputs], bound),
            wh: initial.uniform("recurrent.wh", [units, units], bound),
            bias: initial.zeros("recurrent.bias", [units]),
        }
    }

    /// `x` is [rows, inputs], `h` [rows, units]; returns the new h.
    pub fn forward(&self, x: Tensor<2>, h: Tensor<2>) -> Tensor<2> {
        let a = x.matmul(self.wx.val().transpose()) + h.matmul(self.wh.val().transpose());
        activation::sigmoid(a + self.bias.val().unsqueeze())
    }

    /// Length of h.
    pub fn units(&self) -> usize {
        self.bias.val().dims()[0]
    }
}

/// The bound of Glorot and Bengio's uniform initialisation (2010, eq. 16).
pub(super) fn glorot(inputs: usize, outputs: usize) -> f64 {
    (6.0 / (inputs + outputs) as f64).sqrt()
}
