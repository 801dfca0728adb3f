//! What a layer computes, as a description for backends.

use burn::tensor::Tensor;

use crate::preset::{Activation, LayerOutput};

/// Layers in order: (rows [R, I], recurrent state [R, units]) -> rows [R, O]. Only [`Op::Recurrent`] reads the state.
pub type Chain = Box<dyn Fn(Tensor<2>, Option<Tensor<2>>) -> Tensor<2>>;

/// Layer norm with a gain and an offset per channel.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Multiplied: \[C\].
    pub gain: Tensor<1>,
    /// Added: \[C\].
    pub offset: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// A layer's operation before layer norm and activation.
#[derive(Clone, Debug)]
pub enum Op {
    /// The identity, also between rows and maps.
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
        /// b: \[O\], if any.
        bias: Option<Tensor<1>>,
    },
    /// Wx·x + Wh·h + b, where h is the recurrent state.
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
    /// Convolution padded by 1, then a pixel shuffle: groups of four channels become blocks of 2x2 pixels.
    Upsample {
        /// [O·4, I, 3, 3].
        kernel: Tensor<4>,
        /// \[O·4\].
        bias: Tensor<1>,
    },
}

/// activation(LN(op(x))), or activation(op(x)) without a norm.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// The operation.
    pub op: Op,
    /// Layer norm over all values of a row.
    pub norm: Option<Norm>,
    /// The activation.
    pub activation: Activation,
    /// Shape of the input.
    pub from: LayerOutput,
    /// Shape of the output.
    pub to: LayerOutput,
}
