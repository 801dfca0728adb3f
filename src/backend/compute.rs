//! Where a command computes, and how precisely.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use super::DeviceName;
use crate::error::{Error, Result};
use crate::precision::{Precision, PrecisionName};

/// Where to compute, and how precisely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: DeviceName,
    /// `None`: the run's own where one is continued, else f32.
    pub precision: Option<Precision>,
}

impl Compute {
    /// On `device`, which is not [`DeviceName::Auto`], as precisely as was asked for.
    ///
    /// # Errors
    /// [`Error::Usage`] where bfloat16 was asked for and the device has no way to compute with it.
    pub fn requested(device: DeviceName, precision: Option<PrecisionName>) -> Result<Compute> {
        let precision = match precision {
            None => None,
            Some(PrecisionName::F32) => Some(Precision::F32),
            Some(PrecisionName::Bf16) if has_bf16(device) => Some(Precision::Bf16),
            Some(PrecisionName::Bf16) => {
                return Err(Error::Usage(format!(
                    "--precision bf16 needs a libtorch device, and the device here is {device}; choose --device libtorch \
                     or cuda, or leave --precision out"
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
    /// What [`DeviceName::open`] refuses.
    pub fn open(self) -> Result<Device> {
        self.device.open()
    }

    /// The same with a precision: its own, else `usual`, or f32 where the device has no bfloat16.
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

/// The device, and the precision where one was chosen of several: "flex", "libtorch", "libtorch bf16".
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

/// Whether `device` can compute in bfloat16.
fn has_bf16(device: DeviceName) -> bool {
    matches!(device, DeviceName::Libtorch | DeviceName::Cuda(_))
}

/// Whether `device` multiplies bfloat16 faster than 32-bit floats.
fn multiplies_bf16(device: DeviceName) -> bool {
    match device {
        DeviceName::Libtorch => cpu_multiplies_bf16(),
        DeviceName::Cuda(number) => super::gpu_multiplies_bf16(number),
        _ => false,
    }
}

/// Read from the processor's flags, so that the answer is the same at every start.
fn cpu_multiplies_bf16() -> bool {
    // Every processor with AMX for bfloat16 has these instructions too.
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
