//! `nem-tui attach`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::config;
use crate::engine::{run_dir, socket};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::protocol::{Backstage, Preview, RunCard, RunHandle, Shelf};
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

/// The rest of the program, of which a workbench that looks at another process's run needs nothing.
struct Elsewhere;

impl Elsewhere {
    fn refuse<T>(&self) -> Result<T> {
        Err(Error::Usage("another process trains this run; to begin or open one, run nem-tui".into()))
    }
}

impl Backstage for Elsewhere {
    fn shelf(&self) -> Shelf {
        Shelf::default()
    }

    fn preview(&self, _: &Preset, _: u64) -> Result<Preview> {
        self.refuse()
    }

    fn start(&self, _: &Preset, _: &str) -> Result<RunHandle> {
        self.refuse()
    }

    fn open(&self, _: &str, _: &str) -> Result<RunHandle> {
        self.refuse()
    }

    fn resume(&self, _: &RunCard, _: &str) -> Result<RunHandle> {
        self.refuse()
    }

    fn fork(&self, _: &Path, _: &[String], _: &str) -> Result<RunHandle> {
        self.refuse()
    }

    fn restart(&self, _: &Path, _: &[String], _: &str) -> Result<RunHandle> {
        self.refuse()
    }

    fn log(&self, run: &Path) -> Result<Vec<String>> {
        run_dir::latest_log(run)
    }

    fn detach(&self, _: &Path, _: &str) -> Result<()> {
        self.refuse()
    }
}
