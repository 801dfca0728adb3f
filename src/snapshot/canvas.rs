//! A canvas for images and text on a dark background.

use font8x8::legacy::BASIC_LEGACY;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::raster::Raster;
use crate::error::{Error, Result};

/// The background.
pub const GROUND: [u8; 3] = [24, 26, 31];
/// Text that belongs to no component.
pub const INK: [u8; 3] = [200, 203, 210];
/// Width and height of a character.
pub const LETTER: u32 = 8;
/// Maximum number of pixels: two hundred megabytes.
const LARGEST: u64 = 1 << 26;

/// An RGB picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    /// An empty canvas.
    ///
    /// # Errors
    /// [`Error::Usage`] if it would be too large.
    pub(crate) fn new(width: u64, height: u64) -> Result<Canvas> {
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(w), Ok(h)) if width.saturating_mul(height) <= LARGEST => {
                Ok(Canvas { width: w, height: h, pixels: vec![GROUND; (width * height) as usize] })
            }
            _ => Err(Error::Usage(format!(
                "the picture would have {width} x {height} pixels; choose fewer EM steps or components, or \
                 smaller images"
            ))),
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> &[[u8; 3]] {
        &self.pixels
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// [`Error::Figure`] if the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
            .write_image(self.pixels.as_flattened(), self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|e| Error::Figure(e.to_string()))?;
        Ok(bytes)
    }

    /// Draws `image` with its upper left corner at (x, y), enlarged by `factor` and cut off at the edges.
    pub(crate) fn image(&mut self, image: &Raster, x: u32, y: u32, factor: u32) {
        for (i, colour) in image.pixels.iter().enumerate() {
            let (column, row) = ((i % image.width) as u32, (i / image.width) as u32);
            for dy in 0..factor {
                for dx in 0..factor {
                    self.dot(x + column * factor + dx, y + row * factor + dy, *colour);
                }
            }
        }
    }

    /// Writes `text` with its upper left corner at (x, y), cut off after `width` pixels. Only ASCII is drawn.
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
