//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use nem_tui::cli::Cli;
use nem_tui::engine::worker;

fn main() -> ExitCode {
    // For panics: a report that says where, after the terminal is itself again.
    if let Err(error) = color_eyre::install() {
        eprintln!("nem-tui: {error}");
    }
    // A panic of the training thread becomes a sentence, and goes to the run's log in full.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match std::thread::current().name() {
        Some(worker::THREAD) => tracing::error!("{panic}"),
        _ => report(panic),
    }));
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nem-tui: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
