//! The command line: clap parses the arguments here, and `cli/` has a file for each command that turns them into work
//! for the other modules.

mod args;
mod attach;
mod bench;
mod config;
mod curves;
mod data;
mod eval;
mod examples;
mod export;
mod infer;
mod picture;
mod presets;
mod print;
mod reproduce;
mod sweep;
mod train;
mod verify;
mod workbench;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use self::print::{print, stdout_error};
pub use self::print::{say, settle};
use crate::backend;
use crate::error::{Error, Result};
use crate::machine;
use crate::run::log;

/// Neural Expectation Maximization in your terminal.
///
/// Trains networks that split images into objects without labels (Greff, van Steenkiste and
/// Schmidhuber 2017), and shows what they see while they learn. Without a command it opens the
/// workbench; the commands do the same work without a screen.
#[derive(Parser, Debug)]
#[command(name = "nem-tui", version = env!("NEM_TUI_VERSION"), max_term_width = 100)]
#[command(after_long_help = "\
Examples:
  nem-tui                                     open the workbench, pick a preset
  nem-tui train quickstart                    train without a screen
  nem-tui train quickstart --set k=5 --json   five components, JSON lines
  nem-tui train --resume runs/quickstart-s1   resume where it stopped
  nem-tui verify runs/quickstart-s1           check every file of a run
  nem-tui attach runs/quickstart-s1           watch and steer it
  nem-tui eval runs/quickstart-s1 --k 6       score it with six components
  nem-tui picture static-shapes --out s.gif   how a model splits an image
  nem-tui --look static-shapes -i mine.png    an image of your own
  nem-tui reproduce static --budget 60        a table's rows, for an hour
  nem-tui presets quickstart > mine.ron       start a preset of your own
  nem-tui train ./mine.ron                    and train it
  nem-tui sweep k.ron --jobs 4                many runs, four at a time

Exit codes: 0 done, 1 failed, 2 usage error, 3 stopped before the end, to be
continued by the same command. NO_COLOR=1 turns colours off. NEM_TUI_MEMORY=8G
is the most memory to take; without it, that is what the system and its control
groups leave.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    tui: workbench::WorkbenchArgs,
}

#[derive(Subcommand, Debug)]
enum CliCommand {
    /// Open the workbench (the default)
    #[command(after_long_help = examples::TUI)]
    Tui(workbench::WorkbenchArgs),
    /// Train without a screen
    ///
    /// SIGTERM, SIGINT, SIGHUP and SIGXCPU save the run and end it; a second SIGTERM or SIGINT ends it at once. SIGUSR1
    /// and SIGUSR2 save it, and it continues.
    #[command(after_long_help = examples::TRAIN)]
    Train(train::TrainArgs),
    /// Train many runs of a preset: grids, lists and random settings, with several seeds, here or on Slurm
    ///
    /// What varies is in a file, of which every field but the preset may be left out:
    ///
    ///   Sweep(
    ///       preset: "quickstart", set: ["train.max_epochs=20"],
    ///       grid: {"k": [3, 4, 5]},
    ///       list: [{"data.objects": 2, "steps": 5}, {"data.objects": 3, "steps": 8}],
    ///       random: (count: 9, draw: {"train.learning_rate": LogUniform(1e-4, 1e-2)}),
    ///       only: ["k > data.objects"],
    ///       seeds: 5, max_iterations: 2000,
    ///       slurm: (time: "8:00:00", gres: "gpu:1", parallel: 20),
    ///   )
    ///
    /// docs/scale-out.md explains all fields. Each combination with each seed is a
    /// run in sweeps/FILE, and the same command continues what has not ended.
    ///
    /// Exit codes: 0 all trials are done, 1 some failed, 2 usage error, 3 some are
    /// to be continued.
    #[command(verbatim_doc_comment, after_long_help = examples::SWEEP)]
    Sweep(sweep::SweepArgs),
    /// Watch and steer a run that is training elsewhere on this machine
    ///
    /// Leaving does not end it. Any number of viewers may attach at once.
    #[command(after_long_help = examples::ATTACH)]
    Attach(attach::AttachArgs),
    /// Score a run, a checkpoint or a model on held-out images
    #[command(after_long_help = examples::EVAL)]
    Eval(eval::EvalArgs),
    /// Draw how a run, a checkpoint or a model splits an image, as PNG, GIF, or arrays
    #[command(after_long_help = examples::PICTURE)]
    Picture(picture::PictureArgs),
    /// Write a run's curves as CSV, SVG, or event files for TensorBoard
    #[command(after_long_help = examples::CURVES)]
    Curves(curves::CurvesArgs),
    /// Write a run's best weights as a model to share
    #[command(after_long_help = examples::EXPORT)]
    Export(export::ExportArgs),
    /// List the presets, or print one
    #[command(after_long_help = examples::PRESETS)]
    Presets(presets::PresetsArgs),
    /// Reproduce the paper's tables and figures: train and score the runs they need
    ///
    /// Every seed draws its own data, synthetic digits included. The paper's five runs share one data set, so ours
    /// vary slightly more.
    #[command(after_long_help = examples::REPRODUCE)]
    Reproduce(reproduce::ReproduceArgs),
    /// Inspect or download the data that presets train on
    #[command(after_long_help = examples::DATA)]
    Data(data::DataArgs),
    /// Print the workbench's current config, and where it is read from
    ///
    /// The output can be saved there and edited: colours, mouse, notices, and the keys of every action by its name.
    /// NEM_TUI_CONFIG names another file. If the config is invalid, its error is printed instead.
    #[command(after_long_help = examples::CONFIG)]
    Config,
    #[command(after_long_help = examples::VERIFY)]
    Verify(verify::VerifyArgs),
    /// Time training iterations
    #[command(after_long_help = examples::BENCH)]
    Bench(bench::BenchArgs),
    /// Compute all outputs of the model for given weights and inputs, to compare implementations
    #[command(after_long_help = examples::INFER)]
    Infer(infer::InferArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_long_help = examples::MAN)]
    Man,
}

