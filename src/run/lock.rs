//! Which process trains a run: the one that has locked the file `lock` in its directory, and written its name there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::error::{Error, Result};
use crate::files::is_unsupported;
use crate::machine;

/// The name of the file.
pub(super) const LOCK: &str = "lock";
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
        match self.is_here() {
            true => write!(f, "process {}", self.pid),
            false => write!(f, "process {} on {}", self.pid, self.host),
        }
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
    match file.try_lock_shared() {
        // Dropping the file unlocks it.
        Ok(()) => Held::Free,
        Err(TryLockError::WouldBlock) => named(read(&file)),
        Err(TryLockError::Error(_)) => match read(&file) {
            Some(holder) if holder.is_here() && !holder.is_alive() => Held::Free,
            holder => named(holder),
        },
    }
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Keeps other processes from training a run. Ends with this value, or the process.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Locks the run in `run`. A file system without locks is no reason not to train; then only a process of this host
    /// keeps another one away.
    ///
    /// # Errors
    /// A run that another process is training, by name; a directory that cannot be written.
    pub(super) fn take(run: &Path) -> Result<Lock> {
        let path = run.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(Error::io("open", &path))?;
        let mut tries = 1;
        let taken = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    sleep(PAUSE);
                    tries += 1;
                }
                taken => break taken,
            }
        };
        if let Err(e) = taken {
            refuse(run, e, read(&file))?;
        }
        let written = serde_json::to_vec(&Holder::this()).map_err(std::io::Error::from).and_then(|name| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(&name)
        });
        // The lock holds without the name.
        if let Err(e) = written {
            warn!("{e}; other processes cannot tell which one trains {}", run.display());
        }
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}

/// Refuses a run that `holder` has, or that has a lock; says what is given up where there are no locks.
fn refuse(run: &Path, error: TryLockError, holder: Option<Holder>) -> Result<()> {
    let taken = |holder: Option<Holder>| {
        let by = holder.map_or("another process".to_owned(), |holder| holder.to_string());
        Error::content(run, format!("{by} is training this run; stop it first, or attach to it"))
    };
    match error {
        TryLockError::WouldBlock => Err(taken(holder)),
        TryLockError::Error(e) if is_unsupported(&e) => match holder {
            Some(holder) if holder.is_alive() => Err(taken(Some(holder))),
            _ => {
                warn!(
                    "the file system of {} has no locks ({e}); make sure that only one process trains this run",
                    run.display()
                );
                Ok(())
            }
        },
        TryLockError::Error(e) => Err(Error::io("lock the run in", run)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported() -> TryLockError {
        TryLockError::Error(std::io::Error::from_raw_os_error(rustix::io::Errno::NOLCK.raw_os_error()))
    }

    #[test]
    fn a_run_in_training_is_refused_by_name() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(state(run.path()), Held::Free);
        let lock = Lock::take(run.path()).unwrap();
        assert_eq!(state(run.path()), Held::Here(Holder::this()));
        let error = Lock::take(run.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {} is training this run", std::process::id())), "{error}");
        drop(lock);
        assert_eq!(state(run.path()), Held::Free);
        Lock::take(run.path()).unwrap();
    }

    #[test]
    fn a_file_system_without_locks_is_trained_on_unless_a_process_of_this_host_does() {
        let run = Path::new("r");
        let gone = Holder { began: Some(0), ..Holder::this() };
        let elsewhere = Holder { host: "elsewhere".into(), ..Holder::this() };
        for holder in [None, Some(gone), Some(elsewhere)] {
            refuse(run, unsupported(), holder).unwrap();
        }
        let error = refuse(run, unsupported(), Some(Holder::this())).unwrap_err().to_string();
        assert!(error.contains("is training this run"), "{error}");
        let failed = TryLockError::Error(std::io::Error::from_raw_os_error(5));
        assert!(refuse(run, failed, None).unwrap_err().to_string().starts_with("cannot lock the run"));
    }

    #[test]
    fn a_process_elsewhere_is_named_with_its_host() {
        let run = tempfile::tempdir().unwrap();
        let _lock = Lock::take(run.path()).unwrap();
        let other = Holder { pid: 7, host: "elsewhere".into(), began: None };
        std::fs::write(run.path().join(LOCK), serde_json::to_vec(&other).unwrap()).unwrap();
        assert_eq!(state(run.path()), Held::Elsewhere(other));
        let error = Lock::take(run.path()).unwrap_err().to_string();
        assert!(error.contains("process 7 on elsewhere is training"), "{error}");
    }
}
