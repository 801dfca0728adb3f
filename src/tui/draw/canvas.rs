//! The picture that is drawn: pixels, and on them objects that can be moved.
//!
//! As in the data, an image is the pixel-wise maximum of its objects, and a pixel belongs to the object that exceeds 0.2
//! there, or to none where several do. So the truth is known as long as the picture consists of the sample's own objects
//! and of stamped shapes; a painted pixel belongs to an unknown object.

use super::piece::{self, Piece};
use crate::preset::ImageSize;

/// A pixel belongs to an object that is brighter than this there.
const BELONGS: f32 = 0.2;
/// How far from the cursor an object may be to be picked up, in pixels: shapes are hollow.
const REACH: usize = 3;

/// The picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    /// C, H and W.
    pub image: ImageSize,
    /// What lies under the objects, M values.
    ground: Vec<f32>,
    /// Where the user has painted on it, P values.
    painted: Vec<bool>,
    /// The objects, in the order of their numbers in the truth.
    pieces: Vec<Piece>,
    /// Whether the objects of the picture it began with were known.
    known: bool,
}

impl Canvas {
    /// A black picture.
    pub fn empty(image: ImageSize) -> Canvas {
        let ground = vec![0.0; image.values()];
        Canvas { image, ground, painted: vec![false; image.pixels()], pieces: Vec::new(), known: true }
    }

    /// The picture of M values with these true objects, if they are known. `shapes` are what its objects may look
    /// like, for data that consists of shapes.
    pub fn of(image: ImageSize, values: &[f32], groups: Option<&[u8]>, shapes: &[Piece]) -> Canvas {
        let mut canvas = Canvas { known: groups.is_some(), ..Canvas::empty(image) };
        canvas.ground.iter_mut().zip(values).for_each(|(pixel, value)| *pixel = *value);
        let Some(groups) = groups.filter(|groups| groups.len() == image.pixels()) else { return canvas };
        canvas.pieces = piece::objects(image, &canvas.ground, groups, shapes, BELONGS);
        for pixel in 0..image.pixels() {
            if canvas.pieces.iter().any(|piece| piece.has(image, pixel)) {
                canvas.set_ground(pixel, 0.0);
            }
        }
        canvas
    }

    /// M values.
    pub fn values(&self) -> Vec<f32> {
        let places = self.image.pixels();
        let mut values = self.ground.clone();
        for piece in &self.pieces {
            for (pixel, colour) in piece.pixels(self.image) {
                for (channel, value) in colour.iter().enumerate() {
                    let there = &mut values[channel * places + pixel];
                    *there = there.max(*value);
                }
            }
        }
        values
    }

    /// The true object of each pixel, P values; `None` if it is not known, or there is no object.
    pub fn groups(&self) -> Option<Vec<u8>> {
        if self.why_unknown().is_some() {
            return None;
        }
        let mut groups = vec![0; self.image.pixels()];
        let mut covered = vec![false; self.image.pixels()];
        for (group, piece) in (1..).zip(&self.pieces) {
            for (pixel, colour) in piece.pixels(self.image) {
                if brightness(colour) > BELONGS {
                    groups[pixel] = if covered[pixel] { 0 } else { group };
                    covered[pixel] = true;
                }
            }
        }
        Some(groups)
    }