impl Cli {
    /// The program's arguments. For those that are refused, and for `--help` and `--version`, prints the reason or the
    /// text and returns the exit code.
    ///
    /// # Errors
    /// The exit code.
    pub fn of_arguments() -> Result<Cli, ExitCode> {
        let arguments = machine::memory_setting()
            .map_err(Error::Usage)
            .and_then(|_| args::with_files_of_sets(std::env::args_os()))
            .map_err(|error| failed(&error))?;
        Cli::try_parse_from(arguments).map_err(|shown| show(&shown))
    }

    /// Runs the command; the exit code.
    ///
    /// # Errors
    /// Those of the command.
    pub fn run(self) -> Result<ExitCode> {
        backend::caught(|| self.dispatch())
    }

    fn dispatch(self) -> Result<ExitCode> {
        if !matches!(self.command, None | Some(CliCommand::Tui(_) | CliCommand::Attach(_))) {
            // The thread of a run tells its own warnings to its viewers.
            let warnings = log::warnings(|sentence| say(&format!("nem-tui: {sentence}")));
            let _ = tracing::subscriber::set_global_default(warnings);
        }
        let done = match self.command {
            None => self.tui.run(),
            Some(CliCommand::Tui(args)) => args.run(),
            Some(CliCommand::Train(args)) => return args.run(),
            Some(CliCommand::Sweep(args)) => return args.run(),
            Some(CliCommand::Attach(args)) => args.run(),
            Some(CliCommand::Eval(args)) => args.run(),
            Some(CliCommand::Picture(args)) => args.run(),
            Some(CliCommand::Curves(args)) => args.run(),
            Some(CliCommand::Export(args)) => args.run(),
            Some(CliCommand::Presets(args)) => args.run(),
            Some(CliCommand::Reproduce(args)) => args.run(),
            Some(CliCommand::Data(args)) => args.run(),
            Some(CliCommand::Config) => config::print_config(),
            Some(CliCommand::Verify(args)) => args.run(),
            Some(CliCommand::Bench(args)) => args.run(),
            Some(CliCommand::Infer(args)) => args.run(),
            Some(CliCommand::Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "nem-tui", &mut script);
                print(&String::from_utf8_lossy(&script))
            }
            Some(CliCommand::Man) => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(stdout_error)?;
                print(&String::from_utf8_lossy(&page))
            }
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Prints what clap has to say: help, the version with the backends, or an error.
fn show(shown: &clap::Error) -> ExitCode {
    let printed = shown.print().and_then(|()| match shown.kind() {
        ErrorKind::DisplayVersion => writeln!(io::stdout(), "backends: {}", backend::backends()),
        _ => Ok(()),
    });
    match printed {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("nem-tui: {}", stdout_error(e)));
            settle();
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(shown.exit_code()).unwrap_or(1)),
    }
}

/// Tells the user about an error; the exit code.
pub fn failed(error: &Error) -> ExitCode {
    say(&format!("nem-tui: {error}"));
    ExitCode::from(error.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command's help ends in two or three examples, or the program's in more, and all of them are accepted.
    #[test]
    fn the_help_of_every_command_ends_in_examples_that_work() {
        let mut program = Cli::command();
        program.build();
        let mut commands = vec![program.clone()];
        commands.extend(program.get_subcommands().filter(|command| command.get_name() != "help").cloned());
        for mut command in commands {
            let (name, is_program) = (command.get_name().to_owned(), command.get_name() == "nem-tui");
            let help = command.render_long_help().to_string();
            let end = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples")).1;
            let lines: Vec<&str> = end.lines().filter_map(|line| line.strip_prefix("  ")).collect();
            let examples: Vec<Vec<&str>> = lines
                .iter()
                .filter(|line| line.starts_with("nem-tui"))
                .map(|line| line.split("  ").next().unwrap_or_default().split_whitespace().collect())
                .collect();
            assert!(is_program || (2..=3).contains(&examples.len()), "{name}:\n{end}");
            assert!(is_program || end.lines().all(|line| line.starts_with("  ")), "{name} ends in:\n{end}");
            assert!(end.lines().all(|line| line.len() <= 80), "too wide for a small terminal:\n{end}");
            for words in &examples {
                let words: Vec<&str> =
                    words.iter().copied().take_while(|word| ![">", "|"].contains(word)).collect();
                let parsed = Cli::try_parse_from(&words);
                assert!(
                    parsed.is_ok(),
                    "{words:?}: {}",
                    parsed.err().map_or(String::new(), |e| e.to_string())
                );
                assert!(words.iter().all(|word| !word.contains(['\'', '"'])), "{words:?} needs a shell");
            }
            let own = |words: &&Vec<&str>| words.get(1).is_some_and(|word| *word == name);
            assert!(
                is_program || name == "tui" || examples.iter().any(|words| own(&words)),
                "{name}:\n{end}"
            );
        }
    }
}
