//! The binary: parses arguments and returns an exit code.

use std::process::ExitCode;

use nem_tui::cli::{self, Cli};
use nem_tui::error::becomes_error;
use nem_tui::signals;

fn main() -> ExitCode {
    // Without handlers, signals only have their usual effects.
    let _ = signals::install();
    report_panics();
    let code = match Cli::of_arguments().map(Cli::run) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => cli::failed(&error),
        Err(code) => code,
    };
    cli::settle();
    code
}

/// Reports panics on stderr, except those that become errors: these go to the run's log only, if there is one.
fn report_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match becomes_error(panic) {
        true => tracing::error!("{panic}"),
        false => report(panic),
    }));
}
