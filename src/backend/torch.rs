//! libtorch's own implementation of what `nem` composes: the same functions in fewer and larger passes.

// burn has deprecated its libtorch backend; `super::libtorch` says why it is used.
#![allow(deprecated)]

mod chain;
mod layer;
mod pixel_order;
mod pixels;

pub use chain::chain;
pub use pixels::{e_step, losses};
