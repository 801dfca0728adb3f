//! One forward and backward pass through a batch.

use std::thread::scope;

use burn::tensor::{Tensor, s};
use burn_optim::GradientsParams;

use crate::error::{PASS, Result, panic_message};
use crate::nem::{Frames, Losses, Nem, Phase, Watch};
use crate::preset::Preset;
use crate::stop::Stop;

/// The results of a pass.
pub struct Pass {
    /// Total, intra and inter loss: \[1\] each.
    pub losses: [Tensor<1>; 3],
    /// Gradients of the total loss.
    pub gradients: GradientsParams,
    /// γ after the last step: [B, K, 1, P].
    pub gamma: Tensor<4>,
}

/// One pass of `model` over a batch, with the initial `gamma` and `preset`'s loss. `watch` is called after each phase of
/// the unroll. `stop` is checked before the backward pass.
///
/// The batch is split into `shares`, one per thread, for devices whose operations use only one core. Losses and
/// gradients are added in the order of the shares, so the result depends on the number of shares and not on timing.
///
/// # Errors
/// [`Error::Stopped`](crate::error::Error::Stopped).
pub fn pass(
    shares: usize,
    model: &Nem,
    preset: &Preset,
    frames: &Frames,
    gamma: Tensor<4>,
    watch: Watch,
    stop: &Stop,
) -> Result<Pass> {
    let batch = gamma.dims()[0];
    if shares == 1 {
        return share(model, preset, frames, gamma, batch, watch, stop);
    }
    let bounds = |i: usize| i * batch / shares..(i + 1) * batch / shares;
    let part = |i: usize| {
        let gamma = gamma.clone().slice(s![bounds(i), .., .., ..]);
        (model.with_cell(model.cell.with_own_graph()), frames.of_images(bounds(i)), gamma)
    };
    let passes: Vec<Result<Pass>> = scope(|scope| {
        let others: Vec<_> = (1..shares)
            .map(|i| {
                let (model, frames, gamma) = part(i);
                let work = move || share(&model, preset, &frames, gamma, batch, &|_| (), stop);
                std::thread::Builder::new().name(PASS.into()).spawn_scoped(scope, work)
            })
            .collect();
        let (model, frames, gamma) = part(0);
        let first = share(&model, preset, &frames, gamma, batch, watch, stop);
        let others = others.into_iter().map(|thread| match thread.map(|thread| thread.join()) {
            Ok(Ok(pass)) => pass,
            // Raised again on this thread, where it is reported.
            Ok(Err(panic)) => panic!("{}", panic_message(&*panic)),
            Err(e) => panic!("a thread for a share of a batch could not be started: {e}"),
        });
        std::iter::once(first).chain(others).collect()
    });
    let (mut losses, mut gradients, mut gammas) = (Vec::new(), Vec::new(), Vec::new());
    for pass in passes {
        let pass = pass?;
        losses.push(Tensor::cat(pass.losses.into(), 0)); // [3]
        gradients.push(pass.gradients);
        gammas.push(pass.gamma);
    }
    let sums = Tensor::stack::<2>(losses, 0).sum_dim(0).reshape([3]);
    let losses = [0, 1, 2].map(|i| sums.clone().narrow(0, i, 1));
    Ok(Pass { losses, gradients: model.cell.added(gradients), gamma: Tensor::cat(gammas, 0) })
}

/// A pass over a share of a batch of `batch` images: its part of the losses and their gradients.
fn share(
    model: &Nem,
    preset: &Preset,
    frames: &Frames,
    gamma: Tensor<4>,
    batch: usize,
    watch: Watch,
    stop: &Stop,
) -> Result<Pass> {
    let part = gamma.dims()[0] as f64 / batch as f64;
    let (loss, steps) = (&preset.loss, preset.steps);
    let mut losses = Losses::new(loss, steps);
    let mut last = gamma.clone();
    model.unroll_watched(frames, gamma, steps, watch, |t, state, target| {
        if losses.counts(t) {
            losses.add(t, model.step_loss(state, target, loss.prior));
        }
        last = state.gamma.clone();
    });
    let Some((total, intra, inter)) = losses.sums() else {
        unreachable!("validation requires a step with a weight")
    };
    watch(Phase::Em);
    stop.check()?;
    let losses = match part {
        1.0 => [total, intra, inter],
        part => [total, intra, inter].map(|loss| loss.mul_scalar(part)),
    };
    let gradients = GradientsParams::from_grads(losses[0].backward(), &model.cell);
    Ok(Pass { losses: losses.map(Tensor::detach), gradients, gamma: last.detach() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::DeviceName;
    use crate::data::{Dataset, Split};
    use crate::nem::host;
    use crate::train::batch::Plan;

    /// The losses, γ and the gradients of a batch of seven images in `shares` shares.
    fn passed(preset: &str, shares: usize) -> Vec<Vec<f32>> {
        let preset = Preset::load(preset).unwrap().set(&["steps=3"]).unwrap();
        let device = DeviceName::Flex.open().unwrap();
        let plan = Plan {
            data: Arc::new(Dataset::new(&preset, 1).unwrap()),
            seed: 1,
            split: Split::Train,
            epoch: 0,
            indices: (0..7).collect(),
            k: preset.k,
            steps: preset.steps,
            noise: preset.noise,
        };
        let (frames, gamma) = plan.make().unwrap().to_device(plan.data.image(), &device);
        let model = Nem::new(&preset, 1, &device.autodiff());
        let pass = pass(shares, &model, &preset, &frames, gamma, &|_| (), &Stop::default()).unwrap();
        let gradients = model.gradients(&pass.gradients).into_values().map(|array| array.values);
        pass.losses.map(host).into_iter().chain([host(pass.gamma)]).chain(gradients).collect()
    }

    #[test]
    fn shares_give_the_losses_and_gradients_of_the_whole() {
        for preset in ["quickstart", "flying-shapes-3"] {
            let whole = passed(preset, 1);
            for shares in [2, 3, 7] {
                let dealt = passed(preset, shares);
                assert_eq!(dealt.len(), whole.len());
                for (a, b) in dealt.iter().zip(&whole) {
                    assert_eq!(a.len(), b.len());
                    let scale = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                    let worst = a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
                    assert!(worst < 2e-5 * scale, "{preset} in {shares} shares: off by {worst} of {scale}");
                }
                assert_eq!(passed(preset, shares), dealt, "the same shares give the same bits");
            }
        }
    }
}
