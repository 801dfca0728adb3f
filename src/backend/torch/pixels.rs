//! The E-step and the losses of binary pixels, with backward passes derived by hand: about ten passes over
//! [B, K, C, P] instead of burn's thirty.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, LibTorch, backend_extension};
use burn::tensor::Tensor;
use burn_tch::TchTensor;
use tch::{Kind, Tensor as Torch};

/// The operations, for libtorch and its gradients.
#[backend_extension(LibTorch, Autodiff)]
pub trait PixelOps: Backend {
    /// γ [B, K, 1, P] from ψ [B, K, C, P] and x [B, 1, C, P].
    fn responsibilities(preds: FloatTensor<Self>, x: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    /// Σ γ · −log P(x | ψ) and Σ (1 − γ) · −log(1 − ψ): \[2\].
    fn pixel_losses(
        preds: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        x: FloatTensor<Self>,
        clip: f64,
    ) -> FloatTensor<Self>;
}

/// γ, and the densities summed over k: [B, 1, 1, P].
fn responsibilities(preds: &Torch, x: &Torch, epsilon: f64) -> (Torch, Torch) {
    // ψ where x is 1, 1 − ψ where it is 0.
    let density = match preds.size()[2] {
        // 1 + ε rounds most of ε away, so ε is added to 1 − x, which is 0 where ε matters.
        1 => (x.rsub_scalar(1.0) + epsilon).addcmul(preds, &sign(x)),
        _ => sum(&x.rsub_scalar(1.0).addcmul(preds, &sign(x)), 2) + epsilon,
    };
    let total = sum(&density, 1);
    (density / &total, total)
}

/// Sums along an axis and keeps the axis.
fn sum(of: &Torch, axis: i64) -> Torch {
    of.sum_dim_intlist([axis].as_slice(), true, Kind::Float)
}

/// 2x − 1.
fn sign(x: &Torch) -> Torch {
    x * 2.0 - 1.0
}

/// Saved for the backward pass of [`PixelOps::responsibilities`].
#[derive(Clone, Debug)]
struct EStepState {
    gamma: TchTensor,
    total: TchTensor,
    x: TchTensor,
}

#[derive(Debug)]
struct Responsibilities;

impl Backward<LibTorch, 1> for Responsibilities {
    type State = EStepState;

    fn backward(self, ops: Ops<EStepState, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<LibTorch>(&ops.node);
        let EStepState { gamma, total, x } = ops.state;
        let [Some(preds)] = ops.parents else { return };
        // dγ_k/dp_j = (δ_jk − γ_k)/Σp, and dp/dψ = 2x − 1.
        let shared = sum(&(&gradient.tensor * &gamma.tensor), 1);
        let slope = sign(&x.tensor) / &total.tensor; // [B, 1, C, P]
        grads.register::<LibTorch>(preds.id, TchTensor::new((&gradient.tensor - shared) * slope));
    }
}

/// Clipped ψ, log(1 − ψ) and log P(x | ψ): [B, K, C, P] each.
struct Logs {
    q: Torch,
    log_off: Torch,
    log_p: Torch,
}

impl Logs {
    fn new(preds: &Torch, x: &Torch, clip: f64) -> Logs {
        let q = preds.clamp(clip, 1.0 - clip);
        // 1 − q in 32 bits would be off by 1% at the clip.
        let log_off = preds.rsub_scalar(1.0).clamp_(clip, 1.0 - clip).log_();
        let log_p = log_off.lerp_tensor(&q.log(), x);
        Logs { q, log_off, log_p }
    }

    /// The two losses, summed axis by axis, so that the order depends on the shape and not on the number of threads.
    fn losses(&self, gamma: &Torch) -> Torch {
        let total = |of: Torch| [3, 2, 1, 0].into_iter().fold(of, |of, axis| sum(&of, axis)).reshape([1]);
        let intra = total(gamma * &self.log_p);
        let inter = total(gamma.rsub_scalar(1.0) * &self.log_off);
        Torch::cat(&[intra, inter], 0).neg_()
    }
}

/// Saved for the backward pass of [`PixelOps::pixel_losses`].
#[derive(Clone, Debug)]
struct LossState {
    q: TchTensor,
    /// log(1 − ψ) and log P(x | ψ), if γ has a gradient.
    logs: Option<[TchTensor; 2]>,
    gamma: TchTensor,
    x: TchTensor,
    preds: TchTensor,
}

#[derive(Debug)]
struct PixelLosses;

impl Backward<LibTorch, 2> for PixelLosses {
    type State = LossState;

