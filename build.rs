//! Records the commit, for run directories and tables of results, and finds libtorch with `--features libtorch`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files that the program is built from.
const SOURCES: [&str; 6] = ["src", "presets", "assets/models", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    for path in SOURCES.iter().chain(&[".git/logs/HEAD"]).filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rustc-env=NEM_TUI_VERSION={}", version());
    if env::var_os("CARGO_FEATURE_LIBTORCH").is_some() {
        libtorch();
    }
}

/// The version, with the commit if known.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    if let Some(commit) = packaged() {
        return format!("{version} ({commit})");
    }
    // Without a clone or git, only the version is known.
    match (Path::new(".git").exists(), output("git", &["rev-parse", "--short=7", "HEAD"])) {
        (true, Some(commit)) => {
            let status = [["status", "--porcelain", "--"].as_slice(), &SOURCES].concat();
            let changed = output("git", &status).is_none_or(|list| !list.is_empty());
            format!("{version} ({commit}{})", if changed { ", changed" } else { "" })
        }
        _ => version.to_owned(),
    }
}

/// The commit that cargo noted in a package from crates.io.
fn packaged() -> Option<String> {
    let note = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let commit = note.split_once("\"sha1\": \"")?.1.get(..7)?;
    Some(format!("{commit}{}", if note.contains("\"dirty\": true") { ", changed" } else { "" }))
}

/// Links to libtorch's libraries by absolute path, or fails with instructions.
fn libtorch() {
    for name in ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_USE_PYTORCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let (problem, folder) = if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let ask = "import os, torch; print(os.path.dirname(torch.__file__))";
        let python = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
        let folder = output(python, &["-W", "ignore", "-c", ask]).map(PathBuf::from);
        (format!("LIBTORCH_USE_PYTORCH is set but {python} cannot import torch"), folder)
    } else {
        // By default, .cargo/config.toml sets LIBTORCH to the link that `scripts/libtorch` makes.
        let folder = ["LIBTORCH_LIB", "LIBTORCH"].into_iter().find_map(env::var_os).map(PathBuf::from);
        let problem = match &folder {
            Some(path) => format!("{} has no lib/{}", path.display(), TORCH[0]),
            None => "LIBTORCH is not set".to_owned(),
        };
        (problem, folder)
    };
    // torch-sys would resolve a relative path from its own folder.
    let folder = folder.filter(|folder| folder.is_absolute());
    match folder.and_then(|folder| folder.join("lib").canonicalize().ok()).filter(|lib| has_torch(lib)) {
        Some(lib) => {
            println!("cargo::rerun-if-changed={}", lib.display());
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
            if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
                // burn-tch refers to libtorch_cuda by a function that is never called; libtorch.so loads it where it
                // is. So a binary that was built with CUDA's libraries also runs without them.
                println!("cargo::rustc-link-arg=-Wl,--defsym=dummy_cuda_dependency=0");
                for arg in ["-Wl,--no-as-needed", "-ltorch", "-Wl,--as-needed"] {
                    println!("cargo::rustc-link-arg={arg}");
                }
            }
        }
        None => println!(
            "cargo::error=`--features libtorch` needs libtorch, but {problem}: run `scripts/libtorch` once, or \
             `scripts/libtorch --use PYTHON` to use the PyTorch of that Python."
        ),
    }
}

/// The name of libtorch's library on each system.
const TORCH: [&str; 3] = ["libtorch.so", "libtorch.dylib", "torch.lib"];

fn has_torch(lib: &Path) -> bool {
    TORCH.iter().any(|name| lib.join(name).exists())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
