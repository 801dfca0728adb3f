//! NumPy's `.npy`, versions 1 to 3: a header in Python's syntax, then the values.
//!
//! The header is not trusted: it is compared with the length of the file before it is used.

use half::f16;

use crate::machine::{self, in_words};
use crate::tensors::Array;

/// What every file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// What the values were before they became floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    /// Floats.
    Float,
    /// True or false.
    Bool,
    /// Whole numbers, which as an image's levels have this largest one.
    Integer(u16),
}

/// The array in the bytes of a file, in row-major order.
///
/// # Errors
/// A sentence without the file's name: too few or too many bytes, or another type of number.
pub(super) fn decode(bytes: &[u8]) -> Result<(Array, NumberKind), String> {
    let (text, values) =
        parts(bytes).ok_or("cut short, or not an .npy file of version 1 to 3; save it again")?;
    let header = Header::parse(text).ok_or(
        "its header is not that of a plain array; save one array by numpy.save, without fields or pickling",
    )?;
    let (big, name) = match header.descr.split_at_checked(1) {
        Some(("<" | "|" | "=", name)) => (false, name),
        Some((">", name)) => (true, name),
        _ => (false, header.descr),
    };
    type ReadNumbers = fn(&[u8], bool) -> Vec<f32>;
    macro_rules! of {
        ($number:ty, $kind:expr, $to:expr) => {
            (
                size_of::<$number>(),
                $kind,
                (|bytes, big| numbers(bytes, big, |b| $to(<$number>::from_le_bytes(b)))) as ReadNumbers,
            )
        };
        ($number:ty) => {
            of!($number, NumberKind::Integer(u8::MAX.into()), |value| value as f32)
        };
    }
    let (size, kind, reader) = match name {
        "f2" => of!(f16, NumberKind::Float, f16::to_f32),
        "f4" => of!(f32, NumberKind::Float, f32::from),
        "f8" => of!(f64, NumberKind::Float, |value| value as f32),
        "i1" => of!(i8),
        "i2" => of!(i16),
        "i4" => of!(i32),
        "i8" => of!(i64),
        "u1" => of!(u8),
        "u2" => of!(u16, NumberKind::Integer(u16::MAX), f32::from),
        "u4" => of!(u32),
        "u8" => of!(u64),
        "b1" | "?" => of!(u8, NumberKind::Bool, |value| f32::from(u8::from(value != 0))),
        _ => {
            return Err(format!(
                "holds numbers of the type {:?}; booleans, integers of 8 to 64 bits and floats of 16 to 64 bits are \
                 read, so convert it by astype first",
                header.descr
            ));
        }
    };
    let count = header.shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
    let expected = count.and_then(|count| count.checked_mul(size));
    if expected != Some(values.len()) {
        return Err(format!(
            "its header declares an array of shape {:?}, but {} bytes follow; save it again",
            header.shape,
            values.len()
        ));
    }
    // Read, and put into another order.
    let (needed, free) = (2 * size_of::<f32>() as u64 * count.unwrap_or(0) as u64, machine::free_memory());
    if needed > free {
        return Err(format!(
            "its values take {} of memory, and {} is available; make it smaller",
            in_words(needed),
            in_words(free)
        ));
    }
    let values = reader(values, big);
    let values = if header.fortran { row_major(&values, &header.shape) } else { values };
    Ok((Array::new(header.shape, values), kind))
}

/// The header's text, and the values.
fn parts(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let ([major, _minor], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (u32::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n), rest))?,
        _ => return None,
    };
    let (text, values) = rest.split_at_checked(length as usize)?;
    Some((str::from_utf8(text).ok()?, values))
}

fn numbers<const N: usize>(bytes: &[u8], big: bool, of: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    let one = |chunk: &[u8; N]| {
        let mut chunk = *chunk;
        if big {
            chunk.reverse();
        }
        of(chunk)
    };
    chunks.iter().map(one).collect()
}

/// Values in row-major order, from values whose first axis varies fastest.
fn row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let at = |i: usize| {
        // The axes from the last to the first, each with the distance of its neighbours.
        let (mut rest, mut distance, mut at) = (i, values.len(), 0);
        for n in shape.iter().rev() {
            distance /= n;
            at += rest % n * distance;
            rest /= n;
        }
        at
    };
    (0..values.len()).map(|i| values[at(i)]).collect()
}

