//! The M-step: N-EM's gradient step, or the recurrent network that RNN-EM puts in its place.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use super::network::{self, Recurrent, glorot};
use super::weights::Initial;
use crate::backend::spec::{LayerSpec, Op};
use crate::precision::Precision;
use crate::preset::{self, Activation, ImageSize, Layer, LayerOutput, Model, layer_outputs};

/// The M-step: masked deltas [B·K, M] and θ [B·K, units] in, ψ [B·K, M] and the new θ out.
pub type Inner<'a> = Box<dyn Fn(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>) + 'a>;

/// A part of an EM step, for whoever times it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Masked deltas, E-step and losses.
    Em,
    /// From the masked deltas to θ.
    Encoder,
    /// From θ to ψ.
    Decoder,
}

/// Told of every part as it ends: of [`Part::Em`] when the M-step begins.
pub type Watch<'a> = &'a dyn Fn(Part);

/// What maps (masked deltas, θ) to (ψ, θ).
// One exists per model, so the space that the smaller variant leaves unused does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Cell {
    /// N-EM.
    Nem(NemCell),
    /// RNN-EM.
    RnnEm(RnnEmCell),
}

/// N-EM (paper eq. 6): θ ← θ + η · σ(θ)(1 − σ(θ)) · (Wᵀ · masked), ψ = σ(W · σ(θ)).
///
/// The decoder W is tied: the same matrix predicts the pixels and carries the deltas back.
#[derive(Module, Debug)]
pub struct NemCell {
    weight: Param<Tensor<2>>, // W: [M, units]
    lr: Param<Tensor<1>>,     // η: [1]
}

/// RNN-EM: layers, a recurrent layer whose state is θ, layers.
#[derive(Module, Debug)]
pub struct RnnEmCell {
    input: Vec<network::Layer>,
    recurrent: Recurrent,
    output: Vec<network::Layer>,
}

impl Cell {
    /// The cell that `model` describes. `model` must have passed [`preset::Preset::validate`].
    pub(super) fn new(model: &Model, image: ImageSize, initial: &mut Initial) -> Cell {
        match &model.cell {
            preset::Cell::Nem { units } => Cell::Nem(NemCell::new(initial, image.values(), *units)),
            preset::Cell::RnnEm { layers } => Cell::RnnEm(RnnEmCell::new(initial, layers, model, image)),
        }
    }

    /// The M-step with the weights as they are, ready to be taken many times.
    pub fn inner<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> Inner<'a> {
        match self {
            Cell::Nem(cell) => cell.inner(precision, watch),
            Cell::RnnEm(cell) => cell.inner(precision, watch),
        }
    }

    /// Length of θ.
    pub fn units(&self) -> usize {
        match self {
            Cell::Nem(cell) => cell.weight.val().dims()[1],
            Cell::RnnEm(cell) => cell.recurrent.units(),
        }
    }
}

impl NemCell {
    fn new(initial: &mut Initial, values: usize, units: usize) -> NemCell {
        NemCell {
            weight: initial.uniform("weight", [values, units], glorot(values, units)),
            // The Glorot bound of a 1x1 matrix; the rate may start negative.
            lr: initial.scalar("lr", glorot(1, 1)),
        }
    }

    fn inner<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> Inner<'a> {
        let weight = self.weight.val(); // W: [M, units]
        let device = weight.device();
        let [values, units] = weight.dims();
        let (pixels, row) = (LayerOutput::Row(values), LayerOutput::Row(units));
        let layer = |op, activation, from, to| LayerSpec { op, norm: None, activation, from, to };
        let product = |weight| Op::Dense { weight, bias: None };
        let back = layer(product(weight.clone().transpose()), Activation::Linear, pixels, row);
        let back = network::chain(vec![back], precision, &device); // Wᵀ · masked
        let predict = vec![
            layer(Op::Pass, Activation::Sigmoid, row, row),
            layer(product(weight), Activation::Sigmoid, row, pixels),
        ];
        let predict = network::chain(predict, precision, &device); // σ(W · σ(θ))
        let rate = self.lr.val().unsqueeze::<2>(); // η: [1, 1]
        Box::new(move |masked, theta| {
            watch(Part::Em);
            let s = activation::sigmoid(theta.clone()); // [B·K, units]
            let slope = s.clone() * s.neg().add_scalar(1.0);
            let theta = theta + rate.clone() * slope * back(masked, None);
            watch(Part::Encoder);
            let preds = predict(theta.clone(), None);
            watch(Part::Decoder);
            (preds, theta)
        })
    }
}

impl RnnEmCell {
    fn new(initial: &mut Initial, layers: &[Layer], model: &Model, image: ImageSize) -> RnnEmCell {
        let outputs = layer_outputs(layers, image)
            .unwrap_or_else(|problem| unreachable!("validation refuses these layers: {problem}"));
        let mut flow = LayerOutput::Maps(image);
        let (mut input, mut recurrent, mut output) = (Vec::new(), None, Vec::new());
        for (&layer, to) in layers.iter().zip(outputs) {
            let from = std::mem::replace(&mut flow, to);
            if let Layer::Recurrent { units, layer_norm } = layer {
                let norm = layer_norm.then_some(model.epsilons.layer_norm);
                recurrent = Some(Recurrent::new(initial, from.values(), units, norm));
                continue;
            }
            let (side, list) =
                if recurrent.is_none() { ("input", &mut input) } else { ("output", &mut output) };
            let name = format!("{side}.{}", list.len());
            list.push(network::Layer::new(initial, &name, layer, (from, to), model));
        }
        let Some(recurrent) = recurrent else { unreachable!("validation asks for a Recurrent layer") };
        RnnEmCell { input, recurrent, output }
    }

    fn inner<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> Inner<'a> {
        let device = self.recurrent.device();
        let described =
            |layers: &[network::Layer]| layers.iter().map(network::Layer::described).collect::<Vec<_>>();
        let (mut encoder, mut decoder) = (described(&self.input), vec![self.recurrent.output()]);
        encoder.push(self.recurrent.sum());
        decoder.extend(described(&self.output));
        let encoder = network::chain(encoder, precision, &device);
        let decoder = network::chain(decoder, precision, &device);
        Box::new(move |masked, theta| {
            watch(Part::Em);
            let a = encoder(masked, Some(theta)); // [B·K, units]
            let theta = activation::sigmoid(a.clone());
            watch(Part::Encoder);
            let preds = decoder(a, None);
            watch(Part::Decoder);
            (preds, theta)
        })
    }
}
