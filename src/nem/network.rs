//! The layers of an inner network.
//!
//! Values between layers are rows, [B·K, values], with maps flattened channels first. Weights have PyTorch's
//! layout, [outputs, inputs, ..], so that exported files can be loaded there.
//!
//! A layer describes its computation as a [`LayerSpec`]. [`chain`] runs the backend's own implementation
//! ([`native::chain`]) or, without one, [`forward`]. What depends only on the weights is computed once
//! per unroll.

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, activation};

use super::initial::{Initial, glorot};
use super::tensor::tensor;
use crate::backend::native;
use crate::backend::spec::{Chain, LayerSpec, Norm, Op};
use crate::precision::Precision;
use crate::preset::{Activation, Distribution, ImageSize, Layer, LayerOutput, ModelSpec};

/// The shapes of a layer's input and output.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    from: LayerOutput,
    to: LayerOutput,
}

/// A layer, except the recurrent one.
#[derive(Module, Debug)]
pub enum NetworkLayer {
    /// Input normalisation, or a reshape.
    Weightless(Weightless),
    /// Fully connected.
    Dense(Dense),
    /// Convolution with stride 2.
    Conv(Conv),
    /// Nearest ×2, then convolution.
    UpsampleConv(UpsampleConv),
}

impl NetworkLayer {
    /// The layer `name` with Glorot-uniform weights and biases of 0 (paper, appendix).
    pub(super) fn new(
        initial: &mut Initial,
        name: &str,
        spec: Layer,
        (from, to): (LayerOutput, LayerOutput),
        &ModelSpec { distribution, epsilons, .. }: &ModelSpec,
    ) -> NetworkLayer {
        let norm = |has: bool| has.then_some(epsilons.layer_norm);
        let link = |activation| resolved(activation, distribution);
        let flow = Flow { from, to };
        let channels = |output| match output {
            LayerOutput::Maps(size) => size.channels,
            LayerOutput::Row(_) => unreachable!("validation refuses convolutions of rows"),
        };
        match spec {
            Layer::InputNorm => {
                NetworkLayer::Weightless(Weightless { normalises: Some(epsilons.input_norm), flow })
            }
            Layer::Reshape { .. } => NetworkLayer::Weightless(Weightless { normalises: None, flow }),
            Layer::Dense { layer_norm, activation, .. } => {
                let (inputs, units) = (from.values(), to.values());
                NetworkLayer::Dense(Dense {
                    weight: initial.uniform(
                        &format!("{name}.weight"),
                        [units, inputs],
                        glorot(inputs, units),
                    ),
                    bias: initial.zeros(&format!("{name}.bias"), [units]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), units),
                    link: link(activation),
                    flow,
                })
            }
            Layer::Conv { layer_norm, activation, .. } => {
                let (inputs, outputs) = (channels(from), channels(to));
                NetworkLayer::Conv(Conv {
                    weight: kernel(initial, name, inputs, outputs),
                    bias: initial.zeros(&format!("{name}.bias"), [outputs]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), outputs),
                    link: link(activation),
                    flow,
                })
            }
            Layer::UpsampleConv { layer_norm, activation, .. } => {
                let (inputs, outputs) = (channels(from), channels(to));
                NetworkLayer::UpsampleConv(UpsampleConv {
                    weight: kernel(initial, name, inputs, outputs),
                    bias: initial.zeros(&format!("{name}.bias"), [outputs]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), outputs),
                    link: link(activation),
                    flow,
                })
            }
            Layer::Recurrent { .. } => unreachable!("the cell makes the recurrent layer"),
        }
    }

    /// Its computation with the current weights.
    pub(super) fn described(&self) -> LayerSpec {
        let (op, ln, link, flow) = match self {
            NetworkLayer::Weightless(Weightless { normalises, flow }) => {
                let op = normalises.map_or(Op::Pass, |epsilon| Op::InputNorm { epsilon });
                (op, None, Activation::Linear, flow)
            }
            NetworkLayer::Dense(Dense { weight, bias, ln, link, flow }) => {
                let op = Op::Dense { weight: weight.val(), bias: Some(bias.val()) };
                (op, ln.as_ref(), *link, flow)
            }
            NetworkLayer::Conv(Conv { weight, bias, ln, link, flow }) => {
                (Op::Conv { kernel: weight.val(), bias: bias.val() }, ln.as_ref(), *link, flow)
            }
            NetworkLayer::UpsampleConv(layer) => (layer.folded(), layer.ln.as_ref(), layer.link, &layer.flow),
        };
        LayerSpec { op, norm: ln.map(LayerNorm::norm), activation: link, from: flow.from, to: flow.to }
    }
}

/// A 4x4 kernel; its fan-in and fan-out for Glorot's bound are channels x 16.
fn kernel(initial: &mut Initial, name: &str, inputs: usize, outputs: usize) -> Param<Tensor<4>> {
    let bound = glorot(inputs * 16, outputs * 16);
    initial.uniform(&format!("{name}.weight"), [outputs, inputs, 4, 4], bound)
}

