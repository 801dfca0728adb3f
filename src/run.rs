//! The files of a run, and what is computed from them.

pub mod album;
pub mod chart;
pub mod checkpoint;
pub mod curves;
pub mod directory;
pub mod log;
pub mod metrics;
pub mod origin;
pub mod picture;
pub mod score;
pub mod share;
pub mod tensorboard;
