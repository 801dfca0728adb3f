//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use nem_tui::cli::Cli;

fn main() -> ExitCode {
    // For panics: a report that says where, after the terminal is itself again.
    if let Err(error) = color_eyre::install() {
        eprintln!("nem-tui: {error}");
    }
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nem-tui: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
