//! The binary: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use nem_tui::cli::Cli;
use nem_tui::error::is_told_of;

fn main() -> ExitCode {
    // For panics: a report that says where, after the terminal is itself again.
    if let Err(error) = color_eyre::install() {
        eprintln!("nem-tui: {error}");
    }
    // What is told of as a sentence goes to the run's log in full, if there is one.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match is_told_of(panic) {
        true => tracing::error!("{panic}"),
        false => report(panic),
    }));
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With the terminal gone there is nobody to tell, and no reason to panic.
            let _ = writeln!(std::io::stderr(), "nem-tui: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
