//! One layer of a chain on libtorch's tensors: its forward pass and the gradients of its weights.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use burn_tch::TchTensor;
use tch::{Kind, Tensor as Torch};

use super::pixel_order::{Ordered, Reorder};
use crate::backend::spec::Op;
use crate::precision::Precision;
use crate::preset::{Activation, ImageSize, LayerOutput};

/// Number of weight tensors of a layer, in the order below. Missing ones are empty tensors.
pub const WEIGHTS: usize = 5;
const WEIGHT: usize = 0;
const RECURRENT: usize = 1;
const BIAS: usize = 2;
const GAIN: usize = 3;
const OFFSET: usize = 4;

/// Rows gathered for one product of a weight gradient: enough to keep the cost of additions low, few enough to keep
/// in memory.
const ROWS: i64 = 640;

/// A layer during an unroll.
#[derive(Clone, Debug)]
pub struct TorchLayer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    form: Form,
    reorders: [Reorder; 2],
    /// What layer norm adds to the variance; `None` without it.
    norm: Option<f64>,
    activation: Activation,
    /// Precision of products and convolutions.
    kind: Kind,
    weights: OnceLock<Weights>,
    gathered: Mutex<Gathered>,
}

/// A layer's operation before layer norm and activation.
#[derive(Clone, Copy, Debug)]
enum Form {
    Pass,
    InputNorm(f64),
    Product,
    Conv(ImageSize),
    /// A convolution of blocks of 2x2 pixels.
    BlockConv(ImageSize),
    Upsample(ImageSize),
}

/// The weights in the precision and layout of products and convolutions.
#[derive(Debug, Default)]
struct Weights {
    tensors: [Option<TchTensor>; WEIGHTS],
    /// Whether they need gradients.
    tracked: bool,
}

/// What the steps' backward passes leave for the gradients of the weights.
#[derive(Debug, Default)]
struct Gathered {
    /// Operands of the product at the latest steps.
    operands: Vec<Operands>,
    /// The gradients so far.
    sums: [Option<Torch>; WEIGHTS],
    /// Other handles of the operands' memory; see `Recorded` in `chain.rs`.
    held: Vec<TchTensor>,
}