/// What the header says.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, with its keys in any order.
    fn parse(text: &'a str) -> Option<Header<'a>> {
        let mut text = Text(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        text.skip("{")?;
        while text.skip("}").is_none() {
            let key = text.quoted()?;
            text.skip(":")?;
            match key {
                "descr" => descr = Some(text.quoted()?),
                "fortran_order" => fortran = Some(text.truth()?),
                "shape" => shape = Some(text.tuple()?),
                _ => return None,
            }
            if text.skip(",").is_none() {
                text.skip("}")?;
                break;
            }
        }
        text.0.trim().is_empty().then_some(Header { descr: descr?, fortran: fortran?, shape: shape? })
    }
}

/// What is still to be read.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn skip(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (inside, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(inside)
    }

    fn truth(&mut self) -> Option<bool> {
        let truth = self.skip("True").is_some();
        if truth { Some(true) } else { self.skip("False").map(|()| false) }
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.skip("(")?;
        while self.skip(")").is_none() {
            let text = self.0.trim_start();
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            numbers.push(text[..end].parse().ok()?);
            // Python 2 marks its long numbers, as it may all of a shape.
            self.0 = text[end..].strip_prefix(['L', 'l']).unwrap_or(&text[end..]);
            if self.skip(",").is_none() {
                self.skip(")")?;
                break;
            }
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file as `numpy.save` writes it.
    fn file(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
        let length = (header.len() as u32).to_le_bytes();
        let length = if version == 1 { &length[..2] } else { &length[..] };
        [MAGIC, &[version, 0], length, header.as_bytes(), values].concat()
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}          \n")
    }

    fn read(version: u8, descr: &str, fortran: &str, shape: &str, values: &[u8]) -> (Array, NumberKind) {
        decode(&file(version, &header(descr, fortran, shape), values)).unwrap()
    }

    /// The bytes of `numpy.save(f, numpy.arange(6, dtype='<f4').reshape(2, 3))`.
    #[test]
    fn what_numpy_saves_is_read() {
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        bytes.extend([b' '; 0x76 - 60]);
        bytes.push(b'\n');
        assert_eq!(bytes.len(), 128);
        bytes.extend((0..6).flat_map(|n| (n as f32).to_le_bytes()));
        let (array, kind) = decode(&bytes).unwrap();
        assert_eq!(
            (array, kind),
            (Array::new([2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), NumberKind::Float)
        );
    }

    /// Every kind of number, either end first, whichever axis varies fastest, in every version.
    #[test]
    fn every_kind_and_order_is_read() {
        use NumberKind::{Bool, Float};
        let (integer, deep) = (NumberKind::Integer(255), NumberKind::Integer(65535));
        let of = |descr: &str, bytes: Vec<u8>| read(2, descr, "False", "(2,)", &bytes);
        let two = |values: [f32; 2], kind| (Array::new([2], values.to_vec()), kind);
        assert_eq!(of(">f4", [1.5f32, -2.0].map(f32::to_be_bytes).concat()), two([1.5, -2.0], Float));
        assert_eq!(of("<f8", [1.5f64, -2.0].map(f64::to_le_bytes).concat()), two([1.5, -2.0], Float));
        assert_eq!(of(">f8", [1.5f64, -2.0].map(f64::to_be_bytes).concat()), two([1.5, -2.0], Float));
        assert_eq!(of("<i4", [255i32, -2].map(i32::to_le_bytes).concat()), two([255.0, -2.0], integer));
        assert_eq!(of(">i4", [255i32, -2].map(i32::to_be_bytes).concat()), two([255.0, -2.0], integer));
        assert_eq!(of("<i8", [255i64, -2].map(i64::to_le_bytes).concat()), two([255.0, -2.0], integer));
        assert_eq!(of(">i8", [255i64, -2].map(i64::to_be_bytes).concat()), two([255.0, -2.0], integer));
        assert_eq!(of("|u1", vec![7, 255]), two([7.0, 255.0], integer));
        assert_eq!(of("|b1", vec![0, 1]), two([0.0, 1.0], Bool));
        assert_eq!(of("<f2", vec![0x00, 0x3e, 0x00, 0xc0]), two([1.5, -2.0], Float));
        assert_eq!(of(">f2", vec![0x3e, 0x00, 0xc0, 0x00]), two([1.5, -2.0], Float));
        assert_eq!(of("<u2", [65535u16, 2].map(u16::to_le_bytes).concat()), two([65535.0, 2.0], deep));
        assert_eq!(of(">u2", [65535u16, 2].map(u16::to_be_bytes).concat()), two([65535.0, 2.0], deep));
        assert_eq!(of("=i2", [255i16, -2].map(i16::to_le_bytes).concat()), two([255.0, -2.0], integer));
        assert_eq!(of(">u4", [255u32, 2].map(u32::to_be_bytes).concat()), two([255.0, 2.0], integer));
        assert_eq!(of("<u8", [255u64, 2].map(u64::to_le_bytes).concat()), two([255.0, 2.0], integer));
        assert_eq!(of("|i1", vec![7, 0xfe]), two([7.0, -2.0], integer));
        assert_eq!(of("?", vec![0, 2]), two([0.0, 1.0], Bool));
        for shape in ["(2L,)", "(2L, )", " ( 2l,1L ) ", "(1L, 2)"] {
            let (array, _) = read(1, "|u1", "False", shape, &[3, 4]);
            assert_eq!(array.values, [3.0, 4.0], "{shape}");
        }
        for version in 1..=3 {
            let c = read(version, "|u1", "False", "(2, 3)", &[0, 1, 2, 3, 4, 5]);
            let fortran = read(version, "|u1", "True", "(2, 3)", &[0, 3, 1, 4, 2, 5]);
            assert_eq!(c, fortran);
        }
        let deep = read(1, "|u1", "True", "(2, 1, 3, 2)", &[0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]);
        assert_eq!(deep.0.values, (0..12).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(read(1, "|u1", "False", "()", &[9]).0, Array::new([], vec![9.0]));
        let other_order = "{\"shape\":(1,),\"fortran_order\":False,\"descr\":\"|u1\"}\n";
        assert_eq!(decode(&file(3, other_order, &[4])).unwrap().0.values, [4.0]);
    }

    #[test]
    fn what_lies_or_is_cut_short_is_refused() {
        let huge = "(4294967296, 4294967296)";
        for (bytes, said) in [
            (b"".to_vec(), "not an .npy file"),
            (file(4, &header("|u1", "False", "(1,)"), &[0]), "version 1 to 3"),
            (file(1, &header("|u1", "False", "(1,)"), &[0])[..20].to_vec(), "cut short"),
            (file(1, &header("|u1", "False", "(3,)"), &[0, 1]), "shape [3], but 2 bytes follow"),
            (file(1, &header("|u1", "False", "(1,)"), &[0, 1]), "2 bytes follow"),
            (file(1, &header("|u1", "False", huge), &[0]), "1 bytes follow"),
            (file(1, &header("<f8", "False", "(2305843009213693952,)"), &[]), "0 bytes follow"),
            (file(1, &header("|u1", "False", "(99999999999999999999,)"), &[]), "header"),
            (file(1, &header("|u1", "False", "(-1,)"), &[]), "header"),
            (file(1, &header("|u1", "Maybe", "(1,)"), &[0]), "header"),
            (
                file(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]),
                "fields",
            ),
            (file(1, "{'descr': '|u1', 'shape': (1,)}", &[0]), "header"),
            (file(1, &header("|O", "False", "(1,)"), &[0; 9]), "the type \"|O\""),
            (file(1, &header("<c8", "False", "(1,)"), &[0; 8]), "astype"),
            (file(1, &header("é", "False", "(1,)"), &[0; 8]), "astype"),
        ] {
            let error = decode(&bytes).unwrap_err();
            assert!(error.contains(said), "{error} does not say {said}");
        }
    }

    proptest! {
        /// Any bytes, also after a magic word and an almost valid header.
        #[test]
        fn no_bytes_panic(
            version in 0u8..5,
            length in any::<[u8; 4]>(),
            header in "[{}(),:' a-z0-9L<|é]{0,60}",
            values in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = decode(&values);
            let _ = decode(&[MAGIC, &values].concat());
            let _ = decode(&[MAGIC, &[version, 0], &length, header.as_bytes(), &values].concat());
            let _ = decode(&file(version, &header, &values));
        }

        #[test]
        fn headers_that_lie_are_refused(
            descr in prop::sample::select(vec!["<f2", "<f4", ">f8", "|u1", "|i1", ">u2", "<i8", "|b1", "<", ""]),
            fortran in any::<bool>(),
            shape in prop::collection::vec(prop_oneof![0usize..5, Just(usize::MAX), Just(1 << 40)], 0..5),
            values in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let tuple: String = shape.iter().map(|n| format!("{n}, ")).collect();
            let fortran = if fortran { "True" } else { "False" };
            let bytes = file(1, &header(descr, fortran, &format!("({tuple})")), &values);
            if let Ok((array, _)) = decode(&bytes) {
                prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
                prop_assert_eq!(array.shape, shape);
            }
        }
    }
}
