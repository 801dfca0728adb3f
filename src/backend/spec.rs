//! What a layer computes, described for backends with their own implementation.

use burn::tensor::Tensor;

use crate::preset::{Activation, LayerOutput};

/// What layers make of rows, [R, values], and of the recurrent state, [R, units], which a [`Op::Recurrent`] reads.
pub type Chain = Box<dyn Fn(Tensor<2>, Option<Tensor<2>>) -> Tensor<2>>;

/// Layer norm with a gain and an offset for each of C channels: \[C\], \[C\].
#[derive(Clone, Debug)]
pub struct Norm {
    /// Multiplied.
    pub gain: Tensor<1>,
    /// Added.
    pub offset: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What a layer computes before layer norm and activation.
#[derive(Clone, Debug)]
pub enum Op {
    /// Nothing: rows stay as they are, or become maps of the same values.
    Pass,
    /// (x − mean)/√(variance + ε) of each row.
    InputNorm {
        /// ε.
        epsilon: f64,
    },
    /// W·x + b.
    Dense {
        /// W: [O, I].
        weight: Tensor<2>,
        /// b: \[O\], where there is one.
        bias: Option<Tensor<1>>,
    },
    /// Wx·x + Wh·h + b, h being the recurrent state.
    Recurrent {
        /// Wx: [units, I].
        wx: Tensor<2>,
        /// Wh: [units, units].
        wh: Tensor<2>,
        /// b: \[units\].
        bias: Tensor<1>,
    },
    /// Convolution with stride 2, padded by 1.
    Conv {
        /// [O, I, 4, 4].
        kernel: Tensor<4>,
        /// \[O\].
        bias: Tensor<1>,
    },
    /// Convolution padded by 1, whose groups of four channels then become blocks of 2x2 pixels.
    Upsample {
        /// [O·4, I, 3, 3].
        kernel: Tensor<4>,
        /// \[O·4\].
        bias: Tensor<1>,
    },
}

/// activation(LN(op(x))), LN where there is a norm.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// What it computes first.
    pub op: Op,
    /// Layer norm over all that it puts out for a row.
    pub norm: Option<Norm>,
    /// Applied last.
    pub activation: Activation,
    /// What it reads.
    pub from: LayerOutput,
    /// What it puts out.
    pub to: LayerOutput,
}
