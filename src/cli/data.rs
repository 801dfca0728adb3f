//! `nem-tui data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{print, print_json};
use crate::data::mnist::{self, Found};
use crate::error::{Error, Result};

#[derive(Args, Debug)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand, Debug)]
enum DataCommand {
    /// Say which of MNIST's files are there, what is in them, and which digits presets get
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Where to look, in the place of the data directory
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
    /// One JSON object
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
    /// Fails where a file that is there is damaged, and, in a directory that was named, where an
    /// image file is missing. Nothing in the default place is no fault: presets then draw digits.
    fn run(self) -> Result<()> {
        let asked = self.mnist.is_some();
        let directory = self.mnist.or_else(mnist::default_directory).ok_or_else(|| {
            Error::Usage("there is no home directory to look in; say where by --mnist DIR".into())
        })?;
        let files = mnist::check(&directory);
        let whole = mnist::is_there(&directory);
        if self.json {
            print_json(&json!({
                "directory": directory,
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
            print(&format!("{}\n{}", directory.display(), lines.collect::<String>()))?;
        }
        for file in files {
            // Labels that are missing are not missed.
            if file.path.is_some() || asked {
                file.what?;
            }
        }
        match (whole, self.json) {
            (_, true) => Ok(()),
            (true, false) => print(
                "`digits: Auto` takes these where they are in the data directory, `--mnist` anywhere.\n",
            ),
            (false, false) => print(
                "Presets that ask for `digits: Auto` draw synthetic ones, whose scores do not compare with \
                 the paper's.\nPut MNIST's IDX files, plain or as .gz, into this directory to train on them.\n",
            ),
        }
    }
}

fn line_json(file: &Found) -> serde_json::Value {
    let (what, problem) = match &file.what {
        Ok(what) => (Some(what.clone()), None),
        Err(e) => (None, Some(e.to_string())),
    };
    json!({"name": file.name, "path": file.path, "what": what, "problem": problem})
}
