//! Synthetic digits, for machines without MNIST: strokes with random thickness, slant and wobble.
//!
//! They look like digits but are not MNIST's: scores on them compare with each other, not with the paper's. They are
//! drawn in MNIST's format, 28x28 grey levels within a box of 20x20, and then halved like MNIST's. They use only sums,
//! products and square roots, so they are the same on every machine.

use super::mnist::halve;
use crate::random::Stream;

/// Height and width of the canvas, in pixels.
const CANVAS: usize = 28;
/// Height and width of the box that a digit fills, in pixels.
const BOX: f32 = 20.0;
/// How far a template's point is moved at most, on both axes.
const WOBBLE: f32 = 0.045;
/// Lines that the curve between two points is drawn with.
const PIECES: usize = 6;

/// A place: (column, row), in 0..=1 on a template, in pixels on the canvas.
type Point = [f32; 2];
/// Points that a smooth line passes through.
type Stroke = &'static [Point];

/// The strokes of every digit. A corner is where one stroke ends and the next begins.
const TEMPLATES: [&[Stroke]; 10] = [
    &[&[
        [0.5, 0.1],
        [0.27, 0.22],
        [0.2, 0.5],
        [0.27, 0.8],
        [0.5, 0.9],
        [0.73, 0.8],
        [0.8, 0.5],
        [0.73, 0.22],
        [0.5, 0.1],
    ]],
    &[&[[0.38, 0.26], [0.54, 0.1]], &[[0.54, 0.1], [0.52, 0.5], [0.5, 0.9]]],
    &[
        &[[0.22, 0.28], [0.4, 0.11], [0.7, 0.15], [0.75, 0.36], [0.52, 0.64], [0.22, 0.9]],
        &[[0.22, 0.9], [0.5, 0.87], [0.8, 0.88]],
    ],
    &[
        &[[0.25, 0.18], [0.5, 0.1], [0.72, 0.24], [0.65, 0.42], [0.44, 0.48]],
        &[[0.44, 0.48], [0.7, 0.54], [0.76, 0.74], [0.52, 0.9], [0.22, 0.82]],
    ],
    &[
        &[[0.56, 0.1], [0.38, 0.38], [0.2, 0.6]],
        &[[0.2, 0.6], [0.5, 0.6], [0.82, 0.58]],
        &[[0.64, 0.35], [0.62, 0.65], [0.6, 0.92]],
    ],
    &[
        &[[0.76, 0.1], [0.34, 0.12]],
        &[[0.34, 0.12], [0.28, 0.45]],
        &[[0.28, 0.45], [0.56, 0.4], [0.77, 0.6], [0.64, 0.85], [0.24, 0.86]],
    ],
    &[&[
        [0.68, 0.1],
        [0.4, 0.3],
        [0.25, 0.64],
        [0.42, 0.9],
        [0.7, 0.82],
        [0.7, 0.58],
        [0.46, 0.53],
        [0.27, 0.7],
    ]],
    &[&[[0.2, 0.13], [0.5, 0.14], [0.8, 0.12]], &[[0.8, 0.12], [0.56, 0.5], [0.42, 0.92]]],
    &[&[
        [0.62, 0.4],
        [0.72, 0.24],
        [0.5, 0.1],
        [0.28, 0.26],
        [0.5, 0.48],
        [0.75, 0.7],
        [0.5, 0.9],
        [0.25, 0.72],
        [0.46, 0.5],
        [0.62, 0.4],
    ]],
    &[
        &[[0.72, 0.3], [0.5, 0.5], [0.27, 0.36], [0.42, 0.12], [0.68, 0.14], [0.72, 0.3]],
        &[[0.72, 0.3], [0.67, 0.62], [0.54, 0.92]],
    ],
];

