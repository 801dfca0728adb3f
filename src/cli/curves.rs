//! `nem-tui curves`.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use clap::Args;

use super::args::directory_parser;
use crate::error::{Error, Result};
use crate::files::output;
use crate::paths::shown;
use crate::run::{curves, directory, tensorboard};

/// Write a run's curves in formats that other programs read.
#[derive(Args, Debug)]
pub(super) struct CurvesArgs {
    /// The run's directory
    run: PathBuf,
    /// Write one row per iteration, with the validation of an epoch that ended there; - is stdout. Columns ami and ari are
    /// AMI and ARI (last step); those for all steps say so
    #[arg(long, value_name = "FILE", required_unless_present_any = ["svg", "tensorboard"])]
    csv: Option<PathBuf>,
    /// Draw losses and scores, with AMI (last step), AMI (all steps) and the floor; - is stdout
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write an event file for TensorBoard, to a directory without others; `train --tensorboard` writes them during the
    /// training, with pictures
    #[arg(long, value_name = "DIR", value_parser = directory_parser())]
    tensorboard: Option<PathBuf>,
}

impl CurvesArgs {
    pub(super) fn run(self) -> Result<()> {
        let files: Vec<&PathBuf> = self.csv.iter().chain(&self.svg).collect();
        files.iter().try_for_each(|file| output::check(file))?;
        if files.len() == 2 && files.iter().all(|file| output::is_stdout(file)) {
            return Err(Error::Usage("--csv and --svg both name stdout; write one of them to a file".into()));
        }
        let (metrics, preset) = curves::read(&self.run)?;
        let mut files = Vec::new();
        if let Some(csv) = self.csv {
            files.push((csv, curves::csv(&metrics, &preset).into_bytes()));
        }
        if let Some(svg) = self.svg {
            files.push((
                svg,
                curves::svg(&metrics, &curves::floors(&self.run, &metrics, &preset))?.into_bytes(),
            ));
        }
        if let Some(directory) = self.tensorboard {
            let began = directory::began(&self.run).duration_since(UNIX_EPOCH).unwrap_or_default();
            make_free(&directory)?;
            let events = curves::events(&metrics, &preset, began);
            files.push((directory.join(tensorboard::file_name(1, 0)), events));
        }
        files.iter().try_for_each(|(path, bytes)| output::write(path, bytes))
    }
}

/// Creates `directory` if needed. TensorBoard treats all event files in a directory as one run.
fn make_free(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    let mut entries = std::fs::read_dir(directory).map_err(Error::io("read", directory))?;
    let is_event_file = |name: &std::ffi::OsStr| name.to_string_lossy().contains("tfevents");
    match entries.any(|entry| entry.is_ok_and(|entry| is_event_file(&entry.file_name()))) {
        true => Err(Error::Usage(format!(
            "{} holds event files already, and TensorBoard would mix them with these; name another directory",
            shown(directory)
        ))),
        false => Ok(()),
    }
}
