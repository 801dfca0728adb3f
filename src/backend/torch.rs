//! Layers as libtorch computes them best: the same functions as `nem::network` composes, with fewer passes
//! over memory, and backward passes of libtorch's own.
//!
//! burn derives a convolution's weight gradient by another convolution with a kernel as large as the maps,
//! and a layer norm's from its dozen elementary steps; here libtorch records the layer and differentiates it
//! whole.

// burn has deprecated its libtorch backend; `super::libtorch` says why it is used.
#![allow(deprecated)]

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, LibTorch, backend_extension};
use burn::tensor::Tensor;
use burn_tch::TchTensor;
use tch::Tensor as Torch;

use super::layers::{Forward, Maps, Norm};
use crate::preset::Activation;

/// What a layer does to its rows.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Convolution of the rows as maps; `None` is a matrix product.
    maps: Option<Maps>,
    /// Added to the variance by layer norm; `None` without it.
    norm: Option<f64>,
    activation: Activation,
}

/// The operation, for libtorch and its gradients.
#[backend_extension(LibTorch, Autodiff)]
pub trait TorchOps: Backend {
    /// activation(LN(weight · x + bias)): [R, inputs] to [R, outputs]. `weight` is [O, I], or [O, I, h, w] for
    /// maps; LN's `gain` and `offset` hold a value for each channel, and are not read without layer norm.
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        layer: Layer,
    ) -> FloatTensor<Self>;
}

/// `inputs` are x, weight and bias, and with layer norm gain and offset.
fn forward(inputs: &[&Torch], layer: Layer) -> Torch {
    let (x, weight, bias) = (inputs[0], inputs[1], inputs[2]);
    let rows = x.size()[0];
    let y = match layer.maps {
        None => x.linear(weight, Some(bias)),
        Some(Maps { size, stride, shuffle }) => {
            let [channels, height, width] = [size.channels, size.height, size.width].map(|n| n as i64);
            let maps = x.reshape([rows, channels, height, width]);
            let y = maps.conv2d(weight, Some(bias), [stride; 2], [1, 1], [1, 1], 1);
            if shuffle { y.pixel_shuffle(2) } else { y }
        }
    };
    let y = match (layer.norm, layer.maps) {
        (None, _) => y,
        // The same function, for which libtorch's group norm takes twenty times as long.
        (Some(epsilon), None) => {
            y.layer_norm(y.size()[1..].to_vec(), Some(inputs[3]), Some(inputs[4]), epsilon, true)
        }
        (Some(epsilon), Some(_)) => y.group_norm(1, Some(inputs[3]), Some(inputs[4]), epsilon, true),
    };
    let y = match layer.activation {
        Activation::Sigmoid => y.sigmoid(),
        Activation::Relu => y.relu(),
        Activation::Elu => y.elu(),
        Activation::Linear | Activation::Output => y,
    };
    y.reshape([rows, -1])
}

/// How many of an operation's inputs a layer reads.
fn reads(layer: Layer) -> usize {
    if layer.norm.is_some() { 5 } else { 3 }
}

impl TorchOps for LibTorch {
    fn layer(
        x: TchTensor,
        weight: TchTensor,
        bias: TchTensor,
        gain: TchTensor,
        offset: TchTensor,
        layer: Layer,
    ) -> TchTensor {
        let inputs = [&x.tensor, &weight.tensor, &bias.tensor, &gain.tensor, &offset.tensor];
        TchTensor::new(tch::no_grad(|| forward(&inputs, layer)))
    }
}

/// A layer's computation that libtorch has recorded.
#[derive(Clone, Debug)]
struct Recorded {
    /// Its inputs, for the gradients.
    leaves: Vec<TchTensor>,
    /// Its output.
    output: TchTensor,
    /// What shares memory with these. burn writes into a tensor that nobody else holds, and what is
    /// recorded must not change.
    _held: Vec<TchTensor>,
}

impl Recorded {
    fn new(inputs: &[&TchTensor], layer: Layer) -> (Recorded, TchTensor) {
        let leaves: Vec<Torch> =
            inputs.iter().map(|input| input.tensor.detach().set_requires_grad(true)).collect();
        let output = tch::with_grad(|| forward(&leaves.iter().collect::<Vec<_>>(), layer));
        let result = TchTensor::new(output.detach());
        let held = inputs.iter().map(|input| (*input).clone()).chain([result.clone()]).collect();
        let leaves = leaves.into_iter().map(TchTensor::new).collect();
        (Recorded { leaves, output: TchTensor::new(output), _held: held }, result)
    }

    /// The gradients of the inputs.
    fn backward(&self, gradient: &TchTensor) -> Vec<TchTensor> {
        let leaves: Vec<&Torch> = self.leaves.iter().map(|leaf| &leaf.tensor).collect();
        // tch differentiates scalars only: the one whose derivative by the output is `gradient`.
        let scalar =
            tch::with_grad(|| self.output.tensor.flatten(0, -1).dot(&gradient.tensor.flatten(0, -1)));
        Torch::run_backward(&[scalar], &leaves, false, false).into_iter().map(TchTensor::new).collect()
    }
}

/// Hands a recorded layer's gradients to those of its parents that it has read.
#[derive(Debug)]
struct Whole;

impl Backward<LibTorch, 5> for Whole {
    type State = Recorded;

    fn backward(self, ops: Ops<Recorded, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<LibTorch>(&ops.node);
        let gradients = ops.state.backward(&gradient);
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<LibTorch>(parent.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> TorchOps for Autodiff<LibTorch, C> {
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        offset: FloatTensor<Self>,
        layer: Layer,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let ((bias, bias_node), (gain, gain_node)) = (bias.into_parts(), gain.into_parts());
        let (offset, offset_node) = offset.into_parts();
        let nodes = [x_node, weight_node, bias_node, gain_node, offset_node];
        match Whole.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let inputs = [&x, &weight, &bias, &gain, &offset];
                let (recorded, y) = Recorded::new(&inputs[..reads(layer)], layer);
                prep.finish(recorded, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(LibTorch::layer(x, weight, bias, gain, offset, layer)),
        }
    }
}

/// A layer of [`super::layers`].
pub fn layer<'a, const D: usize>(
    weight: &Tensor<D>,
    bias: &Tensor<1>,
    norm: Option<&Norm>,
    activation: Activation,
    maps: Option<Maps>,
) -> Forward<'a> {
    let layer = Layer { maps, norm: norm.map(|norm| norm.epsilon), activation };
    let unread = bias.clone().detach();
    let (gain, offset) =
        norm.map_or((unread.clone(), unread), |norm| (norm.gain.clone(), norm.offset.clone()));
    let [bias, gain, offset] = [bias.clone(), gain, offset].map(Tensor::into_dispatch);
    let weight = weight.clone().into_dispatch();
    Box::new(move |x| {
        Tensor::from_dispatch(<Dispatch as TorchOps>::layer(
            x.into_dispatch(),
            weight.clone(),
            bias.clone(),
            gain.clone(),
            offset.clone(),
            layer,
        ))
    })
}
