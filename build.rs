//! Tells the program its version with the commit it was built from, which run directories and tables
//! of results record.

use std::path::Path;
use std::process::Command;

/// What a change of makes it another program.
const SOURCES: [&str; 5] = ["src", "presets", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    for path in SOURCES.iter().chain(&[".git/logs/HEAD"]).filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
    let version = env!("CARGO_PKG_VERSION");
    // Outside a clone, or without git, the version alone has to do.
    let of_commit = match (Path::new(".git").exists(), git(&["rev-parse", "--short=7", "HEAD"])) {
        (true, Some(commit)) => {
            let changed = git(&[["status", "--porcelain", "--"].as_slice(), &SOURCES].concat());
            let mark = if changed.is_some_and(|list| list.is_empty()) { "" } else { ", changed" };
            format!("{version} ({commit}{mark})")
        }
        _ => version.to_owned(),
    };
    println!("cargo:rustc-env=NEM_TUI_VERSION={of_commit}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
