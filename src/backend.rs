//! The only place that names a backend. burn's tensors carry their device at run time, so the rest
//! of the crate is written once and runs on whichever device it is handed; [`layers`] is where a device has
//! a better way to do what the rest says.

pub mod layers;
#[cfg(feature = "libtorch")]
mod torch;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::error::{Error, Result};

/// A device to compute on, as the command line names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The best there is: CUDA where a GPU answers, else libtorch's CPU, else Flex.
    #[default]
    Auto,
    /// burn's pure-Rust CPU backend.
    Flex,
    /// libtorch on the CPU.
    Libtorch,
    /// libtorch on a GPU, by its number.
    Cuda(usize),
    /// CubeCL's CUDA backend on a GPU, by its number.
    CubeclCuda(usize),
}

impl DeviceName {
    /// What can be chosen on this machine with this binary, the best first.
    pub fn available() -> Vec<DeviceName> {
        let mut names: Vec<DeviceName> = (0..gpus()).map(DeviceName::Cuda).collect();
        names.extend(cfg!(feature = "libtorch").then_some(DeviceName::Libtorch));
        names.extend(cfg!(feature = "flex").then_some(DeviceName::Flex));
        names.extend((0..cubecl_gpus()).map(DeviceName::CubeclCuda));
        names
    }

