//! Layers for maps in pixel order, [R, H·W·C] instead of [R, C·H·W], where convolutions and layer norm are fastest.
//! Weights that meet maps are reordered here, once per unroll.

use burn::tensor::Tensor;

use crate::backend::spec::{LayerSpec, Op};
use crate::preset::{ImageSize, LayerOutput};

/// A reordering of a row's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reorder {
    /// No change.
    None,
    /// From channels first to pixels first.
    ToPixels(ImageSize),
    /// From pixels first to channels first.
    ToChannels(ImageSize),
}

/// A layer in pixel order.
pub struct Ordered {
    /// Applied to the input, in this order.
    pub reorders: [Reorder; 2],
    /// The layer. Gain and offset have one value for every value of a row. An [`Op::Conv`] of few channels has a
    /// kernel [O, 4·I, 2, 2] for blocks of 2x2 pixels instead of a stride of 2.
    pub layer: LayerSpec,
}

/// `layers` in pixel order, and the final reordering of the output.
pub fn ordered(layers: Vec<LayerSpec>) -> (Vec<Ordered>, Reorder) {
    // The size of the current maps if they are in pixel order.
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
                // (channel, place in the block) to (place, channel), so that whole pixels move.
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

/// Maps for which the order makes a difference.
fn several(size: ImageSize) -> Option<ImageSize> {
    (size.channels > 1 && size.pixels() > 1).then_some(size)
}

fn maps(output: LayerOutput) -> Option<ImageSize> {
    match output {
        LayerOutput::Maps(size) => several(size),
        LayerOutput::Row(_) => None,
    }
}

/// The reordering before a convolution, for rows in the order `now`.
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

/// Convolutions of fewer channels leave most of a vector register unused.
const FEW: usize = 8;

/// A 4x4 kernel of stride 2, [O, I, 4, 4], as the equivalent 2x2 kernel of stride 1 with blocks of 2x2 pixels as
/// channels: [O, 4·I, 2, 2], (row, column) of the block first.
fn blocks(kernel: Tensor<4>) -> Tensor<4> {
    let [outputs, inputs, ..] = kernel.dims();
    kernel
        .reshape([outputs, inputs, 2, 2, 2, 2]) // rows: (tap, in block), columns: (tap, in block)
        .permute([0, 3, 5, 1, 2, 4])
        .reshape([outputs, 4 * inputs, 2, 2])
}
