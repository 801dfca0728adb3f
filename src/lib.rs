//! Neural Expectation Maximization in a terminal. The modules, in reading order.

pub mod error;
pub mod preset;
pub mod protocol;
