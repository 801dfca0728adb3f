//! A picture in the making: tiles and words on a dark ground.

use font8x8::legacy::BASIC_LEGACY;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::tile::Tile;
use crate::error::{Error, Result};

/// The ground.
pub const GROUND: [u8; 3] = [24, 26, 31];
/// Words that belong to no component.
pub const INK: [u8; 3] = [200, 203, 210];
/// The width and height of a character.
pub const LETTER: u32 = 8;
/// Pixels of a picture at most: two hundred megabytes.
const LARGEST: u64 = 1 << 26;

/// Red, green and blue of every pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Usage`] where it would be too large to be looked at.
    pub(crate) fn new(width: u64, height: u64) -> Result<Canvas> {
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(w), Ok(h)) if width.saturating_mul(height) <= LARGEST => {
                Ok(Canvas { width: w, height: h, pixels: vec![GROUND; (width * height) as usize] })
            }
            _ => Err(Error::Usage(format!(
                "the picture would have {width} x {height} pixels; ask for fewer EM steps or components, or for \
                 smaller images"
            ))),
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Red, green and blue of every pixel, row by row.
    pub fn pixels(&self) -> &[[u8; 3]] {
        &self.pixels
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// [`Error::Figure`] where the library refuses.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
            .write_image(self.pixels.as_flattened(), self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|e| Error::Figure(e.to_string()))?;
        Ok(bytes)
    }

    /// Draws `tile` with its upper left corner at x and y, every pixel `factor` times as wide and high. What lies
    /// outside is left out.
    pub(crate) fn tile(&mut self, tile: &Tile, x: u32, y: u32, factor: u32) {
        for (i, colour) in tile.pixels.iter().enumerate() {
            let (column, row) = ((i % tile.width) as u32, (i / tile.width) as u32);
            for dy in 0..factor {
                for dx in 0..factor {
                    self.dot(x + column * factor + dx, y + row * factor + dy, *colour);
                }
            }
        }
    }

    /// Writes `text` with its upper left corner at x and y, as much of it as goes into `width` pixels. Only ASCII
    /// has letters.
    pub(crate) fn text(&mut self, text: &str, x: u32, y: u32, width: u32, colour: [u8; 3]) {
        for (letter, x) in text.chars().zip((x..).step_by(LETTER as usize)).take((width / LETTER) as usize) {
            let rows = BASIC_LEGACY.get(letter as usize).copied().unwrap_or_default();
            for (dy, row) in (0..).zip(rows) {
                for dx in (0..LETTER).filter(|dx| row >> dx & 1 == 1) {
                    self.dot(x + dx, y + dy, colour);
                }
            }
        }
    }

    fn dot(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            self.pixels[y as usize * self.width as usize + x as usize] = colour;
        }
    }
}
