//! Text files that people write, with whatever editor they have.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Nobody writes larger texts by hand.
const MOST_BYTES: u64 = 16 << 20;
/// What some editors begin UTF-8 with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text in a file, without the byte-order mark that some editors begin it with.
///
/// # Errors
/// A file that cannot be read, is larger than any such text, or is not UTF-8; UTF-16 is named, because PowerShell
/// writes it.
pub fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::content(
            path,
            "larger than 16 MiB, so not a text file for this; name another file",
        ));
    }
    text(bytes).map_err(|problem| Error::content(path, problem))
}

fn text(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    let is_marked = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    // A letter of ASCII has a zero before or after it there, and texts begin with one.
    let is_wide =
        |first: &[u8]| bytes.len().is_multiple_of(2) && first.iter().filter(|byte| **byte == 0).count() == 1;
    if is_marked || bytes.get(..2).is_some_and(is_wide) {
        return Err("is UTF-16; save it as UTF-8".into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        format!(
            "is not UTF-8 in line {line}, where a byte is {:#04x}; save it as UTF-8",
            error.as_bytes()[at]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str, mark: &[u8], of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        [mark, text.encode_utf16().map(of).collect::<Vec<_>>().as_flattened()].concat()
    }

    #[test]
    fn a_mark_is_left_out_and_other_encodings_are_named() {
        assert_eq!(text(b"\xef\xbb\xbf(k: 3)\r\n".to_vec()).unwrap(), "(k: 3)\r\n");
        assert_eq!(text("é".into()).unwrap(), "é");
        assert_eq!(text(Vec::new()).unwrap(), "");
        for bytes in [
            wide("(k: 3)", b"\xff\xfe", u16::to_le_bytes),
            wide("(k: 3)", b"\xfe\xff", u16::to_be_bytes),
            wide("(k: 3)", b"", u16::to_le_bytes),
            wide("(k: 3)", b"", u16::to_be_bytes),
        ] {
            assert_eq!(text(bytes).unwrap_err(), "is UTF-16; save it as UTF-8");
        }
        let latin = text(b"one\ntwo \xe9".to_vec()).unwrap_err();
        assert_eq!(latin, "is not UTF-8 in line 2, where a byte is 0xe9; save it as UTF-8");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        if cfg!(target_os = "linux") {
            let error = read_text(Path::new("/dev/zero")).unwrap_err().to_string();
            assert!(error.contains("/dev/zero: larger than 16 MiB"), "{error}");
        }
        assert!(read_text(Path::new("/nowhere/x")).unwrap_err().to_string().starts_with("cannot read"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(text) = text(bytes.clone()) {
                prop_assert!(bytes.ends_with(text.as_bytes()));
            }
        }
    }
}
