//! Named arrays on the host, and safetensors files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::error::{Error, Result};
use crate::files::output;
use crate::machine::{self, in_words};

/// Values with their shape, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Empty for a single number.
    pub shape: Vec<usize>,
    /// The values, as many as the shape requires.
    pub values: Vec<f32>,
}

impl Array {
    /// An array; the number of `values` must match `shape`.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Array {
        let shape = shape.into();
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Array { shape, values }
    }
}

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// The precision of written values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// 32 bits: exact.
    Single,
    /// 16 bits: half the size, 11 significant bits, at most ±65504.
    Half,
}

/// Reads a safetensors file of 16-, 32- or 64-bit floats; 64-bit floats are rounded to 32 bits.
///
/// # Errors
/// A file that cannot be read, is incomplete or damaged, or has another number type.
pub fn read(path: &Path) -> Result<Arrays> {
    TensorFile::open(path)?.all()
}

/// The arrays in the bytes of a safetensors file; `origin` is its name, for messages.
///
/// # Errors
/// Bytes that are incomplete or damaged, or have another number type.
pub fn decode(bytes: &[u8], origin: &Path) -> Result<Arrays> {
    TensorFile::of(Cow::Borrowed(bytes), origin)?.all()
}

/// A safetensors file, whose arrays are decoded when they are asked for: others may be of any type.
pub struct TensorFile<'a> {
    path: PathBuf,
    bytes: Cow<'a, [u8]>,
    names: Vec<String>,
}

impl<'a> TensorFile<'a> {
    /// Reads a file; its arrays are not decoded.
    ///
    /// # Errors
    /// A file that cannot be read, takes more memory than there is, or is incomplete or damaged.
    pub fn open(path: &Path) -> Result<TensorFile<'a>> {
        // Decoding takes at least as much again.
        let most = machine::free_memory() / 2;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        if bytes.len() as u64 > most {
            let problem = format!(
                "larger than {}, the most that there is memory for; use a smaller file",
                in_words(most)
            );
            return Err(Error::content(path, problem));
        }
        TensorFile::of(Cow::Owned(bytes), path)
    }

    fn of(bytes: Cow<'a, [u8]>, path: &Path) -> Result<TensorFile<'a>> {
        let names = parsed(&bytes, path)?.names().into_iter().map(str::to_owned).collect();
        Ok(TensorFile { path: path.to_owned(), bytes, names })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all arrays.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The arrays called like this, those that there are.
    ///
    /// # Errors
    /// An array of another type than floats of 16, 32 or 64 bits.
    pub fn arrays<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Arrays> {
        let file = parsed(&self.bytes, &self.path)?;
        let there = names.into_iter().filter_map(|name| Some((name, file.tensor(name).ok()?)));
        there.map(|(name, view)| Ok((name.to_owned(), decoded(name, &view, &self.path)?))).collect()
    }

    fn all(&self) -> Result<Arrays> {
        self.arrays(self.names())
    }
}

fn parsed<'a>(bytes: &'a [u8], origin: &Path) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|e| {
        Error::content(origin, format!("not a complete safetensors file ({e}); write or copy it again"))
    })
}

fn decoded(name: &str, view: &TensorView, origin: &Path) -> Result<Array> {
    fn numbers<const N: usize>(data: &[u8], of: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|bytes| of(*bytes)).collect()
    }
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F16 => numbers(data, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => numbers(data, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F32 => numbers(data, f32::from_le_bytes),
        Dtype::F64 => numbers(data, |b| f64::from_le_bytes(b) as f32),
        other => {
            return Err(Error::content(
                origin,
                format!("{name} has {other:?} numbers; convert it to F16, BF16, F32 or F64 first"),
            ));
        }
    };
    Ok(Array { shape: view.shape().to_vec(), values })
}

/// Writes a safetensors file of 32-bit floats where the user says.
///
/// # Errors
/// Those of [`output::write`].
pub fn write(path: &Path, arrays: &Arrays) -> Result<()> {
    output::write(path, &encode(arrays, Storage::Single, path)?)
}

