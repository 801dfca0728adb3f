//! The layers of ARCHITECTURE.md: a module uses only what lies below it, and no files use each other in a circle.
//!
//! The source is read as text: `use` lines and paths in code, without comments, strings and tests. A type that is used
//! only as a method's result is not seen. A folder's file (`x.rs` beside `x/`) counts as a file like any other, except
//! that passing on its children's names by `pub use` does not count as using them.

#![allow(clippy::unwrap_used)] // a test's way to fail

#[path = "support/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{Path, Source, Sources, Use, crate_sources, home, read};

/// From the ground up. Modules on one line do not know each other.
const LAYERS: &[&[&str]] = &[
    &["paths"],
    &["axis", "error", "colours", "machine"],
    &["files", "precision", "random", "signals", "stop"],
    &["tensors", "preset"],
    &["snapshot"],
    &["protocol"],
    &["scores", "backend"],
    &["nem", "data"],
    &["train"],
    &["run"],
    &["live"],
    &["sweep"],
    &["paper", "tui"],
    &["cli"],
];

/// Modules that may use less than the order allows.
const NARROW: &[(&str, &[&str])] = &[(
    "tui",
    &["paths", "axis", "error", "colours", "precision", "preset", "protocol", "signals", "snapshot", "stop"],
)];

/// Crates that belong to some modules only.
const CRATES: &[(&str, &[&str])] = &[
    ("burn", &["nem", "train", "run", "backend"]),
    ("burn_optim", &["nem", "train"]),
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
    ("plotters", &["run", "sweep", "paper"]),
    ("nucleo_matcher", &["tui"]),
    ("rand_chacha", &["random"]),
    ("rand_distr", &["random"]),
    ("ratatui_image", &["tui"]),
    ("serde_json", &["preset", "run", "sweep", "paper", "cli"]),
    ("tokio", &["protocol", "live", "signals", "tui", "cli"]),
    ("signal_hook", &["signals"]),
    ("tui_input", &["tui"]),
    ("strsim", &["paths"]),
    ("unicode_width", &["tui"]),
    ("ureq", &["data"]),
];

/// The files that each file uses, each with the paths by which it does.
fn edges(sources: &Sources) -> BTreeMap<Path, BTreeMap<Path, BTreeSet<String>>> {
    let of = |(file, source): (&Path, &Source)| {
        // A name passed on from a child is used only if the code names it again.
        let passes_on = |line: &&Use| {
            let defined = |path: &Path| &sources.get(path).unwrap_or(source).defined;
            let again = match line.name.as_str() {
                "*" => !defined(&line.path).is_disjoint(&source.words),
                name => source.words.contains(name),
            };
            line.public && line.path.starts_with(file) && !again
        };
        let uses = source.uses.iter().filter(|line| !passes_on(line)).map(|line| match line.name.as_str() {
            "*" => [&line.path[..], &["*".to_owned()]].concat(),
            _ => line.path.clone(),
        });
        let used = uses.chain(source.inline.iter().cloned());
        let mut homes: BTreeMap<Path, BTreeSet<String>> = BTreeMap::new();
        for path in used {
            if let Some(home) = home(sources, &path, 0).filter(|home| home != file) {
                homes.entry(home).or_default().insert(path.last().unwrap().clone());
            }
        }
        (file.clone(), homes)
    };
    sources.iter().map(of).collect()
}

/// The files of every circle, and how they use each other.
fn circles(sources: &Sources) -> Vec<String> {
    let edges = edges(sources);
    let reached = |from: &Path| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(edges[file].keys().filter(|to| reached.insert((*to).clone())));
        }
        reached
    };
    let reached: BTreeMap<&Path, BTreeSet<Path>> = edges.keys().map(|file| (file, reached(file))).collect();
    let circle = |file: &Path| -> BTreeSet<Path> {
        reached[file].iter().filter(|other| reached[other].contains(file)).cloned().collect()
    };
    let circles: BTreeSet<BTreeSet<Path>> =
        edges.keys().map(circle).filter(|files| !files.is_empty()).collect();
    let told = |files: &BTreeSet<Path>| {
        let mut lines = vec![format!("{} files", files.len())];
        for file in files {
            for (other, by) in edges[file].iter().filter(|(other, _)| files.contains(*other)) {
                let by: Vec<&str> = by.iter().map(String::as_str).collect();
                lines.push(format!("  {} -> {}: {}", file.join("::"), other.join("::"), by.join(", ")));
            }
        }
        lines.join("\n")
    };
    circles.iter().map(told).collect()
}

fn rank(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
}

