//! The command line: arguments in, work out of [`crate::engine`] and [`crate::tui`].
//!
//! What the user types is parsed here by clap and resolved in `cli/`, a file for each command.

mod attach;
mod bench;
mod config;
mod curves;
mod data;
mod eval;
mod export;
mod infer;
mod picture;
mod presets;
mod reproduce;
mod train;
mod workbench;

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::backend::{self, Compute, DeviceName};
use crate::error::{Error, Result};
use crate::precision::PrecisionName;
use crate::preset::{Digits, Preset};

/// Neural Expectation Maximization in your terminal.
///
/// Trains networks that split images into objects without labels (Greff, van Steenkiste and
/// Schmidhuber 2017), and shows what they see while they learn. Without a command it opens the
/// workbench; the commands do the same work without a screen.
#[derive(Parser, Debug)]
#[command(name = "nem-tui", version = env!("NEM_TUI_VERSION"), max_term_width = 100)]
#[command(after_long_help = "\
Examples:
  nem-tui                                       open the workbench and pick a preset
  nem-tui train quickstart                      train without a screen
  nem-tui train quickstart --set k=5 --json     with five components, one JSON object a line
  nem-tui train --resume runs/quickstart-s1     go on exactly where it stopped
  nem-tui attach runs/quickstart-s1             look at it from another terminal, and steer it
  nem-tui eval runs/quickstart-s1 --k 6         score it on the test split, with six components
  nem-tui picture static-shapes --out s.gif     how a model splits an image, EM step by EM step
  nem-tui --look static-shapes -i mine.png      look at an image of your own through a model
  nem-tui reproduce static --budget 60          train and score the rows of a table for an hour
  nem-tui presets quickstart > mine.ron         start a preset of your own
  nem-tui train ./mine.ron