/// The bytes of a safetensors file; `destination` is its name, for messages.
///
/// # Errors
/// A value that is too large for `storage`.
pub fn encode(arrays: &Arrays, storage: Storage, destination: &Path) -> Result<Vec<u8>> {
    let refused = |what: String| Error::content(destination, what);
    let bytes = |(name, array): (&String, &Array)| -> Result<Vec<u8>> {
        if storage == Storage::Single {
            return Ok(array.values.iter().flat_map(|v| v.to_le_bytes()).collect());
        }
        let halves: Vec<f16> = array.values.iter().map(|v| f16::from_f32(*v)).collect();
        match array.values.iter().zip(&halves).find(|(v, half)| v.is_finite() && !half.is_finite()) {
            Some((value, _)) => Err(refused(format!("{name} holds {value}, too large for half precision"))),
            None => Ok(halves.iter().flat_map(|half| half.to_le_bytes()).collect()),
        }
    };
    let bytes = arrays.iter().map(bytes).collect::<Result<Vec<_>>>()?;
    let dtype = match storage {
        Storage::Single => Dtype::F32,
        Storage::Half => Dtype::F16,
    };
    let views = arrays.iter().zip(&bytes).map(|((name, array), bytes)| {
        Ok((name.as_str(), TensorView::new(dtype, array.shape.clone(), bytes)?))
    });
    views
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| refused(format!("cannot be encoded as safetensors: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrays() -> Arrays {
        Arrays::from([
            ("a.weight".to_owned(), Array::new([2, 3], vec![0.0, 1.0, -2.5, f32::MIN_POSITIVE, 1e30, -0.0])),
            ("lr".to_owned(), Array::new([], vec![0.25])),
        ])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.safetensors");
        write(&path, &arrays()).unwrap();
        assert_eq!(read(&path).unwrap(), arrays());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left aside");
    }

    /// Half precision keeps 11 significant bits, and refuses what it would turn into infinity.
    #[test]
    fn half_precision_rounds_and_refuses() {
        let path = Path::new("w.safetensors");
        let values = vec![0.0, 1.0, -2.5, 0.1, 65504.0, f32::NEG_INFINITY];
        let arrays = Arrays::from([("a".to_owned(), Array::new([6], values))]);
        let read = decode(&encode(&arrays, Storage::Half, path).unwrap(), path).unwrap();
        for (half, single) in read["a"].values.iter().zip(&arrays["a"].values) {
            assert!(half == single || (half - single).abs() <= single.abs() / 2048.0, "{half} {single}");
        }
        let large = Arrays::from([("b".to_owned(), Array::new([1], vec![1e5]))]);
        let error = encode(&large, Storage::Half, path).unwrap_err().to_string();
        assert!(error.contains("b holds 100000"), "{error}");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = write(Path::new("/nowhere/at/all/w.safetensors"), &arrays()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all/w.safetensors"), "{error}");
    }

    fn any_arrays() -> impl Strategy<Value = Arrays> {
        let array = prop::collection::vec(0usize..4, 0..4).prop_flat_map(|shape| {
            let count = shape.iter().product::<usize>();
            prop::collection::vec(any::<f32>(), count)
                .prop_map(move |values| Array::new(shape.clone(), values))
        });
        prop::collection::btree_map("[a-z.0-9é ]{0,12}", array, 0..5)
    }

    proptest! {
        #[test]
        fn any_arrays_are_read_back(arrays in any_arrays()) {
            let file = tempfile::NamedTempFile::new().unwrap();
            write(file.path(), &arrays).unwrap();
            let bits = |arrays: &Arrays| -> Vec<(String, Vec<usize>, Vec<u32>)> {
                let each = arrays.iter();
                each.map(|(n, a)| (n.clone(), a.shape.clone(), a.values.iter().map(|v| v.to_bits()).collect())).collect()
            };
            prop_assert_eq!(bits(&read(file.path()).unwrap()), bits(&arrays));
        }

        /// An array of any type beside one that is asked for.
        #[test]
        fn only_what_is_asked_for_is_decoded(
            dtype in prop::sample::select(vec!["I64", "BOOL", "U8", "F8_E4M3", "BF16", "I16", "U64"]),
            brain in any::<f32>(),
        ) {
            let size = match dtype { "I64" | "U64" => 8, "BF16" | "I16" => 2, _ => 1 };
            let header = format!(
                r#"{{"odd":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{size}]}},"a":{{"dtype":"BF16","shape":[],"data_offsets":[{size},{}]}}}}"#,
                size + 2
            );
            let odd = vec![1; size];
            let brain = bf16::from_f32(brain);
            let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &odd, &brain.to_le_bytes()].concat();
            let path = Path::new("w.safetensors");
            let file = TensorFile::of(Cow::Borrowed(&bytes), path).unwrap();
            prop_assert_eq!(file.names().count(), 2);
            let found = file.arrays(["a", "absent"]).unwrap();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found["a"].values[0].to_bits(), brain.to_f32().to_bits());
            let all = decode(&bytes, path);
            prop_assert_eq!(all.is_ok(), dtype == "BF16");
            if let Err(error) = all {
                prop_assert!(error.to_string().contains(&format!("odd has {dtype} numbers")), "{}", error);
            }
        }

        /// Headers that are well-formed but lie: any type, shape and place.
        #[test]
        fn headers_that_lie_are_refused(
            dtype in prop::sample::select(vec!["F32", "F64", "F16", "I64", "BOOL", "X"]),
            shape in prop::collection::vec(prop_oneof![0u64..5, Just(u64::MAX), Just(1 << 40)], 0..4),
            begin in 0u64..40,
            end in prop_oneof![0u64..80, Just(u64::MAX)],
            content in prop::collection::vec(any::<u8>(), 0..64),
            length in prop_oneof![3 => Just(None), 1 => any::<u64>().prop_map(Some)],
        ) {
            let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}}}"#);
            let length = length.unwrap_or(header.len() as u64);
            let bytes = [&length.to_le_bytes(), header.as_bytes(), &content].concat();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            match read(file.path()) {
                Ok(read) => for array in read.values() {
                    prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
                },
                Err(error) => prop_assert!(error.to_string().contains(file.path().to_str().unwrap())),
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            prop_assert!(read(file.path()).is_err() || bytes.len() >= 10);
        }

        /// Any bytes give arrays or an error that names the file.
        #[test]
        fn damaged_files_are_refused(cut in 0usize..400, flip in 0usize..400, mask in any::<u8>()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("w.safetensors");
            write(&path, &arrays()).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.truncate(cut.max(1));
            if let Some(byte) = bytes.get_mut(flip) {
                *byte ^= mask;
            }
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Ok(read) => for array in read.values() {
                    prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
                },
                Err(error) => prop_assert!(error.to_string().contains("w.safetensors")),
            }
        }
    }
}
