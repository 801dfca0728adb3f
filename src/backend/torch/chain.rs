//! A chain of layers as one node of burn's graph; inside it, libtorch records.
//!
//! Maps are in pixel order (`pixel_order`), and bfloat16 between layers with [`Precision::Bf16`]. Every step of an
//! unroll uses the same weights. Instead of summing T weight gradients, a gradient is one product over the rows of
//! many steps: each step's backward pass gives its rows to the [`TorchLayer`], and [`LoadWeights`], which burn runs
//! last, computes the gradients.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, LibTorch, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_tch::TchTensor;
use tch::{Kind, Tensor as Torch};

use super::layer::{Operands, TorchLayer, WEIGHTS, reordered};
use super::pixel_order::{Reorder, ordered};
use crate::backend::spec::{self, LayerSpec, Norm, Op};
use crate::precision::Precision;

/// The operations, for libtorch and its gradients.
#[backend_extension(LibTorch, Autodiff)]
pub trait TorchOps: Backend {
    /// Gives a layer its weights for an unroll. The result, a single 0, stands for them in burn's graph: every step
    /// depends on it, so the weights' gradients are computed after all steps.
    fn load_weights(
        weight: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        layer: TorchLayer,
    ) -> FloatTensor<Self>;

    /// Applies a chain of layers to rows `x` and the recurrent state.
    fn chain(
        x: FloatTensor<Self>,
        state: FloatTensor<Self>,
        loaded: FloatTensor<Self>,
        chain: TorchChain,
    ) -> FloatTensor<Self>;
}

/// Layers in order, and the final reordering of the output.
#[derive(Clone, Debug)]
pub struct TorchChain(Arc<(Vec<TorchLayer>, Reorder)>);

impl TorchChain {
    /// One step: the output in 32 bits, and the operands of each layer's product.
    fn forward(&self, x: &Torch, state: &Torch) -> (Torch, Vec<Option<Operands>>) {
        let (layers, reorder) = &*self.0;
        let mut all = Vec::with_capacity(layers.len());
        let y = layers.iter().fold(x.shallow_clone(), |x, layer| {
            let (y, operands) = layer.forward(x, state);
            all.push(operands);
            y
        });
        (reordered(y, *reorder).to_kind(Kind::Float), all)
    }
}

impl TorchOps for LibTorch {
    fn load_weights(
        weight: TchTensor,
        recurrent: TchTensor,
        bias: TchTensor,
        gain: TchTensor,
        offset: TchTensor,
        layer: TorchLayer,
    ) -> TchTensor {
        layer.load([&weight, &recurrent, &bias, &gain, &offset], false);
        token(&bias)
    }

    fn chain(x: TchTensor, state: TchTensor, _loaded: TchTensor, chain: TorchChain) -> TchTensor {
        TchTensor::new(tch::no_grad(|| chain.forward(&x.tensor, &state.tensor).0))
    }
}

/// A single 0 on the device of another tensor.
fn token(beside: &TchTensor) -> TchTensor {
    TchTensor::new(Torch::zeros([1], (Kind::Float, beside.tensor.device())))
}

/// Computes the gradients of a layer's weights after the backward passes of all steps.
#[derive(Debug)]
struct LoadWeights;

impl Backward<LibTorch, WEIGHTS> for LoadWeights {
    type State = TorchLayer;

    fn backward(self, ops: Ops<TorchLayer, WEIGHTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        grads.consume::<LibTorch>(&ops.node);
        for (parent, gradient) in ops.parents.iter().zip(ops.state.gradients()) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<LibTorch>(parent.id, gradient);
            }
        }
    }
}

/// One step of a chain, recorded by libtorch.
#[derive(Clone, Debug)]
struct Recorded {
    chain: TorchChain,
    x: TchTensor,
    state: TchTensor,
    output: TchTensor,
    operands: Arc<Mutex<Vec<Option<Operands>>>>,
    /// The weights' stand-ins in burn's graph: a 0 for each layer with weights.
    loaded: TchTensor,
    /// Other handles of the same memory. burn overwrites tensors without another owner, which would change the
    /// recording.
    held: [TchTensor; 3],
}

impl Recorded {
    /// Records a step. `tracked` says whether `x` and `state` need gradients.
    fn new(
        chain: TorchChain,
        [x, state]: [&TchTensor; 2],
        loaded: TchTensor,
        tracked: [bool; 2],
    ) -> (Recorded, TchTensor) {
        let leaf = |of: &TchTensor, tracked| of.tensor.detach().set_requires_grad(tracked);
        let (x_leaf, state_leaf) = (leaf(x, tracked[0]), leaf(state, tracked[1]));
        let (output, operands) = tch::with_grad(|| chain.forward(&x_leaf, &state_leaf));
        let result = TchTensor::new(output.detach());
        let recorded = Recorded {
            chain,
            x: TchTensor::new(x_leaf),
            state: TchTensor::new(state_leaf),
            output: TchTensor::new(output),
            operands: Arc::new(Mutex::new(operands)),
            loaded,
            held: [x.clone(), state.clone(), result.clone()],
        };
        (recorded, result)
    }

