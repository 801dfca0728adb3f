//! The only place that names a backend. burn's tensors carry their device at run time, so the rest
//! of the crate is written once and runs on whichever device it is handed; [`layers`] is where a device has
//! a better way to do what the rest says.

mod compute;
pub mod native;
pub mod spec;
#[cfg(feature = "libtorch")]
mod torch;

use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;

use burn::tensor::Device;
pub use compute::Compute;

#[cfg(any(feature = "libtorch", feature = "cuda"))]
use crate::error::PROBE;
use crate::error::{Error, Result, is_thrown, panic_message};

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
        names.extend((0..cubecl_gpus()).map(DeviceName::CubeclCuda));
        names.extend(cfg!(feature = "libtorch").then_some(DeviceName::Libtorch));
        names.extend(cfg!(feature = "flex").then_some(DeviceName::Flex));
        names
    }

    /// What [`DeviceName::Auto`] means here: the first that can be opened; any other name as it is.
    #[must_use]
    pub fn resolved(self) -> DeviceName {
        match self {
            // A binary without any backend is refused when it opens one.
            DeviceName::Auto => {
                let there = DeviceName::available().into_iter().find(|name| name.open().is_ok());
                there.unwrap_or(DeviceName::Flex)
            }
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

    use std::collections::BTreeMap;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Instant;

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

    /// Whether a product of bfloat16 takes less than two thirds of the time of one of 32-bit floats, as timed once for
    /// each GPU.
    pub fn multiplies_bf16(number: usize) -> bool {
        static ANSWERS: Mutex<BTreeMap<usize, bool>> = Mutex::new(BTreeMap::new());
        let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(number).or_insert_with(|| timed_bf16(tch::Device::Cuda(number)))
    }

    fn timed_bf16(device: tch::Device) -> bool {
        const SIDE: i64 = 2048;
        const TIMES: usize = 5;
        let seconds = |kind| {
            let matrix = tch::Tensor::ones([SIDE, SIDE], (kind, device));
            // Reading a value waits for the product.
            let product = || matrix.matmul(&matrix).double_value(&[0, 0]);
            product();
            let timed = |_| {
                let start = Instant::now();
                product();
                start.elapsed()
            };
            (0..TIMES).map(timed).min().unwrap_or_default()
        };
        seconds(tch::Kind::BFloat16) * 3 < seconds(tch::Kind::Float) * 2
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
            _ => super::probed(Device::libtorch_cuda(number), |thrown| {
                format!("cuda:{number} does not answer: {thrown}; `--device libtorch` computes without a GPU")
            }),
        }
    }
}

#[cfg(feature = "cuda")]
mod cubecl {
    use burn::tensor::DeviceType;

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
            // Kernels are compiled when they are first used, and what that needs is only then missed.
            _ => super::probed(Device::cuda(number), |thrown| {
                format!(
                    "CubeCL cannot compute on cubecl-cuda:{number} ({thrown}); install NVRTC and the CUDA headers \
                     of the driver's CUDA version (Debian: nvidia-cuda-toolkit), or choose --device flex"
                )
            }),
        }
    }
}

/// What the environment has to hold, or not to hold, when the program starts, for libtorch's GPUs (`gpus` of
/// them) to compute as asked. libtorch reads it when it first meets one, and by itself rounds what it convolves
/// to TF32. CubeCL heeds none of it.
pub fn environment(gpus: usize, tf32: bool) -> Vec<(&'static str, Option<&'static str>)> {
    const NONE_OF_IT: &str = "NVIDIA_TF32_OVERRIDE";
    const PRODUCTS_TOO: &str = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE";
    match (gpus, tf32) {
        (0, _) => Vec::new(),
        (_, true) => vec![(NONE_OF_IT, None), (PRODUCTS_TOO, Some("1"))],
        (_, false) => vec![(NONE_OF_IT, Some("0"))],
    }
}

/// Does `work`; what libtorch throws meanwhile becomes an error with a sentence.
///
/// # Errors
/// Those of `work`, and [`Error::Failed`].
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        if is_thrown(&message) { Err(Error::Failed(explain(&message))) } else { resume_unwind(panic) }
    })
}