/// A layer without weights.
#[derive(Module, Debug)]
pub struct Weightless {
    /// The ε of input normalisation; `None` for a reshape.
    #[module(skip)]
    normalises: Option<f64>,
    #[module(skip)]
    flow: Flow,
}

/// activation(LN(W·x + b)).
#[derive(Module, Debug)]
pub struct Dense {
    weight: Param<Tensor<2>>, // [outputs, inputs]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
    #[module(skip)]
    flow: Flow,
}

/// activation(LN(4x4 convolution with stride 2, padded by 1)).
#[derive(Module, Debug)]
pub struct Conv {
    weight: Param<Tensor<4>>, // [outputs, inputs, 4, 4]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
    #[module(skip)]
    flow: Flow,
}

/// activation(LN(every pixel repeated 2x2, then a 4x4 convolution padded by 1 before and 2 after)).
///
/// Taps that fall on copies of the same pixel can be summed beforehand. Along one axis, even outputs are then a
/// convolution of the small maps with [w0, w1+w2, w3] and odd ones with [0, w0+w1, w2+w3]. One 3x3 convolution
/// with four times the channels computes all four kinds of pixel, followed by a pixel shuffle. That is the same
/// function with 9/16 of the multiplications, on maps a quarter the size.
#[derive(Module, Debug)]
pub struct UpsampleConv {
    weight: Param<Tensor<4>>, // [outputs, inputs, 4, 4]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
    #[module(skip)]
    flow: Flow,
}

/// How the four taps of one axis fold into three, for even (first) and odd outputs.
const FOLD: [[[f32; 4]; 3]; 2] = [
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
    [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]],
];

impl UpsampleConv {
    /// The folded kernels, [outputs·4, inputs, 3, 3]. The four of an output are (even, even), (even, odd),
    /// (odd, even), (odd, odd) in (row, column).
    fn folded(&self) -> Op {
        let weight = self.weight.val();
        let [outputs, inputs, ..] = weight.dims();
        let mut fold = Vec::with_capacity(16 * 36);
        for (row, column) in (0..4).flat_map(|row| (0..4).map(move |column| (row, column))) {
            for (rows, columns) in
                FOLD.iter().flat_map(|rows| FOLD.iter().map(move |columns| (rows, columns)))
            {
                fold.extend(rows.iter().flat_map(|r| columns.iter().map(|c| r[row] * c[column])));
            }
        }
        let fold = tensor(fold, [16, 36], &weight.device());
        let kernels = weight.reshape([outputs * inputs, 16]).matmul(fold); // [O·I, (2·2)·(3·3)]
        let kernel =
            kernels.reshape([outputs, inputs, 4, 9]).swap_dims(1, 2).reshape([outputs * 4, inputs, 3, 3]);
        let bias = self.bias.val().reshape([outputs, 1]).repeat_dim(1, 4).reshape([outputs * 4]);
        Op::Upsample { kernel, bias }
    }
}

/// Layer norm's gain (`weight`) and offset (`bias`).
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>, // [channels]
    bias: Param<Tensor<1>>,   // [channels]
    /// ε.
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// The layer norm of the layer `name`; `None` without an ε.
    fn optional(
        initial: &mut Initial,
        name: &str,
        epsilon: Option<f64>,
        channels: usize,
    ) -> Option<LayerNorm> {
        epsilon.map(|epsilon| LayerNorm {
            weight: initial.ones(&format!("{name}.ln.weight"), [channels]),
            bias: initial.zeros(&format!("{name}.ln.bias"), [channels]),
            epsilon,
        })
    }

    fn norm(&self) -> Norm {
        Norm { gain: self.weight.val(), offset: self.bias.val(), epsilon: self.epsilon }
    }
}

/// Replaces [`Activation::Output`] by the activation for the pixel distribution.
fn resolved(activation: Activation, distribution: Distribution) -> Activation {
    match (activation, distribution) {
        (Activation::Output, Distribution::Bernoulli) => Activation::Sigmoid,
        (Activation::Output, Distribution::Gaussian { .. }) => Activation::Linear,
        (other, _) => other,
    }
}

fn activate(link: Activation, x: Tensor<2>) -> Tensor<2> {
    match link {
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Relu => activation::relu(x),
        Activation::Elu => activation::elu(x, 1.0),
        Activation::Linear => x,
        Activation::Output => unreachable!("it is resolved when the layer is made"),
    }
}

/// a = Wx·x + Wh·h + b; h ← σ(a). The output is h, or σ(LN(a)).
#[derive(Module, Debug)]
pub struct Recurrent {
    wx: Param<Tensor<2>>,   // [units, inputs]
    wh: Param<Tensor<2>>,   // [units, units]
    bias: Param<Tensor<1>>, // [units]
    ln: Option<LayerNorm>,
}

impl Recurrent {
    /// Wx and Wh share the Glorot bound of the joined matrix [Wx Wh]. `norm` is the ε of layer norm, if any.
    pub(super) fn new(initial: &mut Initial, inputs: usize, units: usize, norm: Option<f64>) -> Recurrent {
        let bound = glorot(inputs + units, units);
        Recurrent {
            wx: initial.uniform("recurrent.wx", [units, inputs], bound),
            wh: initial.uniform("recurrent.wh", [units, units], bound),
            bias: initial.zeros("recurrent.bias", [units]),
            ln: LayerNorm::optional(initial, "recurrent", norm, units),
        }
    }

