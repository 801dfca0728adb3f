//! libtorch's devices. burn has deprecated this backend in favour of CubeCL, which is slower on CPUs.
#![allow(deprecated)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use burn::tensor::Device;

use super::failure::probed;
use crate::error::{Error, Result};
use crate::machine;

pub fn cpu() -> Device {
    // libtorch knows the affinity mask but not a quota of the control group, under which more threads are stopped in turn
    // and wait for each other. Setting the number, even to its current value, also keeps MKL from using one thread per
    // physical core; the first operation of every other thread takes it over.
    let threads = machine::threads(usize::try_from(tch::get_num_threads()).unwrap_or(1));
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
    Device::libtorch()
}

/// Whether `device` is one of libtorch's.
pub fn is(device: &Device) -> bool {
    device.clone().inner() == Device::libtorch() || is_gpu(device)
}

/// Whether `device` is one of libtorch's GPUs.
pub fn is_gpu(device: &Device) -> bool {
    let device = device.clone().inner();
    (0..gpus()).any(|number| device == Device::libtorch_cuda(number))
}

/// libtorch with its version and folder, as far as the system tells where it was loaded from.
pub fn loaded() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let library = maps.lines().find(|line| line.ends_with("/lib/libtorch_cpu.so"));
    let path = library.and_then(|line| line.find('/').map(|start| Path::new(&line[start..])));
    let Some(folder) = path.and_then(Path::parent).and_then(Path::parent) else { return "libtorch".into() };
    let text = fs::read_to_string(folder.join("version.py")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("__version__"));
    let version = line.and_then(|line| line.split(['\'', '"']).nth(1));
    format!(
        "libtorch {}({})",
        version.map_or(String::new(), |version| format!("{version} ")),
        folder.display()
    )
}

/// Number of GPUs that libtorch can use, 0 without a recent driver. The driver is asked once.
pub fn gpus() -> usize {
    static GPUS: OnceLock<usize> = OnceLock::new();
    *GPUS.get_or_init(|| match tch::Cuda::is_available() {
        true => tch::Cuda::device_count().max(0) as usize,
        false => 0,
    })
}

/// Whether a bfloat16 product takes less than two thirds of the time of a 32-bit one, timed once per GPU.
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
            "libtorch finds no usable GPU; check the GPU and its driver (CUDA 12.8 or newer) with `nvidia-smi`, or \
             choose --device libtorch"
                .into(),
        )),
        there if number >= there => Err(Error::Device(format!(
            "there is no cuda:{number}; this machine's GPUs are cuda:0 to cuda:{}",
            there - 1
        ))),
        _ => probed(Device::libtorch_cuda(number), |thrown| {
            format!("cuda:{number} does not respond ({thrown}); choose --device libtorch to compute without a GPU")
        }),
    }
}