/// `device`, if it can add two numbers up; otherwise `sentence` of what it threw.
#[cfg(any(feature = "libtorch", feature = "cuda"))]
fn probed(device: Device, sentence: impl FnOnce(String) -> String) -> Result<Device> {
    let on = device.clone();
    let sum = move || burn::tensor::Tensor::<1>::ones([2], &on).sum().into_scalar::<f32>();
    let answer = std::thread::Builder::new().name(PROBE.into()).spawn(sum).map(std::thread::JoinHandle::join);
    match answer {
        Ok(Ok(_)) => Ok(device),
        Ok(Err(panic)) => Err(Error::Device(sentence(explain(&panic_message(&*panic))))),
        Err(e) => Err(Error::Device(sentence(e.to_string()))),
    }
}

/// How many evaluations to run at once on `device`: one for each core on Flex. libtorch and GPUs spread one over
/// all they have, so that two keep them busy while the other is being scored.
pub fn evaluations_at_once(device: &Device) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    #[cfg(feature = "libtorch")]
    if libtorch::is(device) {
        return cores.min(2);
    }
    if is_gpu(device) { cores.min(2) } else { cores }
}

/// How many shares of a batch to work on at once on `device`: of Flex's operations only products use more than one
/// core by themselves. The number is fixed, because the last bits of a gradient depend on it.
pub fn shares(device: &Device) -> usize {
    #[cfg(feature = "flex")]
    if device.clone().inner() == Device::flex() {
        return 2;
    }
    let _ = device;
    1
}

/// What a panic of the libraries below means: one sentence, with a remedy where there is one.
pub fn explain(panic: &str) -> String {
    // tch hands over what libtorch threw, quoted, with the C++ stack behind the first line.
    let thrown = match panic.split_once("Torch(\"") {
        Some((_, quoted)) => quoted.strip_suffix("\")").unwrap_or(quoted),
        None => panic,
    };
    let first = thrown.lines().next().unwrap_or_default();
    let first = first.split("\\n").next().unwrap_or_default().trim_end_matches('.');
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

/// Whether libtorch's GPU `number` multiplies bfloat16 faster than 32-bit floats. libtorch does not say, so it is timed;
/// hardware with support is several times faster.
fn gpu_multiplies_bf16(number: usize) -> bool {
    #[cfg(feature = "libtorch")]
    return libtorch::multiplies_bf16(number);
    #[cfg(not(feature = "libtorch"))]
    {
        let _ = number;
        false
    }
}

/// GPUs that CubeCL can use.
fn cubecl_gpus() -> usize {
    #[cfg(feature = "cuda")]
    return cubecl::gpus();
    #[cfg(not(feature = "cuda"))]
    0
}

/// GPUs that libtorch can use.
pub fn gpus() -> usize {
    #[cfg(feature = "libtorch")]
    return libtorch::gpus();
    #[cfg(not(feature = "libtorch"))]
    0
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
        let cpu = explain(
            "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. \
             DefaultCPUAllocator: can't allocate memory: you tried to allocate 77070336 bytes. Error code 12 \
             (Cannot allocate memory)\\nframe #0\")",
        );
        assert!(
            cpu.starts_with("the device ran out of memory (") && cpu.contains("(Cannot allocate memory));"),
            "{cpu}"
        );
        assert_eq!(explain("index out of bounds"), "index out of bounds");
    }

    #[test]
    fn tf32_is_asked_for_by_the_environment_of_gpus_only() {
        assert!(environment(0, false).is_empty());
        assert_eq!(environment(1, false), [("NVIDIA_TF32_OVERRIDE", Some("0"))]);
        assert!(environment(2, true).contains(&("NVIDIA_TF32_OVERRIDE", None)));
    }

    #[test]
    fn what_is_thrown_becomes_an_error_and_what_is_a_bug_stays_a_panic() {
        let thrown = caught::<()>(|| panic!("called `Result::unwrap()`: Torch(\"CUDA out of memory.\")"));
        assert!(matches!(thrown, Err(Error::Failed(sentence)) if sentence.contains("make train.batch")));
        assert!(catch_unwind(|| caught::<()>(|| panic!("a bug"))).is_err());
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
