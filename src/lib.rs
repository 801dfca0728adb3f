//! Neural Expectation Maximization in a terminal. The modules, in reading order: the algorithm, what it reads, how it is
//! trained, what a run leaves, and how it is shown.

// Printing must not panic where stdout or stderr is closed: `cli::print` does it.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod nem;

pub mod backend;
pub mod data;
pub mod preset;
pub mod scores;

pub mod snapshot;

pub mod protocol;

pub mod train;

pub mod run;

pub mod live;

pub mod sweep;

pub mod paper;

pub mod tui;

pub mod cli;

// Small modules that the others share.
pub mod axis;
pub mod colours;
pub mod error;
pub mod files;
pub mod machine;
pub mod paths;
pub mod precision;
pub mod random;
pub mod signals;
pub mod stop;
pub mod tensors;
