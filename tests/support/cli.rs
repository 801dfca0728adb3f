//! Runs the real program.

use std::path::Path;
use std::process::{Command, Output};

/// Settings of the smallest run that still does everything: tiny images, and epochs of ten iterations.
pub const TINY: [&str; 14] = [
    "--set",
    "data.height=10",
    "--set",
    "data.width=12",
    "--set",
    "train.train_size=80",
    "--set",
    "train.batch=8",
    "--set",
    "train.validation_size=16",
    "--set",
    "train.test_size=24",
    "--set",
    "model.cell.layers.0.units=12",
];

pub fn nem_tui(directory: &Path, arguments: &[&str]) -> Output {
    nem_tui_with(directory, arguments, &[])
}

/// The same, with these environment variables.
pub fn nem_tui_with(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nem-tui"));
    command.current_dir(directory).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

/// Runs it and asserts that it succeeds.
pub fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = nem_tui(directory, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it and asserts that it fails with this code and one line on stderr, without a panic. Clap's own errors also
/// show the usage.
pub fn refused(directory: &Path, arguments: &[&str], code: i32) -> String {
    let output = nem_tui(directory, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    let of_clap = code == 2 && error.starts_with("error: ");
    let one_line = error.starts_with("nem-tui: ") && error.ends_with('\n') && error.lines().count() == 1;
    assert!(of_clap || one_line, "{arguments:?} is not refused in one line: {error}");
    error
}

/// `train quickstart`, made tiny, with more arguments.
pub fn tiny<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "quickstart", "--json", "--out", out], TINY.as_slice(), more].concat()
}
