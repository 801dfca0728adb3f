//! A run on a thread of its own, and its viewers: in this process and in others.
//!
//! [`begin`] starts, resumes, forks and replays a run; `worker` trains it and takes commands between iterations, and
//! [`model`] shows trained weights in the same way. `thread` has their ends of the channels, `audience` what each
//! viewer looks at, [`socket`] the viewers in other processes.

mod audience;
pub mod backstage;
pub mod begin;
mod detach;
pub mod model;
mod saturation;
#[cfg_attr(not(unix), path = "live/no_socket.rs")]
pub mod socket;
mod thread;
mod timing;
mod worker;
