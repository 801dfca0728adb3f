//! A file that only grows, by whole records.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::is_unsupported;
use crate::error::{Error, Result};

/// A file that grows by whole records. One that could not be written completely is cut off before anything else is
/// written, so that readers never find half a record inside the file.
///
/// What was written since the last [`sync`](Appender::sync) is kept in memory: a system that fails to flush it may have
/// dropped it, and so may a file server that restarts.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    /// Bytes that are safe on the disk.
    synced: u64,
    /// The whole records after those.
    unsynced: Vec<u8>,
    /// Whether the end of the file may differ from `unsynced`.
    torn: bool,
}

impl Appender {
    /// Opens the file at `path`; with `create` it need not exist yet.
    ///
    /// # Errors
    /// A file that does not exist or cannot be written.
    pub fn open(path: &Path, create: bool) -> Result<Appender> {
        let file = open(path, create)?;
        let synced = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Appender { path: path.to_owned(), file, synced, unsynced: Vec::new(), torn: false })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length of the whole records, in bytes.
    pub fn length(&self) -> u64 {
        self.synced + self.unsynced.len() as u64
    }

    /// Appends a record.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk. The record is not in the file then.
    pub fn append(&mut self, record: &[u8]) -> Result<()> {
        self.mend()?;
        let written = self.file.write_all(record);
        if let Err(e) = written {
            self.torn = true;
            // Otherwise before the next record.
            let _ = self.mend();
            return Err(Error::io("write to", &self.path)(e));
        }
        self.unsynced.extend_from_slice(record);
        Ok(())
    }

    /// Flushes the file to the disk; returns its length in bytes.
    ///
    /// # Errors
    /// A file that cannot be written, for example on a full disk.
    pub fn sync(&mut self) -> Result<u64> {
        self.mend()?;
        match self.file.sync_data() {
            // There is nothing safer on this file system.
            Err(e) if is_unsupported(&e) => {}
            Err(e) => {
                self.torn = true;
                return Err(Error::io("flush", &self.path)(e));
            }
            Ok(()) => {}
        }
        self.synced = self.length();
        self.unsynced.clear();
        Ok(self.synced)
    }

    /// Removes everything after the first `bytes` bytes, or nothing if there are fewer.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn truncate(&mut self, bytes: u64) -> Result<()> {
        self.sync()?;
        if bytes < self.synced {
            self.file.set_len(bytes).map_err(Error::io("cut", &self.path))?;
            self.synced = bytes;
        }
        Ok(())
    }

    /// After a failure, opens the file again, for a server may have forgotten it, and writes what may be lost.
    fn mend(&mut self) -> Result<()> {
        if !self.torn {
            return Ok(());
        }
        self.file = open(&self.path, false)?;
        let length = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length < self.synced {
            return Err(Error::content(&self.path, "another program has shortened this file; restore it"));
        }
        let cut = if length > self.synced { self.file.set_len(self.synced) } else { Ok(()) };
        let written = cut.and_then(|()| self.file.write_all(&self.unsynced));
        written.map_err(Error::io("write to", &self.path))?;
        self.torn = false;
        Ok(())
    }
}

fn open(path: &Path, create: bool) -> Result<File> {
    let open = OpenOptions::new().create(create).read(true).append(true).open(path);
    open.map_err(Error::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_or_lost_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m");
        std::fs::write(&path, "old\n").unwrap();
        let mut file = Appender::open(&path, false).unwrap();
        file.append(b"one\n").unwrap();
        // Half a record, as on a full disk, then the loss of what was not flushed.
        for damaged in ["old\none\ntw", "old\n"] {
            std::fs::write(&path, damaged).unwrap();
            file.torn = true;
            file.append(b"two\n").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\none\ntwo\n");
            file.unsynced.truncate(4);
        }
        assert_eq!(file.sync().unwrap(), 8);
        file.torn = true;
        std::fs::write(&path, "ol").unwrap();
        let error = file.append(b"three\n").unwrap_err().to_string();
        assert!(error.contains("shortened"), "{error}");
    }

    /// `/dev/full` is always full, and cannot be cut.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_takes_no_record() {
        let mut file = Appender::open(Path::new("/dev/full"), false).unwrap();
        for _ in 0..2 {
            assert!(file.append(b"one\n").unwrap_err().may_pass());
            assert_eq!(file.length(), 0);
        }
    }
}
