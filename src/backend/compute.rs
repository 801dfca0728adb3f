//! A device and a precision to compute with.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use super::devices::{DeviceName, gpu_multiplies_bf16};
use crate::error::{Error, Result};
use crate::precision::{Precision, PrecisionName};

/// A device and a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: DeviceName,
    /// `None`: the precision of the resumed run, or f32 for a new one.
    pub precision: Option<Precision>,
}

impl Compute {
    /// `device`, which is not [`DeviceName::Auto`], with the requested precision.
    ///
    /// # Errors
    /// [`Error::Usage`] if bfloat16 was requested and the device does not support it.
    pub fn requested(device: DeviceName, precision: Option<PrecisionName>) -> Result<Compute> {
        let precision = match precision {
            None => None,
            Some(PrecisionName::F32) => Some(Precision::F32),
            Some(PrecisionName::Bf16) if has_bf16(device) => Some(Precision::Bf16),
            Some(PrecisionName::Bf16) => {
                return Err(Error::Usage(format!(
                    "--precision bf16 needs a libtorch device, but the device is {device}; choose --device libtorch or \
                     cuda, or leave --precision out"
                )));
            }
            Some(PrecisionName::Auto) if multiplies_bf16(device) => Some(Precision::Bf16),
            Some(PrecisionName::Auto) => Some(Precision::F32),
        };
        Ok(Compute { device, precision })
    }

    /// Opens the device.
    ///
    /// # Errors
    /// Those of [`DeviceName::open`].
    pub fn open(self) -> Result<Device> {
        self.device.open()
    }

    /// Fills in a missing precision: `usual`, or f32 if the device does not support it.
    #[must_use]
    pub fn or(self, usual: Precision) -> Compute {
        let usual = if has_bf16(self.device) { usual } else { Precision::F32 };
        Compute { precision: Some(self.precision.unwrap_or(usual)), ..self }
    }

    /// The precision to compute with.
    pub fn precision(self) -> Precision {
        self.precision.unwrap_or_default()
    }
}

impl From<DeviceName> for Compute {
    fn from(device: DeviceName) -> Compute {
        Compute { device, precision: None }
    }
}

/// The device, and the precision if set and the device has several: "flex", "libtorch", "libtorch bf16".
impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.precision {
            Some(precision) if has_bf16(self.device) => write!(f, "{} {precision}", self.device),
            _ => write!(f, "{}", self.device),
        }
    }
}

impl FromStr for Compute {
    type Err = Error;

    fn from_str(text: &str) -> Result<Compute> {
        match text.split_once(' ') {
            None => Ok(Compute::from(text.parse::<DeviceName>()?)),
            Some((device, precision)) => Compute::requested(device.parse()?, Some(precision.parse()?)),
        }
    }
}

/// Whether `device` supports bfloat16.
fn has_bf16(device: DeviceName) -> bool {
    matches!(device, DeviceName::Libtorch | DeviceName::Cuda(_))
}

/// Whether `device` multiplies bfloat16 faster than 32-bit floats.
fn multiplies_bf16(device: DeviceName) -> bool {
    match device {
        DeviceName::Libtorch => cpu_multiplies_bf16(),
        DeviceName::Cuda(number) => gpu_multiplies_bf16(number),
        _ => false,
    }
}

/// Read from the processor's flags, so the answer never changes between starts.
fn cpu_multiplies_bf16() -> bool {
    // Processors with AMX for bfloat16 have these instructions too.
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_its_precision_is_read_as_it_is_written() {
        for text in ["flex", "libtorch", "libtorch f32", "libtorch bf16", "cuda:1 bf16"] {
            assert_eq!(text.parse::<Compute>().unwrap().to_string(), text);
        }
        assert_eq!("flex f32".parse::<Compute>().unwrap().to_string(), "flex");
        for wrong in ["flex bf16", "libtorch f16", "libtorch ", "bf16"] {
            assert!(wrong.parse::<Compute>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_keeps_its_precision_unless_another_is_asked_for() {
        let as_it_was = Compute::from(DeviceName::Libtorch);
        assert_eq!(as_it_was.or(Precision::Bf16).precision(), Precision::Bf16);
        assert_eq!(Compute::from(DeviceName::Flex).or(Precision::Bf16).precision(), Precision::F32);
        let asked = Compute { precision: Some(Precision::F32), ..as_it_was };
        assert_eq!(asked.or(Precision::Bf16).precision(), Precision::F32);
    }

    #[test]
    fn auto_is_32_bits_where_bfloat16_is_not_computed() {
        for device in [DeviceName::Flex, DeviceName::CubeclCuda(0)] {
            let auto = Compute::requested(device, Some(PrecisionName::Auto)).unwrap();
            assert_eq!(auto.precision, Some(Precision::F32));
            assert!(Compute::requested(device, Some(PrecisionName::Bf16)).is_err());
        }
    }
}
