//! Objects on a canvas, at rest or flying.
//!
//! Shapes and digits differ only in what they look like: an image is the pixel-wise maximum of its objects (the union,
//! where they are binary), and a pixel belongs to the object that exceeds 0.2 there, or to none where several do.

use crate::preset::Speed;
use crate::random::Stream;

/// A pixel belongs to an object that is brighter than this there.
const BELONGS: f32 = 0.2;

/// What an object looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Sprite {
    /// Height.
    pub rows: usize,
    /// Width.
    pub columns: usize,
    /// Rows times columns values in 0..=1.
    pub pixels: Vec<f32>,
}

/// An object with its position and velocity as (row, column), in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneObject {
    /// What it looks like.
    pub sprite: Sprite,
    /// Its upper left corner in the first frame.
    pub start: [f64; 2],
    /// Its movement from one frame to the next.
    pub velocity: [f64; 2],
}

impl SceneObject {
    /// At rest at a uniformly drawn position on the pixel grid, entirely inside.
    pub fn resting(sprite: Sprite, [height, width]: [usize; 2], stream: &mut Stream) -> SceneObject {
        let top = stream.below(height - sprite.rows + 1);
        let left = stream.below(width - sprite.columns + 1);
        SceneObject { sprite, start: [top as f64, left as f64], velocity: [0.0; 2] }
    }

    /// Flying, with uniformly drawn position and velocity.
    pub fn flying(sprite: Sprite, size: [usize; 2], speed: Speed, stream: &mut Stream) -> SceneObject {
        if speed.whole {
            let resting = SceneObject::resting(sprite, size, stream);
            return SceneObject { velocity: [(); 2].map(|()| whole_pixels(speed, stream)), ..resting };
        }
        let room = room(&sprite, size);
        let start = room.map(|room| f64::from(stream.uniform()) * room);
        let pace = speed.min + f64::from(stream.uniform()) * (speed.max - speed.min);
        let velocity = direction(stream).map(|share| share * pace);
        SceneObject { sprite, start, velocity }
    }

    /// The position of its upper left corner in frame `t`, rounded to pixels. Walls are elastic: they reflect an object,
    /// which keeps its speed.
    fn place(&self, t: usize, size: [usize; 2]) -> [usize; 2] {
        let room = room(&self.sprite, size);
        [0, 1].map(|axis| {
            let way = self.start[axis] + self.velocity[axis] * t as f64;
            bounced(way, room[axis]).round() as usize
        })
    }
}

/// How far the corner of `sprite` can move on each axis.
fn room(sprite: &Sprite, [height, width]: [usize; 2]) -> [f64; 2] {
    [(height - sprite.rows) as f64, (width - sprite.columns) as f64]
}

/// `way`, folded at 0 and at `room`.
fn bounced(way: f64, room: f64) -> f64 {
    if room <= 0.0 {
        return 0.0;
    }
    let phase = way.rem_euclid(2.0 * room);
    if phase > room { 2.0 * room - phase } else { phase }
}

/// A uniform whole number of magnitude `speed.min` to `speed.max`.
fn whole_pixels(speed: Speed, stream: &mut Stream) -> f64 {
    let max = speed.max.floor();
    loop {
        let drawn = stream.below(2 * max as usize + 1) as f64;
        let velocity = if drawn <= max { drawn } else { max - drawn };
        if velocity.abs() >= speed.min {
            return velocity;
        }
    }
}

/// A uniform direction, of length 1. It is drawn from the disc by rejection, because square roots are exact to the last
/// bit on every machine and sines are not.
fn direction(stream: &mut Stream) -> [f64; 2] {
    loop {
        let [y, x] = [0, 1].map(|_| 2.0 * f64::from(stream.uniform()) - 1.0);
        let length = (y * y + x * x).sqrt();
        if length <= 1.0 && length > 1e-3 {
            return [y / length, x / length];
        }
    }
}

