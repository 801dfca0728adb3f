//! Writing where the user says.
//!
//! | the user names | and |
//! |---|---|
//! | `-`, or an open descriptor such as `/dev/stdout` or `/dev/fd/3` | it is written to |
//! | a pipe or a device | it is written to |
//! | a symbolic link | it is followed, and stays |
//! | a file, or nothing that exists | the file is replaced whole, or stays as it was |
//! | a directory | it is refused |

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{directory_of, sync_file, temporary};
use crate::error::{Error, Result};
use crate::paths::shown;

/// Links followed in a row, as on Linux.
const MOST_LINKS: usize = 40;

/// Writes `bytes` to `path`. A reader that has closed the pipe is not an error.
///
/// # Errors
/// What [`check`] refuses, a full disk, or a directory where no file can be created. An existing file then stays the
/// same.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let (name, written) = match target(path)? {
        Target::Stdout => (Path::new("stdout"), pass(io::stdout().lock(), bytes)),
        Target::Stderr => (Path::new("stderr"), pass(io::stderr().lock(), bytes)),
        // Appends, because a descriptor of a file may be in the middle of it.
        Target::Stream(stream) => {
            let opened = OpenOptions::new().append(true).open(stream);
            (path, opened.and_then(|stream| pass(stream, bytes)))
        }
        Target::New(file) => (path, replace(&file, None, bytes)),
        Target::Old(file, old) => match replace(&file, Some(&old), bytes) {
            // An empty file has nothing to lose.
            Err(e) if forbids_replacing(&e) && old.len() == 0 => {
                let opened = OpenOptions::new().write(true).open(&file);
                (path, opened.and_then(|mut file| file.write_all(bytes)))
            }
            Err(e) if forbids_replacing(&e) => {
                return Err(Error::content(
                    path,
                    format!(
                        "cannot be replaced ({e}), and writing into it could lose its content; name another file"
                    ),
                ));
            }
            replaced => (path, replaced),
        },
    };
    written.map_err(Error::io("write", name))
}

/// Checks whether `path` can name an output, so that nothing is computed in vain.
///
/// # Errors
/// A directory, a file that may not be written, links in a circle, or a place that does not exist.
pub fn check(path: &Path) -> Result<()> {
    target(path).map(|_| ())
}

/// Whether `path` is stdout, so that nothing else may be printed there.
pub fn is_stdout(path: &Path) -> bool {
    matches!(target(path), Ok(Target::Stdout))
}

/// Whether `path` is written to and not replaced: `-`, a pipe, a device.
pub fn is_stream(path: &Path) -> bool {
    matches!(target(path), Ok(Target::Stdout | Target::Stderr | Target::Stream(_)))
}

/// What an output's path stands for.
enum Target {
    Stdout,
    Stderr,
    /// A pipe, a device or an open descriptor.
    Stream(PathBuf),
    /// A file to create.
    New(PathBuf),
    /// A file to replace.
    Old(PathBuf, Metadata),
}