    /// The gradients of x and the state, if needed. Those of the weights go to the layers.
    fn backward(&self, gradient: &TchTensor) -> [Option<TchTensor>; 2] {
        let layers = &self.chain.0.0;
        let operands = std::mem::take(&mut *self.operands.lock().unwrap_or_else(PoisonError::into_inner));
        let leaves: Vec<Vec<(usize, Torch)>> = layers.iter().map(TorchLayer::leaves).collect();
        let ends = [&self.x.tensor, &self.state.tensor];
        let inputs: Vec<&Torch> = ends
            .into_iter()
            .filter(|end| end.requires_grad())
            .chain(operands.iter().flatten().map(|operands| &operands.output))
            .chain(leaves.iter().flatten().map(|(_, leaf)| leaf))
            .collect();
        // tch differentiates only scalars; the derivative of this one by the output is `gradient`.
        let scalar =
            tch::with_grad(|| self.output.tensor.flatten(0, -1).dot(&gradient.tensor.flatten(0, -1)));
        let mut found = Torch::run_backward(&[scalar], &inputs, false, false).into_iter();
        let mut next = || found.next().unwrap_or_else(|| unreachable!("every input has a gradient"));
        let ends = ends.map(|end| end.requires_grad().then(&mut next).map(TchTensor::new));
        let mut with_gradient = |operands: Operands| Operands { output: next(), ..operands };
        let operands: Vec<_> =
            operands.into_iter().map(|operands| operands.map(&mut with_gradient)).collect();
        for ((layer, operands), leaves) in layers.iter().zip(operands).zip(leaves) {
            let gradients = leaves.into_iter().map(|(place, _)| (place, next())).collect();
            layer.gather(operands, gradients, &self.held);
        }
        ends
    }
}

/// The backward pass of one step of a chain.
#[derive(Debug)]
struct ChainStep;

impl Backward<LibTorch, 3> for ChainStep {
    type State = Recorded;

    fn backward(self, ops: Ops<Recorded, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<LibTorch>(&ops.node);
        let [x, state] = ops.state.backward(&gradient);
        // A placeholder: the layers keep the gradients of their weights.
        let loaded = Some(ops.state.loaded.clone());
        for (parent, gradient) in ops.parents.iter().zip([x, state, loaded]) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<LibTorch>(parent.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> TorchOps for Autodiff<LibTorch, C> {
    fn load_weights(
        weight: FloatTensor<Self>,
        recurrent: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        layer: TorchLayer,
    ) -> FloatTensor<Self> {
        let ((weight, a), (recurrent, b)) = (weight.into_parts(), recurrent.into_parts());
        let ((bias, c), (gain, d), (offset, e)) = (bias.into_parts(), gain.into_parts(), offset.into_parts());
        let weights = [&weight, &recurrent, &bias, &gain, &offset];
        match LoadWeights.prepare::<C>([a, b, c, d, e]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                layer.load(weights, true);
                prep.finish(layer, token(&bias))
            }
            OpsKind::UnTracked(prep) => {
                layer.load(weights, false);
                prep.finish(token(&bias))
            }
        }
    }

    fn chain(
        x: FloatTensor<Self>,
        state: FloatTensor<Self>,
        loaded: FloatTensor<Self>,
        chain: TorchChain,
    ) -> FloatTensor<Self> {
        let tracked = [x.is_tracked(), state.is_tracked()];
        let ((x, a), (state, b), (loaded, c)) = (x.into_parts(), state.into_parts(), loaded.into_parts());
        match ChainStep.prepare::<C>([a, b, c]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (recorded, y) = Recorded::new(chain, [&x, &state], loaded, tracked);
                prep.finish(recorded, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(LibTorch::chain(x, state, loaded, chain)),
        }
    }
}

/// libtorch's implementation of a chain of layers.
pub fn chain(layers: Vec<LayerSpec>, precision: Precision, device: &Device) -> spec::Chain {
    let (ordered, reorder) = ordered(layers);
    let (mut chain, mut loaded) = (Vec::new(), Vec::new());
    for ordered in ordered {
        let layer = TorchLayer::new(&ordered, precision);
        loaded.extend(load_weights(ordered.layer, layer.clone(), device));
        chain.push(layer);
    }
    let chain = TorchChain(Arc::new((chain, reorder)));
    let loaded = Tensor::cat(loaded, 0).into_dispatch();
    Box::new(move |x, state| {
        // burn requires a gradient for every input; if no layer reads the state, it is a constant.
        let state = state.unwrap_or_else(|| x.clone().detach());
        Tensor::from_dispatch(<Dispatch as TorchOps>::chain(
            x.into_dispatch(),
            state.into_dispatch(),
            loaded.clone(),
            chain.clone(),
        ))
    })
}

/// Gives a layer its weights, if it has any; see [`TorchOps::load_weights`].
fn load_weights(of: LayerSpec, layer: TorchLayer, device: &Device) -> Option<Tensor<1>> {
    let (gain, offset) = of.norm.map(|Norm { gain, offset, .. }| (gain, offset)).unzip();
    let [weight, recurrent, bias] = match of.op {
        Op::Pass | Op::InputNorm { .. } => [None, None, None],
        Op::Dense { weight, bias } => [Some(weight.into_dispatch()), None, bias.map(Tensor::into_dispatch)],
        Op::Recurrent { wx, wh, bias } => {
            [Some(wx.into_dispatch()), Some(wh.into_dispatch()), Some(bias.into_dispatch())]
        }
        Op::Conv { kernel, bias } | Op::Upsample { kernel, bias } => {
            [Some(kernel.into_dispatch()), None, Some(bias.into_dispatch())]
        }
    };
    let [gain, offset] = [gain, offset].map(|of| of.map(Tensor::into_dispatch));
    let weights = [weight, recurrent, bias, gain, offset];
    if weights.iter().all(Option::is_none) {
        return None;
    }
    let [weight, recurrent, bias, gain, offset] =
        weights.map(|weight| weight.unwrap_or_else(|| Tensor::<1>::empty([0], device).into_dispatch()));
    Some(Tensor::from_dispatch(<Dispatch as TorchOps>::load_weights(
        weight, recurrent, bias, gain, offset, layer,
    )))
}
