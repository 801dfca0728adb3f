//! The EM steps as a looping GIF.
//!
//! All frames share one palette of 256 colours, so that still parts do not flicker. Half of it holds the most frequent
//! colours exactly; the other half is fitted to the rest.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use color_quant::NeuQuant;
use gif::{Encoder, EncodingError, Frame, Repeat};

use super::pictures;
use super::schema::Snapshot;
use crate::error::{Error, Result};

/// Duration of an EM step, in hundredths of a second.
const STEP: u16 = 25;
/// Duration of the last step.
const LAST: u16 = 150;
/// Colours of a GIF.
const COLOURS: usize = 256;
/// Those of them that are exact.
const EXACT: usize = 128;

type Colour = [u8; 3];

/// The bytes of the GIF: a frame for each EM step, as [`pictures::step`] draws it.
///
/// # Errors
/// [`Error::Usage`] for a snapshot without EM steps, or pictures too large.
pub fn gif(snapshot: &Snapshot, tile: u32) -> Result<Vec<u8>> {
    // Frames are drawn twice, because all of them may not fit into memory.
    let frames = || (0..snapshot.steps.len().max(1)).map(|step| pictures::step(snapshot, step, tile));
    let mut counts: HashMap<Colour, u64> = HashMap::new();
    let mut size = (0, 0);
    for frame in frames() {
        let frame = frame?;
        frame.pixels().iter().for_each(|colour| *counts.entry(*colour).or_default() += 1);
        size = frame.size();
    }
    let (Ok(width), Ok(height)) = (u16::try_from(size.0), u16::try_from(size.1)) else {
        return Err(Error::Usage(format!(
            "a GIF has at most 65535 pixels a side, but this one would have {} x {}; choose fewer components or \
             smaller images",
            size.0, size.1
        )));
    };
    let (palette, index) = quantised(counts);
    let refused = |e: EncodingError| Error::Figure(e.to_string());
    let mut encoder = Encoder::new(Vec::new(), width, height, palette.as_flattened()).map_err(refused)?;
    encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
    for (step, frame) in frames().enumerate() {
        let buffer: Vec<u8> = frame?.pixels().iter().map(|colour| index[colour]).collect();
        let delay = if step + 1 == snapshot.steps.len() { LAST } else { STEP };
        let frame = Frame { width, height, delay, buffer: Cow::Owned(buffer), ..Frame::default() };
        encoder.write_frame(&frame).map_err(refused)?;
    }
    encoder.into_inner().map_err(|e| Error::Figure(e.to_string()))
}

/// A palette of at most 256 colours for colours with these counts, and each colour's index in it.
fn quantised(counts: HashMap<Colour, u64>) -> (Vec<Colour>, HashMap<Colour, u8>) {
    let mut colours: Vec<(Colour, u64)> = counts.into_iter().collect();
    // Ties are sorted by colour, so that the palette does not depend on the order of a hash map.
    colours.sort_by_key(|(colour, count)| (Reverse(*count), *colour));
    let colours: Vec<Colour> = colours.into_iter().map(|(colour, _)| colour).collect();
    let exact = if colours.len() <= COLOURS { colours.len() } else { EXACT };
    let (kept, rest) = colours.split_at(exact);
    let mut palette: BTreeSet<Colour> = kept.iter().copied().collect();
    if !rest.is_empty() {
        let pixels: Vec<u8> = rest.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect();
        let fitted = NeuQuant::new(1, COLOURS - EXACT, &pixels).color_map_rgb();
        palette.extend(fitted.chunks_exact(3).map(|c| [c[0], c[1], c[2]]));
    }
    let palette: Vec<Colour> = palette.into_iter().collect();
    let distance = |a: Colour, b: Colour| -> i32 {
        a.iter().zip(b).map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum()
    };
    let nearest = |colour: &Colour| {
        let places = (0..=u8::MAX).zip(&palette);
        places.min_by_key(|(_, other)| distance(*colour, **other)).map_or(0, |(place, _)| place)
    };
    let index = colours.iter().map(|colour| (*colour, nearest(colour))).collect();
    (palette, index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn few_colours_stay_and_many_become_256_near_ones(
            colours in prop::collection::hash_map(any::<[u8; 3]>(), 1u64..1000, 1..900),
        ) {
            let count = colours.len();
            let common = colours.iter().max_by_key(|(colour, count)| (**count, Reverse(**colour))).map(|(c, _)| *c);
            let (palette, index) = quantised(colours);
            prop_assert!(palette.len() <= COLOURS);
            prop_assert_eq!(index.len(), count);
            let stands_for = |colour: &Colour| palette[usize::from(index[colour])];
            if count <= COLOURS {
                prop_assert!(index.keys().all(|colour| stands_for(colour) == *colour));
            }
            let common = common.unwrap();
            prop_assert_eq!(stands_for(&common), common, "what covers most is exact");
        }
    }
}
