//! The messages between the training thread and its user: plain data, without tensors or a terminal.
//!
//! ```text
//!            Command (unbounded; read between two iterations)
//!   user  ───────────────────────────────────────────────▶  worker thread
//!         ◀───────────────────────────────────────────────
//!            Event    (bounded; never lost; the worker keeps what does not fit)
//!            Snapshot (only the newest is kept)
//! ```
//!
//! The user holds a [`RunHandle`]. Dropping it tells the worker to save and stop. When the worker ends, for any
//! reason, its last event is [`Event::Finished`], and the channel closes.
//!
//! Viewers in other processes exchange the same messages over a socket. Dropping the handle of an attached viewer only
//! disconnects it.

mod backstage;
mod command;
mod event;
mod failure;
mod handle;
mod metrics;

pub use self::backstage::*;
pub use self::command::*;
pub use self::event::*;
pub use self::failure::*;
pub use self::handle::*;
pub use self::metrics::*;

/// How many samples at the start of the validation split are watched: shown during training, and scored one by one at
/// every validation.
pub const WATCHED: usize = 64;

/// How many of the first watched samples are kept in a run's album.
pub const ALBUM_SAMPLES: usize = 8;
