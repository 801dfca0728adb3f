//! The paper's binary shapes (§4.1, A.1).

use super::scene::Sprite;
use crate::preset::{Bitmap, ShapeSet};
use crate::random::Stream;

/// A uniformly drawn shape of the set, and its number in the set.
pub fn any(of: ShapeSet, stream: &mut Stream) -> (Sprite, u8) {
    let shapes = of.shapes();
    let kind = stream.below(shapes.len());
    (sprite(shapes[kind]), kind as u8)
}

fn sprite(shape: Bitmap) -> Sprite {
    let on = |cell: u8| if cell == b'#' { 1.0 } else { 0.0 };
    let pixels = shape.iter().flat_map(|line| line.bytes()).map(on).collect();
    Sprite { rows: shape.len(), columns: shape[0].len(), pixels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn pixels(shape: Bitmap) -> usize {
        shape.iter().flat_map(|line| line.bytes()).filter(|cell| *cell == b'#').count()
    }

    #[test]
    fn every_shape_of_a_set_is_drawn_as_often() {
        let mut counts = [0; 3];
        let mut stream = Stream::new(5, Purpose::TrainSample, 0, 0);
        for _ in 0..3000 {
            let (sprite, kind) = any(ShapeSet::Small, &mut stream);
            let on = sprite.pixels.iter().filter(|v| **v == 1.0).count();
            assert_eq!(on, pixels(ShapeSet::Small.shapes()[usize::from(kind)]));
            counts[usize::from(kind)] += 1;
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
    }
}
