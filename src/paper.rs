//! The paper's results and ours. Each module uses only those above it.

pub mod experiments;
pub mod runs;

pub mod archived;
pub mod figures;
pub mod tables;

mod directory_lock;
pub mod document;
pub mod reproduce;
