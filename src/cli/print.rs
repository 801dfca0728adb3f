//! Writing to stdout.

use std::io::{IsTerminal, Write};

use crate::error::{Error, Result};

/// Writes `text` to stdout. A closed pipe (`nem-tui presets | head -1`) is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(stdout_error),
    }
}

/// Writes one JSON object as a line.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let line =
        serde_json::to_string(value).map_err(|e| Error::Usage(format!("cannot be written as JSON: {e}")))?;
    print(&(line + "\n"))
}

pub(super) fn stdout_error(source: std::io::Error) -> Error {
    Error::Io { action: "write to", path: "stdout".into(), source }
}

pub(super) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
