//! Layers for which a backend has a better way than the composition in `nem::network`, which says what they
//! compute and stands for all others.
//!
//! Each function answers `None` where the weights' device has no way of its own.

use burn::tensor::Tensor;

use crate::preset::{Activation, ImageSize};

/// What a layer makes of rows: [R, values] in, [R, values] out.
pub type Forward<'a> = Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>;

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

/// How rows are convolved as maps.
#[derive(Clone, Copy, Debug)]
pub struct Maps {
    /// What a row is.
    pub size: ImageSize,
    /// The stride, both ways; the padding is 1.
    pub stride: i64,
    /// Whether groups of four channels become blocks of 2x2 pixels.
    pub shuffle: bool,
}

/// activation(LN(W·x + b)), LN where there is a norm: `weight` [O, I], `bias` \[O\].
pub fn dense<'a>(
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    norm: Option<&Norm>,
    activation: Activation,
) -> Option<Forward<'a>> {
    own(weight, bias, norm, activation, None)
}

/// activation(LN(convolution by `kernel` [O, I, h, w] + `bias` \[O\])).
pub fn maps<'a>(
    kernel: &Tensor<4>,
    bias: &Tensor<1>,
    norm: Option<&Norm>,
    activation: Activation,
    how: Maps,
) -> Option<Forward<'a>> {
    own(kernel, bias, norm, activation, Some(how))
}

fn own<'a, const D: usize>(
    weight: &Tensor<D>,
    bias: &Tensor<1>,
    norm: Option<&Norm>,
    activation: Activation,
    maps: Option<Maps>,
) -> Option<Forward<'a>> {
    #[cfg(feature = "libtorch")]
    if super::libtorch::is(&weight.device()) {
        return Some(super::torch::layer(weight, bias, norm, activation, maps));
    }
    let _ = (weight, bias, norm, activation, maps);
    None
}
