//! A directory that one process at a time works in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::machine;

/// Keeps a second `reproduce` out of a directory, by a locked file that names the first. Dropping it removes the file.
pub(super) struct DirectoryLock {
    path: PathBuf,
    /// `None` on a file system without locks: the work goes on without.
    held: Option<File>,
}

impl DirectoryLock {
    /// Locks `directory`.
    ///
    /// # Errors
    /// [`Error::InUse`], or a directory that cannot be written.
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock> {
        let path = directory.join(".reproduce.lock");
        loop {
            let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
            let mut file = open.map_err(Error::io("open", &path))?;
            match file.try_lock() {
                // The process that had it has just removed it.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => {
                    let name = format!("process {} on {}", std::process::id(), machine::host());
                    // The lock holds without the name.
                    let _ = file.set_len(0).and_then(|()| file.write_all(name.as_bytes()));
                    return Ok(DirectoryLock { path, held: Some(file) });
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let named = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                    let holder = if named { &holder } else { "another process" };
                    return Err(Error::InUse {
                        path: directory.to_owned(),
                        problem: format!(
                            "{holder} is reproducing results in this directory; wait until it has ended, or name \
                             another one with --out"
                        ),
                    });
                }
                Err(TryLockError::Error(_)) => return Ok(DirectoryLock { path, held: None }),
            }
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // While it is still locked, so that no other process has it.
        let _ = std::fs::remove_file(&self.path);
        self.held = None;
    }
}

/// Whether `path` still names `file`.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        file.metadata().ok().zip(path.metadata().ok()).is_some_and(|(a, b)| same(a, b))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_which_one_is_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let error = DirectoryLock::take(directory.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("process {} on ", std::process::id())), "{error}");
        drop(first);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
