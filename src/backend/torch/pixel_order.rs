//! Layers for maps whose values lie pixel by pixel, as convolutions and layer norm are computed fastest: [R, H·W·C],
//! not [R, C·H·W]. Weights that meet maps are put in that order here, once for all steps of an unroll.

use burn::tensor::Tensor;

use crate::backend::spec::{LayerSpec, Op};
use crate::preset::{ImageSize, LayerOutput};

/// A change of the order of a row's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reorder {
    /// As they are.
    None,
    /// From channels first to pixels first.
    ToPixels(ImageSize),
    /// Back.
    ToChannels(ImageSize),
}

/// A layer in pixel order.
pub struct Ordered {
    /// Applied to its input, in this order.
    pub reorders: [Reorder; 2],
    /// The layer. Its gain and offset hold a value for every value of a row; the kernel of an [`Op::Conv`] that
    /// reads few channels is [O, 4·I, 2, 2] and reads blocks of 2x2 pixels instead of every other pixel.
    pub layer: LayerSpec,
}

/// `layers` in pixel order, and the final reordering of the output.
pub fn ordered(layers: Vec<LayerSpec>) -> (Vec<Ordered>, Reorder) {
    // The maps that lie in pixel order at this point, if any do.
    let mut now: Option<ImageSize> = None;
    let mut ordered: Vec<Ordered> = Vec::new();
    let mut layers = layers.into_iter().peekable();
    while let Some(mut layer) = layers.next() {
        let mut reorders = [Reorder::None; 2];
        let becomes_maps = match (&layer.op, layers.peek()) {
            (Op::Dense { .. }, Some(LayerSpec { op: Op::Pass, to: LayerOutput::Maps(size), .. })) => {
                several(*size)
            }
            _ => None,
        };
        match &mut layer.op {
            Op::InputNorm { .. } => {}
            Op::Pass => {
                let to = maps(layer.to);
                if now != to {
                    reorders = [
                        now.map_or(Reorder::None, Reorder::ToChannels),
                        to.map_or(Reorder::None, Reorder::ToPixels),
                    ];
                    now = to;
                }
            }
            Op::Dense { weight, bias } => {
                if let Some(size) = now {
                    *weight = columns(weight.clone(), size);
                }
                if let Some(size) = becomes_maps {
                    *weight = columns(weight.clone().transpose(), size).transpose();
                    *bias = bias.take().map(|bias| values(bias, size));
                    if let Some(norm) = &mut layer.norm {
                        norm.gain = values(norm.gain.clone(), size);
                        norm.offset = values(norm.offset.clone(), size);
                    }
                }
                now = becomes_maps;
            }
            Op::Recurrent { wx, .. } => {
                if let Some(size) = now.take() {
                    *wx = columns(wx.clone(), size);
                }
            }
            Op::Conv { kernel, .. } => {
                reorders[0] = enter(now, layer.from);
                if kernel.dims()[1] < FEW {
                    *kernel = blocks(kernel.clone());
                }
                now = maps(layer.to);
            }
            Op::Upsample { kernel, bias } => {
                reorders[0] = enter(now, layer.from);
                // (channel, place in the block) to (place, channel), so that whole pixels are moved.
                let [outputs, inputs, height, width] = kernel.dims();
                let taps = inputs * height * width;
                *kernel = kernel
                    .clone()
                    .reshape([outputs / 4, 4, taps])
                    .swap_dims(0, 1)
                    .reshape([outputs, inputs, height, width]);
                *bias = bias.clone().reshape([outputs / 4, 4]).transpose().reshape([outputs]);
                now = maps(layer.to);
            }
        }
        if let (Op::Conv { .. } | Op::Upsample { .. }, LayerOutput::Maps(size), Some(norm)) =
            (&layer.op, layer.to, &mut layer.norm)
        {
            let everywhere = |of: &Tensor<1>| {
                let of = of.clone().unsqueeze::<2>().repeat_dim(0, size.pixels());
                of.reshape([size.values()])
            };
            norm.gain = everywhere(&norm.gain);
            norm.offset = everywhere(&norm.offset);
        }
        ordered.push(Ordered { reorders, layer });
    }
    (ordered, now.map_or(Reorder::None, Reorder::ToChannels))
}

/// Maps whose order matters.
fn several(size: ImageSize) -> Option<ImageSize> {
    (size.channels > 1 && size.pixels() > 1).then_some(size)
}

fn maps(output: LayerOutput) -> Option<ImageSize> {
    match output {
        LayerOutput::Maps(size) => several(size),
        LayerOutput::Row(_) => None,
    }
}

/// How rows in the order `now` become the maps that a convolution reads.
fn enter(now: Option<ImageSize>, from: LayerOutput) -> Reorder {
    match (now.is_some(), maps(from)) {
        (false, Some(size)) => Reorder::ToPixels(size),
        _ => Reorder::None,
    }
}

/// [O, C·P] to [O, P·C].
fn columns(weight: Tensor<2>, size: ImageSize) -> Tensor<2> {
    let [outputs, inputs] = weight.dims();
    weight.reshape([outputs, size.channels, size.pixels()]).swap_dims(1, 2).reshape([outputs, inputs])
}

/// [C·P] to [P·C].
fn values(of: Tensor<1>, size: ImageSize) -> Tensor<1> {
    of.reshape([size.channels, size.pixels()]).transpose().reshape([size.values()])
}

/// Convolutions of fewer channels than this leave most of a vector register unused.
const FEW: usize = 8;

/// A 4x4 kernel of stride 2, [O, I, 4, 4], as the 2x2 kernel of stride 1 that reads blocks of 2x2 pixels as
/// channels: [O, 4·I, 2, 2], (row, column) of the block first. It is the same sum.
fn blocks(kernel: Tensor<4>) -> Tensor<4> {
    let [outputs, inputs, ..] = kernel.dims();
    kernel
        .reshape([outputs, inputs, 2, 2, 2, 2]) // rows: (tap, in block), columns: (tap, in block)
        .permute([0, 3, 5, 1, 2, 4])
        .reshape([outputs, 4 * inputs, 2, 2])
}
