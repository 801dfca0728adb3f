//! `nem-tui data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::print::{print, print_json};
use crate::data::mnist::{self, FoundFile};
use crate::error::{Error, Result};
use crate::paths::shown;

#[derive(Args, Debug)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand, Debug)]
enum DataCommand {
    /// Report which of MNIST's files exist, what they hold, and which digits presets get
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Where to look, instead of the data directory
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    pub(super) fn run(self) -> Result<()> {
        let DataCommand::Check(args) = self.command;
        args.run()
    }
}

impl CheckArgs {
    /// Fails where a file is damaged and, in a directory that the user named, where an image file is missing. An empty
    /// default directory is fine: presets draw synthetic digits then.
    fn run(self) -> Result<()> {
        let asked = self.mnist.is_some();
        let directory = self.mnist.or_else(mnist::default_directory).ok_or_else(|| {
            Error::Usage("there is no home directory to look in; name a directory with --mnist DIR".into())
        })?;
        let files = mnist::check(&directory);
        let whole = mnist::is_there(&directory);
        if self.json {
            print_json(&json!({
                "directory": directory.to_string_lossy(),
                "files": files.iter().map(line_json).collect::<Vec<_>>(),
                "digits": if whole { "Mnist" } else { "Synthetic" },
            }))?;
        } else {
            let width = mnist::FILES.iter().map(|name| name.len()).max().unwrap_or(0);
            let lines = files.iter().map(|file| match (&file.path, &file.what) {
                (Some(_), Ok(what)) => format!("  {:width$}  {what}\n", file.name),
                (Some(_), Err(_)) => format!("  {:width$}  damaged\n", file.name),
                (None, _) => format!("  {:width$}  not there\n", file.name),
            });
            print(&format!("{}\n{}", shown(&directory), lines.collect::<String>()))?;
        }
        for file in files {
            // Labels are never needed.
            if file.path.is_some() || asked {
                file.what?;
            }
        }
        match (whole, self.json) {
            (_, true) => Ok(()),
            (true, false) => {
                print("`digits: Auto` uses these where they are in the data directory, `--mnist` anywhere.\n")
            }
            (false, false) => print(
                "Presets that ask for `digits: Auto` draw synthetic ones, whose scores do not compare with \
                 the paper's.\nPut MNIST's IDX files, plain or as .gz, into this directory to train on them.\n",
            ),
        }
    }
}

fn line_json(file: &FoundFile) -> serde_json::Value {
    let (what, problem) = match &file.what {
        Ok(what) => (Some(what.clone()), None),
        Err(e) => (None, Some(e.to_string())),
    };
    json!({"name": file.name, "path": file.path.as_ref().map(|path| path.to_string_lossy()), "what": what, "problem": problem})
}
