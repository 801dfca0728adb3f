//! The training protocol, and the other ways to unroll the model. No channel, no file, no screen.

pub mod adam;
pub mod batch;
pub mod bench;
mod counters;
pub mod evaluate;
pub mod infer;
mod laps;
pub mod own_image;
mod pass;
pub mod trainer;
mod unread;
pub mod unroll;
