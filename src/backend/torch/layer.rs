//! One layer of a chain, on libtorch's tensors: its forward pass, and the gradients of its weights.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use burn_tch::TchTensor;
use tch::{Kind, Tensor as Torch};

use super::pixel_order::{Ordered, Reorder};
use crate::backend::spec::Op;
use crate::precision::Precision;
use crate::preset::{Activation, ImageSize, LayerOutput};

/// A layer's weights, in this order: weight, recurrent weight, bias, gain, offset. What it lacks is an empty tensor.
pub const WEIGHTS: usize = 5;
const WEIGHT: usize = 0;
const RECURRENT: usize = 1;
const BIAS: usize = 2;
const GAIN: usize = 3;
const OFFSET: usize = 4;

/// Rows over which a product's weight gradient is summed at once: enough that the sum costs little more than its
/// multiplications, and few enough to keep.
const ROWS: i64 = 640;

/// A layer during an unroll.
#[derive(Clone, Debug)]
pub struct Layer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    form: Form,
    reorders: [Reorder; 2],
    /// What layer norm adds to the variance; `None` without it.
    norm: Option<f64>,
    activation: Activation,
    /// Of products and convolutions.
    kind: Kind,
    weights: OnceLock<Weights>,
    gathered: Mutex<Gathered>,
}

/// What a layer computes before layer norm and activation.
#[derive(Clone, Copy, Debug)]
enum Form {
    Pass,
    InputNorm(f64),
    Product,
    Conv(ImageSize),
    /// Of blocks of 2x2 pixels.
    BlockConv(ImageSize),
    Upsample(ImageSize),
}

/// The weights as products and convolutions read them.
#[derive(Debug, Default)]
struct Weights {
    tensors: [Option<TchTensor>; WEIGHTS],
    /// Whether gradients are wanted.
    tracked: bool,
}

/// What the backward passes of the steps leave for the gradients of the weights.
#[derive(Debug, Default)]
struct Gathered {
    /// A product's operands at the latest steps.
    operands: Vec<Operands>,
    /// The gradients so far.
    sums: [Option<Torch>; WEIGHTS],
    /// What shares memory with the operands: see `Recorded` in `chain.rs`.
    held: Vec<TchTensor>,
}

/// A product's operands at one step.
#[derive(Debug)]
pub struct Operands {
    /// What it read: [R, I].
    pub x: Torch,
    /// The recurrent state that it read, if it did: [R, units].
    pub state: Option<Torch>,
    /// What it put out, [R, O]; after the backward pass the gradient of that.
    pub output: Torch,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layer {
    /// A layer without weights yet.
    pub fn new(Ordered { reorders, layer }: &Ordered, precision: Precision) -> Layer {
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
        Layer(Arc::new(Parts {
            form,
            reorders: *reorders,
            norm: layer.norm.as_ref().map(|norm| norm.epsilon),
            activation: layer.activation,
            kind,
            weights: OnceLock::new(),
            gathered: Mutex::default(),
        }))
    }

    /// Takes the weights for the steps of an unroll, once; gradients are wanted where they are `tracked`.
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
            // Sharing the storage keeps burn from writing into it.
            Some(TchTensor { tensor, storage: weight.storage.clone() })
        };
        let weights = Weights { tensors: std::array::from_fn(prepared), tracked };
        // Every unroll makes its own layers, so these are the first.
        let _ = self.0.weights.set(weights);
    }

    /// Whether a weight's gradient is computed from [`Operands`], and not step by step.
    fn is_operand(&self, place: usize) -> bool {
        matches!(self.0.form, Form::Product) && !matches!(place, GAIN | OFFSET)
    }

    /// The weights, by their place, whose gradients each step computes.
    pub fn leaves(&self) -> Vec<(usize, Torch)> {
        let Some(weights) = self.0.weights.get() else { return Vec::new() };
        let places = (0..WEIGHTS).filter(|place| weights.tracked && !self.is_operand(*place));
        places
            .filter_map(|place| Some((place, weights.tensors[place].as_ref()?.tensor.shallow_clone())))
            .collect()
    }

    /// One step: what the layer makes of rows `x` and of the recurrent `state`, if it reads that, and the operands of
    /// its product where gradients are wanted.
    pub fn forward(&self, x: Torch, state: &Torch) -> (Torch, Option<Operands>) {
        let Parts { form, reorders, norm, activation, kind, .. } = &*self.0;
        // A layer without weights is given none.
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
                    // The recurrent state stays in 32 bits, and so does the sum it is made of.
                    y = y.to_kind(Kind::Float) + state.matmul(&recurrent.transpose(0, 1));
                }
                if weights.tracked {
                    // The weights want gradients even where nothing before them does.
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
                // The CPU's layer norm takes bfloat16 with gains of 32 bits; the GPU's wants one kind.
                let y = if y.device() == tch::Device::Cpu { y } else { y.to_kind(Kind::Float) };
                y.layer_norm([y.size()[1]], gain, offset, *epsilon, false)
            }
        };
        let y = match activation {
            // In bfloat16, 1 − σ would be 0 long before σ is 1.
            Activation::Sigmoid => y.to_kind(Kind::Float).sigmoid(),
            Activation::Relu => y.relu(),
            Activation::Elu => y.elu(),
            Activation::Linear | Activation::Output => y,
        };
        (y, operands)
    }

    /// Takes what a step's backward pass found: a product's operands, and the gradients of [`Layer::leaves`]. `held`
    /// shares memory with the operands.
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

    /// Σ_t dY_tᵀ · X_t as one product over the rows of all steps t that have been gathered.
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

/// [R, H·W·C] as maps of C channels that lie in the same order.
fn as_maps(x: &Torch, ImageSize { channels, height, width }: ImageSize) -> Torch {
    x.reshape([x.size()[0], height as i64, width as i64, channels as i64]).permute([0, 3, 1, 2])
}

/// Maps, padded by 1, whose blocks of 2x2 pixels have become channels.
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

/// Maps convolved by a kernel: [R, H·W·O].
fn convolved(maps: Torch, kernel: &Torch, bias: Option<&Torch>, stride: i64, padding: i64) -> Torch {
    let rows = maps.size()[0];
    let y = maps.conv2d(kernel, bias, [stride; 2], [padding; 2], [1, 1], 1);
    y.permute([0, 2, 3, 1]).reshape([rows, -1])
}

/// Rows of [row, column, row in block, column in block, channel], for which there are `from`'s rows and columns, with the
/// pixels of each block in their places.
fn spread(y: &Torch, from: ImageSize) -> Torch {
    let rows = y.size()[0];
    let blocks = y.view([rows, from.height as i64, from.width as i64, 2, 2, -1]);
    blocks.permute([0, 1, 3, 2, 4, 5]).reshape([rows, -1])
}

/// The same numbers with the channels of a place beside each other.
fn channels_last(kernel: &Torch) -> Torch {
    kernel.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Rows of maps in another order.
pub fn reordered(x: Torch, reorder: Reorder) -> Torch {
    let rows = x.size()[0];
    let (from, to) = match reorder {
        Reorder::None => return x,
        Reorder::ToPixels(size) => (size.channels, size.pixels()),
        Reorder::ToChannels(size) => (size.pixels(), size.channels),
    };
    x.reshape([rows, from as i64, to as i64]).transpose(1, 2).reshape([rows, -1])
}
