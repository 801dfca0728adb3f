//! Paths as text: in messages, in commands to paste, and in files.
//!
//! A path need not be text: on Unix it is any bytes. Where the program reads a path again (`run.json`, presets, what
//! viewers send to a run), it is stored exactly ([`exact`]); where only people and scripts read it (`--json`, scores), it
//! is text with replacement characters ([`lossy`]).

use std::fmt::{self, Display, Formatter, Write};
use std::path::{Path, PathBuf};

/// A path for messages, always on one line: control characters and bytes that are not UTF-8 are escaped.
pub fn shown<P: AsRef<Path> + ?Sized>(path: &P) -> Shown<'_> {
    Shown(path.as_ref())
}

/// See [`shown`].
pub struct Shown<'a>(&'a Path);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match tears(character) {
                    true => write!(f, "{}", character.escape_default())?,
                    false => f.write_char(character)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?;
        }
        Ok(())
    }
}

/// Whether a character changes the line that it is shown in: control characters, separators of lines, and marks of the
/// direction of text.
fn tears(character: char) -> bool {
    let is_mark =
        matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || is_mark || character == '\u{feff}'
}

/// A path as a word of a shell command that names it, quoted where necessary.
pub fn quoted<P: AsRef<Path> + ?Sized>(path: &P) -> String {
    let path = path.as_ref();
    let bytes = path.as_os_str().as_encoded_bytes();
    // Not an option.
    let here = if bytes.starts_with(b"-") { "./" } else { "" };
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+:@%,=".contains(character);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => format!("{here}{text}"),
        Some(text) if !text.chars().any(tears) => format!("'{here}{}'", text.replace('\'', r"'\''")),
        _ => {
            let escaped = bytes.iter().map(|byte| match byte {
                b'\'' | b'\\' => format!("\\{}", *byte as char),
                b' '..=b'~' => (*byte as char).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("$'{here}{}'", escaped.collect::<String>())
        }
    }
}

/// The name that `text` may be a misspelling of.
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (name, strsim::jaro_winkler(text, name))).filter(|(_, near)| *near > 0.8);
    near.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, _)| name)
}

/// Asks whether one of `names` was meant by `text`: a sentence with a space after it, empty if none is like it.
pub fn meant<'a>(text: &Path, names: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(&text.to_string_lossy(), names);
    near.map_or(String::new(), |near| format!("did you mean {near}? "))
}

/// Serialises a path as text, with replacement characters for what is not UTF-8.
///
/// # Errors
/// Those of the serializer.
pub fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Serialises a path without loss: as text or, if it is not UTF-8, as the list of its bytes. For `serde(with)`.
pub mod exact {
    use std::ffi::OsString;

    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::{Deserialize, Serialize, Serializer};

    use super::{Formatter, Path, PathBuf, fmt};

    /// Serialises it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => path.as_os_str().as_encoded_bytes().serialize(serializer),
        }
    }

    /// Deserialises it.
    ///
    /// # Errors
    /// Neither text nor bytes, or bytes that no path of this system can have.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        StoredPath::deserialize(deserializer).map(|StoredPath(path)| path)
    }

    /// A path that is stored exactly.
    pub struct StoredPath(pub PathBuf);

    impl<'de> Deserialize<'de> for StoredPath {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredPath, D::Error> {
            deserializer.deserialize_any(PathVisitor).map(StoredPath)
        }
    }

    impl Serialize for StoredPath {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize(&self.0, serializer)
        }
    }

    struct PathVisitor;

    impl<'de> Visitor<'de> for PathVisitor {
        type Value = PathBuf;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("a path")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<PathBuf, E> {
            Ok(text.into())
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<PathBuf, E> {
            from_bytes(bytes.to_vec()).map(PathBuf::from)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PathBuf, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = list.next_element()? {
                bytes.push(byte);
            }
            from_bytes(bytes).map(PathBuf::from)
        }
    }

    #[cfg(unix)]
    fn from_bytes<E: Error>(bytes: Vec<u8>) -> Result<OsString, E> {
        Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
    }

    #[cfg(not(unix))]
    fn from_bytes<E: Error>(bytes: Vec<u8>) -> Result<OsString, E> {
        String::from_utf8(bytes).map(OsString::from).map_err(E::custom)
    }
}

/// The same as [`exact`], for a path that may be missing.
pub mod exact_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::PathBuf;
    use super::exact::StoredPath;

    /// Serialises it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.clone().map(StoredPath).serialize(serializer)
    }

    /// Deserialises it.
    ///
    /// # Errors
    /// Those of [`super::exact::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<StoredPath>::deserialize(deserializer)?.map(|StoredPath(path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[cfg(unix)]
    fn latin1() -> PathBuf {
        <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(b"caf\xe9".to_vec()).into()
    }

    #[test]
    fn a_path_is_shown_on_one_line() {
        assert_eq!(shown("runs/größe 1/'x'").to_string(), "runs/größe 1/'x'");
        assert_eq!(shown("a\nb\tc\u{1b}[2J").to_string(), "a\\nb\\tc\\u{1b}[2J");
        assert_eq!(shown("a\u{202e}gnp.b").to_string(), "a\\u{202e}gnp.b");
        #[cfg(unix)]
        assert_eq!(shown(&latin1()).to_string(), "caf\\xE9");
    }

    /// A shell that is given the quoted path sees the path.
    #[test]
    #[cfg(unix)]
    fn a_quoted_path_is_one_word_for_a_shell() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(quoted("runs/quickstart-s1"), "runs/quickstart-s1");
        let hostile = ["-x", "a b", "it's", "$HOME", "a;b", "new\nline", "a\\n\u{7}'", "~", "*", "\"", "é"];
        for path in hostile.map(PathBuf::from).into_iter().chain([latin1(), "-\u{1b}".into()]) {
            let script = format!("printf %s {}", quoted(&path));
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            let bytes = path.as_os_str().as_bytes();
            let here = if bytes.starts_with(b"-") { b"./".as_slice() } else { b"" };
            assert_eq!(output.stdout, [here, bytes].concat(), "{script}");
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "exact")]
        one: PathBuf,
        #[serde(default, with = "exact_option", skip_serializing_if = "Option::is_none")]
        other: Option<PathBuf>,
    }

    #[test]
    #[cfg(unix)]
    fn a_path_is_stored_exactly_in_every_format() {
        for (one, other) in
            [("a \"b\"".into(), None), (latin1(), Some("x".into())), ("y".into(), Some(latin1()))]
        {
            let paths = Paths { one, other };
            let json = serde_json::to_string(&paths).unwrap();
            assert_eq!(serde_json::from_str::<Paths>(&json).unwrap(), paths, "{json}");
            assert_eq!(
                serde_json::from_value::<Paths>(serde_json::to_value(&paths).unwrap()).unwrap(),
                paths
            );
            let message = rmp_serde::to_vec_named(&paths).unwrap();
            assert_eq!(rmp_serde::from_slice::<Paths>(&message).unwrap(), paths);
            let options =
                ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
            let ron = options.to_string(&paths).unwrap();
            assert_eq!(options.from_str::<Paths>(&ron).unwrap(), paths, "{ron}");
        }
        let error = serde_json::from_str::<Paths>("{\"one\": 3}").unwrap_err().to_string();
        assert!(error.contains("expected a path"), "{error}");
    }
}