    /// What [`DeviceName::Auto`] means here; any other name as it is.
    #[must_use]
    pub fn resolved(self) -> DeviceName {
        match self {
            // A binary without any backend is refused when it opens one.
            DeviceName::Auto => DeviceName::available().first().copied().unwrap_or(DeviceName::Flex),
            named => named,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Device`] where this binary was built without it, or the machine lacks it.
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
            #[allow(unreachable_patterns)] // where every backend is built in
            other => Err(Error::Device(format!(
                "this nem-tui was built without {}; build it with `cargo build --release --features {}`, or choose \
                 --device {}",
                other.backend(),
                other.feature(),
                DeviceName::available().iter().map(DeviceName::to_string).collect::<Vec<_>>().join(" or ")
            ))),
        }
    }

    /// The cargo feature that builds it in.
    fn feature(self) -> &'static str {
        match self {
            DeviceName::Auto | DeviceName::Flex => "flex",
            DeviceName::Libtorch | DeviceName::Cuda(_) => "libtorch",
            DeviceName::CubeclCuda(_) => "cuda",
        }
    }

    /// What is missing where it is not built in.
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

#[cfg(feature = "libtorch")]
mod libtorch {
    //! burn has deprecated its libtorch backend in favour of CubeCL's; here it stays until that is as
    //! fast on a CPU.
    #![allow(deprecated)]

    use std::sync::OnceLock;

    use super::{Device, Error, Result};

    pub fn cpu() -> Device {
        // Unless the number is set, be it to what it is, MKL uses one thread for each physical core.
        tch::set_num_threads(tch::get_num_threads());
        Device::libtorch()
    }

    /// Whether it is libtorch's.
    pub fn is(device: &Device) -> bool {
        device.clone().inner() == Device::libtorch() || is_gpu(device)
    }

    /// Whether it is a GPU of libtorch's.
    pub fn is_gpu(device: &Device) -> bool {
        let device = device.clone().inner();
        (0..gpus()).any(|number| device == Device::libtorch_cuda(number))
    }

    /// GPUs that libtorch can use: none where there is no driver, or one too old. The driver is asked once.
    pub fn gpus() -> usize {
        static GPUS: OnceLock<usize> = OnceLock::new();
        *GPUS.get_or_init(|| match tch::Cuda::is_available() {
            true => tch::Cuda::device_count().max(0) as usize,
            false => 0,
        })
    }

    pub fn cuda(number: usize) -> Result<Device> {
        match gpus() {
            0 => Err(Error::Device(
                "libtorch finds no GPU that it can use; `nvidia-smi` says whether there is one and whether its \
                 driver knows CUDA 12.8, and `--device libtorch` computes without one"
                    .into(),
            )),
            there if number >= there => Err(Error::Device(format!(
                "there is no cuda:{number}; this machine's GPUs are cuda:0 to cuda:{}",
                there - 1
            ))),
            _ => Ok(Device::libtorch_cuda(number)),
        }
    }
}

#[cfg(feature = "cuda")]
mod cubecl {
    use std::panic::catch_unwind;

    use burn::tensor::{DeviceType, Tensor};

    use super::{Device, Error, Result};

    /// GPUs that the driver shows: none where there is no driver.
    pub fn gpus() -> usize {
        Device::enumerate(DeviceType::Cuda).len()
    }

    /// Whether it is one of them.
    pub fn is(device: &Device) -> bool {
        let device = device.clone().inner();
        (0..gpus()).any(|number| device == Device::cuda(number))
    }

    pub fn cuda(number: usize) -> Result<Device> {
        match gpus() {
            0 => Err(Error::Device(
                "CubeCL finds no NVIDIA GPU; `nvidia-smi` says whether there is one with a driver, and `--device \
                 flex` computes without"
                    .into(),
            )),
            there if number >= there => Err(Error::Device(format!(
                "there is no cubecl-cuda:{number}; this machine's GPUs are cubecl-cuda:0 to cubecl-cuda:{}",
                there - 1
            ))),
            _ => {
                // Kernels are compiled when they are first used, and what that needs is only then missed.
                let device = Device::cuda(number);
                catch_unwind(|| Tensor::<1>::ones([4], &Device::cuda(number)).sum().into_data()).map_err(|_| {
                    Error::Device(
                        "CubeCL cannot compile for this GPU; install NVRTC and the CUDA headers of the driver's \
                         CUDA version (Debian: nvidia-cuda-toolkit), or choose --device flex"
                            .into(),
                    )
                })?;
                Ok(device)
            }
        }
    }
}

/// What the environment has to hold, or not to hold, when the program starts, for `device` to compute as
/// asked. libtorch reads it when it first meets a GPU, and by itself rounds what it convolves to TF32.
pub fn environment(device: DeviceName, tf32: bool) -> Vec<(&'static str, Option<&'static str>)> {
    const NONE_OF_IT: &str = "NVIDIA_TF32_OVERRIDE";
    const PRODUCTS_TOO: &str = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE";
    match device {
        DeviceName::Cuda(_) if tf32 => vec![(NONE_OF_IT, None), (PRODUCTS_TOO, Some("1"))],
        DeviceName::Cuda(_) => vec![(NONE_OF_IT, Some("0"))],
        _ => Vec::new(),
    }
}

/// What a panic of the libraries below means: one sentence, with a remedy where there is one.
pub fn explain(panic: &str) -> String {
    // tch hands over what libtorch threw, quoted, with the C++ stack behind the first line.
    let thrown = panic.split_once("Torch(\"").map_or(panic, |(_, thrown)| thrown);
    let first = thrown.lines().next().unwrap_or_default();
    let first = first.split("\\n").next().unwrap_or_default().trim_end_matches(['.', '"', ')']);
    match first {
        _ if first.contains("out of memory") || first.contains("can't allocate memory") => {
            format!("the device ran out of memory ({first}); make train.batch, K or the EM steps smaller")
        }
        _ if first.contains("CUDA") => {
            format!(
                "the GPU failed ({first}); `nvidia-smi` shows its state, and --device libtorch does without it"
            )
        }
        _ => first.to_owned(),
    }
}

/// Whether `device` works beside the processor, which then has to wait for what it reads from it.
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

/// GPUs that CubeCL can use.
fn cubecl_gpus() -> usize {
    #[cfg(feature = "cuda")]
    return cubecl::gpus();
    #[cfg(not(feature = "cuda"))]
    0
}

/// GPUs that libtorch can use.
fn gpus() -> usize {
    #[cfg(feature = "libtorch")]
    return libtorch::gpus();
    #[cfg(not(feature = "libtorch"))]
    0
}

/// The machine in words, for records: "2 cores of AMD EPYC 9B14"; the processor's name where the system
/// says it.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let plural = if cores == 1 { "" } else { "s" };
    let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let of = processor.map_or(String::new(), |name| format!(" of {name}"));
    format!("{cores} core{plural}{of}")
}

/// The most memory this process has held so far, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Every device there is here, for tests that hold on all of them.
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
    fn what_libtorch_throws_becomes_a_sentence() {
        let thrown = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate \
                      2.00 GiB. GPU 0 has a total capacity of 79.00 GiB.\\nException raised from malloc at \
                      CUDACachingAllocator.cpp:1\\nframe #0: c10::Error\")";
        let sentence = explain(thrown);
        assert!(
            sentence.starts_with("the device ran out of memory (CUDA out of memory. Tried"),
            "{sentence}"
        );
        assert!(sentence.ends_with("smaller") && !sentence.contains("frame"), "{sentence}");
        let lost = explain(
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA error: an illegal memory \
                            access was encountered\\nCUDA kernel errors\")",
        );
        assert!(lost.starts_with("the GPU failed (CUDA error: an illegal memory access"), "{lost}");
        assert_eq!(explain("index out of bounds"), "index out of bounds");
    }

    #[test]
    fn tf32_is_asked_for_by_the_environment_of_gpus_only() {
        assert!(environment(DeviceName::Libtorch, false).is_empty());
        assert_eq!(environment(DeviceName::Cuda(0), false), [("NVIDIA_TF32_OVERRIDE", Some("0"))]);
        assert!(environment(DeviceName::Cuda(1), true).contains(&("NVIDIA_TF32_OVERRIDE", None)));
    }

    #[test]
    fn auto_is_one_of_what_there_is() {
        let available = DeviceName::available();
        assert!(available.contains(&DeviceName::Auto.resolved()));
        assert!(available.iter().all(|name| name.open().is_ok()));
    }
}