Exit codes: 0 done, 1 failed, 2 asked wrongly. NO_COLOR=1 turns colours off.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    tui: workbench::WorkbenchArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Open the workbench (what happens without a command)
    Tui(workbench::WorkbenchArgs),
    /// Train without a screen
    Train(train::TrainArgs),
    /// Look at a training that runs elsewhere on this machine, and steer it
    ///
    /// Leaving ends nothing; any number may look at once, and they all see the same sample.
    Attach(attach::AttachArgs),
    /// Score a run, a checkpoint or a model on held-out images
    Eval(eval::EvalArgs),
    /// Draw what a run, a checkpoint or a model makes of an image: PNG, GIF, or the arrays
    Picture(picture::PictureArgs),
    /// Write a run's curves: CSV, SVG, or TensorBoard's event files
    Curves(curves::CurvesArgs),
    /// Write a run's best weights as a model to share
    Export(export::ExportArgs),
    /// List the presets, or print one
    Presets(presets::PresetsArgs),
    /// Train and score what the paper's tables and figures are made of, and make them again
    ///
    /// Every seed draws data of its own, and where digits are synthetic digits of its own; the paper's five
    /// runs share one data set, so that ours differ by a little more.
    Reproduce(reproduce::ReproduceArgs),
    /// Look at the data that presets train on
    Data(data::DataArgs),
    /// Print the workbench's config in force, and where it is read from
    ///
    /// What is printed can be saved there and changed: colours, mouse, notices, and the keys of every action by
    /// its name. NEM_TUI_CONFIG names another file. A config that cannot be read ends this with its fault.
    Config,
    /// Time training iterations
    Bench(bench::BenchArgs),
    /// Compute everything the model makes of given weights and inputs, for comparison
    Infer(infer::InferArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What every command that computes takes.
#[derive(Args, Debug, Clone, Default)]
struct Common {
    /// Where to compute: auto, flex, libtorch, cuda, cuda:N or cubecl-cuda:N; auto takes a GPU if there is
    /// one, else libtorch's CPU, else Flex
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceName,
    /// Let a CUDA GPU round the factors of matrix products to TF32, which is faster and less exact
    #[arg(long)]
    tf32: bool,
    /// Override a field of the preset, for example --set train.batch=32; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Take the digits from MNIST's IDX files in this directory
    #[arg(long, value_name = "DIR")]
    mnist: Option<PathBuf>,
}

/// The precision of commands that train or score.
#[derive(Args, Debug, Clone, Copy, Default)]
struct PrecisionArg {
    /// Precision of matrix products and convolutions: f32, bf16 (libtorch only), or auto (bf16 where the hardware is
    /// faster at it) [default: f32; a run that is continued keeps its own]
    #[arg(long, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
}

impl PrecisionArg {
    /// The device of `common`, with this precision.
    fn compute(self, common: &Common) -> Result<Compute> {
        Compute::requested(common.device()?, self.precision)
    }
}

/// What a trained model is tested under, where that is not its preset's.
#[derive(Args, Debug, Clone, Copy)]
struct Conditions {
    /// Components, in the place of the preset's
    #[arg(long)]
    k: Option<usize>,
    /// Objects per image, in the place of the preset's
    #[arg(long, value_name = "N")]
    objects: Option<usize>,
    /// EM steps, in the place of the preset's
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
}

impl Conditions {
    /// The same as if it were `--set`.
    fn sets(self) -> impl Iterator<Item = String> {
        let Conditions { k, objects, steps } = self;
        let (k, objects) = (k.map(|k| format!("k={k}")), objects.map(|n| format!("data.objects={n}")));
        k.into_iter().chain(objects).chain(steps.map(|n| format!("steps={n}")))
    }
}

impl Common {
    /// The device to compute on. Starts the program anew where that needs another environment, so it is
    /// asked for before anything is done.
    fn device(&self) -> Result<DeviceName> {
        let device = self.device.resolved();
        if self.tf32 && !matches!(device, DeviceName::Cuda(_)) {
            return Err(Error::Usage(format!(
                "--tf32 is for libtorch's CUDA devices, and this run is on {device}; leave it out, or choose --device cuda"
            )));
        }
        device.open()?;
        let wanted = backend::environment(backend::gpus(), self.tf32);
        if wanted.iter().all(|(name, value)| std::env::var_os(name).as_deref() == value.map(OsStr::new)) {
            return Ok(device);
        }
        let failed = |e: std::io::Error| {
            let list: Vec<String> = wanted
                .iter()
                .map(|(name, value)| value.map_or(format!("no {name}"), |value| format!("{name}={value}")))
                .collect();
            Error::Device(format!(
                "{device} needs an environment with {} and the program cannot start anew with it ({e}); set it by hand",
                list.join(" and ")
            ))
        };
        let mut again = std::process::Command::new(std::env::current_exe().map_err(failed)?);
        again.args(std::env::args_os().skip(1));
        for (name, value) in &wanted {
            match value {
                Some(value) => again.env(name, value),
                None => again.env_remove(name),
            };
        }
        #[cfg(unix)]
        return Err(failed(std::os::unix::process::CommandExt::exec(&mut again)));
        #[cfg(not(unix))]
        std::process::exit(again.status().map_err(failed)?.code().unwrap_or(1));
    }

    /// A preset by name or path, with `--set` and `--mnist` applied.
    fn preset(&self, name: &str) -> Result<Preset> {
        let preset = self.preset_of_many(name)?;
        if self.mnist.is_some() && preset.data.digits().is_none() {
            return Err(Error::Usage(format!("--mnist: {name} has no digits; leave the option out")));
        }
        Ok(preset)
    }

    /// The same for one of many presets, where `--mnist` means those with digits.
    fn preset_of_many(&self, name: &str) -> Result<Preset> {
        self.applied(&Preset::load(name)?)
    }

    /// `preset` with `--set`, and where it has digits with `--mnist`.
    fn applied(&self, preset: &Preset) -> Result<Preset> {
        let mut preset = preset.set(&self.sets)?;
        if let Some(directory) = &self.mnist {
            preset.data = preset.data.with_digits(mnist(directory)?);
        }
        Ok(preset)
    }

    /// Refuses a `--set` that a training of `preset` would soon forget.
    fn holds_in(&self, preset: &Preset) -> Result<()> {
        let path = |set: &String| set.split_once('=').map(|(path, _)| path.trim().to_owned());
        match self.sets.iter().filter_map(path).find(|path| preset.is_set_by_stages(path)) {
            None => Ok(()),
            Some(path) => Err(Error::Usage(format!(
                "--set {path}: {} is trained in stages, which set that themselves; override train.stages, or leave \
                 them out with --set 'train.stages=[]'",
                preset.name
            ))),
        }
    }

    /// What is to be overridden: `--set`, and `--mnist` as if it were one.
    fn all_sets(&self) -> Result<Vec<String>> {
        let mut sets = self.sets.clone();
        if let Some(directory) = &self.mnist {
            sets.push(digits_set(&mnist(directory)?)?);
        }
        Ok(sets)
    }

    /// Whether `--set` says how many EM steps there are.
    fn sets_steps(&self) -> bool {
        self.sets.iter().any(|set| set.split_once('=').is_some_and(|(path, _)| path.trim() == "steps"))
    }
}

/// MNIST's digits, from `directory` wherever the run is gone on with.
fn mnist(directory: &Path) -> Result<Digits> {
    let directory = std::path::absolute(directory).map_err(Error::io("find", directory))?;
    Ok(Digits::Mnist { directory: Some(directory.display().to_string()) })
}

/// The `--set` that chooses `digits`.
fn digits_set(digits: &Digits) -> Result<String> {
    let text = ron::to_string(digits).map_err(|e| Error::Usage(format!("--mnist: {e}")))?;
    Ok(format!("data.digits={text}"))
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Whatever the command meets.
    pub fn run(self) -> Result<()> {
        backend::caught(|| self.carry_out())
    }

    fn carry_out(self) -> Result<()> {
        match self.command {
            None => self.tui.run(),
            Some(Command::Tui(args)) => args.run(),
            Some(Command::Train(args)) => args.run(),
            Some(Command::Attach(args)) => args.run(),
            Some(Command::Eval(args)) => args.run(),
            Some(Command::Picture(args)) => args.run(),
            Some(Command::Curves(args)) => args.run(),
            Some(Command::Export(args)) => args.run(),
            Some(Command::Presets(args)) => args.run(),
            Some(Command::Reproduce(args)) => args.run(),
            Some(Command::Data(args)) => args.run(),
            Some(Command::Config) => config::print_config(),
            Some(Command::Bench(args)) => args.run(),
            Some(Command::Infer(args)) => args.run(),
            Some(Command::Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "nem-tui", &mut script);
                print(&String::from_utf8_lossy(&script))
            }
            Some(Command::Man) => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(stdout_error)?;
                print(&String::from_utf8_lossy(&page))
            }
        }
    }
}

/// Writes `text` to stdout. A reader that has gone away (`nem-tui presets | head -1`) is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(stdout_error),
    }
}

/// Writes one JSON object as a line.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let line =
        serde_json::to_string(value).map_err(|e| Error::Usage(format!("cannot be written as JSON: {e}")))?;
    print(&(line + "\n"))
}

fn stdout_error(source: std::io::Error) -> Error {
    Error::Io { action: "write to", path: "stdout".into(), source }
}

fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
