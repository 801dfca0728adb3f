//! NumPy's `.npz`: an uncompressed ZIP archive of `.npy` files, as `numpy.savez` writes it.
//!
//! Written by hand, because crates for it depend on a ZIP library with compressors and ciphers; the format is two
//! headers and a list.

use flate2::Crc;

use crate::error::{Error, Result};

/// The values of an array, little-endian in the file.
pub enum NpyValues<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Bytes.
    U8(&'a [u8]),
}

/// Midnight of 1 January 1980, the earliest date of the format. A fixed date makes equal files of equal arrays.
const DATE: [u8; 4] = [0, 0, 0x21, 0];
/// Readers need version 2.0; no flags, stored without compression.
const STORED: [u8; 6] = [20, 0, 0, 0, 0, 0];

/// The bytes of an archive of `arrays`: name, shape, and values in row-major order.
///
/// # Errors
/// [`Error::Data`] for more than 4 GiB, the limit of the format.
pub fn encode(arrays: &[(&str, Vec<usize>, NpyValues)]) -> Result<Vec<u8>> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, shape, values) in arrays {
        let name = format!("{name}.npy");
        let content = npy(shape, values);
        let mut crc = Crc::new();
        crc.update(&content);
        let mut entry = STORED.to_vec();
        entry.extend(DATE);
        entry.extend(crc.sum().to_le_bytes());
        // Compressed and uncompressed size.
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
        Error::Data("an .npz file holds at most 4 GiB; choose fewer EM steps or write .safetensors".into())
    })
}

/// A `.npy` file of version 1.0: a header padded to 64 bytes, then the values.
pub(super) fn npy(shape: &[usize], values: &NpyValues) -> Vec<u8> {
    let kind = match values {
        NpyValues::F32(_) => "<f4",
        NpyValues::U8(_) => "|u1",
    };
    // A Python tuple: a single element needs a comma after it.
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
        NpyValues::F32(values) => file.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        NpyValues::U8(values) => file.extend(*values),
    }
    file
}
