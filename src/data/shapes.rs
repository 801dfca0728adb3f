//! Binary images of overlapping shapes (paper §4.1, A.1).

use super::Sample;
use crate::preset::ShapeSet;
use crate::random::Stream;

/// A shape, as rows of `#` (on) and anything else (off).
type Shape = &'static [&'static str];

const SQUARE: Shape = &["#######", "#######", "##...##", "##...##", "##...##", "#######", "#######"];
const TRIANGLE_UP: Shape = &[
    ".....##.....",
    "....####....",
    "...######...",
    "..###..###..",
    ".###....###.",
    "############",
    "############",
];
const TRIANGLE_DOWN: Shape = &[
    "############",
    "############",
    ".###....###.",
    "..###..###..",
    "...######...",
    "....####....",
    ".....##.....",
];
const SMALL_SQUARE: Shape = &["####", "#..#", "#..#", "####"];
const SMALL_TRIANGLE_UP: Shape = &["...#...", "..###..", ".##.##.", "#######"];
const SMALL_TRIANGLE_DOWN: Shape = &["#######", ".##.##.", "..###..", "...#..."];

/// The shapes of a set.
pub fn set(set: ShapeSet) -> &'static [Shape] {
    match set {
        ShapeSet::Paper => &[SQUARE, TRIANGLE_UP, TRIANGLE_DOWN],
        ShapeSet::Small => &[SMALL_SQUARE, SMALL_TRIANGLE_UP, SMALL_TRIANGLE_DOWN],
    }
}

/// `objects` shapes, each uniform in kind and position and fully inside; the image is their union,
/// and a pixel covered twice belongs to group 0.
pub fn draw(shapes: &[Shape], objects: usize, height: usize, width: usize, stream: &mut Stream) -> Sample {
    let mut features = vec![0.0; height * width];
    let mut groups = vec![0; height * width];
    for object in 1..=objects {
        let shape = shapes[stream.below(shapes.len())];
        let top = stream.below(height - shape.len() + 1);
        let left = stream.below(width - shape[0].len() + 1);
        for (row, line) in shape.iter().enumerate() {
            for (column, _) in line.bytes().enumerate().filter(|(_, cell)| *cell == b'#') {
                let pixel = (top + row) * width + left + column;
                // On already: overlap, whether of two objects or more.
                groups[pixel] = if features[pixel] == 0.0 { object as u8 } else { 0 };
                features[pixel] = 1.0;
            }
        }
    }
    Sample { features, groups }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn pixels(shape: Shape) -> usize {
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
    fn one_object_is_drawn_whole_at_uniform_places() {
        let mut corners = std::collections::HashSet::new();
        for index in 0..3000 {
            let mut stream = Stream::new(5, Purpose::TrainSample, 0, index);
            let sample = draw(set(ShapeSet::Small), 1, 6, 8, &mut stream);
            let on = sample.features.iter().filter(|x| **x == 1.0).count();
            assert!(set(ShapeSet::Small).iter().any(|s| pixels(s) == on), "{on} pixels");
            corners.insert(sample.groups.clone());
        }
        // Square: 3 rows x 5 columns of places; each triangle 3 x 2.
        assert_eq!(corners.len(), 15 + 6 + 6);
    }

    #[test]
    fn overlap_belongs_to_nobody() {
        // Two full-size shapes in an image that holds them in one place only: they always overlap.
        let shapes: &[Shape] = &[&["###"], &["###"]];
        let sample = draw(shapes, 2, 1, 3, &mut Stream::new(1, Purpose::TrainSample, 0, 0));
        assert_eq!((sample.features, sample.groups), (vec![1.0; 3], vec![0; 3]));
        let three = draw(shapes, 3, 1, 3, &mut Stream::new(1, Purpose::TrainSample, 0, 0));
        assert_eq!(three.groups, vec![0; 3], "a third object does not reclaim a pixel");
    }
}