    /// The pre-activation a, from the output of the layers before it.
    pub(super) fn sum(&self) -> LayerSpec {
        let (wx, wh, bias) = (self.wx.val(), self.wh.val(), self.bias.val());
        let [units, inputs] = wx.dims();
        LayerSpec {
            op: Op::Recurrent { wx, wh, bias },
            norm: None,
            activation: Activation::Linear,
            from: LayerOutput::Row(inputs),
            to: LayerOutput::Row(units),
        }
    }

    /// The output, from a.
    pub(super) fn output(&self) -> LayerSpec {
        let row = LayerOutput::Row(self.units());
        let norm = self.ln.as_ref().map(LayerNorm::norm);
        LayerSpec { op: Op::Pass, norm, activation: Activation::Sigmoid, from: row, to: row }
    }

    pub(super) fn device(&self) -> Device {
        self.bias.val().device()
    }

    /// Length of h.
    pub fn units(&self) -> usize {
        self.bias.val().dims()[0]
    }
}

/// Applies `layers` in order, with the backend's own implementation where it has one.
pub(super) fn chain(layers: Vec<LayerSpec>, precision: Precision, device: &Device) -> Chain {
    native::chain(&layers, precision, device).unwrap_or_else(|| {
        let layers: Vec<Chain> = layers.into_iter().map(forward).collect();
        Box::new(move |x, state| layers.iter().fold(x, |x, layer| layer(x, state.clone())))
    })
}

/// A layer composed of burn's operations.
fn forward(layer: LayerSpec) -> Chain {
    let LayerSpec { op, norm, activation: link, from, .. } = layer;
    let finish = move |y: Tensor<2>| {
        let y = match &norm {
            Some(norm) => normalised(y, norm),
            None => y,
        };
        activate(link, y)
    };
    let size = match from {
        LayerOutput::Maps(size) => size,
        LayerOutput::Row(values) => ImageSize { channels: values, height: 1, width: 1 },
    };
    match op {
        Op::Pass => Box::new(move |x, _| finish(x)),
        Op::InputNorm { epsilon } => Box::new(move |x, _| finish(standardised(x, epsilon))),
        Op::Dense { weight, bias } => {
            let (weight, bias) = (weight.transpose(), bias.map(Tensor::unsqueeze::<2>)); // [I, O], [1, O]
            Box::new(move |x, _| {
                let y = x.matmul(weight.clone());
                finish(match &bias {
                    Some(bias) => y + bias.clone(),
                    None => y,
                })
            })
        }
        Op::Recurrent { wx, wh, bias } => {
            let (wx, wh, bias) = (wx.transpose(), wh.transpose(), bias.unsqueeze::<2>());
            Box::new(move |x, h| {
                let Some(h) = h else { unreachable!("a recurrent layer gets its state") };
                finish(x.matmul(wx.clone()) + h.matmul(wh.clone()) + bias.clone())
            })
        }
        Op::Conv { kernel, bias } => Box::new(move |x, _| {
            let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
            finish(conv2d(as_maps(x, size), kernel.clone(), Some(bias.clone()), options).flatten(1, 3))
        }),
        Op::Upsample { kernel, bias } => {
            let outputs = bias.dims()[0] / 4;
            Box::new(move |x, _| {
                let rows = x.dims()[0];
                let ImageSize { height, width, .. } = size;
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                let kinds = conv2d(as_maps(x, size), kernel.clone(), Some(bias.clone()), options);
                let placed = kinds.reshape([rows * outputs, 2, 2, height, width]).permute([0, 3, 1, 4, 2]);
                finish(placed.reshape([rows, outputs * height * 2 * width * 2]))
            })
        }
    }
}

/// Rows reshaped to maps.
fn as_maps(x: Tensor<2>, size: ImageSize) -> Tensor<4> {
    let rows = x.dims()[0];
    x.reshape([rows, size.channels, size.height, size.width])
}

/// (x − mean)/√(variance + ε) of each row.
fn standardised(x: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1); // [B·K, 1]
    centred * variance.add_scalar(epsilon).sqrt().recip()
}

/// Group norm with one group: (x − mean)/√(variance + ε) over a row, then a gain and an offset per channel.
fn normalised(x: Tensor<2>, norm: &Norm) -> Tensor<2> {
    let [rows, values] = x.dims();
    let channels = norm.gain.dims()[0];
    let (gain, offset) = (norm.gain.clone().unsqueeze::<2>(), norm.offset.clone().unsqueeze::<2>()); // [1, channels]
    let standard = standardised(x, norm.epsilon);
    if values == channels {
        return standard * gain + offset;
    }
    let maps = standard.reshape([rows, channels, values / channels]);
    let maps = maps * gain.unsqueeze_dim(2) + offset.unsqueeze_dim(2);
    maps.reshape([rows, values])
}
