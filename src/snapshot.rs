//! A sample unrolled by the model, and what follows from it: the object of each component, the reconstruction,
//! pictures and arrays. No tensor, no terminal.

pub mod animation;
pub mod arrays;
mod canvas;
pub mod difference;
mod export;
mod npz;
pub mod objects;
pub mod pictures;
mod raster;
mod schema;
mod still;

pub use export::{ExportFormat, TILE, View, encode, save};
pub use raster::reconstruction;
pub use schema::{Frames, Input, Snapshot, SnapshotStep, Source};
pub use still::save_image;
