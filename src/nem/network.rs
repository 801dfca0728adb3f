//! The layers an inner network is made of.
//!
//! Between layers everything is a row: [B·K, values], maps flattened channels first. Weights are
//! laid out as PyTorch has them, [outputs, inputs, ..], so that exported files read the same there.
//!
//! `forward` returns a closure: what depends on the weights alone is worked out once, and shared by
//! all steps of an unroll. Where [`layers`] offers a device's own way to compute a layer, that is taken;
//! what is written here is what it has to compute.

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, activation};

use super::tensor;
use super::weights::Initial;
use crate::backend::layers::{self, Forward, Maps, Norm};
use crate::preset::{self, Activation, Distribution, ImageSize, LayerOutput, Model};

/// A layer, except the recurrent one.
#[derive(Module, Debug)]
pub enum Layer {
    /// Input normalisation, or a reshape.
    Weightless(Weightless),
    /// Fully connected.
    Dense(Dense),
    /// Convolution with stride 2.
    Conv(Conv),
    /// Nearest ×2, then convolution.
    UpsampleConv(UpsampleConv),
}

impl Layer {
    /// The layer `name`, which makes `to` of `from`. Weights begin Glorot-uniform, biases 0 (paper,
    /// appendix).
    pub(super) fn new(
        initial: &mut Initial,
        name: &str,
        spec: preset::Layer,
        (from, to): (LayerOutput, LayerOutput),
        &Model { distribution, epsilons, .. }: &Model,
    ) -> Layer {
        use preset::Layer as Spec;
        let norm = |has: bool| has.then_some(epsilons.layer_norm);
        let link = |activation| resolved(activation, distribution);
        let maps = |output| match output {
            LayerOutput::Maps(size) => size,
            LayerOutput::Row(_) => unreachable!("validation refuses convolutions of rows"),
        };
        match spec {
            Spec::InputNorm => Layer::Weightless(Weightless { normalises: Some(epsilons.input_norm) }),
            Spec::Reshape { .. } => Layer::Weightless(Weightless { normalises: None }),
            Spec::Dense { layer_norm, activation, .. } => {
                let (inputs, units) = (from.values(), to.values());
                Layer::Dense(Dense {
                    weight: initial.uniform(
                        &format!("{name}.weight"),
                        [units, inputs],
                        glorot(inputs, units),
                    ),
                    bias: initial.zeros(&format!("{name}.bias"), [units]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), units),
                    link: link(activation),
                })
            }
            Spec::Conv { layer_norm, activation, .. } => {
                let (from, to) = (maps(from), maps(to));
                Layer::Conv(Conv {
                    weight: kernel(initial, name, from.channels, to.channels),
                    bias: initial.zeros(&format!("{name}.bias"), [to.channels]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), to.channels),
                    link: link(activation),
                    from,
                })
            }
            Spec::UpsampleConv { layer_norm, activation, .. } => {
                let (from, to) = (maps(from), maps(to));
                Layer::UpsampleConv(UpsampleConv {
                    weight: kernel(initial, name, from.channels, to.channels),
                    bias: initial.zeros(&format!("{name}.bias"), [to.channels]),
                    ln: LayerNorm::optional(initial, name, norm(layer_norm), to.channels),
                    link: link(activation),
                    from,
                })
            }
            Spec::Recurrent { .. } => unreachable!("the cell makes the recurrent layer"),
        }
    }

    /// What the layer does.
    pub(super) fn forward(&self) -> Forward<'_> {
        match self {
            Layer::Weightless(layer) => layer.forward(),
            Layer::Dense(layer) => layer.forward(),
            Layer::Conv(layer) => layer.forward(),
            Layer::UpsampleConv(layer) => layer.forward(),
        }
    }
}

/// A kernel of 4x4 with Glorot's bound for as many inputs and outputs as it has taps.
fn kernel(initial: &mut Initial, name: &str, inputs: usize, outputs: usize) -> Param<Tensor<4>> {
    let bound = glorot(inputs * 16, outputs * 16);
    initial.uniform(&format!("{name}.weight"), [outputs, inputs, 4, 4], bound)
}

