//! Sockets by paths of any length: a socket's address holds about 100 bytes.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::files;

/// The socket's name in the run's directory.
pub(super) const SOCKET: &str = "socket";
/// The longest address, in bytes, that every system takes: 104 with the final zero.
const LONGEST: usize = 103;
/// Where Linux names an open directory in a few characters.
const OPENED: &str = "/proc/self/fd";

/// Binds the socket of the run in `run` so that only its owner can ever use it: in a private directory, then renamed.
pub(super) fn bind(run: &Path) -> io::Result<UnixListener> {
    let aside = files::TemporaryDirectory::new_in(run)?;
    let path = aside.path().join(SOCKET);
    let listener = by_short_name(&path, Path::new(OPENED), |path| UnixListener::bind(path))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    std::fs::rename(&path, run.join(SOCKET))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to the socket at `path`.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = by_short_name(path, Path::new(OPENED), |path| UnixStream::connect(path))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Calls `act` with a short path of the socket at `path`: through its open directory, which is then named under
/// `opened`, or else through a link in a directory for temporary files.
fn by_short_name<T>(path: &Path, opened: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let Some(name) = path.file_name().filter(|_| path.as_os_str().len() > LONGEST) else { return act(path) };
    let directory = files::directory_of(path);
    if let Ok(file) = File::open(directory) {
        let short = opened.join(file.as_raw_fd().to_string());
        if short.exists() {
            return act(&short.join(name));
        }
    }
    let directory = std::fs::canonicalize(directory)?;
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let rooms =
        [variable("XDG_RUNTIME_DIR"), variable("TMPDIR"), Some("/tmp".into()), Some("/var/tmp".into())];
    let mut failed = io::Error::from(io::ErrorKind::InvalidFilename);
    for room in rooms.into_iter().flatten() {
        let linked = files::TemporaryDirectory::new_in(&room).and_then(|short| {
            let link = short.path().join("r");
            symlink(&directory, &link).map(|()| (short, link.join(name)))
        });
        match linked {
            Ok((_short, link)) if link.as_os_str().len() <= LONGEST => return act(&link),
            Ok(_) => {}
            Err(e) => failed = e,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_reached_by_a_path_of_any_length_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("a".repeat(100)).join("b".repeat(100));
        std::fs::create_dir_all(&run).unwrap();
        let listener = bind(&run).unwrap();
        let socket = run.join(SOCKET);
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        for opened in [OPENED, "/nowhere"] {
            by_short_name(&socket, Path::new(opened), |path| {
                assert!(path.as_os_str().len() <= LONGEST);
                UnixStream::connect(path)
            })
            .unwrap();
        }
        drop(listener);
        assert_eq!(connect(&socket).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let left = std::fs::read_dir(&run).unwrap().count();
        assert_eq!(left, 1, "the private directory is gone");
        let gone = directory.path().join("a".repeat(200)).join(SOCKET);
        assert_eq!(connect(&gone).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
