//! The time of a training iteration, and the machine's peak performance to compare with.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use serde::Serialize;

use super::trainer::Trainer;
use crate::error::Result;
use crate::nem::host;
use crate::precision::Precision;
use crate::preset::{Cell, Layer, LayerOutput, Preset, layer_outputs};
use crate::protocol::{Iteration, Profile};

/// Seconds per training iteration: data, forward, backward, Adam.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Iterations timed.
    pub iterations: usize,
    /// The median.
    pub median_s: f64,
    /// The fastest.
    pub min_s: f64,
    /// The slowest.
    pub max_s: f64,
    /// Mean times of the parts, if profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Times `iterations` (at least 1) of `trainer`, after `warm_up` others.
///
/// # Errors
/// Those of [`Trainer::step`].
pub fn bench(trainer: &mut Trainer, warm_up: usize, iterations: usize) -> Result<Timing> {
    for _ in 0..warm_up {
        step(trainer)?;
    }
    trainer.read_losses()?;
    let mut timed = Vec::new();
    for _ in 0..iterations.max(1) {
        timed.extend(step(trainer)?);
    }
    timed.extend(trainer.read_losses()?);
    let mut seconds: Vec<f64> = timed.iter().map(|iteration| iteration.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.len() / 2;
    let median_s = match seconds.len() % 2 {
        1 => seconds[middle],
        _ => (seconds[middle - 1] + seconds[middle]) / 2.0,
    };
    let profiles: Vec<Profile> = timed.iter().filter_map(|iteration| iteration.profile).collect();
    Ok(Timing {
        iterations: seconds.len(),
        median_s,
        min_s: seconds[0],
        max_s: seconds[seconds.len() - 1],
        profile: Profile::mean(profiles.iter()),
    })
}

fn step(trainer: &mut Trainer) -> Result<Vec<Iteration>> {
    let mut read = Vec::new();
    if trainer.epoch_is_over() {
        read = trainer.read_losses()?;
        trainer.end_epoch()?;
    }
    read.extend(trainer.step()?);
    Ok(read)
}

/// Floating-point operations of a training iteration in matrix products and convolutions, which are nearly all of them:
/// two per multiplication in the forward pass, twice as many in the backward pass. Upsample-convolutions count as
/// computed, with folded kernels.
pub fn operations(preset: &Preset) -> f64 {
    let image = preset.data.image();
    let of_layer = |layer: &Layer, from: LayerOutput, to: LayerOutput| {
        let taps = |size: usize| match from {
            LayerOutput::Maps(maps) => maps.channels * size,
            LayerOutput::Row(_) => 0,
        };
        match layer {
            Layer::InputNorm | Layer::Reshape { .. } => 0,
            Layer::Dense { .. } => from.values() * to.values(),
            Layer::Recurrent { units, .. } => (from.values() + units) * units,
            Layer::Conv { .. } => to.values() * taps(4 * 4),
            Layer::UpsampleConv { .. } => to.values() * taps(3 * 3),
        }
    };
    let multiplications: usize = match &preset.model.cell {
        Cell::Nem { units } => 2 * units * image.values(),
        Cell::RnnEm { layers } => {
            let outputs = layer_outputs(layers, image).unwrap_or_default();
            let inputs = [LayerOutput::Maps(image)].into_iter().chain(outputs.iter().copied());
            layers
                .iter()
                .zip(inputs)
                .zip(&outputs)
                .map(|((layer, from), to)| of_layer(layer, from, *to))
                .sum()
        }
    };
    let rows = preset.train.batch * preset.k * preset.steps;
    2.0 * 3.0 * multiplications as f64 * rows as f64
}

/// Peak performance of `device` in matrix products of this precision, in operations per second: the fastest of several
/// products of large square matrices.
pub fn ceiling(device: &Device, precision: Precision) -> f64 {
    /// Large enough to use every cache well, small enough to finish within a second.
    const SIDE: usize = 2048;
    const AT_LEAST: Duration = Duration::from_millis(1500);
    let matrix = || {
        let matrix = Tensor::<2>::random([SIDE, SIDE], Distribution::Uniform(-1.0, 1.0), device);
        match precision {
            Precision::F32 => matrix,
            Precision::Bf16 => matrix.cast(FloatDType::BF16),
        }
    };
    let (a, b) = (matrix(), matrix());
    // Reading a value waits for the product.
    let product = || host(a.clone().matmul(b.clone()).slice([0..1, 0..1]));
    product();
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed() < AT_LEAST {
        let one = Instant::now();
        product();
        best = best.min(one.elapsed().as_secs_f64());
    }
    2.0 * (SIDE as f64).powi(3) / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_by_hand() {
        let of = |name: &str, sets: &[&str]| operations(&Preset::load(name).unwrap().set(sets).unwrap());
        // 784 inputs to 250 recurrent units and back; 64 images, 4 components, 15 steps.
        let dense = f64::from((784 + 250) * 250 + 250 * 784);
        assert_eq!(of("static-shapes-rnn-em", &[]), 6.0 * dense * 64.0 * 4.0 * 15.0);
        assert_eq!(of("static-shapes-nem", &[]), 6.0 * 2.0 * 250.0 * 784.0 * 64.0 * 4.0 * 15.0);
        let down = 32 * 14 * 14 * 16 + 64 * 7 * 7 * 32 * 16;
        let rows = 3136 * 512 + (512 + 100) * 100 + 100 * 512 + 512 * 3136;
        let up = 32 * 14 * 14 * 64 * 9 + 28 * 28 * 32 * 9;
        assert_eq!(of("flying-shapes-3", &[]), 6.0 * f64::from(down + rows + up) * 64.0 * 3.0 * 20.0);
    }
}