/// A layer without weights.
#[derive(Module, Debug)]
pub struct Weightless {
    /// If it is input normalisation, what it adds to the variance; a reshape changes nothing between layers
    /// that exchange rows.
    #[module(skip)]
    normalises: Option<f64>,
}

impl Weightless {
    fn forward(&self) -> Forward<'_> {
        let Some(epsilon) = self.normalises else { return Box::new(|x| x) };
        Box::new(move |x| {
            let centred = x.clone() - x.mean_dim(1);
            let variance = centred.clone().square().mean_dim(1); // [B·K, 1]
            centred * variance.add_scalar(epsilon).sqrt().recip()
        })
    }
}

/// activation(LN(W·x + b)).
#[derive(Module, Debug)]
pub struct Dense {
    weight: Param<Tensor<2>>, // [outputs, inputs]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
}

impl Dense {
    fn forward(&self) -> Forward<'_> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let norm = self.ln.as_ref().map(LayerNorm::norm);
        layers::dense(&weight, &bias, norm.as_ref(), self.link).unwrap_or_else(|| {
            let (weight, bias) = (weight.transpose(), bias.unsqueeze::<2>()); // [inputs, outputs], [1, outputs]
            let finish = finish(self.ln.as_ref(), self.link);
            Box::new(move |x| finish(x.matmul(weight.clone()) + bias.clone()))
        })
    }
}

/// activation(LN(4x4 convolution with stride 2, padded by 1)).
#[derive(Module, Debug)]
pub struct Conv {
    weight: Param<Tensor<4>>, // [outputs, inputs, 4, 4]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
    /// Size of the maps it reads.
    #[module(skip)]
    from: ImageSize,
}

impl Conv {
    fn forward(&self) -> Forward<'_> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let how = Maps { size: self.from, stride: 2, shuffle: false };
        layers::maps(&weight, &bias, self.ln.as_ref().map(LayerNorm::norm).as_ref(), self.link, how)
            .unwrap_or_else(|| {
                let finish = finish(self.ln.as_ref(), self.link);
                Box::new(move |x| {
                    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
                    let maps = as_maps(x, self.from);
                    finish(conv2d(maps, weight.clone(), Some(bias.clone()), options).flatten(1, 3))
                })
            })
    }
}

/// activation(LN(every pixel repeated 2x2, then a 4x4 convolution padded by 1 before and 2 after)).
///
/// Of the 16 taps that a pixel of the enlarged maps is made of, those that fall on copies of the
/// same pixel can be summed beforehand. Along one axis, the even outputs are then a convolution of
/// the small maps with [w0, w1+w2, w3] and the odd ones with [0, w0+w1, w2+w3]; so one 3x3
/// convolution to four times the channels computes all four kinds of pixel, and they only have to be
/// put in their places. It is the same function for 9/16 of the multiplications, on maps a quarter
/// as large.
#[derive(Module, Debug)]
pub struct UpsampleConv {
    weight: Param<Tensor<4>>, // [outputs, inputs, 4, 4]
    bias: Param<Tensor<1>>,   // [outputs]
    ln: Option<LayerNorm>,
    #[module(skip)]
    link: Activation,
    /// Size of the maps it reads.
    #[module(skip)]
    from: ImageSize,
}

/// How the four taps of one axis add up to three, for even (first) and odd outputs.
const FOLD: [[[f32; 4]; 3]; 2] = [
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
    [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]],
];

impl UpsampleConv {
    /// The 3x3 kernels: [outputs·4, inputs, 3, 3], the four of an output being (even, even),
    /// (even, odd), (odd, even), (odd, odd) in (row, column).
    fn folded(&self) -> Tensor<4> {
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
        kernels.reshape([outputs, inputs, 4, 9]).swap_dims(1, 2).reshape([outputs * 4, inputs, 3, 3])
    }

