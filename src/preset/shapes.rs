//! What the paper's binary shapes look like (§4.1, A.1).

use super::data::{Data, ShapeSet};

/// A shape: rows of `#` (on) and anything else (off).
pub type Bitmap = &'static [&'static str];

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

impl ShapeSet {
    /// The shapes of the set.
    pub fn shapes(self) -> [Bitmap; 3] {
        match self {
            ShapeSet::Paper => [SQUARE, TRIANGLE_UP, TRIANGLE_DOWN],
            ShapeSet::Small => [SMALL_SQUARE, SMALL_TRIANGLE_UP, SMALL_TRIANGLE_DOWN],
        }
    }
}

impl Data {
    /// The shapes it consists of, for data with shapes: its images are binary.
    pub fn shape_set(&self) -> Option<ShapeSet> {
        match self {
            Data::Shapes { shape_set, .. } | Data::FlyingShapes { shape_set, .. } => Some(*shape_set),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let rows = which.shapes().iter().map(|s| s.len()).max();
            let columns = which.shapes().iter().flat_map(|s| s.iter()).map(|l| l.len()).max();
            assert_eq!((rows, columns), (Some(which.largest().0), Some(which.largest().1)));
            assert!(
                which.shapes().iter().all(|s| s.iter().all(|l| l.len() == s[0].len())),
                "rows are equally long"
            );
        }
    }
}
