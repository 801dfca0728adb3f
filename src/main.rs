//! The binary: parses arguments and returns an exit code.

use std::io::Write;
use std::process::ExitCode;

use nem_tui::cli::Cli;
use nem_tui::error::becomes_error;

fn main() -> ExitCode {
    // Reports panics after the terminal is restored.
    if let Err(error) = color_eyre::install() {
        eprintln!("nem-tui: {error}");
    }
    // Panics that become errors only go to the run's log, if there is one.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match becomes_error(panic) {
        true => tracing::error!("{panic}"),
        false => report(panic),
    }));
    match Cli::of_arguments().and_then(Cli::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `eprintln!` would panic if the terminal is gone.
            let _ = writeln!(std::io::stderr(), "nem-tui: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
