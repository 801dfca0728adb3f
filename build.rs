//! Two things that only the build can know: the commit this program was made from, which run directories
//! and tables of results record, and, with `--features libtorch`, where libtorch lies.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a change of makes it another program.
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

/// The version, with the commit where there is one.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    // Outside a clone, or without git, the version alone has to do.
    match (Path::new(".git").exists(), output("git", &["rev-parse", "--short=7", "HEAD"])) {
        (true, Some(commit)) => {
            let status = [["status", "--porcelain", "--"].as_slice(), &SOURCES].concat();
            let changed = output("git", &status).is_none_or(|list| !list.is_empty());
            format!("{version} ({commit}{})", if changed { ", changed" } else { "" })
        }
        _ => version.to_owned(),
    }
}

/// Lets the program find libtorch's libraries where they were found now, or says how to get them.
fn libtorch() {
    for name in ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_USE_PYTORCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let (asked, folder) = if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let ask = "import os, torch; print(os.path.dirname(torch.__file__))";
        let python = if env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
        let folder = output(python, &["-W", "ignore", "-c", ask]).map(PathBuf::from);
        (format!("LIBTORCH_USE_PYTORCH, but {python} imports no torch"), folder)
    } else {
        // .cargo/config.toml names the link that `scripts/libtorch` makes, unless the user names another folder.
        let folder = ["LIBTORCH_LIB", "LIBTORCH"].into_iter().find_map(env::var_os).map(PathBuf::from);
        let shown = folder.as_deref().map_or("no LIBTORCH".to_owned(), |path| path.display().to_string());
        (format!("{shown}, where there is no lib/{}", TORCH[0]), folder)
    };
    // torch-sys reads a relative path from its own folder.
    let folder = folder.filter(|folder| folder.is_absolute());
    match folder.and_then(|folder| folder.join("lib").canonicalize().ok()).filter(|lib| has_torch(lib)) {
        Some(lib) => {
            println!("cargo::rerun-if-changed={}", lib.display());
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
        }
        None => println!(
            "cargo::error=`--features libtorch` needs libtorch and was given {asked}: run `scripts/libtorch` once, \
             or set LIBTORCH to the absolute path of a PyTorch 2.9.0's folder, or LIBTORCH_USE_PYTORCH=1 to take that \
             of the active Python."
        ),
    }
}

/// The library by which a libtorch is known, as systems call it.
const TORCH: [&str; 3] = ["libtorch.so", "libtorch.dylib", "torch.lib"];

fn has_torch(lib: &Path) -> bool {
    TORCH.iter().any(|name| lib.join(name).exists())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