    fn forward(&self) -> Forward<'_> {
        let kernels = self.folded();
        let outputs = self.bias.val().dims()[0];
        let bias = self.bias.val().reshape([outputs, 1]).repeat_dim(1, 4).reshape([outputs * 4]);
        let how = Maps { size: self.from, stride: 1, shuffle: true };
        let norm = self.ln.as_ref().map(LayerNorm::norm);
        layers::maps(&kernels, &bias, norm.as_ref(), self.link, how).unwrap_or_else(|| {
            let finish = finish(self.ln.as_ref(), self.link);
            Box::new(move |x| {
                let rows = x.dims()[0];
                let ImageSize { height, width, .. } = self.from;
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                let kinds = conv2d(as_maps(x, self.from), kernels.clone(), Some(bias.clone()), options);
                let placed = kinds.reshape([rows * outputs, 2, 2, height, width]).permute([0, 3, 1, 4, 2]);
                finish(placed.reshape([rows, outputs * height * 2 * width * 2]))
            })
        })
    }
}

/// Rows as the maps they are.
fn as_maps(x: Tensor<2>, size: ImageSize) -> Tensor<4> {
    let rows = x.dims()[0];
    x.reshape([rows, size.channels, size.height, size.width])
}

/// Layer norm, where there is one, and the activation.
fn finish(ln: Option<&LayerNorm>, link: Activation) -> Forward<'_> {
    match ln {
        None => Box::new(move |x| activate(link, x)),
        Some(ln) => {
            let norm = ln.forward();
            Box::new(move |x| activate(link, norm(x)))
        }
    }
}

/// (x − mean)/√(variance + ε) over all values of a row, then a gain and a bias for each channel:
/// group norm with one group.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>, // [channels]
    bias: Param<Tensor<1>>,   // [channels]
    /// ε.
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    /// The layer norm of the layer `name`, if it has one, which then has an ε.
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

    fn forward(&self) -> Forward<'_> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let channels = bias.dims()[0];
        let (weight, bias) = (weight.unsqueeze::<2>(), bias.unsqueeze::<2>()); // [1, channels]
        let epsilon = self.epsilon;
        Box::new(move |x| {
            let [rows, values] = x.dims();
            let centred = x.clone() - x.mean_dim(1);
            let variance = centred.clone().square().mean_dim(1); // [B·K, 1]
            let scale = variance.add_scalar(epsilon).sqrt().recip() * weight.clone(); // [B·K, channels]
            if values == channels {
                return centred * scale + bias.clone();
            }
            let maps = centred.reshape([rows, channels, values / channels]);
            let maps = maps * scale.unsqueeze_dim(2) + bias.clone().unsqueeze_dim(2);
            maps.reshape([rows, values])
        })
    }
}

/// The activation, with [`Activation::Output`] replaced by what the pixel distribution needs.
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
        Activation::Output => unreachable!("a layer's output activation is resolved when it is made"),
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

/// (x, h) to (output, new h).
pub(super) type RecurrentForward<'a> = Box<dyn Fn(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>) + 'a>;

impl Recurrent {
    /// Wx and Wh share one Glorot bound, as the joined matrix [Wx Wh] has it. `norm` is the ε of its layer
    /// norm, where it has one.
    pub(super) fn new(initial: &mut Initial, inputs: usize, units: usize, norm: Option<f64>) -> Recurrent {
        let bound = glorot(inputs + units, units);
        Recurrent {
            wx: initial.uniform("recurrent.wx", [units, inputs], bound),
            wh: initial.uniform("recurrent.wh", [units, units], bound),
            bias: initial.zeros("recurrent.bias", [units]),
            ln: LayerNorm::optional(initial, "recurrent", norm, units),
        }
    }

    /// `x` is [B·K, inputs], `h` [B·K, units].
    pub(super) fn forward(&self) -> RecurrentForward<'_> {
        let (wx, wh) = (self.wx.val().transpose(), self.wh.val().transpose());
        let bias = self.bias.val().unsqueeze::<2>();
        let norm = self.ln.as_ref().map(LayerNorm::forward);
        Box::new(move |x, h| {
            let a = x.matmul(wx.clone()) + h.matmul(wh.clone()) + bias.clone();
            let h = activation::sigmoid(a.clone());
            let output = match &norm {
                Some(norm) => activation::sigmoid(norm(a)),
                None => h.clone(),
            };
            (output, h)
        })
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
