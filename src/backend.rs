//! The only module that names backends. burn's tensors carry their device at run time, so the rest of the crate is
//! written once and runs on any device; [`native`] is where a backend replaces part of it by a faster
//! implementation of its own.

mod compute;
#[cfg(feature = "cuda")]
mod cubecl;
mod devices;
mod failure;
#[cfg(feature = "libtorch")]
mod libtorch;
pub mod native;
pub mod spec;
#[cfg(feature = "libtorch")]
mod torch;

pub use compute::Compute;
pub use devices::{DeviceName, available, backends, environment, evaluations_at_once, gpus, is_gpu, shares};
pub use failure::{caught, explain};
