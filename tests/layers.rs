//! The layers of ARCHITECTURE.md: a module uses only what lies below it, and no files use each other in a circle.
//!
//! The source is read as text: `use` lines and paths in code, without comments, strings and tests. A type that is used
//! only as a method's result is not seen. A folder's file (`x.rs` beside `x/`) counts as a file like any other, except
//! that passing on its children's names by `pub use` is no use of them.

#![allow(clippy::unwrap_used)] // a test's way to fail

use std::collections::{BTreeMap, BTreeSet};

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

/// Modules that may use less than the order allows.
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
    ("png", &["snapshot"]),
    ("gif", &["snapshot"]),
    ("color_quant", &["snapshot"]),
    ("font8x8", &["snapshot"]),
    ("pathfinding", &["snapshot"]),
    ("prost", &["run"]),
    ("crc32c", &["run"]),
    ("directories", &["data", "cli"]),
    ("crokey", &["tui"]),
    ("hdf5_reader", &["data"]),
    ("image", &["data", "tui"]),
    ("plotters", &["run", "paper"]),
    ("nucleo_matcher", &["tui"]),
    ("rand_chacha", &["random"]),
    ("rand_distr", &["random"]),
    ("ratatui_image", &["tui"]),
    ("serde_json", &["preset", "run", "paper", "cli"]),
    ("tokio", &["protocol", "live", "tui", "cli"]),
    ("tui_input", &["tui"]),
];

/// The parts of a path, from the crate's root or from another crate's name.
type Path = Vec<String>;

/// What the layers and circles need to know of a source file.
#[derive(Debug, Default)]
struct Source {
    /// One for each name that a `use` line binds.
    uses: Vec<Use>,
    /// Paths in code.
    inline: Vec<Path>,
    /// Items defined at its top, child modules included.
    defined: BTreeSet<String>,
    /// Identifiers outside `use` lines.
    words: BTreeSet<String>,
}

#[derive(Debug)]
struct Use {
    path: Path,
    /// What the path is bound to; `*` binds everything in it.
    name: String,
    public: bool,
}

/// Sources by the paths of their modules, which begin with `crate`.
type Sources = BTreeMap<Path, Source>;

/// Identifiers, `::` and other single characters. Comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end_of =
            |mark: &str, from: usize| rest[from..].find(mark).map_or(rest.len(), |at| from + at + mark.len());
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let hashes = rest[word..].len() - rest[word..].trim_start_matches('#').len();
        let raw = ["r", "br", "cr"].contains(&&rest[..word]) && rest[word + hashes..].starts_with('"');
        let taken = if rest.starts_with("//") {
            end_of("\n", 0)
        } else if rest.starts_with("/*") {
            end_of("*/", 2)
        } else if raw {
            end_of(&format!("\"{}", "#".repeat(hashes)), word + hashes + 1)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |at| at + 2)
        } else if rest.starts_with("'\\") {
            end_of("'", 3)
        } else if first == '\'' {
            let after: Vec<char> = rest.chars().skip(1).take(2).collect();
            // A character or a lifetime.
            let name = rest[1..].find(|c| !is_word(c)).map_or(rest.len(), |at| 1 + at);
            if after.get(1) == Some(&'\'') { 2 + after[0].len_utf8() } else { name.max(1) }
        } else {
            let length = if rest.starts_with("::") { 2 } else { word.max(first.len_utf8()) };
            if !first.is_whitespace() {
                found.push(&rest[..length]);
            }
            length
        };
        rest = &rest[taken..];
    }
    found
}

