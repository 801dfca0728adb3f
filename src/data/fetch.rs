//! Downloads MNIST's files, or copies them from a directory.
//!
//! A file grows under its name with `.part`, where the next attempt continues it, and gets its final name once its content
//! has the SHA-256 of the published file. The sums are of the unpacked content, because mirrors and users pack it anew.

mod http;

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use self::http::Network;
use self::http::Stream;
use super::mnist;
use crate::error::{Error, Result};
use crate::files::{is_unsupported, sync_directory};
use crate::machine::in_words;
use crate::paths::shown;

/// One of MNIST's files as it was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its name, one of [`mnist::FILES`].
    pub name: &'static str,
    /// Bytes of its unpacked content.
    pub size: u64,
    /// SHA-256 of its unpacked content, in hexadecimal digits.
    pub sha256: &'static str,
}

const fn published(name: &'static str, size: u64, sha256: &'static str) -> Published {
    Published { name, size, sha256 }
}

/// MNIST's four files.
pub const MNIST: [Published; 4] = [
    published(
        mnist::FILES[0],
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    published(mnist::FILES[1], 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    published(mnist::FILES[2], 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    published(mnist::FILES[3], 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

/// Where they are published, packed with gzip, in the order of the attempts.
pub const MIRRORS: [&str; 2] =
    ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"];

/// Attempts to download a file from one mirror, as long as each brings some of it.
const ATTEMPTS: usize = 5;

/// A place that has the files.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The URL of a folder, without a slash at its end.
    Mirror(String),
    /// A directory, in any of the forms in which `--mnist` reads it.
    Directory(PathBuf),
}

impl Origin {
    /// The built-in mirrors.
    pub fn mirrors() -> Vec<Origin> {
        MIRRORS.map(|url| Origin::Mirror(url.to_owned())).into()
    }

    /// Reads `DIR|URL`.
    ///
    /// # Errors
    /// A sentence: a URL that is not HTTP.
    pub fn parse(text: OsString) -> Result<Origin, String> {
        match text.to_str().and_then(|url| Some((url, url.split_once("://")?.0.to_ascii_lowercase()))) {
            None => Ok(Origin::Directory(text.into())),
            Some((url, scheme)) if ["http", "https"].contains(&scheme.as_str()) => {
                Ok(Origin::Mirror(url.trim_end_matches('/').to_owned()))
            }
            Some((_, scheme)) => {
                Err(format!("{scheme}:// is not supported; use a directory, https:// or http://"))
            }
        }
    }

    /// Where it has the file called `name`.
    fn place(&self, name: &str) -> Result<Place, Fault> {
        match self {
            Origin::Mirror(url) => Ok(Place::Url(format!("{url}/{name}.gz"))),
            Origin::Directory(directory) => mnist::find(directory, name).map(Place::File).ok_or_else(|| {
                let why = format!("has no {name}, plain or as .gz");
                Fault { place: shown(directory).to_string(), why }
            }),
        }
    }
}

/// Where a file is.
enum Place {
    Url(String),
    File(PathBuf),
}

impl Place {
    /// The file from byte `begin` on, or from its first where that cannot be had.
    ///
    /// # Errors
    /// The end of a sentence about the place.
    fn open(&self, begin: u64, network: &Network) -> Result<Stream, String> {
        match self {
            Place::Url(url) => network.get(url, begin),
            Place::File(path) => {
                let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (total, file) = opened.map_err(|e| format!("cannot be read: {e}"))?;
                Ok(Stream { body: Box::new(file), begin: 0, total: Some(total) })
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Url(url) => f.write_str(url),
            Place::File(path) => shown(path).fmt(f),
        }
    }
}

/// What a [`Fetch`] tells while it works.
#[derive(Clone, Debug)]
pub enum FetchEvent {
    /// How much of a file has arrived.
    Progress {
        /// The file.
        name: &'static str,
        /// Bytes there.
        done: u64,
        /// Bytes in all, if known.
        total: Option<u64>,
    },
    /// An attempt failed and another one follows; why, in a sentence.
    Failed(String),
    /// A file is complete, and where it came from.
    Saved {
        /// Its path.
        path: PathBuf,
        /// The URL or path.
        origin: String,
    },
}

/// What to fetch, from where, to where.
pub struct Fetch<'a> {
    /// The files.
    pub files: &'a [Published],
    /// The places to try, one after another.
    pub origins: &'a [Origin],
    /// The directory for the files; made if it does not exist.
    pub directory: &'a Path,
    /// The way to mirrors.
    pub network: &'a Network,
}

/// What is wrong with a place.
struct Fault {
    place: String,
    why: String,
}

/// Faults in words; places with the same one together.
fn in_sentence(faults: &[Fault]) -> String {
    let same = faults.chunk_by(|one, next| one.why == next.why);
    let told = same.map(|faults| {
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        format!("{} {}", places.join(" and "), faults[0].why)
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Why an attempt failed.
enum Failure {
    /// Because of this machine: no other origin will help.
    Here(Error),
    /// Because of the origin.
    There(Fault),
    /// The connection ended too early.
    Cut(Fault),
}

impl Fetch<'_> {
    /// Fetches the files that are missing or damaged.
    ///
    /// # Errors
    /// A file that no origin has whole, a directory that cannot be written, another process that fetches into it, or a
    /// whole file there with other content, which is not replaced.
    pub fn run(&self, tell: &mut dyn FnMut(FetchEvent)) -> Result<()> {
        std::fs::create_dir_all(self.directory).map_err(Error::io("create", self.directory))?;
        let wanted: Vec<_> = self.files.iter().map(|file| self.wanted(file)).collect::<Result<_>>()?;
        for (file, damaged) in wanted.into_iter().flatten() {
            let path = self.fetch(file, tell)?;
            // Readers prefer a plain file to a packed one.
            if let Some(damaged) = damaged.filter(|damaged| *damaged != path) {
                std::fs::remove_file(&damaged).map_err(Error::io("remove", &damaged))?;
            }
        }
        Ok(())
    }

    /// The file, unless it is there, and the path of a damaged one.
    fn wanted<'f>(&self, file: &'f Published) -> Result<Option<(&'f Published, Option<PathBuf>)>> {
        let Some(path) = mnist::find(self.directory, file.name) else { return Ok(Some((file, None))) };
        if sum(&path, file.size)? == file.sha256 {
            Ok(None)
        } else if mnist::is_whole(&path) {
            let problem =
                "is not MNIST's file and is not replaced; remove it, or choose another directory with --out";
            Err(Error::content(&path, problem))
        } else {
            Ok(Some((file, Some(path))))
        }
    }

    /// The path of `file`, fetched from the first origin that has it.
    fn fetch(&self, file: &Published, tell: &mut dyn FnMut(FetchEvent)) -> Result<PathBuf> {
        let mut part = Part::open(self.directory, file.name)?;
        let mut faults = Vec::new();
        let mut origins = self.origins.iter().peekable();
        while let Some(origin) = origins.next() {
            for attempts in (0..ATTEMPTS).rev() {
                let before = part.length;
                match self.attempt(file, origin, &mut part, tell) {
                    Ok(origin) => {
                        let path = part.save(self.directory, file.name)?;
                        tell(FetchEvent::Saved { path: path.clone(), origin });
                        return Ok(path);
                    }
                    Err(Failure::Here(error)) => return Err(error),
                    Err(Failure::Cut(fault)) if part.length > before && attempts > 0 => {
                        tell(FetchEvent::Failed(in_sentence(&[fault])));
                    }
                    Err(Failure::There(fault) | Failure::Cut(fault)) => {
                        if origins.peek().is_some() {
                            tell(FetchEvent::Failed(in_sentence(std::slice::from_ref(&fault))));
                        }
                        faults.push(fault);
                        break;
                    }
                }
            }
        }
        let advice = match part.length {
            0 => "--from names a mirror or a directory that has the files",
            _ => "the same command continues",
        };
        if part.length == 0 {
            part.remove();
        }
        Err(Error::Data(format!("cannot fetch {}: {}; {advice}", file.name, in_sentence(&faults))))
    }

    /// Completes `part` from `origin`; the name of what it came from.
    fn attempt(
        &self,
        file: &Published,
        origin: &Origin,
        part: &mut Part,
        tell: &mut dyn FnMut(FetchEvent),
    ) -> Result<String, Failure> {
        let begun = part.length;
        let place = origin.place(file.name).map_err(Failure::There)?;
        let fault = |why| Fault { place: place.to_string(), why };
        let mut stream = place.open(begun, self.network).map_err(|why| Failure::There(fault(why)))?;
        if stream.begin != begun {
            part.clear()?;
        }
        let mut buffer = vec![0; 1 << 16];
        loop {
            tell(FetchEvent::Progress { name: file.name, done: part.length, total: stream.total });
            match stream.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => part.append(&buffer[..count])?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    let of = stream.total.map_or(String::new(), |total| format!(" of {}", in_words(total)));
                    let (why, there) = (self.network.why(e), in_words(part.length));
                    return Err(Failure::Cut(fault(format!("{why} after {there}{of}"))));
                }
            }
            if part.length > file.longest() {
                break;
            }
        }
        if sum(&part.path, file.size)? == file.sha256 {
            return Ok(place.to_string());
        }
        part.clear()?;
        // The beginning may have come from elsewhere, so it is tried once more from there.
        match stream.begin {
            0 => Err(Failure::There(fault("is not MNIST's file: its SHA-256 is wrong".into()))),
            _ => self.attempt(file, origin, part, tell),
        }
    }
}

impl Published {
    /// The most bytes that any form of the file has.
    fn longest(&self) -> u64 {
        self.size + self.size / 1000 + 4096
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Here(error)
    }
}

/// A file that is not complete. Nobody else writes to it.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Part {
    fn open(directory: &Path, name: &str) -> Result<Part> {
        let path = directory.join(format!("{name}.part"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::io("write", &path))?;
        // A file system without locks is no reason not to work: the sum is checked at the end.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let problem = "another process is fetching MNIST into it; wait until that ends";
            return Err(Error::InUse { path: directory.to_owned(), problem: problem.into() });
        }
        let length = file.metadata().map_err(Error::io("read", &path))?.len();
        Ok(Part { path, file, length })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io("write to", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        self.length = 0;
        self.file.set_len(0).map_err(Error::io("write to", &self.path))
    }

    fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Gives it its name, which says whether it is packed; the path.
    fn save(self, directory: &Path, name: &str) -> Result<PathBuf> {
        match self.file.sync_all() {
            Err(e) if !is_unsupported(&e) => return Err(Error::io("write to", &self.path)(e)),
            _ => {}
        }
        let (_, packed) = mnist::unpacked(&self.path)?;
        let path = directory.join(if packed { format!("{name}.gz") } else { name.to_owned() });
        std::fs::rename(&self.path, &path).map_err(Error::io("create", &path))?;
        sync_directory(directory)?;
        Ok(path)
    }
}

/// SHA-256 of the unpacked content of a file, or of as much of it as is not damaged; no more than `most` bytes and one.
fn sum(path: &Path, most: u64) -> Result<String> {
    let (source, _) = mnist::unpacked(path)?;
    let mut source = source.take(most + 1);
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if mnist::is_damage(e.kind()) => {
                // A content that ends too early must not have the sum of a whole one.
                hash.update(b"damaged");
                break;
            }
            Err(e) => return Err(Error::io("read", path)(e)),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