/// Every use that the layers forbid.
fn trespasses(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (file, source) in sources.iter().filter(|(file, _)| file.len() > 1) {
        let module = file[1].as_str();
        for path in source.uses.iter().map(|line| &line.path).chain(&source.inline) {
            let forbidden = match path[0].as_str() {
                "crate" if path.len() == 1 => true,
                "crate" => {
                    let narrow = NARROW.iter().find(|(narrow, _)| *narrow == module);
                    let narrow = narrow.is_some_and(|(_, allowed)| !allowed.contains(&path[1].as_str()));
                    path[1] != module && (narrow || rank(&path[1]) >= rank(module))
                }
                name => CRATES.iter().any(|(krate, allowed)| *krate == name && !allowed.contains(&module)),
            };
            if forbidden {
                found.push(format!("{} uses {}", file.join("::"), path.join("::")));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_what_lies_below() {
    let sources = crate_sources();
    for file in sources.keys().filter(|file| file.len() > 1) {
        rank(&file[1]);
    }
    let found = trespasses(&sources);
    assert!(found.is_empty(), "against the layers:\n{}", found.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let found = circles(&crate_sources());
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

/// Sources from the paths of their modules and their texts.
fn sources(texts: &[(&str, &str)]) -> Sources {
    let of = |(module, text): &(&str, &str)| {
        let module: Path = module.split("::").map(str::to_owned).collect();
        (module.clone(), read(&module, text))
    };
    texts.iter().map(of).collect()
}

#[test]
fn comments_strings_and_tests_are_left_out() {
    let text = r##"
        // crate::a::b
        /* crate::a::b */
        const TEXT: &str = "crate::a::b \\" ; const RAW: &str = r#"crate::"a"::b"#;
        fn letter<'a>(_: &'a str) -> [char; 3] { ['"', '\'', '{'] }
        #[cfg(test)]
        use crate::a::{b, c};
        #[cfg(test)]
        mod tests { fn f() { crate::a::b(); } }
        #[cfg(test)]
        mod tests;
        use crate::d::{self, e::{F as G, *}};
        fn f() { d::h(); letter(super::x); }
    "##;
    let found = &sources(&[("crate::m", text)])[&["crate".to_owned(), "m".to_owned()][..]];
    let uses: Vec<_> = found.uses.iter().map(|line| (line.path.join("::"), line.name.as_str())).collect();
    assert_eq!(uses, [("crate::d".into(), "d"), ("crate::d::e::F".into(), "G"), ("crate::d::e".into(), "*")]);
    let inline: Vec<_> = found.inline.iter().map(|path| path.join("::")).collect();
    assert_eq!(inline, ["crate::d::h", "crate::x"]);
}

#[test]
fn every_way_to_use_what_lies_above_is_seen() {
    for (module, text) in [
        ("crate::files", "use crate::cli::run;"),
        ("crate::files", "fn f() { crate::cli::run(); }"),
        ("crate::files", "fn f() { nem_tui::cli::run(); }"),
        ("crate::nem::cell", "use super::super::cli;"),
        ("crate::nem::cell", "mod inside { fn f() { super::super::super::cli::run(); } }"),
        ("crate::files", "fn f() { burn::tensor::Tensor::empty(); }"),
        ("crate::files", "use flate2::read::GzDecoder;"),
        ("crate::files", "fn f() { flate2::read::GzDecoder::new(); }"),
        ("crate::tui::view", "use crate::nem;"),
        ("crate::data", "use crate::nem;"),
    ] {
        assert_eq!(trespasses(&sources(&[(module, text)])).len(), 1, "{module}: {text}");
    }
    let below = [
        ("crate::cli", "use crate::nem; use self::args::Args; fn f() { crate::files::write(); clap::x(); }"),
        ("crate::tui", "mod image; fn f() { image::draw(); self::view::draw(); }"),
        ("crate::files", "mod flate2; use flate2::read; fn f() { flate2::read(); }"),
    ];
    assert_eq!(trespasses(&sources(&below)), [""; 0]);
}

#[test]
fn circles_are_found_and_passing_names_on_is_none() {
    // Two files of one folder, through a `use` and through a path; the third is in no circle.
    let found = circles(&sources(&[
        ("crate::m", "mod a; mod b; mod c;"),
        ("crate::m::a", "use super::b; pub fn f() { b::g(); }"),
        ("crate::m::b", "pub fn g() { crate::m::a::f(); }"),
        ("crate::m::c", "use super::a::f;"),
    ]));
    assert_eq!(found, ["2 files\n  crate::m::a -> crate::m::b: g\n  crate::m::b -> crate::m::a: f"]);
    // A folder's file that uses its child and is used by it.
    let parent = "mod a; use self::a::f; pub struct Shared; fn g() { f(); }";
    let found =
        circles(&sources(&[("crate::m", parent), ("crate::m::a", "use super::Shared; pub fn f() {}")]));
    assert_eq!(found, ["2 files\n  crate::m -> crate::m::a: f\n  crate::m::a -> crate::m: Shared"]);
    // Three files whose names are passed on by the folder's file.
    let found = circles(&sources(&[
        ("crate::m", "mod a; mod b; mod c; pub use self::a::A; pub use self::b::*;"),
        ("crate::m::a", "use super::B; pub struct A(B);"),
        ("crate::m::b", "use super::c; pub struct B(c::C);"),
        ("crate::m::c", "pub struct C(Box<crate::m::A>);"),
    ]));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("3 files\n  crate::m::a -> crate::m::b: B\n"), "{found:?}");
    // A folder's file that only passes names on; its children may use what it defines.
    let found = circles(&sources(&[
        ("crate::m", "mod a; mod b; pub use self::a::A; pub const SIZE: usize = 2;"),
        ("crate::m::a", "use super::SIZE; pub struct A([u8; SIZE]);"),
        ("crate::m::b", "use super::{A, SIZE};"),
    ]));
    assert_eq!(found, [""; 0]);
}
