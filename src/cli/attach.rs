//! `nem-tui attach`.

use std::path::PathBuf;

use clap::Args;

use super::config;
use super::workbench::Rest;
use crate::error::Result;
use crate::live::socket;
use crate::tui::{self, Start};

#[derive(Args, Debug)]
pub(super) struct AttachArgs {
    /// The run's directory, as train made it
    run: PathBuf,
}

impl AttachArgs {
    pub(super) fn run(&self) -> Result<()> {
        tui::run(&Rest::default(), Some(Start::Attached(socket::attach(&self.run)?)), config::read())
    }
}
