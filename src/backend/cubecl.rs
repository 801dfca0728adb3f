//! CubeCL's CUDA devices.

use burn::tensor::{Device, DeviceType};

use super::failure::probed;
use crate::error::{Error, Result};

/// Number of GPUs that the driver reports, 0 without a driver.
pub fn gpus() -> usize {
    Device::enumerate(DeviceType::Cuda).len()
}

/// Whether `device` is one of CubeCL's GPUs.
pub fn is(device: &Device) -> bool {
    let device = device.clone().inner();
    (0..gpus()).any(|number| device == Device::cuda(number))
}

pub fn cuda(number: usize) -> Result<Device> {
    match gpus() {
        0 => Err(Error::Device(
            "CubeCL finds no NVIDIA GPU; check the GPU and its driver with `nvidia-smi`, or choose --device flex"
                .into(),
        )),
        there if number >= there => Err(Error::Device(format!(
            "there is no cubecl-cuda:{number}; this machine's GPUs are cubecl-cuda:0 to cubecl-cuda:{}",
            there - 1
        ))),
        // Kernels are compiled at first use, so a missing compiler shows only then.
        _ => probed(Device::cuda(number), |thrown| {
            format!(
                "CubeCL cannot compute on cubecl-cuda:{number} ({thrown}); install NVRTC and the CUDA headers \
                 of the driver's CUDA version (Debian: nvidia-cuda-toolkit), or choose --device flex"
            )
        }),
    }
}
