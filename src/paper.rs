//! What the paper reports, and what our runs reach beside it. Each module uses those above it.

pub mod experiments;
pub mod runs;

pub mod archived;
pub mod figures;
pub mod tables;

pub mod document;
pub mod reproduce;
