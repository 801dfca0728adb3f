//! What a run leaves on the disk, and what is computed from it.

pub mod album;
pub mod chart;
pub mod checkpoint;
pub mod curves;
pub mod directory;
pub mod log;
pub mod metrics;
pub mod picture;
pub mod score;
pub mod share;
pub mod tensorboard;