/// Drops the items that are compiled for tests only.
fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].starts_with(&MARK) {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        at += MARK.len();
        let ends_at_block =
            tokens[at..].iter().find(|token| ["use", "{", ";"].contains(token)) != Some(&"use");
        let mut depth = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match *token {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" => depth -= 1,
                "}" => {
                    depth -= 1;
                    if depth == 0 && ends_at_block {
                        break;
                    }
                }
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Collects the paths of a `use` tree with the names they are bound to; returns where the tree ends.
fn use_tree(tokens: &[&str], mut at: usize, mut path: Path, leaves: &mut Vec<(Path, String)>) -> usize {
    loop {
        match tokens[at] {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = use_tree(tokens, at, path.clone(), leaves);
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            "," | ";" | "}" => break,
            "as" => {
                leaves.push((path, tokens[at + 1].to_owned()));
                return at + 2;
            }
            // `x::{self}` is `x`.
            "self" if !path.is_empty() => at += 1,
            part => {
                path.push(part.to_owned());
                at += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    if name == "*" {
        path.pop();
    }
    leaves.push((path, name));
    at
}

fn read(file: &Path, text: &str) -> Source {
    let tokens = tokens(text);
    let tokens = without_tests(&tokens);
    let mut source = Source::default();
    // What the first part of a path stands for if it is not another crate.
    let mut names: BTreeMap<String, Path> = BTreeMap::new();
    let (mut uses, mut inline) = (Vec::new(), Vec::new());
    // The current module, and the depths of braces at which modules inside the file end.
    let (mut module, mut ends, mut depth) = (file.clone(), Vec::new(), 0);
    let mut at = 0;
    while at < tokens.len() {
        let before = if at == 0 { "" } else { tokens[at - 1] };
        let next = tokens.get(at + 1).copied().unwrap_or_default();
        let token = tokens[at];
        at += 1;
        match token {
            "{" => {
                if at > 2 && tokens[at - 3] == "mod" {
                    module.push(before.to_owned());
                    ends.push(depth);
                }
                depth += 1;
            }
            "}" => {
                depth -= 1;
                if ends.pop_if(|end| *end == depth).is_some() {
                    module.pop();
                }
            }
            "use" if next != "<" => {
                let mut leaves = Vec::new();
                at = use_tree(&tokens, at, Path::new(), &mut leaves);
                let public = [")", "pub"].contains(&before);
                uses.extend(
                    leaves.into_iter().map(|(path, name)| (module.clone(), Use { path, name, public })),
                );
            }
            "fn" | "const" | "static" if depth == 0 => {
                source.defined.insert(next.to_owned());
            }
            "struct" | "enum" | "union" | "trait" | "type" | "mod" if depth == 0 => {
                source.defined.insert(next.to_owned());
                names.insert(next.to_owned(), [&file[..], &[next.to_owned()]].concat());
            }
            word if is_name(word) && before != "::" => {
                if before != "." {
                    source.words.insert(word.to_owned());
                }
                let mut path = vec![word.to_owned()];
                while tokens.get(at) == Some(&"::") && tokens.get(at + 1).is_some_and(|part| is_name(part)) {
                    path.push(tokens[at + 1].to_owned());
                    at += 2;
                }
                if path.len() > 1 {
                    inline.push((module.clone(), path));
                }
            }
            _ => {}
        }
    }
    let whole = |(module, line): (Path, Use)| Use { path: absolute(&module, line.path, &names), ..line };
    source.uses = uses.into_iter().map(whole).collect();
    names.extend(source.uses.iter().map(|line| (line.name.clone(), line.path.clone())));
    source.inline = inline.into_iter().map(|(module, path)| absolute(&module, path, &names)).collect();
    source
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A path written in `module`, from the crate's root if it leads into this crate.
fn absolute(module: &[String], path: Path, names: &BTreeMap<String, Path>) -> Path {
    let (root, rest) = match path[0].as_str() {
        "crate" | "nem_tui" => (&module[..1], &path[1..]),
        "self" => (module, &path[1..]),
        "super" => (&module[..module.len() - 1], &path[1..]),
        name => match names.get(name) {
            Some(root) => (&root[..], &path[1..]),
            None => return path,
        },
    };
    let more = rest.iter().take_while(|part| *part == "super").count();
    [&root[..root.len() - more], &rest[more..]].concat()
}

/// The file that defines what `path` names, found through files that only pass the name on. `None` for other crates,
/// and for a path to a module, whose use shows where something in it is named.
fn home(sources: &Sources, path: &[String], passed: usize) -> Option<Path> {
    let length = (1..=path.len()).rev().find(|length| sources.contains_key(&path[..*length]))?;
    let (file, rest) = path.split_at(length);
    let (name, source) = (rest.first()?, &sources[file]);
    // Files may pass things on to each other.
    if source.defined.contains(name) || passed > 9 {
        return Some(file.to_vec());
    }
    let mut candidates = source.uses.iter().filter_map(|line| match line.name.as_str() {
        "*" => home(sources, &[&line.path[..], rest].concat(), passed + 1)
            .filter(|file| sources[file].defined.contains(name)),
        bound if bound == name => match line.path[0].as_str() {
            "crate" => home(sources, &[&line.path[..], &rest[1..]].concat(), passed + 1),
            _ => None,
        },
        _ => None,
    });
    candidates.next().or_else(|| Some(file.to_vec()))
}

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

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The library's sources, without tests.
fn crate_sources() -> Sources {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let of = |file: std::path::PathBuf| {
        let inside = file.strip_prefix(&src).unwrap().with_extension("");
        let parts = inside.iter().map(|part| part.to_str().unwrap().to_owned()).filter(|part| part != "lib");
        let module: Path = std::iter::once("crate".to_owned()).chain(parts).collect();
        let is_code = !["main", "tests"].contains(&module.last().unwrap().as_str());
        is_code.then(|| (module.clone(), read(&module, &std::fs::read_to_string(&file).unwrap())))
    };
    let sources: Sources = files(&src).into_iter().filter_map(of).collect();
    let paths: usize = sources.values().map(|source| source.uses.len() + source.inline.len()).sum();
    assert!(sources.len() > 50 && paths > 1000, "{paths} paths in {} files were read", sources.len());
    sources
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