/// A product's operands at one step.
#[derive(Debug)]
pub struct Operands {
    /// The input: [R, I].
    pub x: Torch,
    /// The recurrent state, if it is read: [R, units].
    pub state: Option<Torch>,
    /// The output, [R, O]; after the backward pass its gradient.
    pub output: Torch,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TorchLayer {
    /// A layer without weights yet.
    pub fn new(Ordered { reorders, layer }: &Ordered, precision: Precision) -> TorchLayer {
        let size = |output| match output {
            LayerOutput::Maps(size) => size,
            LayerOutput::Row(_) => unreachable!("validation refuses convolutions of rows"),
        };
        let form = match &layer.op {
            Op::Pass => Form::Pass,
            Op::InputNorm { epsilon } => Form::InputNorm(*epsilon),
            Op::Dense { .. } | Op::Recurrent { .. } => Form::Product,
            Op::Conv { kernel, .. } if kernel.dims()[2] == 2 => Form::BlockConv(size(layer.from)),
            Op::Conv { .. } => Form::Conv(size(layer.from)),
            Op::Upsample { .. } => Form::Upsample(size(layer.from)),
        };
        let kind = match precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        TorchLayer(Arc::new(Parts {
            form,
            reorders: *reorders,
            norm: layer.norm.as_ref().map(|norm| norm.epsilon),
            activation: layer.activation,
            kind,
            weights: OnceLock::new(),
            gathered: Mutex::default(),
        }))
    }

    /// Takes the weights for an unroll, once. `tracked` weights need gradients.
    pub fn load(&self, weights: [&TchTensor; WEIGHTS], tracked: bool) {
        let prepared = |place: usize| {
            let weight = weights[place];
            if weight.tensor.numel() == 0 {
                return None;
            }
            let tensor = weight.tensor.detach();
            let tensor = match place {
                GAIN | OFFSET => tensor,
                WEIGHT if tensor.dim() == 4 => channels_last(&tensor.to_kind(self.0.kind)),
                _ => tensor.to_kind(self.0.kind),
            };
            let tensor = match tracked && !self.is_operand(place) {
                true => tensor.set_requires_grad(true),
                false => tensor,
            };
            // Sharing the storage keeps burn from overwriting it.
            Some(TchTensor { tensor, storage: weight.storage.clone() })
        };
        let weights = Weights { tensors: std::array::from_fn(prepared), tracked };
        // Every unroll creates its own layers, so this is the first call.
        let _ = self.0.weights.set(weights);
    }

    /// Whether a weight's gradient is computed from [`Operands`] instead of step by step.
    fn is_operand(&self, place: usize) -> bool {
        matches!(self.0.form, Form::Product) && !matches!(place, GAIN | OFFSET)
    }

    /// The weights whose gradients each step computes, by index.
    pub fn leaves(&self) -> Vec<(usize, Torch)> {
        let Some(weights) = self.0.weights.get() else { return Vec::new() };
        let places = (0..WEIGHTS).filter(|place| weights.tracked && !self.is_operand(*place));
        places
            .filter_map(|place| Some((place, weights.tensors[place].as_ref()?.tensor.shallow_clone())))
            .collect()
    }

    /// One step: the output for rows `x` and the recurrent `state`, and the operands of the product if gradients are
    /// needed.
    pub fn forward(&self, x: Torch, state: &Torch) -> (Torch, Option<Operands>) {
        let Parts { form, reorders, norm, activation, kind, .. } = &*self.0;
        // A layer without weights is never loaded.
        let weights = self.0.weights.get_or_init(Weights::default);
        let [weight, recurrent, bias, gain, offset] =
            weights.tensors.each_ref().map(|weight| weight.as_ref().map(|weight| &weight.tensor));
        let x = reorders.iter().fold(x, |x, reorder| reordered(x, *reorder));
        let mut operands = None;
        let y = match (*form, weight) {
            (Form::InputNorm(epsilon), _) => {
                x.layer_norm([x.size()[1]], None::<Torch>, None::<Torch>, epsilon, false)
            }
            (Form::Product, Some(weight)) => {
                let x = x.to_kind(*kind);
                let state = recurrent.map(|_| state.to_kind(*kind));
                let mut y = x.linear(weight, bias);
                if let (Some(state), Some(recurrent)) = (&state, recurrent) {
                    // The recurrent state and the sum it comes from stay in 32 bits.
                    y = y.to_kind(Kind::Float) + state.matmul(&recurrent.transpose(0, 1));
                }
                if weights.tracked {
                    // The weights need gradients even if nothing before them does.
                    y = if y.requires_grad() { y } else { y.set_requires_grad(true) };
                    let state = state.map(|state| state.detach());
                    operands = Some(Operands { x: x.detach(), state, output: y.shallow_clone() });
                }
                y
            }
            (Form::Conv(from), Some(kernel)) => {
                convolved(as_maps(&x.to_kind(*kind), from), kernel, bias, 2, 1)
            }
            (Form::BlockConv(from), Some(kernel)) => {
                convolved(blocks(&x.to_kind(*kind), from), kernel, bias, 1, 0)
            }
            (Form::Upsample(from), Some(kernel)) => {
                spread(&convolved(as_maps(&x.to_kind(*kind), from), kernel, bias, 1, 1), from)
            }
            _ => x,
        };
        let y = match norm {
            None => y,
            Some(epsilon) => {
                // On the CPU, layer norm accepts bfloat16 with 32-bit gains; on GPUs all must be the same.
                let y = if y.device() == tch::Device::Cpu { y } else { y.to_kind(Kind::Float) };
                y.layer_norm([y.size()[1]], gain, offset, *epsilon, false)
            }
        };
        let y = match activation {
            // In bfloat16, 1 − σ would round to 0 too early.
            Activation::Sigmoid => y.to_kind(Kind::Float).sigmoid(),
            Activation::Relu => y.relu(),
            Activation::Elu => y.elu(),
            Activation::Linear | Activation::Output => y,
        };
        (y, operands)
    }

    /// Takes the results of a step's backward pass: the product's operands and the gradients of
    /// [`TorchLayer::leaves`]. `held` shares memory with the operands.
    pub fn gather(&self, operands: Option<Operands>, gradients: Vec<(usize, Torch)>, held: &[TchTensor]) {
        let mut gathered = locked(&self.0.gathered);
        for (place, gradient) in gradients {
            gathered.add(place, &gradient);
        }
        if let Some(operands) = operands {
            let rows = operands.x.size()[0];
            gathered.operands.push(operands);
            gathered.held.extend_from_slice(held);
            if rows * gathered.operands.len() as i64 >= ROWS {
                gathered.multiply(self.0.kind);
            }
        }
    }

    /// The gradients of the weights over all steps.
    pub fn gradients(&self) -> [Option<TchTensor>; WEIGHTS] {
        let mut gathered = std::mem::take(&mut *locked(&self.0.gathered));
        gathered.multiply(self.0.kind);
        gathered.sums.map(|sum| sum.map(TchTensor::new))
    }
}

impl Gathered {
    fn add(&mut self, place: usize, gradient: &Torch) {
        let gradient = gradient.to_kind(Kind::Float);
        self.sums[place] = Some(match self.sums[place].take() {
            Some(mut sum) => sum.g_add_(&gradient),
            None => gradient,
        });
    }

