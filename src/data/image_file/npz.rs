//! NumPy's `.npz`: a ZIP archive of `.npy` files, stored or deflated.
//!
//! Sizes in the archive are not trusted: an array is unpacked to what comes, up to a limit.

use std::io::Read;

use flate2::read::DeflateDecoder;

/// What every archive with a file begins with.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
/// What an entry of the directory begins with, and the directory's end.
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// Length of the end without its comment, which is the longest that a 16-bit number can name.
const END_LENGTH: usize = 22;

/// The bytes of the only array in an archive, at most `most`.
///
/// # Errors
/// A sentence without the file's name: another number of arrays, a damaged archive, an array that is too large.
pub(super) fn array(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let entries = entries(bytes).ok_or("its directory is damaged or cut short; save it again")?;
    let arrays: Vec<&Entry> = entries.iter().filter(|entry| entry.name.ends_with(".npy")).collect();
    let entry = match arrays.as_slice() {
        [only] => *only,
        [] => return Err("holds no array; save one by numpy.savez".into()),
        [first, ..] => {
            let names: Vec<&str> =
                arrays.iter().take(8).map(|entry| entry.name.trim_end_matches(".npy")).collect();
            return Err(format!(
                "holds {} arrays ({}{}), and one is read; save one of them by numpy.save(\"image.npy\", \
                 archive[{:?}])",
                arrays.len(),
                names.join(", "),
                if arrays.len() > names.len() { ", …" } else { "" },
                first.name.trim_end_matches(".npy")
            ));
        }
    };
    let content =
        entry.content(bytes).ok_or_else(|| format!("{} is cut short; save it again", entry.name))?;
    let mut unpacked = Vec::new();
    let read = match entry.method {
        0 => content.take(most + 1).read_to_end(&mut unpacked),
        8 => DeflateDecoder::new(content).take(most + 1).read_to_end(&mut unpacked),
        method => {
            return Err(format!(
                "{} is packed by method {method}; save it by numpy.savez or numpy.savez_compressed",
                entry.name
            ));
        }
    };
    read.map_err(|error| format!("{} is damaged ({error}); save it again", entry.name))?;
    match unpacked.len() as u64 > most {
        true => Err(format!(
            "{} unpacks to more than {} MiB, the most that is read; make it smaller",
            entry.name,
            most >> 20
        )),
        false => Ok(unpacked),
    }
}

struct Entry {
    name: String,
    method: u16,
    /// Bytes in the archive; the largest number where only an extra field says.
    packed: usize,
    /// Where its own header is.
    at: usize,
}

impl Entry {
    /// Its packed bytes: up to the archive's end where its length is not known, as only the packing tells then.
    fn content<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let header = bytes.get(self.at..)?.strip_prefix(MAGIC)?;
        let begin = 26 + usize::from(u16_at(header, 22)?) + usize::from(u16_at(header, 24)?);
        let content = header.get(begin..)?;
        if self.packed == u32::MAX as usize { Some(content) } else { content.get(..self.packed) }
    }
}

/// The directory at the end of the archive.
fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let last = bytes.len().checked_sub(END_LENGTH)?;
    let end =
        (last.saturating_sub(usize::from(u16::MAX))..=last).rev().find(|at| bytes[*at..].starts_with(END))?;
    let end = &bytes[end..];
    let mut entries = Vec::new();
    let mut rest = bytes.get(u32_at(end, 16)?..)?;
    for _ in 0..u16_at(end, 10)? {
        let entry = rest.strip_prefix(ENTRY)?;
        let [name, extra, comment] = [24, 26, 28].map(|at| u16_at(entry, at).map(usize::from));
        let (name, extra, comment) = (name?, extra?, comment?);
        entries.push(Entry {
            name: String::from_utf8_lossy(entry.get(42..42 + name)?).into_owned(),
            method: u16_at(entry, 6)?,
            packed: u32_at(entry, 16)?,
            at: u32_at(entry, 38)?,
        });
        rest = entry.get(42 + name + extra + comment..)?;
    }
    Some(entries)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &[u8] = include_bytes!("../../../tests/fixtures/images/one.npz");
    const PACKED: &[u8] = include_bytes!("../../../tests/fixtures/images/packed.npz");
    const TWO: &[u8] = include_bytes!("../../../tests/fixtures/images/two.npz");

    #[test]
    fn the_only_array_is_found_as_numpy_saves_it() {
        for archive in [ONE, PACKED] {
            let array = array(archive, 1 << 20).unwrap();
            assert!(array.starts_with(b"\x93NUMPY") && array.ends_with(&[0, 51, 102, 153, 204, 255]));
        }
    }

    #[test]
    fn others_are_refused() {
        let refused = |bytes: &[u8], most| array(bytes, most).unwrap_err();
        assert!(refused(TWO, 1 << 20).contains("holds 2 arrays (image, mask)"));
        assert!(refused(PACKED, 100).contains("more than 0 MiB"));
        assert!(refused(&ONE[..ONE.len() - 30], 100).contains("directory is damaged or cut short"));
        assert!(refused(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 100).contains("no array"));
    }

    proptest! {
        /// Any change to an archive, and any bytes: no panic, and no more than the limit.
        #[test]
        fn no_bytes_panic(
            which in 0usize..3,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = [ONE, PACKED, TWO][which].to_vec();
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())], &noise] {
                prop_assert!(array(bytes, 1000).map_or(0, |array| array.len()) <= 1000);
            }
        }
    }
}
