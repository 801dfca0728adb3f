//! `nem-tui attach`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{config, workbench};
use crate::engine::{album, run_dir, socket};
use crate::error::Result;
use crate::protocol::{Backstage, Rival, RunCard, Snapshot};
use crate::tui::{self, Start};

#[derive(Args, Debug)]
pub(super) struct AttachArgs {
    /// The run's directory, as train made it
    run: PathBuf,
}

impl AttachArgs {
    pub(super) fn run(&self) -> Result<()> {
        tui::run(&Elsewhere, Some(Start::Attached(socket::attach(&self.run)?)), config::read())
    }
}

/// The rest of the program, of which a workbench that looks at another process's run needs only what lies on the disk.
struct Elsewhere;

impl Backstage for Elsewhere {
    fn runs(&self) -> Vec<RunCard> {
        workbench::runs()
    }

    fn log(&self, run: &Path) -> Result<Vec<String>> {
        run_dir::latest_log(run)
    }

    fn moments(&self, run: &Path) -> Vec<u64> {
        album::moments(run)
    }

    fn moment(&self, run: &Path, iteration: u64, sample: usize) -> Result<Snapshot> {
        album::read(run, iteration, sample)
    }

    fn rival(&self, run: &Path) -> Result<Rival> {
        workbench::rival(run)
    }
}
