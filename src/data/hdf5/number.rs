//! Values of any kind of number, as the nearest floats of 32 bits.

use half::f16;
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::{ByteOrder, Datatype, H5Type, VarLenKind};

/// A number of a file.
#[derive(Clone)]
pub(super) struct Number(pub(super) f32);

impl H5Type for Number {
    fn hdf5_type() -> Datatype {
        f32::hdf5_type()
    }

    fn from_bytes(bytes: &[u8], datatype: &Datatype) -> Result<Number, Hdf5Error> {
        let value = decode(datatype, bytes).and_then(|values| values.first().copied());
        value.map(Number).ok_or_else(|| Hdf5Error::InvalidData("a value is cut short".into()))
    }

    fn element_size(datatype: &Datatype) -> usize {
        hdf5_reader::datatype_api::dtype_element_size(datatype).unwrap_or(0)
    }

    fn decode_vec(bytes: &[u8], datatype: &Datatype, _: usize) -> Option<Result<Vec<Number>, Hdf5Error>> {
        decode(datatype, bytes).map(|values| Ok(values.into_iter().map(Number).collect()))
    }
}

/// The numbers in a file's bytes; `None` for other types. All whole numbers that matter here are exact in 32 bits.
pub(super) fn decode(datatype: &Datatype, bytes: &[u8]) -> Option<Vec<f32>> {
    macro_rules! numbers {
        ($number:ty, $order:expr) => {
            numbers!($number, $order, |v| v as f32)
        };
        ($number:ty, $order:expr, $to:expr) => {{
            let (values, _) = bytes.as_chunks::<{ size_of::<$number>() }>();
            Some(match $order {
                ByteOrder::LittleEndian => values.iter().map(|v| $to(<$number>::from_le_bytes(*v))).collect(),
                ByteOrder::BigEndian => values.iter().map(|v| $to(<$number>::from_be_bytes(*v))).collect(),
            })
        }};
    }
    match datatype {
        // h5py writes booleans as an enumeration of bytes.
        Datatype::Enum { base, .. } => decode(base, bytes),
        Datatype::FixedPoint { size, signed, byte_order } => match (size, signed) {
            (1, false) => numbers!(u8, byte_order),
            (1, true) => numbers!(i8, byte_order),
            (2, false) => numbers!(u16, byte_order),
            (2, true) => numbers!(i16, byte_order),
            (4, false) => numbers!(u32, byte_order),
            (4, true) => numbers!(i32, byte_order),
            (8, false) => numbers!(u64, byte_order),
            (8, true) => numbers!(i64, byte_order),
            _ => None,
        },
        Datatype::FloatingPoint { size: 2, byte_order } => numbers!(f16, byte_order, f16::to_f32),
        Datatype::FloatingPoint { size: 4, byte_order } => numbers!(f32, byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => numbers!(f64, byte_order),
        _ => None,
    }
}

/// What users call a type.
pub(super) fn kind(datatype: &Datatype) -> String {
    match datatype {
        Datatype::FixedPoint { size, signed, .. } => {
            format!("{}int{}", if *signed { "" } else { "u" }, 8 * u32::from(*size))
        }
        Datatype::FloatingPoint { size, .. } => format!("float{}", 8 * u32::from(*size)),
        Datatype::String { .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => "string".into(),
        Datatype::Compound { .. } => "compound".into(),
        Datatype::Enum { .. } => "enumeration".into(),
        Datatype::Array { .. } => "array".into(),
        Datatype::VarLen { .. } => "variable-length array".into(),
        Datatype::Opaque { .. } => "opaque".into(),
        Datatype::Reference { .. } => "reference".into(),
        Datatype::Bitfield { .. } => "bit field".into(),
    }
}
