//! The devices of this binary on this machine, by name.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

#[cfg(feature = "cuda")]
use super::cubecl;
#[cfg(feature = "libtorch")]
use super::libtorch;
use crate::error::{Error, Result};
use crate::machine;

/// A device to compute on, by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The best available: a CUDA GPU, else libtorch on the CPU, else Flex.
    #[default]
    Auto,
    /// burn's pure-Rust CPU backend.
    Flex,
    /// libtorch on the CPU.
    Libtorch,
    /// libtorch on the GPU with this number.
    Cuda(usize),
    /// CubeCL's CUDA backend on the GPU with this number.
    CubeclCuda(usize),
}

impl DeviceName {
    /// The devices of this machine that this binary supports, best first.
    pub fn available() -> Vec<DeviceName> {
        let mut names: Vec<DeviceName> = (0..gpus()).map(DeviceName::Cuda).collect();
        names.extend((0..cubecl_gpus()).map(DeviceName::CubeclCuda));
        names.extend(cfg!(feature = "libtorch").then_some(DeviceName::Libtorch));
        names.extend(cfg!(feature = "flex").then_some(DeviceName::Flex));
        names
    }

    /// Replaces [`DeviceName::Auto`] by the first available device that can be opened.
    #[must_use]
    pub fn resolved(self) -> DeviceName {
        match self {
            // A binary without any backend fails when it opens the device.
            DeviceName::Auto => {
                let there = DeviceName::available().into_iter().find(|name| name.open().is_ok());
                there.unwrap_or(DeviceName::Flex)
            }
            named => named,
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`] if this binary was built without it or the machine does not have it.
    pub fn open(self) -> Result<Device> {
        match self {
            DeviceName::Auto => self.resolved().open(),
            #[cfg(feature = "flex")]
            DeviceName::Flex => Ok(Device::flex()),
            #[cfg(feature = "libtorch")]
            DeviceName::Libtorch => Ok(libtorch::cpu()),
            #[cfg(feature = "libtorch")]
            DeviceName::Cuda(number) => libtorch::cuda(number),
            #[cfg(feature = "cuda")]
            DeviceName::CubeclCuda(number) => cubecl::cuda(number),
            #[allow(unreachable_patterns)] // with all backends built in
            other => Err(Error::Device(other.missing())),
        }
    }

    /// Why this binary does not have it, and what to do.
    fn missing(self) -> String {
        let there: Vec<String> = DeviceName::available().iter().map(DeviceName::to_string).collect();
        let why = match no_libtorch().filter(|_| self.feature() == "libtorch") {
            Some(reason) => format!("there is no device {self}, because {reason};"),
            None => format!(
                "this nem-tui was built without {}; build it with `cargo build --release --features {}`, or",
                self.backend(),
                self.feature()
            ),
        };
        format!("{why} choose --device {}", there.join(" or "))
    }

    /// The cargo feature that includes it.
    fn feature(self) -> &'static str {
        match self {
            DeviceName::Auto | DeviceName::Flex => "flex",
            DeviceName::Libtorch | DeviceName::Cuda(_) => "libtorch",
            DeviceName::CubeclCuda(_) => "cuda",
        }
    }

    /// The name of its backend, for messages.
    fn backend(self) -> &'static str {
        match self {
            DeviceName::Auto | DeviceName::Flex => "Flex",
            DeviceName::Libtorch | DeviceName::Cuda(_) => "libtorch",
            DeviceName::CubeclCuda(_) => "CubeCL's CUDA backend",
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceName::Auto => f.write_str("auto"),
            DeviceName::Flex => f.write_str("flex"),
            DeviceName::Libtorch => f.write_str("libtorch"),
            DeviceName::Cuda(number) => write!(f, "cuda:{number}"),
            DeviceName::CubeclCuda(number) => write!(f, "cubecl-cuda:{number}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<DeviceName> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, n)| (name, Some(n)));
        let gpu = || number.unwrap_or("0").parse::<usize>().ok();
        match (name, number) {
            ("auto", None) => Some(DeviceName::Auto),
            ("flex", None) => Some(DeviceName::Flex),
            ("libtorch", None) => Some(DeviceName::Libtorch),
            ("cuda", _) => gpu().map(DeviceName::Cuda),
            ("cubecl-cuda", _) => gpu().map(DeviceName::CubeclCuda),
            _ => None,
        }
        .ok_or_else(|| {
            Error::Device(format!(
                "there is no device {text:?}; devices are auto, flex, libtorch, cuda, cuda:N and cubecl-cuda:N"
            ))
        })
    }
}

/// The backends of this binary, for people, and why libtorch is not one of them if that is known.
pub fn backends() -> String {
    let names: &[String] = &[
        #[cfg(feature = "libtorch")]
        libtorch::loaded(),
        #[cfg(feature = "cuda")]
        "CubeCL's CUDA backend".into(),
        #[cfg(feature = "flex")]
        "Flex".into(),
    ];
    let why = no_libtorch().map_or(String::new(), |reason| format!("; not libtorch, because {reason}"));
    names.join(", ") + &why
}

/// Why the launcher in `python/nem_tui` chose a binary without libtorch.
fn no_libtorch() -> Option<String> {
    std::env::var("NEM_TUI_NO_LIBTORCH").ok().filter(|_| !cfg!(feature = "libtorch"))
}

/// Number of evaluations to run in parallel on `device`: one per core on Flex. libtorch and GPUs use all cores for
/// one evaluation, so a second one only keeps them busy while the first is scored.
pub fn evaluations_at_once(device: &Device) -> usize {
    let cores = machine::cores();
    #[cfg(feature = "libtorch")]
    if libtorch::is(device) {
        return cores.min(2);
    }
    if is_gpu(device) { cores.min(2) } else { cores }
}

/// Number of shares of a batch to compute in parallel on `device`. On Flex it is 2, because only matrix products use
/// several cores there. It does not depend on the machine, because the last bits of a gradient depend on it.
pub fn shares(device: &Device) -> usize {
    #[cfg(feature = "flex")]
    if device.clone().inner() == Device::flex() {
        return 2;
    }
    let _ = device;
    1
}

/// Environment variables to set or remove at program start, so that libtorch's `gpus` GPUs compute with or without
/// TF32. libtorch reads them when it first uses a GPU; its default is TF32 for convolutions only. CubeCL ignores them.
pub fn environment(gpus: usize, tf32: bool) -> Vec<(&'static str, Option<&'static str>)> {
    const OVERRIDE: &str = "NVIDIA_TF32_OVERRIDE";
    const PRODUCTS: &str = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE";
    match (gpus, tf32) {
        (0, _) => Vec::new(),
        (_, true) => vec![(OVERRIDE, None), (PRODUCTS, Some("1"))],
        (_, false) => vec![(OVERRIDE, Some("0"))],
    }
}

/// Whether `device` is a GPU. It computes asynchronously, so reading a value from it waits.
pub fn is_gpu(device: &Device) -> bool {
    #[cfg(feature = "libtorch")]
    if libtorch::is_gpu(device) {
        return true;
    }
    #[cfg(feature = "cuda")]
    if cubecl::is(device) {
        return true;
    }
    let _ = device;
    false
}

/// Whether libtorch's GPU `number` multiplies bfloat16 faster than 32-bit floats. libtorch does not say, so it is
/// timed; hardware with support is several times faster.
pub(super) fn gpu_multiplies_bf16(number: usize) -> bool {
    #[cfg(feature = "libtorch")]
    return libtorch::multiplies_bf16(number);
    #[cfg(not(feature = "libtorch"))]
    {
        let _ = number;
        false
    }
}

/// Number of GPUs that CubeCL can use.
fn cubecl_gpus() -> usize {
    #[cfg(feature = "cuda")]
    return cubecl::gpus();
    #[cfg(not(feature = "cuda"))]
    0
}

/// Number of GPUs that libtorch can use.
pub fn gpus() -> usize {
    #[cfg(feature = "libtorch")]
    return libtorch::gpus();
    #[cfg(not(feature = "libtorch"))]
    0
}

/// All available devices, for tests that must hold on each.
pub fn available() -> Vec<Device> {
    DeviceName::available().iter().filter_map(|name| name.open().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            DeviceName::Auto,
            DeviceName::Flex,
            DeviceName::Libtorch,
            DeviceName::Cuda(0),
            DeviceName::CubeclCuda(3),
        ] {
            assert_eq!(name.to_string().parse::<DeviceName>().unwrap(), name);
        }
        assert_eq!("cuda".parse::<DeviceName>().unwrap(), DeviceName::Cuda(0));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "flex:0", "cuda:-1"] {
            assert!(wrong.parse::<DeviceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn tf32_is_asked_for_by_the_environment_of_gpus_only() {
        assert!(environment(0, false).is_empty());
        assert_eq!(environment(1, false), [("NVIDIA_TF32_OVERRIDE", Some("0"))]);
        assert!(environment(2, true).contains(&("NVIDIA_TF32_OVERRIDE", None)));
    }

    #[test]
    fn auto_is_the_first_of_what_there_is_and_all_of_that_opens() {
        let available = DeviceName::available();
        assert!(available.iter().all(|name| name.open().is_ok()));
        assert_eq!(DeviceName::Auto.resolved(), available[0]);
        let best = if cfg!(feature = "libtorch") { DeviceName::Libtorch } else { DeviceName::Flex };
        assert!(
            available[0] == best || matches!(available[0], DeviceName::Cuda(_) | DeviceName::CubeclCuda(_))
        );
    }
}
