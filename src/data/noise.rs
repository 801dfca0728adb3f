//! Corruption of the network's input.

use crate::preset::Noise;
use crate::random::Stream;

/// Appends a corrupted copy of `frame` to `out`. The frames of a sequence take their noise from one stream, in order.
pub fn corrupt(noise: Noise, frame: &[f32], stream: &mut Stream, out: &mut Vec<f32>) {
    match noise {
        Noise::Bitflip { probability } => {
            out.extend(frame.iter().map(|&x| if stream.coin(probability) { 1.0 - x } else { x }));
        }
        Noise::MaskedUniform { probability } => {
            out.extend(frame.iter().map(|&x| if stream.coin(probability) { stream.uniform() } else { x }));
        }
        Noise::None => out.extend(frame),
    }
}

#[cfg(test)]
mod tests;
