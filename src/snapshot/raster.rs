//! Arrays as RGB images of the same size.

use super::objects;
use super::schema::SnapshotStep;
use crate::colours::{self, Rgb};

/// An RGB image.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The pixels, row by row.
    pub pixels: Vec<[u8; 3]>,
}

impl Raster {
    fn new(width: usize, height: usize, colour: impl Fn(usize) -> Rgb) -> Raster {
        let pixels = (0..width * height).map(|pixel| colours::bytes(colour(pixel))).collect();
        Raster { width, height, pixels }
    }

    /// Values in 0..=1, channels first, in shades of `tint`. Three channels are red, green and blue; otherwise the mean
    /// over the channels is drawn. Missing values are black.
    pub fn shades(values: &[f32], width: usize, height: usize, tint: Rgb) -> Raster {
        let places = width * height;
        let channels = (values.len() / places.max(1)).max(1);
        let at = |channel: usize, pixel| values.get(channel * places + pixel).copied().unwrap_or(0.0);
        Raster::new(width, height, |pixel| match channels {
            3 => [0, 1, 2].map(|c| at(c, pixel) * tint[c]),
            _ => {
                let mean = (0..channels).map(|c| at(c, pixel)).sum::<f32>() / channels as f32;
                tint.map(|t| t * mean.clamp(0.0, 1.0))
            }
        })
    }

    /// γ (K·P values) as a blend of the components' colours, weighted by responsibility.
    pub fn gamma(gamma: &[f32], k: usize, width: usize, height: usize) -> Raster {
        let colours: Vec<Rgb> = (0..k).map(colours::component).collect();
        Raster::new(width, height, |pixel| {
            let mut sum = [0.0; 3];
            for (share, colour) in shares(gamma, width * height, pixel).zip(&colours) {
                sum.iter_mut().zip(colour).for_each(|(sum, c)| *sum += share * c);
            }
            sum
        })
    }

    /// Every pixel's object in its colour of [`objects::colours`]; pixels without one are black.
    pub fn truth(groups: &[u8], colours: &[Option<usize>; 256], width: usize, height: usize) -> Raster {
        let of = |pixel: usize| colours[usize::from(*groups.get(pixel)?)];
        Raster::new(width, height, |pixel| of(pixel).map_or([0.0; 3], colours::component))
    }

    /// Every pixel's component in [`objects::winners`], in its colour.
    pub fn argmax(step: &SnapshotStep, k: usize, width: usize, height: usize) -> Raster {
        let winners = objects::winners(step, k);
        let of = |pixel: usize| *winners.get(pixel)?;
        Raster::new(width, height, |pixel| of(pixel).map_or([0.0; 3], colours::component))
    }
}

/// γ of a pixel for each component, with 0 for NaN and infinity.
fn shares(gamma: &[f32], places: usize, pixel: usize) -> impl Iterator<Item = f32> {
    gamma
        .chunks(places.max(1))
        .map(move |mask| mask.get(pixel).copied().filter(|v| v.is_finite()).unwrap_or(0.0))
}

/// The reconstruction Σ_k γ_k ψ_k, M = C·P values.
pub fn reconstruction(preds: &[f32], gamma: &[f32], places: usize, values: usize) -> Vec<f32> {
    let places = places.max(1);
    let mut sum = vec![0.0; values];
    for (preds, mask) in preds.chunks(values.max(1)).zip(gamma.chunks(places)) {
        for (i, (sum, pred)) in sum.iter_mut().zip(preds).enumerate() {
            *sum += pred * mask.get(i % places).copied().unwrap_or(0.0);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use colours::{ORANGE, SKY};

    #[test]
    fn every_kind_has_the_colours_it_says() {
        let white = [1.0; 3];
        assert_eq!(
            Raster::shades(&[0.0, 1.0, 0.5, 2.0], 2, 2, white).pixels[1..],
            [[255; 3], [128; 3], [255; 3]]
        );
        assert_eq!(Raster::shades(&[1.0, 0.5, 0.0], 1, 1, white).pixels, [[255, 128, 0]]);
        assert_eq!(Raster::shades(&[1.0], 1, 1, colours::component(1)).pixels, [SKY]);
        // The first pixel is the first component's, the second both's.
        let gamma = [1.0, 0.5, 0.0, 0.5];
        let both = [0, 1, 2].map(|c| ((f32::from(ORANGE[c]) + f32::from(SKY[c])) / 2.0).round() as u8);
        assert_eq!(Raster::gamma(&gamma, 2, 2, 1).pixels, [ORANGE, both]);
        let step = |gamma: &[f32], groups: &[u8]| SnapshotStep {
            target: vec![],
            noisy: vec![],
            groups: groups.to_vec(),
            preds: vec![],
            gamma: gamma.to_vec(),
            ami: None,
            ari: None,
            confidence: None,
        };
        let held = step(&[0.2, 0.2, 0.8, 0.8], &[0, 1]);
        let mut colours = [None; 256];
        colours[1] = Some(1);
        assert_eq!(Raster::truth(&held.groups, &colours, 2, 1).pixels, [[0; 3], SKY]);
        assert_eq!(Raster::argmax(&held, 2, 2, 1).pixels, [[0; 3], SKY]);
        assert_eq!(Raster::argmax(&step(&[0.2, 0.9, 0.8, 0.1], &[0, 0]), 2, 2, 1).pixels, [SKY, ORANGE]);
    }

    #[test]
    fn the_reconstruction_weighs_every_channel_by_gamma() {
        // K = 2, C = 2, P = 2.
        let preds = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!(reconstruction(&preds, &[1.0, 0.5, 0.0, 0.5], 2, 4), [1.0, 11.0, 3.0, 22.0]);
    }
}
