//! The files of a run, and what is computed from them.

pub mod album;
pub mod begun;
pub mod chart;
pub mod checkpoint;
pub mod checkpoints;
pub mod curves;
pub mod directory;
mod history;
pub mod keep;
pub mod lock;
pub mod log;
mod manifest;
pub mod metrics;
pub mod origin;
pub mod past;
pub mod picture;
pub mod places;
pub mod result;
pub mod score;
pub mod share;
pub mod tensorboard;
pub mod verify;
