//! Neural Expectation Maximization in a terminal. The modules, in reading order: the algorithm, what it reads, how it is
//! trained, what a run leaves, and how it is shown.

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

pub mod paper;

pub mod tui;

pub mod cli;

// Small modules that the others share.
pub mod colours;
pub mod error;
pub mod files;
pub mod machine;
pub mod output;
pub mod paths;
pub mod precision;
pub mod random;
pub mod stop;
pub mod tensors;
