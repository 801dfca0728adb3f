//! `nem-tui attach`.

use std::path::PathBuf;

use clap::Args;

use super::workbench::WorkbenchArgs;
use crate::error::Result;
use crate::live::socket;
use crate::tui::Start;

#[derive(Args, Debug)]
pub(super) struct AttachArgs {
    /// The run's directory
    run: PathBuf,
}

impl AttachArgs {
    pub(super) fn run(&self) -> Result<()> {
        // Before the devices are looked for, which may take a while.
        let start = Start::Attached(socket::attach(&self.run)?);
        let workbench = WorkbenchArgs::usual();
        workbench.open_with(Some(start), workbench.presets()?)
    }
}
