//! Files that are written whole or not at all, and files that only grow.

mod append;
pub mod output;
mod text;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

pub use self::append::Appender;
pub use self::text::read_text;
use crate::error::{Error, Result};

/// The beginning of the names of temporary files and directories. A killed process leaves them behind.
const TEMPORARY: &str = ".nem-tui-";

/// Writes a file atomically: to a temporary file, flushed to the disk and renamed. A new file follows the umask.
///
/// # Errors
/// A directory that does not exist or cannot be written, or a full disk. An existing file then stays the same.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let create = |path: &Path| File::options().write(true).create_new(true).open(path);
        let mut file = temporary(directory_of(path), create)?;
        file.as_file_mut().write_all(bytes)?;
        sync_file(file.as_file())?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(Error::io("write", path))
}

/// Calls `make` with the path of a temporary file in `parent`, which is removed when dropped.
fn temporary<T>(
    parent: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<tempfile::NamedTempFile<T>> {
    // `tempfile` wraps the system's error and adds the temporary path.
    let raw = std::cell::Cell::new(None);
    let make = |path: &Path| make(path).inspect_err(|e| raw.set(e.raw_os_error()));
    let made = tempfile::Builder::new().prefix(TEMPORARY).make_in(parent, make);
    made.map_err(|e| raw.get().map_or(e, io::Error::from_raw_os_error))
}

/// [`write_atomic`], and a loss of power cannot undo it.
///
/// # Errors
/// The same.
pub fn write_durable(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes)?;
    sync_directory(directory_of(path))
}

/// A new directory, removed when dropped unless it is kept.
pub struct TemporaryDirectory {
    path: Option<PathBuf>,
}

impl TemporaryDirectory {
    /// Creates it in `parent`.
    ///
    /// # Errors
    /// A `parent` that does not exist or cannot be written.
    pub fn new_in(parent: &Path) -> io::Result<TemporaryDirectory> {
        let made = temporary(parent, |path| std::fs::create_dir(path))?;
        let (_, path) = made.keep().map_err(|e| e.error)?;
        Ok(TemporaryDirectory { path: Some(path) })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Keeps it, for example because it was renamed.
    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = remove(path);
        }
    }
}

/// The paths in `directory`, in no order.
///
/// # Errors
/// A directory that does not exist or cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut paths, mut is_whole) = (Vec::new(), false);
    let read = || -> io::Result<()> {
        let mut entries = std::fs::read_dir(directory)?;
        for entry in entries.by_ref() {
            paths.push(entry?.path());
        }
        is_whole = true;
        Ok(())
    };
    match closing(read) {
        Some(Err(e)) => Err(e),
        None if !is_whole => Err(not_closed()),
        // A directory that was read to its end and then not closed is read all the same.
        _ => Ok(paths),
    }
}

/// Whether `path` is an existing directory.
///
/// # Errors
/// A path that cannot be asked, as on a file server that does not answer.
pub fn is_directory(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes a file, or a directory with all that is in it.
///
/// # Errors
/// A path that does not exist or cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return std::fs::remove_file(path);
    }
    closing(|| std::fs::remove_dir_all(path)).unwrap_or_else(|| Err(not_closed()))
}

fn not_closed() -> io::Error {
    io::Error::other("a directory cannot be closed")
}

/// Reads directories; `None` where one cannot be closed, as on a file server that is gone: the standard library panics.
fn closing<T>(read: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok()
}

/// The directory that `path` is in.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a directory that must never be seen half removed: it is renamed first.
///
/// # Errors
/// A directory that cannot be renamed or removed.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(TEMPORARY);
    name.push(path.file_name().unwrap_or_default());
    let doomed = path.with_file_name(name);
    // The rest of one that was killed.
    if doomed.symlink_metadata().is_ok() {
        remove(&doomed)?;
    }
    std::fs::rename(path, &doomed)?;
    remove(&doomed)
}

/// Whether `name` is one of a temporary file or directory.
pub fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Removes what killed processes left in `directory`, which no other process may be writing in.
/// A failure only leaves an extra file, so it is not reported.
pub fn remove_temporary(directory: &Path) {
    for path in list(directory).unwrap_or_default() {
        if path.file_name().is_some_and(is_temporary) {
            let _ = remove(&path);
        }
    }
}

/// Makes the renames in `directory` survive a loss of power. Some file systems cannot do that; the program works on them.
///
/// # Errors
/// A directory that is gone, a device that fails.
pub fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    match File::open(directory).and_then(|open| open.sync_all()) {
        Err(e) if is_unsupported(&e) || e.kind() == ErrorKind::PermissionDenied => {
            warn!(
                "this file system cannot flush directories ({e}); a loss of power may cost the newest checkpoint"
            );
            Ok(())
        }
        other => other.map_err(Error::io("flush", directory)),
    }
    #[cfg(not(unix))]
    Ok(())
}

/// Flushes a file to the disk, where the file system can do that.
fn sync_file(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if is_unsupported(&e) => {
            warn!(
                "the file system cannot flush files ({e}); a loss of power may damage the newest checkpoint"
            );
            Ok(())
        }
        other => other,
    }
}

/// Whether an error says that the file system cannot do something at all, rather than that it failed.
pub fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let lacks = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOTTY];
        if error.raw_os_error().is_some_and(|raw| lacks.iter().any(|lack| lack.raw_os_error() == raw)) {
            return true;
        }
    }
    error.kind() == ErrorKind::Unsupported
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

    /// Whether to try again is decided by the system's error.
    #[test]
    fn errors_are_the_systems() {
        let error = write_atomic(Path::new("/nowhere/at/all"), b"").unwrap_err();
        let Error::Io { source, .. } = &error else { panic!("{error}") };
        assert!(source.raw_os_error().is_some());
        let error = TemporaryDirectory::new_in(Path::new("/nowhere")).err().unwrap();
        assert!(error.raw_os_error().is_some());
    }

    #[test]
    fn only_temporary_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        write_durable(&directory.path().join("mine"), b"x").unwrap();
        std::fs::write(directory.path().join(format!("{TEMPORARY}a1")), "half").unwrap();
        std::fs::create_dir_all(directory.path().join(format!("{TEMPORARY}b2/c"))).unwrap();
        remove_temporary(directory.path());
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "mine");
    }

    #[cfg(unix)]
    #[test]
    fn new_files_follow_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let mode = |name: &str| directory.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        write_atomic(&directory.path().join("ours"), b"x").unwrap();
        File::create(directory.path().join("std")).unwrap();
        assert_eq!(mode("ours"), mode("std"));
    }
}