    /// Σ_t dY_tᵀ · X_t over all gathered steps t, as one product.
    fn multiply(&mut self, kind: Kind) {
        let steps = std::mem::take(&mut self.operands);
        if steps.is_empty() {
            return;
        }
        let rows = |of: Vec<&Torch>| Torch::cat(&of, 0);
        let gradient = rows(steps.iter().map(|step| &step.output).collect());
        let transposed = gradient.transpose(0, 1).to_kind(kind);
        self.add(BIAS, &gradient.sum_dim_intlist([0i64].as_slice(), false, Kind::Float));
        self.add(WEIGHT, &transposed.matmul(&rows(steps.iter().map(|step| &step.x).collect())));
        let states: Vec<&Torch> = steps.iter().filter_map(|step| step.state.as_ref()).collect();
        if !states.is_empty() {
            self.add(RECURRENT, &transposed.matmul(&rows(states)));
        }
        self.held.clear();
    }
}

/// [R, H·W·C] viewed as maps [R, C, H, W], in channels-last memory order.
fn as_maps(x: &Torch, ImageSize { channels, height, width }: ImageSize) -> Torch {
    x.reshape([x.size()[0], height as i64, width as i64, channels as i64]).permute([0, 3, 1, 2])
}

/// Maps padded by 1, with blocks of 2x2 pixels as channels.
fn blocks(x: &Torch, ImageSize { channels, height, width }: ImageSize) -> Torch {
    let [channels, height, width] = [channels, height, width].map(|n| n as i64);
    let rows = x.size()[0];
    let (down, across) = (height / 2 + 1, width / 2 + 1);
    let padded = x.reshape([rows, height, width, channels]).constant_pad_nd([
        0,
        0,
        1,
        2 * across - width - 1,
        1,
        2 * down - height - 1,
    ]);
    let blocks = padded.view([rows, down, 2, across, 2, channels]).permute([0, 1, 3, 2, 4, 5]);
    blocks.reshape([rows, down, across, 4 * channels]).permute([0, 3, 1, 2])
}

/// Convolves maps: [R, H·W·O].
fn convolved(maps: Torch, kernel: &Torch, bias: Option<&Torch>, stride: i64, padding: i64) -> Torch {
    let rows = maps.size()[0];
    let y = maps.conv2d(kernel, bias, [stride; 2], [padding; 2], [1, 1], 1);
    y.permute([0, 2, 3, 1]).reshape([rows, -1])
}

/// Pixel shuffle: rows ordered (row, column, row in block, column in block, channel), with `from`'s rows and columns,
/// to pixel order.
fn spread(y: &Torch, from: ImageSize) -> Torch {
    let rows = y.size()[0];
    let blocks = y.view([rows, from.height as i64, from.width as i64, 2, 2, -1]);
    blocks.permute([0, 1, 3, 2, 4, 5]).reshape([rows, -1])
}

/// The same kernel in channels-last memory order.
fn channels_last(kernel: &Torch) -> Torch {
    kernel.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Reorders maps between channels first and pixels first.
pub fn reordered(x: Torch, reorder: Reorder) -> Torch {
    let rows = x.size()[0];
    let (from, to) = match reorder {
        Reorder::None => return x,
        Reorder::ToPixels(size) => (size.channels, size.pixels()),
        Reorder::ToChannels(size) => (size.pixels(), size.channels),
    };
    x.reshape([rows, from as i64, to as i64]).transpose(1, 2).reshape([rows, -1])
}
