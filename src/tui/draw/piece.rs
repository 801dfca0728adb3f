//! Objects that can be moved about on a picture.

use crate::preset::{Bitmap, ImageSize, ShapeSet};

/// An object: its pixels, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its pixels relative to its place: column, row, and a value for each channel.
    dots: Vec<(i64, i64, Vec<f32>)>,
    /// Column and row of its place.
    place: (i64, i64),
    /// Whether it is made of painted pixels, so that it is unknown what object it is.
    pub painted: bool,
}

impl Piece {
    /// These pixels of an image of M values; `painted` if it is unknown what they are.
    pub fn cut(image: ImageSize, values: &[f32], pixels: &[usize], painted: bool) -> Piece {
        let dot = |pixel: &usize| {
            let colour = (0..image.channels).map(|c| values[c * image.pixels() + pixel]).collect();
            ((pixel % image.width) as i64, (pixel / image.width) as i64, colour)
        };
        Piece { dots: pixels.iter().map(dot).collect(), place: (0, 0), painted }
    }

    /// Its pixels in the image, each with a value for every channel.
    pub fn pixels(&self, image: ImageSize) -> impl Iterator<Item = (usize, &[f32])> {
        self.dots.iter().filter_map(move |(x, y, colour)| Some((at(self.place, image, *x, *y)?, &colour[..])))
    }

    /// Whether a pixel is one of its own.
    pub fn has(&self, image: ImageSize, pixel: usize) -> bool {
        self.pixels(image).any(|(own, _)| own == pixel)
    }

    /// Whether nothing of it is left.
    pub fn is_empty(&self) -> bool {
        self.dots.is_empty()
    }

    /// Takes a pixel away.
    pub fn remove(&mut self, image: ImageSize, pixel: usize) {
        let place = self.place;
        self.dots.retain(|(x, y, _)| at(place, image, *x, *y) != Some(pixel));
    }

    /// Moves it, but not wholly out of the image. Returns whether it has moved.
    pub fn shift(&mut self, image: ImageSize, right: i64, down: i64) -> bool {
        let before = self.place;
        self.place = (before.0 + right, before.1 + down);
        if self.pixels(image).next().is_none() {
            self.place = before;
        }
        self.place != before
    }

    /// The same with its middle at a pixel.
    pub fn centred(&self, image: ImageSize, x: usize, y: usize) -> Piece {
        let middle = |at: fn(&(i64, i64, Vec<f32>)) -> i64| {
            let least = self.dots.iter().map(at).min().unwrap_or(0);
            (least + self.dots.iter().map(at).max().unwrap_or(0) + 1) / 2
        };
        let place = (x as i64 - middle(|dot| dot.0), y as i64 - middle(|dot| dot.1));
        let there = Piece { place, painted: false, ..self.clone() };
        // A hollow shape in a tiny image.
        let is_seen = there.pixels(image).next().is_some();
        if is_seen { there } else { Piece { place: (0, 0), ..there } }
    }
}

/// The index of the pixel at this column and row of a piece in this place, if it is in the image.
fn at(place: (i64, i64), image: ImageSize, x: i64, y: i64) -> Option<usize> {
    let (x, y) = (usize::try_from(place.0 + x).ok()?, usize::try_from(place.1 + y).ok()?);
    (x < image.width && y < image.height).then_some(y * image.width + x)
}

/// The shapes of a set, for images with this many channels.
pub fn of_set(set: ShapeSet, channels: usize) -> Vec<Piece> {
    let of_shape = |shape: Bitmap| {
        let row = |(y, row): (usize, &&str)| -> Vec<_> {
            let lit = row.bytes().enumerate().filter(|(_, cell)| *cell == b'#');
            lit.map(|(x, _)| (x as i64, y as i64, vec![1.0; channels])).collect()
        };
        Piece { dots: shape.iter().enumerate().flat_map(row).collect(), place: (0, 0), painted: false }
    };
    set.shapes().map(of_shape).into()
}

/// The pixels that are connected with this one, also at corners, by pixels that are `lit`.
pub fn connected(image: ImageSize, from: usize, lit: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let mut found = vec![false; image.pixels()];
    let mut next = vec![from];
    let mut all = Vec::new();
    while let Some(pixel) = next.pop() {
        if std::mem::replace(&mut found[pixel], true) {
            continue;
        }
        all.push(pixel);
        let (x, y) = (pixel % image.width, pixel / image.width);
        for y in y.saturating_sub(1)..=(y + 1).min(image.height - 1) {
            let row = (x.saturating_sub(1)..=(x + 1).min(image.width - 1)).map(|x| y * image.width + x);
            next.extend(row.filter(|pixel| !found[*pixel] && lit(*pixel)));
        }
    }
    all.sort_unstable();
    all
}

/// The objects of an image of M values with these true groups, where a pixel belongs to an object that is brighter than
/// `belongs`. Pixels that several objects cover have no group: an object that looks like one of `shapes` gets its own
/// ones back, any other all that it touches.
pub fn objects(
    image: ImageSize,
    values: &[f32],
    groups: &[u8],
    shapes: &[Piece],
    belongs: f32,
) -> Vec<Piece> {
    let bright =
        |pixel: usize| (0..image.channels).map(|c| values[c * image.pixels() + pixel]).fold(0.0, f32::max);
    let mut numbers: Vec<u8> = groups.iter().copied().filter(|group| *group > 0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let pixels_of = |number: u8| -> Vec<usize> {
        if let Some(shape) = fitted(image, groups, number, &|pixel| bright(pixel) > 0.0, shapes) {
            return shape.pixels(image).map(|(pixel, _)| pixel).collect();
        }
        let lit = |pixel: usize| groups[pixel] == 0 && bright(pixel) > 0.0;
        let own = (0..groups.len()).filter(|pixel| groups[*pixel] == number);
        let mut all: Vec<usize> = own.flat_map(|pixel| connected(image, pixel, &lit)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let all: Vec<Vec<usize>> = numbers.into_iter().map(pixels_of).collect();
    // What only one object covers would have its number.
    let is_known = |pixel: &usize| {
        let is_shared = || all.iter().filter(|pixels| pixels.binary_search(pixel).is_ok()).count() > 1;
        groups[*pixel] > 0 || bright(*pixel) <= belongs || is_shared()
    };
    let kept = all.iter().map(|pixels| pixels.iter().copied().filter(is_known).collect::<Vec<usize>>());
    kept.map(|pixels| Piece::cut(image, values, &pixels, false)).collect()
}

/// The shape, in its place, that covers all of an object, and otherwise only lit pixels that belong to none.
fn fitted(
    image: ImageSize,
    groups: &[u8],
    number: u8,
    lit: &dyn Fn(usize) -> bool,
    shapes: &[Piece],
) -> Option<Piece> {
    let own = groups.iter().filter(|group| **group == number).count();
    let may_be = |pixel: usize| lit(pixel) && (groups[pixel] == number || groups[pixel] == 0);
    let fits = |piece: &Piece| {
        let mut covered = piece.dots.iter().map(|(x, y, _)| at(piece.place, image, *x, *y));
        covered.all(|pixel| pixel.is_some_and(may_be))
            && piece.pixels(image).filter(|(pixel, _)| groups[*pixel] == number).count() == own
    };
    let placed = |shape: &Piece| {
        let mut piece = shape.clone();
        let mut places = (0..image.height as i64).flat_map(|y| (0..image.width as i64).map(move |x| (x, y)));
        places
            .any(|place| {
                piece.place = place;
                fits(&piece)
            })
            .then_some(piece)
    };
    shapes.iter().find_map(placed)
}
