//! What the paper reports, and what our runs reach beside it.

pub mod archived;
pub mod experiments;
pub mod figures;
pub mod tables;
