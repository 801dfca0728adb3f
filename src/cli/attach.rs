//! `nem-tui attach`.

use std::path::PathBuf;

use clap::Args;

use super::config;
use super::workbench;
use crate::error::Result;
use crate::live::backstage::LocalBackstage;
use crate::live::socket;
use crate::tui::Start;

#[derive(Args, Debug)]
pub(super) struct AttachArgs {
    /// The run's directory
    run: PathBuf,
}

impl AttachArgs {
    pub(super) fn run(&self) -> Result<()> {
        let start = Start::Attached(socket::attach(&self.run)?);
        workbench::open(LocalBackstage::default(), Some(start), config::read())
    }
}
