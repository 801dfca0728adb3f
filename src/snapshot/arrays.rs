//! A snapshot's arrays, for other programs.
//!
//! | array | shape | |
//! |---|---|---|
//! | `target` | \[T, C, H, W\] | the clean frame that the step predicts |
//! | `noisy` | \[T, C, H, W\] | the noisy frame that the step reads |
//! | `groups` | \[T, H, W\] | the true object of each pixel, from 1; 0 is background, overlap or unknown |
//! | `preds` | \[T, K, C, H, W\] | ψ, each component's prediction |
//! | `gamma` | \[T, K, H, W\] | γ, each component's responsibility |
//!
//! All are 32-bit floats, except `groups` in `.npz` files, which is `uint8`.

use std::path::Path;

use super::npz::{self, NpyValues};
use super::schema::{Snapshot, SnapshotStep};
use crate::error::{Error, Result};
use crate::tensors::{self, Array, Arrays, Storage};

/// The bytes of an `.npz` file with `snapshot`'s arrays.
///
/// # Errors
/// [`Error::Data`] for arrays of the wrong size.
pub fn npz(snapshot: &Snapshot) -> Result<Vec<u8>> {
    let arrays = of(snapshot)?;
    let bytes: Vec<u8> = snapshot.steps.iter().flat_map(|step| &step.groups).copied().collect();
    let list: Vec<_> = ORDER
        .iter()
        .filter_map(|name| {
            let array = arrays.get(*name)?;
            let values =
                if *name == "groups" { NpyValues::U8(&bytes) } else { NpyValues::F32(&array.values) };
            Some((*name, array.shape.clone(), values))
        })
        .collect();
    npz::encode(&list)
}

/// The order of the arrays in an `.npz` file.
const ORDER: [&str; 5] = ["target", "noisy", "groups", "preds", "gamma"];

/// The bytes of a safetensors file with `snapshot`'s arrays.
///
/// # Errors
/// As for [`npz()`].
pub fn safetensors(snapshot: &Snapshot) -> Result<Vec<u8>> {
    tensors::encode(&of(snapshot)?, Storage::Single, Path::new("the arrays"))
}

/// `snapshot`'s arrays by name.
///
/// # Errors
/// [`Error::Data`] for arrays of the wrong size.
pub fn of(snapshot: &Snapshot) -> Result<Arrays> {
    let (k, image) = (snapshot.k, snapshot.image);
    let (c, h, w) = (image.channels, image.height, image.width);
    let all = |name: &str,
               shape: &[usize],
               values: fn(&SnapshotStep) -> Vec<f32>|
     -> Result<(String, Array)> {
        let size: usize = shape.iter().product();
        let mut array = Vec::with_capacity(size * snapshot.steps.len());
        for (t, step) in snapshot.steps.iter().enumerate() {
            let values = values(step);
            if values.len() != size {
                return Err(Error::Data(format!(
                    "{name} of EM step {} has {} values instead of {size} for shape {shape:?}; take the snapshot again",
                    t + 1,
                    values.len()
                )));
            }
            array.extend(values);
        }
        let shape = [&[snapshot.steps.len()], shape].concat();
        Ok((name.to_owned(), Array::new(shape, array)))
    };
    [
        all("target", &[c, h, w], |step| step.target.clone()),
        all("noisy", &[c, h, w], |step| step.noisy.clone()),
        all("groups", &[h, w], |step| step.groups.iter().map(|group| f32::from(*group)).collect()),
        all("preds", &[k, c, h, w], |step| step.preds.clone()),
        all("gamma", &[k, h, w], |step| step.gamma.clone()),
    ]
    .into_iter()
    .collect()
}
