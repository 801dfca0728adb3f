//! The M-step: N-EM's gradient step, or the recurrent network that RNN-EM puts in its place.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};

use super::network::{Dense, Recurrent, glorot};
use super::weights::Initial;
use crate::preset::{self, Distribution, Layer};

/// What maps (masked deltas, θ) to (ψ, θ).
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

/// RNN-EM: dense layers, a recurrent layer whose state is θ, dense layers.
#[derive(Module, Debug)]
pub struct RnnEmCell {
    input: Vec<Dense>,
    recurrent: Recurrent,
    output: Vec<Dense>,
}

impl Cell {
    /// The cell that `spec` describes, for images of `values` values. `spec` must have passed
    /// [`preset::Preset::validate`].
    pub fn new(
        spec: &preset::Cell,
        distribution: Distribution,
        values: usize,
        seed: u64,
        device: &Device,
    ) -> Cell {
        let mut initial = Initial::new(seed, device);
        match spec {
            preset::Cell::Nem { units } => Cell::Nem(NemCell::new(&mut initial, values, *units)),
            preset::Cell::RnnEm { layers } => {
                Cell::RnnEm(RnnEmCell::new(&mut initial, layers, distribution, values))
            }
        }
    }

    /// `masked` is [B·K, M], `theta` [B·K, units]; returns ψ [B·K, M] and the new θ.
    pub fn forward(&self, masked: Tensor<2>, theta: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self {
            Cell::Nem(cell) => cell.forward(masked, theta),
            Cell::RnnEm(cell) => cell.forward(masked, theta),
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

    fn forward(&self, masked: Tensor<2>, theta: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let weight = self.weight.val();
        let s = activation::sigmoid(theta.clone()); // [B·K, units]
        let slope = s.clone() * s.neg().add_scalar(1.0);
        let theta = theta + self.lr.val().unsqueeze() * slope * masked.matmul(weight.clone());
        let preds = activation::sigmoid(activation::sigmoid(theta.clone()).matmul(weight.transpose()));
        (preds, theta)
    }
}

impl RnnEmCell {
    fn new(initial: &mut Initial, layers: &[Layer], distribution: Distribution, values: usize) -> RnnEmCell {
        let mut width = values;
        let (mut input, mut recurrent, mut output) = (Vec::new(), None, Vec::new());
        for layer in layers {
            match *layer {
                Layer::Dense { units, activation } => {
                    let units = units.unwrap_or(values);
                    let (side, list) =
                        if recurrent.is_none() { ("input", &mut input) } else { ("output", &mut output) };
                    let name = format!("{side}.{}", list.len());
                    list.push(Dense::new(initial, &name, [width, units], activation, distribution));
                    width = units;
                }
                Layer::Recurrent { units } => {
                    recurrent = Some(Recurrent::new(initial, width, units));
                    width = units;
                }
            }
        }
        let Some(recurrent) = recurrent else { unreachable!("validation asks for a Recurrent layer") };
        RnnEmCell { input, recurrent, output }
    }

    fn forward(&self, masked: Tensor<2>, theta: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let x = self.input.iter().fold(masked, |x, layer| layer.forward(x));
        let theta = self.recurrent.forward(x, theta);
        let preds = self.output.iter().fold(theta.clone(), |x, layer| layer.forward(x));
        (preds, theta)
    }
}