    fn backward(self, ops: Ops<LossState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<LibTorch>(&ops.node).tensor;
        let (intra, inter) = (gradient.get(0), gradient.get(1));
        let LossState { q, logs, gamma, x, preds } = ops.state;
        let (q, gamma) = (&q.tensor, &gamma.tensor);
        let [of_preds, of_gamma] = ops.parents;
        if let Some(node) = of_preds {
            // intra' · γ(q − x)/(q(1 − q)) + inter' · (1 − γ)/(1 − q), and 0 where ψ was clipped.
            let with_gamma = q * (&intra - &inter) - &x.tensor * &intra;
            let mut slope = (q * &inter).addcmul_(gamma, &with_gamma);
            let _ = slope.g_div_(&q.rsub_scalar(1.0).g_mul_(q));
            let _ = slope.g_mul_(&q.eq_tensor(&preds.tensor));
            grads.register::<LibTorch>(node.id, TchTensor::new(slope));
        }
        if let (Some(node), Some([log_off, log_p])) = (of_gamma, logs) {
            let slope = sum(&(&log_off.tensor * inter - &log_p.tensor * intra), 2);
            grads.register::<LibTorch>(node.id, TchTensor::new(slope));
        }
    }
}

impl PixelOps for LibTorch {
    fn responsibilities(preds: TchTensor, x: TchTensor, epsilon: f64) -> TchTensor {
        TchTensor::new(responsibilities(&preds.tensor, &x.tensor, epsilon).0)
    }

    fn pixel_losses(preds: TchTensor, gamma: TchTensor, x: TchTensor, clip: f64) -> TchTensor {
        TchTensor::new(Logs::new(&preds.tensor, &x.tensor, clip).losses(&gamma.tensor))
    }
}

impl<C: CheckpointStrategy> PixelOps for Autodiff<LibTorch, C> {
    fn responsibilities(preds: FloatTensor<Self>, x: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let (preds, node) = preds.into_parts();
        let x = x.into_primitive();
        match Responsibilities.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (gamma, total) = responsibilities(&preds.tensor, &x.tensor, epsilon);
                let gamma = TchTensor::new(gamma);
                prep.finish(EStepState { gamma: gamma.clone(), total: TchTensor::new(total), x }, gamma)
            }
            OpsKind::UnTracked(prep) => prep.finish(LibTorch::responsibilities(preds, x, epsilon)),
        }
    }

    fn pixel_losses(
        preds: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        x: FloatTensor<Self>,
        clip: f64,
    ) -> FloatTensor<Self> {
        let tracks_gamma = gamma.is_tracked();
        let ((preds, a), (gamma, b)) = (preds.into_parts(), gamma.into_parts());
        let x = x.into_primitive();
        match PixelLosses.prepare::<C>([a, b]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let logs = Logs::new(&preds.tensor, &x.tensor, clip);
                let losses = TchTensor::new(logs.losses(&gamma.tensor));
                let Logs { q, log_off, log_p } = logs;
                let logs = tracks_gamma.then(|| [log_off, log_p].map(TchTensor::new));
                prep.finish(LossState { q: TchTensor::new(q), logs, gamma, x, preds }, losses)
            }
            OpsKind::UnTracked(prep) => prep.finish(LibTorch::pixel_losses(preds, gamma, x, clip)),
        }
    }
}

/// See [`PixelOps::responsibilities`].
pub fn e_step(preds: Tensor<4>, x: Tensor<4>, epsilon: f64) -> Tensor<4> {
    let (preds, x) = (preds.into_dispatch(), x.into_dispatch());
    Tensor::from_dispatch(<Dispatch as PixelOps>::responsibilities(preds, x, epsilon))
}

/// See [`PixelOps::pixel_losses`].
pub fn losses(preds: Tensor<4>, gamma: Tensor<4>, x: Tensor<4>, clip: f64) -> Tensor<1> {
    let (preds, gamma, x) = (preds.into_dispatch(), gamma.into_dispatch(), x.into_dispatch());
    Tensor::from_dispatch(<Dispatch as PixelOps>::pixel_losses(preds, gamma, x, clip))
}
