//! A snapshot as a file: a picture, an animation or its arrays.
//!
//! | file extension | content |
//! |---|---|
//! | `.png` | one EM step, or the paper's overview of all of them ([`pictures`]) |
//! | `.gif` | all EM steps, looped ([`animation`]) |
//! | `.npz`, `.safetensors` | the arrays ([`arrays`]) |

use std::path::Path;

use super::{Snapshot, animation, arrays, pictures};
use crate::error::{Error, Result};
use crate::files::write_atomic;

/// How many pixels an image is wide at least, where nobody asks for another size: 28 become 112.
pub const TILE: u32 = 112;

/// What a picture shows of a [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// An EM step, counted from 0.
    Step(usize),
    /// All EM steps side by side: the paper's grid.
    Overview,
}

/// What is written, by the ending of the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A picture.
    Png,
    /// All EM steps, moving.
    Gif,
    /// Arrays for NumPy.
    Npz,
    /// Arrays for everybody else.
    Safetensors,
}

impl Format {
    /// The format that `path` ends in.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none of them.
    pub fn of(path: &Path) -> Result<Format> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        Ok(match ending.as_deref() {
            Some("png") => Format::Png,
            Some("gif") => Format::Gif,
            Some("npz") => Format::Npz,
            Some("safetensors") => Format::Safetensors,
            _ => {
                return Err(Error::Usage(format!(
                    "{}: what to write is told by the ending of the name, and this one says nothing; end it in .png \
                     or .gif for a picture, in .npz or .safetensors for the arrays",
                    path.display()
                )));
            }
        })
    }
}

/// The bytes of the file in `format`. Of the views only pictures know; images in them are at least `tile` pixels
/// wide or high.
///
/// # Errors
/// [`Error::Usage`] for an EM step that there is not, an overview that moves, a picture too large;
/// [`Error::Data`] for a snapshot whose arrays are not of its shape.
pub fn encode(snapshot: &Snapshot, format: Format, view: View, tile: u32) -> Result<Vec<u8>> {
    match (format, view) {
        (Format::Png, View::Step(step)) => pictures::step(snapshot, step, tile)?.png(),
        (Format::Png, View::Overview) => pictures::overview(snapshot, tile)?.png(),
        (Format::Gif, View::Step(_)) => animation::gif(snapshot, tile),
        (Format::Gif, View::Overview) => Err(Error::Usage(
            "the overview holds all EM steps already and does not move; write it as .png".into(),
        )),
        (Format::Npz, _) => Ok(arrays::npz(snapshot)?),
        (Format::Safetensors, _) => arrays::safetensors(snapshot),
    }
}

/// Writes `snapshot` to `path`, in the format its ending names; the file appears whole or not at all.
///
/// # Errors
/// What [`Format::of`] and [`encode`] refuse, and a place that cannot be written.
pub fn save(snapshot: &Snapshot, view: View, tile: u32, path: &Path) -> Result<()> {
    write_atomic(path, &encode(snapshot, Format::of(path)?, view, tile)?)
}
