//! Reads the crate's source as text: which items files define, and which paths they use.

use std::collections::{BTreeMap, BTreeSet};

/// The parts of a path, from the crate's root or from another crate's name.
pub type Path = Vec<String>;

/// What the layers and circles need to know of a source file.
#[derive(Debug, Default)]
pub struct Source {
    /// One for each name that a `use` line binds.
    pub uses: Vec<Use>,
    /// Paths in code.
    pub inline: Vec<Path>,
    /// Items defined at its top, child modules included.
    pub defined: BTreeSet<String>,
    /// Identifiers outside `use` lines.
    pub words: BTreeSet<String>,
}

#[derive(Debug)]
pub struct Use {
    pub path: Path,
    /// What the path is bound to; `*` binds everything in it.
    pub name: String,
    pub public: bool,
}

/// Sources by the paths of their modules, which begin with `crate`.
pub type Sources = BTreeMap<Path, Source>;

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

pub fn read(file: &Path, text: &str) -> Source {
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
pub fn home(sources: &Sources, path: &[String], passed: usize) -> Option<Path> {
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
pub fn crate_sources() -> Sources {
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