fn target(path: &Path) -> Result<Target> {
    if path == Path::new("-") {
        return Ok(Target::Stdout);
    }
    let is_directory = || Error::Usage(format!("{} is a directory; name a file", shown(path)));
    let last =
        path.as_os_str().as_encoded_bytes().rsplit(|byte| std::path::is_separator(*byte as char)).next();
    if matches!(last, None | Some(b"" | b"." | b"..")) {
        return Err(is_directory());
    }
    // Step by step, because the name of an open file leads on to the file itself.
    let mut file = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Some(descriptor) = descriptor(&file) {
            return Ok(descriptor);
        }
        let Ok(next) = std::fs::read_link(&file) else { break };
        file.pop();
        file.push(next);
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(is_directory()),
        Ok(found) if found.is_file() => {
            // Respects write protection, also that of links in shared directories.
            OpenOptions::new().write(true).open(path).map_err(Error::io("write", path))?;
            Ok(Target::Old(file, found))
        }
        Ok(_) => Ok(Target::Stream(path.to_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => match directory_of(&file).is_dir() {
            true => Ok(Target::New(file)),
            false => Err(Error::io("write", path)(e)),
        },
        Err(e) => Err(Error::io("write", path)(e)),
    }
}

/// The open descriptor that `path` names, in `/dev/fd` or `/proc/self/fd`. Opening stdout again by its name would start
/// at the beginning of its file, so it is not a stream like any other.
fn descriptor(path: &Path) -> Option<Target> {
    let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
    let directory = directory_of(path).canonicalize().ok()?;
    let is_own = |process: PathBuf| directory.starts_with(process) && directory.ends_with("fd");
    let own = directory == Path::new("/dev/fd") || Path::new("/proc/self").canonicalize().is_ok_and(is_own);
    Some(match (own, number) {
        (true, 1) => Target::Stdout,
        (true, 2) => Target::Stderr,
        _ if own || directory.starts_with("/proc") => Target::Stream(path.to_owned()),
        _ => return None,
    })
}

fn pass(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    match to.write_all(bytes).and_then(|()| to.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        passed => passed,
    }
}

/// Writes a temporary file beside `file` and renames it. A new file gets the permissions that the umask leaves, another
/// one keeps its own.
fn replace(file: &Path, old: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if old.is_some() { 0o600 } else { 0o666 });
    let mut temporary = temporary(directory_of(file), |name| options.open(name))?;
    temporary.as_file_mut().write_all(bytes)?;
    if let Some(old) = old {
        keep_owner(temporary.as_file(), old);
        temporary.as_file().set_permissions(old.permissions())?;
    }
    sync_file(temporary.as_file())?;
    temporary.persist(file).map_err(|e| e.error)?;
    Ok(())
}

/// Gives `file` the owner of `old`, as far as the user may.
#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        let _ = fchown(file, None, Some(old.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) {}