/// Appends frame `t` of `objects` to `features`, and its groups, counted from 1, to `groups`.
pub fn draw(
    objects: &[SceneObject],
    t: usize,
    [height, width]: [usize; 2],
    features: &mut Vec<f32>,
    groups: &mut Vec<u8>,
) {
    let begin = features.len();
    features.resize(begin + height * width, 0.0);
    groups.resize(begin + height * width, 0);
    // Pixels that an object has covered; one that two have covered belongs to neither.
    let mut covered = vec![false; height * width];
    let (features, groups) = (&mut features[begin..], &mut groups[begin..]);
    for (group, object) in (1..).zip(objects) {
        let [top, left] = object.place(t, [height, width]);
        let columns = object.sprite.columns;
        for (row, line) in object.sprite.pixels.chunks_exact(columns).enumerate() {
            let begin = (top + row) * width + left;
            for (pixel, &value) in (begin..).zip(line) {
                features[pixel] = features[pixel].max(value);
                if value > BELONGS {
                    groups[pixel] = if covered[pixel] { 0 } else { group };
                    covered[pixel] = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use proptest::prelude::*;

    fn sprite(rows: usize, columns: usize, value: f32) -> Sprite {
        Sprite { rows, columns, pixels: vec![value; rows * columns] }
    }

    fn frame(objects: &[SceneObject], t: usize, size: [usize; 2]) -> (Vec<f32>, Vec<u8>) {
        let (mut features, mut groups) = (Vec::new(), Vec::new());
        draw(objects, t, size, &mut features, &mut groups);
        (features, groups)
    }

    fn at_rest(sprite: Sprite, start: [f64; 2]) -> SceneObject {
        SceneObject { sprite, start, velocity: [0.0; 2] }
    }

    #[test]
    fn overlap_belongs_to_nobody_and_a_third_object_does_not_reclaim_it() {
        let bar = || at_rest(sprite(1, 3, 1.0), [0.0, 0.0]);
        for n in [2, 3] {
            let (features, groups) = frame(&vec![bar(); n], 0, [1, 3]);
            assert_eq!((features, groups), (vec![1.0; 3], vec![0; 3]));
        }
    }

    #[test]
    fn grey_objects_overlay_by_the_maximum_and_own_what_exceeds_a_fifth() {
        let faint = at_rest(Sprite { rows: 1, columns: 3, pixels: vec![0.2, 0.21, 0.9] }, [0.0, 0.0]);
        let bright = at_rest(Sprite { rows: 1, columns: 2, pixels: vec![0.1, 0.5] }, [0.0, 1.0]);
        let (features, groups) = frame(&[faint, bright], 0, [1, 4]);
        assert_eq!(features, [0.2, 0.21, 0.9, 0.0]);
        // 0.2 is not above; 0.1 does not contest 0.21; two exceed it at the third.
        assert_eq!(groups, [0, 1, 0, 0]);
    }

    proptest! {
        /// The corner never leaves the room, and keeps its speed: the way from one frame to the next is as
        /// long as ever, straight or by one of the walls. (An object that crosses its whole room in a frame
        /// may meet both, and is only asked to stay inside.)
        #[test]
        fn walls_are_elastic(start in 0.0f64..1.0, pace in -5.0f64..5.0, room in 1.0f64..30.0, t in 0usize..200) {
            let start = start * room;
            let at = |t: usize| bounced(start + pace * t as f64, room);
            prop_assert!((0.0..=room).contains(&at(t)));
            if pace.abs() < room {
                let (a, b) = (at(t), at(t + 1));
                let ways = [(a - b).abs(), a + b, 2.0 * room - a - b];
                prop_assert!(
                    ways.iter().any(|way| (way - pace.abs()).abs() < 1e-9),
                    "from {a} to {b} of {room} at {pace}"
                );
            }
        }

        #[test]
        fn flying_objects_keep_to_the_speed_range(seed in any::<u64>(), min in 0.0f64..2.0, more in 0.0f64..3.0) {
            let mut stream = Stream::new(seed, Purpose::TrainSample, 0, 0);
            let speed = Speed { min, max: min + more, whole: false };
            let object = SceneObject::flying(sprite(7, 12, 1.0), [28, 28], speed, &mut stream);
            let [y, x] = object.velocity;
            let pace = (y * y + x * x).sqrt();
            prop_assert!(pace >= min - 1e-9 && pace <= min + more + 1e-9);
            prop_assert!(object.start[0] <= 21.0 && object.start[1] <= 16.0);
        }

        /// Drawn whole in every frame: nothing is cut off at a wall.
        #[test]
        fn objects_stay_inside(seed in any::<u64>(), t in 0usize..100) {
            let mut stream = Stream::new(seed, Purpose::TrainSample, 0, 0);
            let speed = Speed { min: 0.5, max: 4.0, whole: false };
            let object = SceneObject::flying(sprite(4, 5, 1.0), [9, 9], speed, &mut stream);
            let (features, groups) = frame(std::slice::from_ref(&object), t, [9, 9]);
            prop_assert_eq!(features.iter().filter(|v| **v == 1.0).count(), 20);
            prop_assert_eq!(groups.iter().filter(|g| **g == 1).count(), 20);
        }
    }

    /// Whole numbers in range, all equally often, and no rounding anywhere on the way.
    #[test]
    fn whole_velocities_are_uniform() {
        for (min, max) in (0..3).flat_map(|min| (min..min + 3).map(move |max| (min, max))) {
            let mut stream = Stream::new(3, Purpose::TrainSample, 0, 0);
            let speed = Speed { min: f64::from(min), max: f64::from(max), whole: true };
            let values: Vec<i32> = (-max..=max).filter(|v: &i32| v.abs() >= min).collect();
            let mut counts = vec![0; values.len()];
            for _ in 0..200 * values.len() {
                let object = SceneObject::flying(sprite(7, 12, 1.0), [28, 28], speed, &mut stream);
                for velocity in object.velocity {
                    counts[values.iter().position(|&v| f64::from(v) == velocity).unwrap()] += 1;
                }
                assert!(object.start.iter().all(|v| v.fract() == 0.0));
            }
            assert!(counts.iter().all(|n| (300..500).contains(n)), "{counts:?} of {values:?}");
        }
    }

    #[test]
    fn directions_are_uniform() {
        let mut stream = Stream::new(3, Purpose::TrainSample, 0, 0);
        let mut quarters = [0; 4];
        for _ in 0..4000 {
            let [y, x] = direction(&mut stream);
            assert!((y * y + x * x - 1.0).abs() < 1e-12);
            quarters[usize::from(y > 0.0) * 2 + usize::from(x > 0.0)] += 1;
        }
        assert!(quarters.iter().all(|n| (850..1150).contains(n)), "{quarters:?}");
    }
}
