//! The layers of ARCHITECTURE.md: a module imports only what lies below it.

#![allow(clippy::unwrap_used)] // a test's way to fail

use std::path::{Path, PathBuf};

/// From the ground up. Modules on one line do not know each other.
const LAYERS: &[&[&str]] = &[
    &["error", "colours", "machine"],
    &["files", "precision", "random"],
    &["tensors", "preset"],
    &["snapshot"],
    &["protocol"],
    &["scores", "backend"],
    &["nem", "data"],
    &["train"],
    &["run"],
    &["live"],
    &["paper", "tui"],
    &["cli"],
];

/// What a module may import although the order alone would allow more.
const NARROW: &[(&str, &[&str])] =
    &[("tui", &["error", "colours", "precision", "preset", "protocol", "snapshot"])];

/// Crates that belong to some modules only.
const CRATES: &[(&str, &[&str])] = &[
    ("burn", &["nem", "train", "run", "backend"]),
    ("burn_tch", &["backend"]),
    ("tch", &["backend"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("rmp_serde", &["live"]),
    ("flate2", &["data", "run", "snapshot"]),
    ("gif", &["snapshot"]),
    ("color_quant", &["snapshot"]),
    ("font8x8", &["snapshot"]),
    ("pathfinding", &["snapshot"]),
    ("prost", &["run"]),
    ("crc32c", &["run"]),
    ("directories", &["data", "cli"]),
    ("crokey", &["tui"]),
    ("hdf5_reader", &["data"]),
    ("image", &["data", "snapshot", "tui"]),
    ("plotters", &["run", "paper"]),
];

fn rank(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The words that follow `prefix` in the code, comments left out.
fn names_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(move |line| line.split(prefix).skip(1)).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn modules_import_only_what_lies_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = 0;
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // What tests import is the tests' affair.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for import in names_after(text, "crate::").filter(|i| *i != module) {
            imports += 1;
            assert!(
                rank(import) < rank(&module),
                "{} imports {import}, which does not lie below {module}",
                inside.display()
            );
            if let Some((_, allowed)) = NARROW.iter().find(|(m, _)| *m == module) {
                assert!(allowed.contains(&import), "{} imports {import}", inside.display());
            }
        }
        for (name, allowed) in CRATES {
            let used = names_after(text, "use ").any(|n| n == *name);
            assert!(!used || allowed.contains(&module.as_str()), "{} uses {name}", inside.display());
        }
    }
    assert!(imports > 50, "only {imports} imports were seen; is this test still reading the source?");
}