/// Whether a file cannot be replaced though it can be written, because of its directory or since it is mounted.
fn forbids_replacing(error: &io::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(error.kind(), CrossesDevices | PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> usize {
        std::fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_permissions() {
        let here = tempfile::tempdir().unwrap();
        let [file, other] = ["a.csv", "b.csv"].map(|name| here.path().join(name));
        std::fs::write(&file, "the old and longer text").unwrap();
        std::fs::hard_link(&file, &other).unwrap();
        for permissions in [0o600, 0o664, 0o640, 0o777] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(permissions)).unwrap();
            let before = file.metadata().unwrap().ino();
            write(&file, b"new").unwrap();
            assert_eq!((std::fs::read(&file).unwrap(), mode(&file)), (b"new".to_vec(), permissions));
            assert_ne!(file.metadata().unwrap().ino(), before, "written in place");
        }
        // The old file was never touched.
        assert_eq!(std::fs::read_to_string(other).unwrap(), "the old and longer text");
        assert_eq!(names(here.path()), 2);
    }

    /// As any program's: what `File::create` makes under the same umask.
    #[test]
    fn a_new_file_follows_the_umask() {
        let here = tempfile::tempdir().unwrap();
        let [file, usual] = ["a.csv", "usual"].map(|name| here.path().join(name));
        std::fs::write(&usual, "").unwrap();
        write(&file, b"new").unwrap();
        assert_eq!(mode(&file), mode(&usual));
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let here = tempfile::tempdir().unwrap();
        let at = |name: &str| here.path().join(name);
        std::fs::create_dir(at("far")).unwrap();
        // A chain, relative and absolute, of which the last leads to a file that does not exist yet.
        symlink("far/second", at("first")).unwrap();
        symlink(at("third"), at("far/second")).unwrap();
        symlink("far/new.csv", at("third")).unwrap();
        for text in ["created", "replaced"] {
            write(&at("first"), text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(at("far/new.csv")).unwrap(), text);
        }
        for link in ["first", "far/second", "third"] {
            assert!(at(link).is_symlink(), "{link}");
        }
        assert_eq!((names(here.path()), names(&at("far"))), (3, 2));
        // Through a linked directory.
        symlink("far", at("near")).unwrap();
        write(&at("near/new.csv"), b"again").unwrap();
        assert_eq!(std::fs::read_to_string(at("far/new.csv")).unwrap(), "again");
    }

    #[test]
    fn what_cannot_be_an_output_is_refused_in_a_sentence() {
        let here = tempfile::tempdir().unwrap();
        let at = |name: &str| here.path().join(name);
        std::fs::create_dir(at("directory")).unwrap();
        symlink("directory", at("to-directory")).unwrap();
        symlink("loop-b", at("loop-a")).unwrap();
        symlink("loop-a", at("loop-b")).unwrap();
        symlink("missing/x", at("astray")).unwrap();
        std::fs::write(at("file"), "kept").unwrap();
        for (name, said) in [
            ("directory", "is a directory; name a file"),
            ("to-directory", "is a directory"),
            ("new/", "is a directory"),
            ("directory/..", "is a directory"),
            ("directory/.", "is a directory"),
            ("loop-a", "cannot write"),
            ("astray", "cannot write"),
            ("missing/x.csv", "cannot write"),
            ("file/x.csv", "cannot write"),
        ] {
            for error in [check(&at(name)).unwrap_err(), write(&at(name), b"x").unwrap_err()] {
                let error = error.to_string();
                assert!(error.contains(name) && error.contains(said), "{name}: {error}");
            }
        }
        assert_eq!((names(here.path()), std::fs::read_to_string(at("file")).unwrap()), (6, "kept".into()));
    }

    #[test]
    fn a_pipe_is_written_to() {
        let here = tempfile::tempdir().unwrap();
        let pipe = here.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(is_stream(&pipe) && !is_stream(&here.path().join("x")));
        let reader = {
            let pipe = pipe.clone();
            std::thread::spawn(move || std::fs::read(pipe).unwrap())
        };
        let bytes = vec![7; 1 << 20];
        write(&pipe, &bytes).unwrap();
        assert!(reader.join().unwrap() == bytes && is_stream(&pipe));
        // A reader that leaves early.
        let reader = std::thread::spawn(move || drop(File::open(pipe).unwrap()));
        write(&here.path().join("pipe"), &bytes).unwrap();
        reader.join().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn devices_and_descriptors_are_written_to() {
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let error = write(Path::new("/dev/full"), b"x").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: No space left"), "{error}");
        use std::os::fd::AsRawFd;
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("log");
        std::fs::write(&path, "begun\n").unwrap();
        let open = OpenOptions::new().write(true).open(&path).unwrap();
        for directory in ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"] {
            write(&Path::new(directory).join(open.as_raw_fd().to_string()), b"more\n").unwrap();
        }
        let link = here.path().join("link");
        symlink(format!("/dev/fd/{}", open.as_raw_fd()), &link).unwrap();
        write(&link, b"last\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "begun\nmore\nmore\nmore\nlast\n");
        assert_eq!(open.metadata().unwrap().ino(), path.metadata().unwrap().ino());
        for stdout in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert!(is_stdout(Path::new(stdout)), "{stdout}");
        }
        assert!(check(Path::new("/dev/fd/987")).is_ok() && write(Path::new("/dev/fd/987"), b"x").is_err());
    }

    #[test]
    fn only_an_empty_file_is_written_in_place_where_it_cannot_be_replaced() {
        use std::io::Error as E;
        for (code, forbids) in
            [(1, true), (13, true), (16, true), (18, true), (30, true), (28, false), (5, false)]
        {
            assert_eq!(forbids_replacing(&E::from_raw_os_error(code)), forbids, "{code}");
        }
    }
}