    /// Why the true objects are not known, if they are not.
    pub fn why_unknown(&self) -> Option<&'static str> {
        match () {
            () if !self.known => Some("the objects of this image are not known"),
            () if self.painted.contains(&true) || self.pieces.iter().any(|piece| piece.painted) => {
                Some("painted pixels belong to no known object")
            }
            () if self.pieces.is_empty() => Some("there is no object yet"),
            () if self.pieces.len() > usize::from(u8::MAX) => Some("there are too many objects"),
            () => None,
        }
    }

    /// How bright a pixel is.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        let pixel = y * self.image.width + x;
        let lit =
            |piece: &Piece| piece.pixels(self.image).find(|(at, _)| *at == pixel).map(|(_, c)| brightness(c));
        let on_top = self.pieces.iter().filter_map(lit);
        on_top.fold(self.ground_at(pixel), f32::max)
    }

    /// The pixels under a square brush of `size` pixels with its middle at a pixel.
    pub fn under(&self, (x, y): (usize, usize), size: usize) -> impl Iterator<Item = usize> + use<> {
        let ImageSize { height, width, .. } = self.image;
        let span =
            move |at: usize, most: usize| at.saturating_sub((size - 1) / 2)..(at + size / 2 + 1).min(most);
        span(y, height).flat_map(move |y| span(x, width).map(move |x| y * width + x))
    }

    /// Paints a square of `size` pixels around a pixel with this value; black erases. Returns whether that changes
    /// anything.
    pub fn paint(&mut self, at: (usize, usize), size: usize, value: f32) -> bool {
        let values = self.values();
        let is_new = |pixel: &usize| {
            (0..self.image.channels).any(|channel| values[channel * self.image.pixels() + pixel] != value)
        };
        let pixels: Vec<usize> = self.under(at, size).filter(is_new).collect();
        for pixel in &pixels {
            self.pieces.iter_mut().for_each(|piece| piece.remove(self.image, *pixel));
            self.set_ground(*pixel, value);
            self.painted[*pixel] = value > 0.0;
        }
        self.pieces.retain(|piece| !piece.is_empty());
        !pixels.is_empty()
    }

    /// The object under a pixel or next to it, else the connected pixels there as an object of their own.
    pub fn pick(&mut self, x: usize, y: usize) -> Option<usize> {
        let near = self.nearest(x, y)?;
        // The topmost.
        let held = self.pieces.iter().rposition(|piece| piece.has(self.image, near));
        held.or_else(|| {
            let lit = |pixel: usize| self.ground_at(pixel) > 0.0;
            let pixels = piece::connected(self.image, near, &lit);
            let piece = Piece::cut(self.image, &self.ground, &pixels, true);
            pixels.iter().for_each(|pixel| {
                self.set_ground(*pixel, 0.0);
                self.painted[*pixel] = false;
            });
            self.pieces.push(piece);
            Some(self.pieces.len() - 1)
        })
    }

    /// Puts a picked object down; painted pixels become part of the ground again.
    pub fn put(&mut self, held: usize) {
        if self.pieces.get(held).is_none_or(|piece| !piece.painted) {
            return;
        }
        let (image, piece) = (self.image, self.pieces.remove(held));
        for (pixel, colour) in piece.pixels(image) {
            for (channel, value) in colour.iter().enumerate() {
                let there = &mut self.ground[channel * image.pixels() + pixel];
                *there = there.max(*value);
            }
            self.painted[pixel] = true;
        }
    }

    /// Moves an object, but not wholly out of the picture. Returns whether it has moved.
    pub fn shift(&mut self, held: usize, right: i64, down: i64) -> bool {
        let image = self.image;
        self.pieces.get_mut(held).is_some_and(|piece| piece.shift(image, right, down))
    }

    /// Adds an object like this one, with its middle at a pixel.
    pub fn stamp(&mut self, piece: &Piece, x: usize, y: usize) {
        self.pieces.push(piece.centred(self.image, x, y));
    }

    /// The objects.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The closest lit pixel within reach.
    fn nearest(&self, x: usize, y: usize) -> Option<usize> {
        let values = self.values();
        let lit =
            |pixel: &usize| (0..self.image.channels).any(|c| values[c * self.image.pixels() + pixel] > 0.0);
        let away = |pixel: &usize| {
            let (column, row) = (pixel % self.image.width, pixel / self.image.width);
            column.abs_diff(x).max(row.abs_diff(y))
        };
        (0..self.image.pixels()).filter(lit).filter(|pixel| away(pixel) <= REACH).min_by_key(away)
    }

    fn ground_at(&self, pixel: usize) -> f32 {
        (0..self.image.channels).map(|c| self.ground[c * self.image.pixels() + pixel]).fold(0.0, f32::max)
    }

    fn set_ground(&mut self, pixel: usize, value: f32) {
        (0..self.image.channels).for_each(|c| self.ground[c * self.image.pixels() + pixel] = value);
    }
}

