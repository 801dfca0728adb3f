//! The inner network, which computes the M-step: N-EM's gradient step or RNN-EM's recurrent network.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use super::initial::{Initial, glorot};
use super::network::{NetworkLayer, Recurrent, chain};
use crate::backend::spec::{LayerSpec, Op};
use crate::precision::Precision;
use crate::preset::{Activation, Cell, ImageSize, Layer, LayerOutput, ModelSpec, layer_outputs};

/// The M-step: (masked [B·K, M], θ [B·K, units]) -> (ψ [B·K, M], θ [B·K, units]).
pub type MStep<'a> = Box<dyn Fn(Tensor<2>, Tensor<2>) -> (Tensor<2>, Tensor<2>) + 'a>;

/// A phase of an EM step, for timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Masking, E-step and losses.
    Em,
    /// From the masked errors to θ.
    Encoder,
    /// From θ to ψ.
    Decoder,
}

/// Called at the end of every phase; [`Phase::Em`] ends when the M-step begins.
pub type Watch<'a> = &'a dyn Fn(Phase);

/// The inner network: (masked, θ) -> (ψ, θ).
// There is one per model, so the size of the larger variant does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum InnerNetwork {
    /// N-EM.
    Nem(NemCell),
    /// RNN-EM.
    RnnEm(RnnEmCell),
}

/// N-EM (paper eq. 6): θ ← θ + η · σ(θ)(1 − σ(θ)) · (Wᵀ · masked), ψ = σ(W · σ(θ)).
///
/// The decoder W is tied: the same matrix predicts the pixels and takes the errors back to θ.
#[derive(Module, Debug)]
pub struct NemCell {
    weight: Param<Tensor<2>>, // W: [M, units]
    lr: Param<Tensor<1>>,     // η: [1]
}

/// RNN-EM (paper §2.3): an encoder, a recurrent layer whose state is θ, a decoder.
#[derive(Module, Debug)]
pub struct RnnEmCell {
    input: Vec<NetworkLayer>,
    recurrent: Recurrent,
    output: Vec<NetworkLayer>,
}

impl InnerNetwork {
    /// The inner network that `model` describes, which must have passed [`crate::preset::Preset::validate`].
    pub(super) fn new(model: &ModelSpec, image: ImageSize, initial: &mut Initial) -> InnerNetwork {
        match &model.cell {
            Cell::Nem { units } => InnerNetwork::Nem(NemCell::new(initial, image.values(), *units)),
            Cell::RnnEm { layers } => InnerNetwork::RnnEm(RnnEmCell::new(initial, layers, model, image)),
        }
    }

    /// The M-step with the current weights, for all steps of an unroll.
    pub fn m_step<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> MStep<'a> {
        match self {
            InnerNetwork::Nem(cell) => cell.m_step(precision, watch),
            InnerNetwork::RnnEm(cell) => cell.m_step(precision, watch),
        }
    }

    /// Length of θ.
    pub fn units(&self) -> usize {
        match self {
            InnerNetwork::Nem(cell) => cell.weight.val().dims()[1],
            InnerNetwork::RnnEm(cell) => cell.recurrent.units(),
        }
    }
}

impl NemCell {
    fn new(initial: &mut Initial, values: usize, units: usize) -> NemCell {
        NemCell {
            weight: initial.uniform("weight", [values, units], glorot(values, units)),
            // Glorot's bound for a 1x1 matrix, so η may start negative.
            lr: initial.scalar("lr", glorot(1, 1)),
        }
    }

    fn m_step<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> MStep<'a> {
        let weight = self.weight.val(); // W: [M, units]
        let device = weight.device();
        let [values, units] = weight.dims();
        let (pixels, row) = (LayerOutput::Row(values), LayerOutput::Row(units));
        let layer = |op, activation, from, to| LayerSpec { op, norm: None, activation, from, to };
        let product = |weight| Op::Dense { weight, bias: None };
        let back = layer(product(weight.clone().transpose()), Activation::Linear, pixels, row);
        let back = chain(vec![back], precision, &device); // Wᵀ · masked
        let predict = vec![
            layer(Op::Pass, Activation::Sigmoid, row, row),
            layer(product(weight), Activation::Sigmoid, row, pixels),
        ];
        let predict = chain(predict, precision, &device); // σ(W · σ(θ))
        let rate = self.lr.val().unsqueeze::<2>(); // η: [1, 1]
        Box::new(move |masked, theta| {
            watch(Phase::Em);
            let s = activation::sigmoid(theta.clone()); // [B·K, units]
            let slope = s.clone() * s.neg().add_scalar(1.0); // σ(θ)(1 − σ(θ)): [B·K, units]
            let theta = theta + rate.clone() * slope * back(masked, None); // [B·K, units]
            watch(Phase::Encoder);
            let preds = predict(theta.clone(), None); // [B·K, M]
            watch(Phase::Decoder);
            (preds, theta)
        })
    }
}

impl RnnEmCell {
    fn new(initial: &mut Initial, layers: &[Layer], model: &ModelSpec, image: ImageSize) -> RnnEmCell {
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
            list.push(NetworkLayer::new(initial, &name, layer, (from, to), model));
        }
        let Some(recurrent) = recurrent else { unreachable!("validation requires a Recurrent layer") };
        RnnEmCell { input, recurrent, output }
    }

    fn m_step<'a>(&'a self, precision: Precision, watch: Watch<'a>) -> MStep<'a> {
        let device = self.recurrent.device();
        let described =
            |layers: &[NetworkLayer]| layers.iter().map(NetworkLayer::described).collect::<Vec<_>>();
        let (mut encoder, mut decoder) = (described(&self.input), vec![self.recurrent.output()]);
        encoder.push(self.recurrent.sum());
        decoder.extend(described(&self.output));
        let encoder = chain(encoder, precision, &device);
        let decoder = chain(decoder, precision, &device);
        Box::new(move |masked, theta| {
            watch(Phase::Em);
            let a = encoder(masked, Some(theta)); // [B·K, units]
            let theta = activation::sigmoid(a.clone()); // [B·K, units]
            watch(Phase::Encoder);
            let preds = decoder(a, None); // [B·K, M]
            watch(Phase::Decoder);
            (preds, theta)
        })
    }
}