/// Writes `digit` (0 to 9): 14x14 values in 0..=1.
pub fn write(digit: usize, stream: &mut Stream) -> Vec<f32> {
    let mut between = |from: f32, to: f32| from + (to - from) * stream.uniform();
    let half_width = between(0.9, 1.8);
    let [wide, slant, tilt] = [between(0.75, 1.1), between(-0.15, 0.4), between(-0.15, 0.15)];
    // A point that strokes share, or where a loop closes, wobbles only once.
    let mut wobbled: Vec<(Point, Point)> = Vec::new();
    let mut place = |point: Point| {
        if let Some((_, place)) = wobbled.iter().find(|(of, _)| *of == point) {
            return *place;
        }
        let [x, y] = point.map(|along| along - 0.5 + between(-WOBBLE, WOBBLE));
        let place = [wide * x - slant * y, y + tilt * x];
        wobbled.push((point, place));
        place
    };
    let mut lines: Vec<Vec<Point>> = TEMPLATES[digit]
        .iter()
        .map(|stroke| smooth(&stroke.iter().map(|point| place(*point)).collect::<Vec<_>>()))
        .collect();
    fit(&mut lines, half_width);
    let mut levels = Vec::with_capacity(CANVAS * CANVAS);
    for row in 0..CANVAS {
        for column in 0..CANVAS {
            let distance = distance(&lines, [column as f32 + 0.5, row as f32 + 0.5]);
            levels.push(((half_width + 0.5 - distance).clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    halve(&levels, CANVAS, CANVAS)
}

/// The line through `points` that a Catmull-Rom spline draws.
fn smooth(points: &[Point]) -> Vec<Point> {
    let at = |i: isize| points[i.clamp(0, points.len() as isize - 1) as usize];
    let mut line = vec![points[0]];
    for i in 0..points.len() as isize - 1 {
        let [before, from, to, after] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
        for piece in 1..=PIECES {
            let s = piece as f32 / PIECES as f32;
            line.push([0, 1].map(|axis| {
                let [p, q, r, u] = [before[axis], from[axis], to[axis], after[axis]];
                let (a, b) = (2.0 * p - 5.0 * q + 4.0 * r - u, 3.0 * q - p - 3.0 * r + u);
                q + 0.5 * s * (r - p + s * (a + s * b))
            }));
        }
    }
    line
}

/// Moves and scales the lines into the middle of the canvas, as large as the box allows.
fn fit(lines: &mut [Vec<Point>], half_width: f32) {
    let (mut least, mut most) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in lines.iter().flatten() {
        for axis in 0..2 {
            least[axis] = least[axis].min(point[axis]);
            most[axis] = most[axis].max(point[axis]);
        }
    }
    let scale = (BOX - 2.0 * half_width) / (most[0] - least[0]).max(most[1] - least[1]);
    for point in lines.iter_mut().flatten() {
        for axis in 0..2 {
            let middle = 0.5 * (least[axis] + most[axis]);
            point[axis] = CANVAS as f32 / 2.0 + scale * (point[axis] - middle);
        }
    }
}

/// How far `point` is from the nearest line.
fn distance(lines: &[Vec<Point>], point: Point) -> f32 {
    let squares = lines.iter().flat_map(|line| line.windows(2)).map(|ends| {
        let [start, end] = [ends[0], ends[1]];
        let along = [end[0] - start[0], end[1] - start[1]];
        let to = [point[0] - start[0], point[1] - start[1]];
        let length = along[0] * along[0] + along[1] * along[1];
        let share = ((to[0] * along[0] + to[1] * along[1]) / length.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        let off = [to[0] - share * along[0], to[1] - share * along[1]];
        off[0] * off[0] + off[1] * off[1]
    });
    squares.fold(f32::MAX, f32::min).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use proptest::prelude::*;

    fn written(digit: usize, seed: u64) -> Vec<f32> {
        write(digit, &mut Stream::new(seed, Purpose::Digit, 0, 0))
    }

    proptest! {
        #[test]
        fn digits_are_grey_repeat_and_keep_to_the_box(digit in 0usize..10, seed in any::<u64>()) {
            let image = written(digit, seed);
            prop_assert_eq!(image.len(), 14 * 14);
            prop_assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
            prop_assert_eq!(&image, &written(digit, seed));
            // 20 of 28 pixels, so 10 of 14, and one more for the blur on each side.
            let outside = |i: usize| !(1..=12).contains(&i);
            for (i, value) in image.iter().enumerate() {
                prop_assert!(*value == 0.0 || !(outside(i / 14) || outside(i % 14)), "{i} is {value}");
            }
            let ink = image.iter().filter(|v| **v > 0.2).count();
            prop_assert!((12..100).contains(&ink), "{ink} of 196 pixels are on");
        }
    }

    /// Two of the same kind are on the whole nearer than two of different kinds: they are digits, not
    /// scribbles.
    #[test]
    fn a_digit_is_nearest_to_others_of_its_kind() {
        let mean = |digit| {
            let mut mean = vec![0.0; 14 * 14];
            for seed in 0..60 {
                mean.iter_mut().zip(written(digit, seed)).for_each(|(sum, v)| *sum += v / 60.0);
            }
            mean
        };
        let means: Vec<Vec<f32>> = (0..10).map(mean).collect();
        let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let right = (0..10)
            .flat_map(|digit| (100..140).map(move |seed| (digit, written(digit, seed))))
            .filter(|(digit, image)| {
                (0..10).min_by(|a, b| far(image, &means[*a]).total_cmp(&far(image, &means[*b])))
                    == Some(*digit)
            });
        let right = right.count();
        assert!(right > 300, "{right} of 400");
    }

    #[test]
    fn one_of_each() {
        let level = |v: f32| b" .:*#"[(v * 4.999) as usize] as char;
        let rows = |image: Vec<f32>| -> Vec<String> {
            image.chunks(14).map(|row| row.iter().map(|v| level(*v)).collect()).collect()
        };
        let images: Vec<Vec<String>> = (0..10).map(|digit| rows(written(digit, 7))).collect();
        let picture: Vec<String> = (0..2)
            .flat_map(|half| {
                let images = &images;
                (0..14).map(move |row| {
                    images[half * 5..][..5]
                        .iter()
                        .map(|image| image[row].as_str())
                        .collect::<Vec<_>>()
                        .join(" ")
                })
            })
            .map(|line| line.trim_end().to_owned())
            .collect();
        insta::assert_snapshot!(picture.join("\n"));
    }
}
