//! libtorch's own implementation: the same functions as in `nem`, with fewer and larger passes.

// burn has deprecated its libtorch backend; `backend/libtorch.rs` says why it is still used.
#![allow(deprecated)]

mod chain;
mod layer;
mod pixel_order;
mod pixels;

pub use chain::chain;
pub use pixels::{e_step, losses};
