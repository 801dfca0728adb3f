//! Neural Expectation Maximization in a terminal. The modules, in reading order.

pub mod backend;
pub mod cli;
pub mod data;
pub mod engine;
pub mod error;
pub mod export;
pub mod metrics;
pub mod nem;
pub mod palette;
pub mod preset;
pub mod protocol;
pub mod random;
pub mod tensors;
pub mod tui;
