//! Which process works in a directory: the one that has locked the file `lock` there, and written its name into it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::error::{Error, Result};
use crate::machine;
use crate::paths::shown;

/// The name of the file.
pub(super) const LOCK: &str = "lock";
/// What is done with the lock of a run.
pub(super) const TRAINS: &str = "is training this run";
/// [`state`] holds a lock for an instant, so a lock that is taken is tried again, so often and with such pauses.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// A process that trains a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The host it runs on.
    pub host: String,
    /// When it began, as [`machine::process_began`] says.
    #[serde(default)]
    began: Option<u64>,
}

impl Holder {
    fn this() -> Holder {
        let pid = std::process::id();
        Holder { pid, host: machine::host(), began: machine::process_began(pid) }
    }

    fn is_here(&self) -> bool {
        self.host == machine::host()
    }

    /// Whether it is a process of this host that still runs.
    fn is_alive(&self) -> bool {
        self.is_here() && self.began.is_some() && machine::process_began(self.pid) == self.began
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// Whether a run is being trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// By no process.
    Free,
    /// By a process of this host.
    Here(Holder),
    /// By a process of another host.
    Elsewhere(Holder),
    /// By a process that cannot be named, or nobody knows: the file system has no locks.
    Unknown,
}

/// Who trains the run in `run`.
pub fn state(run: &Path) -> Held {
    let Ok(file) = File::open(run.join(LOCK)) else { return Held::Free };
    let named = |holder: Option<Holder>| match holder {
        Some(holder) if holder.is_here() => Held::Here(holder),
        Some(holder) => Held::Elsewhere(holder),
        None => Held::Unknown,
    };
    match uninterrupted(|| file.try_lock_shared()) {
        // Dropping the file unlocks it.
        Ok(()) => Held::Free,
        Err(TryLockError::WouldBlock) => named(read(&file)),
        Err(TryLockError::Error(_)) => match read(&file) {
            Some(holder) if holder.is_here() && !holder.is_alive() => Held::Free,
            holder => named(holder),
        },
    }
}

/// The process that has, or had, the lock of the run in `run`: one that ends removes its name, one that is killed does
/// not.
pub fn last_holder(run: &Path) -> Option<Holder> {
    read(&File::open(run.join(LOCK)).ok()?)
}

type Tried = std::result::Result<(), TryLockError>;

/// Tries again where a signal interrupted it.
fn uninterrupted(mut lock: impl FnMut() -> Tried) -> Tried {
    loop {
        match lock() {
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Keeps other processes from working in a directory. Ends with this value, or the process.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Dropped after the file is removed, so that no other process has it by then.
    file: File,
}

impl Lock {
    /// Locks the directory of a run, or another one. A file system without locks is no reason not to work; then only a
    /// process of this host keeps another one away. `work` says what is done there: "is training this run".
    ///
    /// # Errors
    /// [`Error::InUse`], which names the process that has the lock; a directory that cannot be written.
    pub fn take(directory: &Path, work: &str) -> Result<Lock> {
        let path = directory.join(LOCK);
        let mut tries = 1;
        let mut file = loop {
            let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
            let file = open.map_err(Error::io("open", &path))?;
            match uninterrupted(|| file.try_lock()) {
                // The process that had it has just removed it.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => break file,
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    sleep(PAUSE);
                    tries += 1;
                }
                Err(e) => {
                    refuse(directory, work, e, read(&file))?;
                    break file;
                }
            }
        };
        let written = serde_json::to_vec(&Holder::this()).map_err(std::io::Error::from).and_then(|name| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&name)
        });
        // The lock holds without the name.
        if let Err(e) = written {
            warn!("{e}; other processes cannot tell which one {work} in {}", shown(&directory));
        }
        Ok(Lock { path, file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If the directory was renamed or removed meanwhile, another process may have a lock there.
        if is_at(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((&file.metadata(), &path.metadata()), (Ok(file), Ok(there)) if id(file) == id(there))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// Refuses a directory that `holder` has, or that has a lock; says what is given up where locks fail.
fn refuse(directory: &Path, work: &str, error: TryLockError, holder: Option<Holder>) -> Result<()> {
    let taken = |holder: Option<Holder>| {
        let by = holder.map_or("another process".to_owned(), |holder| holder.to_string());
        Error::InUse {
            path: directory.to_owned(),
            problem: format!("{by} {work}; stop it first, or wait for its end"),
        }
    };
    match error {
        TryLockError::WouldBlock => Err(taken(holder)),
        TryLockError::Error(e) => match holder {
            Some(holder) if holder.is_alive() => Err(taken(Some(holder))),
            _ => {
                warn!("{} cannot be locked ({e}); make sure that no other process {work}", shown(&directory));
                Ok(())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(with: rustix::io::Errno) -> TryLockError {
        TryLockError::Error(std::io::Error::from_raw_os_error(with.raw_os_error()))
    }

    #[test]
    fn a_signal_does_not_keep_the_lock_from_being_taken() {
        let mut answers = [Some(ErrorKind::Interrupted), Some(ErrorKind::Interrupted), None].into_iter();
        let answer = |kind: ErrorKind| Err(TryLockError::Error(kind.into()));
        assert!(uninterrupted(|| answers.next().unwrap().map_or(Ok(()), answer)).is_ok());
        let denied = uninterrupted(|| answer(ErrorKind::PermissionDenied));
        assert!(matches!(denied, Err(TryLockError::Error(e)) if e.kind() == ErrorKind::PermissionDenied));
    }

    #[test]
    fn a_run_in_training_is_refused_by_name() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(state(run.path()), Held::Free);
        let lock = Lock::take(run.path(), TRAINS).unwrap();
        assert_eq!(state(run.path()), Held::Here(Holder::this()));
        let error = Lock::take(run.path(), TRAINS).unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "process {} on {} is training this run",
                std::process::id(),
                machine::host()
            )),
            "{error}"
        );
        drop(lock);
        assert_eq!(state(run.path()), Held::Free);
        Lock::take(run.path(), TRAINS).unwrap();
    }

    #[test]
    fn a_file_system_without_locks_is_trained_on_unless_a_process_of_this_host_does() {
        use rustix::io::Errno;
        let run = Path::new("r");
        let gone = Holder { began: Some(0), ..Holder::this() };
        let elsewhere = Holder { host: "elsewhere".into(), ..Holder::this() };
        for with in [Errno::NOLCK, Errno::IO] {
            for holder in [None, Some(gone.clone()), Some(elsewhere.clone())] {
                refuse(run, TRAINS, failed(with), holder).unwrap();
            }
            let error = refuse(run, TRAINS, failed(with), Some(Holder::this())).unwrap_err().to_string();
            assert!(error.contains("is training this run"), "{error}");
        }
    }

    #[test]
    fn a_process_elsewhere_is_named_with_its_host() {
        let run = tempfile::tempdir().unwrap();
        let _lock = Lock::take(run.path(), TRAINS).unwrap();
        let other = Holder { pid: 7, host: "elsewhere".into(), began: None };
        std::fs::write(run.path().join(LOCK), serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(state(run.path()), Held::Elsewhere(other));
        let error = Lock::take(run.path(), TRAINS).unwrap_err().to_string();
        assert!(error.contains("process 7 on elsewhere is training"), "{error}");
    }

    #[test]
    fn a_lock_of_a_directory_that_is_gone_leaves_the_next_one_alone() {
        let runs = tempfile::tempdir().unwrap();
        let [run, renamed] = ["a", "b"].map(|name| runs.path().join(name));
        std::fs::create_dir(&run).unwrap();
        let lock = Lock::take(&run, TRAINS).unwrap();
        std::fs::rename(&run, renamed).unwrap();
        std::fs::create_dir(&run).unwrap();
        let next = Lock::take(&run, TRAINS).unwrap();
        drop(lock);
        assert_eq!(state(&run), Held::Here(Holder::this()));
        drop(next);
        assert_eq!(state(&run), Held::Free);
    }
}
