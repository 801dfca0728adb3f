//! A run on a thread of its own, and whoever looks at it.

pub mod backstage;
mod detach;
mod look;
#[cfg_attr(not(unix), path = "live/no_socket.rs")]
pub mod socket;
mod thread;
pub mod viewer;
pub mod worker;
