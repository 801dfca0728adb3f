//! Atomic writes.

mod text;

use std::io::Write;
use std::path::Path;

pub use self::text::read_text;

use crate::error::{Error, Result};

/// Writes a file atomically: to a temporary file, flushed to the disk and renamed.
///
/// # Errors
/// A directory that does not exist or cannot be written, or a full disk. An existing file then stays the same.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let attempt = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        // Temporary files are private; this one should be readable like any other.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path)?;
        Ok(())
    };
    attempt().map_err(Error::io("write", path))
}

/// Whether `path` has this extension, in upper or lower case.
pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_compared_without_case() {
        for (path, is_ron) in
            [("a.ron", true), ("a.RON", true), ("a.b.Ron", true), ("ron", false), ("a.rona", false)]
        {
            assert_eq!(has_extension(Path::new(path), "ron"), is_ron, "{path}");
        }
    }
}
