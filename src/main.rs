//! The binary: parses arguments and returns an exit code.

use std::io::Write;
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

/// Reports panics on stderr, after the terminal is restored. A report that cannot be written must not abort the program,
/// which still has runs to save.
fn report_panics() {
    let hooks = color_eyre::config::HookBuilder::default().try_into_hooks();
    let Ok((panics, _)) = hooks else { return };
    std::panic::set_hook(Box::new(move |panic| match becomes_error(panic) {
        // These go to the run's log only, if there is one.
        true => tracing::error!("{panic}"),
        false => drop(writeln!(std::io::stderr(), "{}", panics.panic_report(panic))),
    }));
}
