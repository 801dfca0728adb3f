//! `nem-tui verify`.

use std::path::PathBuf;

use clap::Args;

use super::print::{print, print_json};
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::run::verify::{Verification, verify};

/// Check every file of a run or a checkpoint
///
/// Prints what is whole and what is damaged, and the checkpoint that resuming takes. Exits with 1 if anything is damaged.
/// Changes nothing; a run in training can be checked, too.
#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The directory of a run or a checkpoint
    #[arg(value_name = "RUN-OR-CHECKPOINT")]
    path: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    pub(super) fn run(self) -> Result<()> {
        let found = verify(&self.path)?;
        match self.json {
            true => print_json(&found)?,
            false => print(&table(&found))?,
        }
        match found.findings.iter().filter(|finding| !finding.good).count() {
            0 => Ok(()),
            damaged => Err(Error::Failed(format!(
                "{}: {damaged} of {} are damaged; {}",
                shown(&self.path),
                found.findings.len(),
                match &found.resumes_from {
                    Some(name) => format!("train --resume takes {name}"),
                    None => "there is no whole checkpoint to resume from".to_owned(),
                }
            ))),
        }
    }
}

fn table(found: &Verification) -> String {
    let width = found.findings.iter().map(|finding| finding.file.chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for finding in &found.findings {
        let state = if finding.good { "good   " } else { "DAMAGED" };
        table += &format!("{:width$}  {state}  {}\n", finding.file, finding.what);
    }
    if let (Some(name), true) = (&found.resumes_from, found.is_good()) {
        table += &format!("train --resume takes {name}\n");
    }
    table
}
