//! A single image as a file that can be opened again.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::npz::{NpyValues, npy};
use crate::error::{Error, Result};
use crate::files::{has_extension, output};
use crate::paths::shown;
use crate::preset::ImageSize;

/// Writes an image of M values in 0 to 1, channels first: to a .png in 256 levels, to an .npy as it is.
///
/// # Errors
/// [`Error::Usage`] for another extension, or a PNG of neither one nor three channels; a path that cannot be written.
pub fn save_image(values: &[f32], image: ImageSize, path: &Path) -> Result<()> {
    let bytes = if has_extension(path, "npy") {
        npy(&[1, image.channels, image.height, image.width], &NpyValues::F32(values))
    } else if has_extension(path, "png") {
        png(values, image, path)?
    } else {
        let path = shown(path);
        return Err(Error::Usage(format!("{path}: an image is saved as .png, or as .npy without rounding")));
    };
    output::write(path, &bytes)
}

fn png(values: &[f32], image: ImageSize, path: &Path) -> Result<Vec<u8>> {
    let kind = match image.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        channels => {
            let path = shown(path);
            return Err(Error::Usage(format!(
                "{path}: a PNG cannot have {channels} channels; save the image as .npy"
            )));
        }
    };
    let level = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let of_pixel = |pixel| (0..image.channels).map(move |c| level(values[c * image.pixels() + pixel]));
    let levels: Vec<u8> = (0..image.pixels()).flat_map(of_pixel).collect();
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&levels, image.width as u32, image.height as u32, kind)
        .map_err(|e| Error::Figure(e.to_string()))?;
    Ok(bytes)
}
