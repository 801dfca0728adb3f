//! What others can read of what the model made: pictures, arrays, curves, and TensorBoard's event files. Pure
//! functions from plain data to bytes, and [`save`], which writes them; and [`objects`], by which the screen goes too.
//!
//! | ending of the file | of a [`Snapshot`] |
//! |---|---|
//! | `.png` | one EM step, or the paper's overview of all of them ([`pictures`]) |
//! | `.gif` | the EM steps one after the other, for ever ([`animation`]) |
//! | `.npz`, `.safetensors` | its arrays ([`arrays`]) |
//!
//! [`curves`] is about a whole run: a table, a diagram, and through [`tensorboard`] event files.

pub mod animation;
pub mod arrays;
mod canvas;
pub mod chart;
pub mod curves;
mod npz;
pub mod objects;
pub mod pictures;
pub mod tensorboard;
mod tile;

pub use self::tile::reconstruction;

use std::path::Path;

use crate::error::{Error, Result};
use crate::protocol::Snapshot;
use crate::tensors::write_whole;

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
    write_whole(path, &encode(snapshot, Format::of(path)?, view, tile)?)
}
