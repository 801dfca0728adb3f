//! A sample unrolled by the model, and what follows from it: the object of each component, the reconstruction,
//! pictures and arrays. No tensor, no terminal.

pub mod animation;
pub mod arrays;
mod canvas;
mod export;
mod npz;
pub mod objects;
pub mod pictures;
mod raster;
mod schema;

pub use export::{ExportFormat, TILE, View, encode, save};
pub use raster::reconstruction;
pub use schema::{Input, Snapshot, SnapshotStep};
