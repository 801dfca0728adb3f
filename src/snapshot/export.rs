//! Snapshots as files: pictures, animations or arrays.
//!
//! | file extension | content |
//! |---|---|
//! | `.png` | one EM step, or the paper's overview of all steps ([`pictures`]) |
//! | `.gif` | all EM steps, looped ([`animation`]) |
//! | `.npz`, `.safetensors` | the arrays ([`arrays`]) |

use std::path::Path;

use super::schema::Snapshot;
use super::{animation, arrays, pictures};
use crate::error::{Error, Result};
use crate::files::output;
use crate::paths::shown;

/// Default minimum size of an image in a picture, in pixels: 28 become 112.
pub const TILE: u32 = 112;

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// An EM step, counted from 0.
    Step(usize),
    /// All EM steps side by side, like the paper's figures.
    Overview,
}

/// A file format, chosen by the file's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A picture.
    Png,
    /// An animation of all EM steps.
    Gif,
    /// Arrays for NumPy.
    Npz,
    /// Arrays for other programs.
    Safetensors,
}

impl ExportFormat {
    /// The format for the extension of `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other extension.
    pub fn of(path: &Path) -> Result<ExportFormat> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        Ok(match ending.as_deref() {
            Some("png") => ExportFormat::Png,
            Some("gif") => ExportFormat::Gif,
            Some("npz") => ExportFormat::Npz,
            Some("safetensors") => ExportFormat::Safetensors,
            _ => {
                return Err(Error::Usage(format!(
                    "{}: cannot tell the format from this file name; use .png or .gif for a picture, .npz or .safetensors \
                     for arrays",
                    shown(path)
                )));
            }
        })
    }
}

/// The bytes of a file in `format`. `view` and `tile` are for pictures: `tile` is the minimum width or height of an
/// image in pixels.
///
/// # Errors
/// [`Error::Usage`] for an EM step that does not exist, an animated overview or a picture that is too large;
/// [`Error::Data`] for arrays of the wrong size.
pub fn encode(snapshot: &Snapshot, format: ExportFormat, view: View, tile: u32) -> Result<Vec<u8>> {
    match (format, view) {
        (ExportFormat::Png, View::Step(step)) => pictures::step(snapshot, step, tile)?.png(),
        (ExportFormat::Png, View::Overview) => pictures::overview(snapshot, tile)?.png(),
        (ExportFormat::Gif, View::Step(_)) => animation::gif(snapshot, tile),
        (ExportFormat::Gif, View::Overview) => Err(Error::Usage(
            "the overview shows all EM steps at once and cannot be animated; write it as .png".into(),
        )),
        (ExportFormat::Npz, _) => Ok(arrays::npz(snapshot)?),
        (ExportFormat::Safetensors, _) => arrays::safetensors(snapshot),
    }
}

/// Writes `snapshot` to `path`, in the format of its extension.
///
/// # Errors
/// Those of [`ExportFormat::of`] and [`encode`], and a path that cannot be written.
pub fn save(snapshot: &Snapshot, view: View, tile: u32, path: &Path) -> Result<()> {
    output::write(path, &encode(snapshot, ExportFormat::of(path)?, view, tile)?)
}
