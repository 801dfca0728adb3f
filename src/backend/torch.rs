//! What libtorch computes in its own way: the same functions that `nem` composes, in fewer and larger passes.

// burn has deprecated its libtorch backend; `super::libtorch` says why it is used.
#![allow(deprecated)]

mod chain;
mod layer;
mod pixel_order;
mod pixels;

pub use chain::chain;
pub use pixels::{e_step, losses};