fn brightness(colour: &[f32]) -> f32 {
    colour.iter().copied().fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::ShapeSet;

    const IMAGE: ImageSize = ImageSize { channels: 1, height: 12, width: 16 };

    fn shapes() -> Vec<Piece> {
        piece::of_set(ShapeSet::Small, 1)
    }

    /// A square at the upper left, and a triangle that overlaps it.
    fn overlapping() -> Canvas {
        let mut canvas = Canvas::empty(IMAGE);
        canvas.stamp(&shapes()[0], 4, 4);
        canvas.stamp(&shapes()[1], 6, 5);
        canvas
    }

    #[test]
    fn the_objects_of_a_sample_are_whole_again_where_they_overlap() {
        let drawn = overlapping();
        let (values, groups) = (drawn.values(), drawn.groups().unwrap());
        assert!(groups.contains(&1) && groups.contains(&2));
        let overlap = groups.iter().zip(&values).filter(|(group, value)| **group == 0 && **value > 0.0);
        assert!(overlap.count() > 0);
        let read = Canvas::of(IMAGE, &values, Some(&groups), &shapes());
        assert_eq!((read.values(), read.groups().unwrap()), (values, groups));
        // Drawn apart, both are whole.
        let mut apart = read;
        let held = apart.pick(4, 4).unwrap();
        assert_eq!(held, 0, "the square, although it is hollow");
        assert!(apart.shift(held, -2, 0) && apart.shift(held, 0, -1));
        let lit = apart.values().iter().filter(|value| **value > 0.0).count();
        assert_eq!(lit, 12 + 7 + 4 + 3 + 1);
        assert!(!apart.groups().unwrap().contains(&3) && apart.why_unknown().is_none());
    }

    #[test]
    fn without_shapes_what_overlaps_goes_with_every_object_it_touches() {
        let drawn = overlapping();
        let groups = drawn.groups().unwrap();
        let read = Canvas::of(IMAGE, &drawn.values(), Some(&groups), &[]);
        assert_eq!((read.values(), read.groups().unwrap()), (drawn.values(), groups));
    }

    #[test]
    fn painted_pixels_are_unknown_until_they_are_erased() {
        let mut canvas = overlapping();
        assert!(!canvas.paint((4, 2), 1, 1.0), "lit already");
        assert!(canvas.groups().is_some());
        assert!(canvas.paint((14, 10), 2, 1.0));
        assert_eq!(
            canvas.values().iter().filter(|v| **v == 1.0).count(),
            overlapping().values().iter().filter(|v| **v == 1.0).count() + 4
        );
        assert_eq!((canvas.groups(), canvas.why_unknown().is_some()), (None, true));
        assert!(canvas.paint((14, 10), 2, 0.0));
        assert!(canvas.groups().is_some());
        // A pixel less of the square is still a square's.
        assert!(canvas.paint((3, 2), 1, 0.0) && canvas.groups().is_some());
        assert_eq!(Canvas::empty(IMAGE).groups(), None);
    }

    #[test]
    fn painted_pixels_are_moved_together() {
        let mut canvas = Canvas::empty(IMAGE);
        for x in 2..6 {
            canvas.paint((x, 2), 1, 0.5);
        }
        canvas.paint((12, 9), 1, 1.0);
        let held = canvas.pick(5, 4).unwrap();
        assert!(canvas.shift(held, 0, 3));
        canvas.put(held);
        let lit: Vec<usize> = (0..IMAGE.pixels()).filter(|pixel| canvas.values()[*pixel] > 0.0).collect();
        assert_eq!(lit, [82, 83, 84, 85, 9 * 16 + 12]);
        assert!(canvas.pieces().is_empty() && canvas.groups().is_none());
        assert_eq!(canvas.pick(9, 0), None, "nothing is there");
    }

    #[test]
    fn an_object_is_never_lost_behind_the_edge() {
        let mut canvas = overlapping();
        while canvas.shift(0, -1, 0) {}
        assert!(canvas.pieces()[0].pixels(IMAGE).count() > 0);
        assert!(!canvas.shift(7, 1, 1), "there is no such object");
    }

    #[test]
    fn any_size_and_any_groups_can_be_drawn_on() {
        for (channels, height, width) in [(1, 1, 1), (3, 2, 5), (1, 40, 1)] {
            let image = ImageSize { channels, height, width };
            let groups: Vec<u8> = (0..image.pixels()).map(|pixel| (pixel % 3) as u8).collect();
            let values = vec![0.7; image.values()];
            let shapes = piece::of_set(ShapeSet::Small, channels);
            let mut canvas = Canvas::of(image, &values, Some(&groups), &shapes);
            assert_eq!(canvas.values(), values);
            for (x, y) in [(0, 0), (width - 1, height - 1)] {
                canvas.stamp(&shapes[1], x, y);
                canvas.paint((x, y), 9, 0.3);
                if let Some(held) = canvas.pick(x, y) {
                    canvas.shift(held, 1, -1);
                    canvas.put(held);
                }
            }
            assert_eq!(canvas.values().len(), image.values());
        }
    }
}
