//! NumPy's `.npz`: a ZIP archive, uncompressed as `numpy.savez` writes it, of `.npy` files.
//!
//! The crates that write it bring a ZIP library with compressors and ciphers along; without them there are two
//! headers and a list.

use flate2::Crc;

use crate::error::{Error, Result};

/// The values of an array, little-endian in the file.
pub enum Values<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Bytes.
    U8(&'a [u8]),
}

/// 1 January 1980, midnight: the earliest date that a ZIP archive knows. Equal arrays make equal files.
const DATE: [u8; 4] = [0, 0, 0x21, 0];
/// Readers need version 2.0; no flags, stored without compression.
const STORED: [u8; 6] = [20, 0, 0, 0, 0, 0];

/// The bytes of an archive of `arrays`: a name, a shape and its values in row-major order.
///
/// # Errors
/// [`Error::Data`] for more than 4 GiB, which this kind of archive has no room for.
pub fn encode(arrays: &[(&str, Vec<usize>, Values)]) -> Result<Vec<u8>> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, shape, values) in arrays {
        let name = format!("{name}.npy");
        let content = npy(shape, values);
        let mut crc = Crc::new();
        crc.update(&content);
        let mut entry = STORED.to_vec();
        entry.extend(DATE);
        entry.extend(crc.sum().to_le_bytes());
        // Compressed and not.
        entry.extend([word(content.len())?, word(content.len())?].concat());
        entry.extend((name.len() as u16).to_le_bytes());
        // No extra field.
        entry.extend([0, 0]);
        let offset = word(archive.len())?;
        archive.extend([b"PK\x03\x04", entry.as_slice(), name.as_bytes(), &content].concat());
        // Made by version 2.0; no comment, first disk, no attributes.
        directory
            .extend([b"PK\x01\x02", [20, 0].as_slice(), &entry, &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = (arrays.len() as u16).to_le_bytes();
    let (size, offset) = (word(directory.len())?, word(archive.len())?);
    archive.extend(directory);
    archive.extend([b"PK\x05\x06", [0; 4].as_slice(), &count, &count, &size, &offset, &[0; 2]].concat());
    Ok(archive)
}

fn word(n: usize) -> Result<[u8; 4]> {
    let n = u32::try_from(n);
    n.map(u32::to_le_bytes).map_err(|_| {
        Error::Data("an .npz file holds at most 4 GiB; ask for fewer EM steps, or write .safetensors".into())
    })
}

/// A `.npy` file of version 1.0: a header padded to 64 bytes, then the values.
fn npy(shape: &[usize], values: &Values) -> Vec<u8> {
    let kind = match values {
        Values::F32(_) => "<f4",
        Values::U8(_) => "|u1",
    };
    // A tuple of Python's: one element has a comma after it.
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let padding = (before + header.len() + 1).next_multiple_of(64) - (before + header.len() + 1);
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut file =
        [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes()].concat();
    match values {
        Values::F32(values) => file.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Values::U8(values) => file.extend(*values),
    }
    file
}
