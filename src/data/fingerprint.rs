//! Fingerprints of data, by which a run recognises its own.
//!
//! Data files may have many gigabytes, and every start of a run needs the fingerprint. Of a long file it therefore covers
//! the length and evenly spaced pieces, the first and the last among them: another file is noticed, and so is one that
//! was written again. A change of single samples is not.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Bytes in a piece, large enough for a shared file system.
const PIECE: u64 = 256 << 10;
/// Pieces of a long file. A file of no more pieces is read whole.
const PIECES: u64 = 64;

/// The fingerprint of a file.
///
/// # Errors
/// A file that cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    File::open(path).and_then(of).map_err(Error::io("read", path))
}

fn of(mut file: File) -> io::Result<String> {
    let length = file.metadata()?.len();
    let mut hash = Sha256::new_with_prefix(length.to_le_bytes());
    let mut add = |from: u64, bytes: u64| -> io::Result<()> {
        file.seek(SeekFrom::Start(from))?;
        let mut piece = Vec::new();
        (&file).take(bytes).read_to_end(&mut piece)?;
        hash.update(&piece);
        Ok(())
    };
    match length <= PIECE * PIECES {
        true => add(0, length)?,
        false => {
            let step = (length - PIECE) / (PIECES - 1);
            for piece in 0..PIECES - 1 {
                add(piece * step, PIECE)?;
            }
            add(length - PIECE, PIECE)?;
        }
    }
    Ok(text(hash))
}

/// The fingerprint of content in memory.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    text(hash)
}

fn text(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A long file is known by its length, its ends and what lies between; a short one by every byte.
    #[test]
    fn another_file_has_another_fingerprint() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("data");
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            of_file(&path).unwrap()
        };
        let short: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let known = of(&short);
        for changed in [0, 777, 50_000, 99_999] {
            let mut other = short.clone();
            other[changed] ^= 1;
            assert_ne!(of(&other), known, "{changed}");
        }
        assert_eq!(of(&short), known);
        let long: Vec<u8> = (0..20_000_000u32).map(|n| (n >> 8) as u8).collect();
        let known = of(&long);
        for changed in [0, 1_000, long.len() - PIECE as usize, long.len() - 1] {
            let mut other = long.clone();
            other[changed] ^= 1;
            assert_ne!(of(&other), known, "{changed}");
        }
        assert_ne!(of(&long[..long.len() - 1]), known);
        let written_again: Vec<u8> = long.iter().map(|byte| byte ^ 1).collect();
        assert_ne!(of(&written_again), known);
    }
}
