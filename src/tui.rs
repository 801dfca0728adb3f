//! The workbench: an event loop around a pure state.
//!
//! ```text
//! keys, events, snapshots, signals ──▶ Message ──▶ update(&mut App) ──▶ Effect ──▶ run, jobs
//!                                                            │
//!                                                            ▼
//!                                                     view(&App) ──▶ terminal
//! ```
//!
//! `update` and `view` use neither terminal nor clock, and are tested without them. `shell` is the loop around them,
//! and `backstage` has the threads for effects that may take long.

pub mod action;
pub mod actions;
pub mod album;
pub mod app;
mod backstage;
pub mod beside;
pub mod command_line;
pub mod config;
pub mod curve_view;
pub mod doubts;
pub mod draw;
mod gallery;
pub mod health;
pub mod history;
mod input;
pub mod inspector;
pub mod keymap;
mod launch;
pub mod message;
pub mod mouse;
mod output;
pub mod overlay;
pub mod panes;
mod shelf;
mod shell;
pub mod stage;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
pub mod theme;
pub mod update;
pub mod view;
mod width;
mod words;
pub mod workbench;

pub use self::launch::run;
pub use self::shell::Start;
