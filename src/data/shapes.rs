//! The paper's binary shapes (§4.1, A.1).

use super::scene::Sprite;
use crate::preset::ShapeSet;
use crate::random::Stream;

/// A shape: rows of `#` (on) and anything else (off).
type Bitmap = &'static [&'static str];

const SQUARE: Bitmap = &["#######", "#######", "##...##", "##...##", "##...##", "#######", "#######"];
const TRIANGLE_UP: Bitmap = &[
    ".....##.....",
    "....####....",
    "...######...",
    "..###..###..",
    ".###....###.",
    "############",
    "############",
];
const TRIANGLE_DOWN: Bitmap = &[
    "############",
    "############",
    ".###....###.",
    "..###..###..",
    "...######...",
    "....####....",
    ".....##.....",
];
const SMALL_SQUARE: Bitmap = &["####", "#..#", "#..#", "####"];
const SMALL_TRIANGLE_UP: Bitmap = &["...#...", "..###..", ".##.##.", "#######"];
const SMALL_TRIANGLE_DOWN: Bitmap = &["#######", ".##.##.", "..###..", "...#..."];

/// The shapes of a set.
fn set(set: ShapeSet) -> [Bitmap; 3] {
    match set {
        ShapeSet::Paper => [SQUARE, TRIANGLE_UP, TRIANGLE_DOWN],
        ShapeSet::Small => [SMALL_SQUARE, SMALL_TRIANGLE_UP, SMALL_TRIANGLE_DOWN],
    }
}

/// A uniformly drawn shape of the set, and its number in the set.
pub fn any(of: ShapeSet, stream: &mut Stream) -> (Sprite, u8) {
    let shapes = set(of);
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
    fn the_shapes_are_as_specified() {
        assert_eq!((SQUARE.len(), SQUARE[0].len(), pixels(SQUARE)), (7, 7, 40));
        assert_eq!((TRIANGLE_UP.len(), TRIANGLE_UP[0].len(), pixels(TRIANGLE_UP)), (7, 12, 48));
        for (up, down) in [(TRIANGLE_UP, TRIANGLE_DOWN), (SMALL_TRIANGLE_UP, SMALL_TRIANGLE_DOWN)] {
            assert!(up.iter().eq(down.iter().rev()), "down is up's mirror");
        }
        for which in [ShapeSet::Paper, ShapeSet::Small] {
            let rows = set(which).iter().map(|s| s.len()).max();
            let columns = set(which).iter().flat_map(|s| s.iter()).map(|l| l.len()).max();
            assert_eq!((rows, columns), (Some(which.largest().0), Some(which.largest().1)));
            assert!(
                set(which).iter().all(|s| s.iter().all(|l| l.len() == s[0].len())),
                "rows are equally long"
            );
        }
    }

    #[test]
    fn every_shape_of_a_set_is_drawn_as_often() {
        let mut counts = [0; 3];
        let mut stream = Stream::new(5, Purpose::TrainSample, 0, 0);
        for _ in 0..3000 {
            let (sprite, kind) = any(ShapeSet::Small, &mut stream);
            let on = sprite.pixels.iter().filter(|v| **v == 1.0).count();
            assert_eq!(on, pixels(set(ShapeSet::Small)[usize::from(kind)]));
            counts[usize::from(kind)] += 1;
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
    }
}
