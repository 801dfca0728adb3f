//! What the training thread and its user say to each other: plain data, no tensor, no terminal.
//!
//! ```text
//!            Command (unbounded; taken between two iterations)
//!   user  ───────────────────────────────────────────────▶  worker thread
//!         ◀───────────────────────────────────────────────
//!            Event    (bounded; arrives; the worker keeps what does not fit and goes on)
//!            Snapshot (newest wins; older ones are never seen)
//! ```
//!
//! The user holds a [`RunHandle`]. Dropping it tells the worker to save and stop. When the worker
//! ends, for whatever reason, its last event is [`Event::Finished`] and the channel closes.
//!
//! Viewers in other processes say and hear the same over a socket; the handle of one that is attached so
//! does no more than disconnect when it is dropped.

mod backstage;
mod command;
mod event;
mod handle;
mod metrics;

pub use self::backstage::*;
pub use self::command::*;
pub use self::event::*;
pub use self::handle::*;
pub use self::metrics::*;

/// How many samples of the validation split, from its first, are watched: shown in a training, and scored one by
/// one at every validation.
pub const WATCHED: usize = 64;

/// How many of the watched samples, from the first, are kept in a run's album.
pub const ALBUM_SAMPLES: usize = 8;
