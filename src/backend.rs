//! The only place that names a backend. burn's tensors carry their device at run time, so the rest
//! of the crate is written once and runs on whichever device it is handed.

use std::fmt;

use burn::tensor::Device;

use crate::error::{Error, Result};

/// A device to compute on, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// burn's pure-Rust CPU backend.
    Flex,
    /// libtorch on the CPU.
    Libtorch,
}

impl DeviceName {
    /// The devices this binary was built with.
    pub const BUILT: &[DeviceName] = &[
        #[cfg(feature = "flex")]
        DeviceName::Flex,
        #[cfg(feature = "libtorch")]
        DeviceName::Libtorch,
    ];

    /// Opens it.
    ///
    /// # Errors
    /// [`Error::Device`] where this binary was built without it.
    pub fn open(self) -> Result<Device> {
        match self {
            #[cfg(feature = "flex")]
            DeviceName::Flex => Ok(Device::flex()),
            #[cfg(feature = "libtorch")]
            DeviceName::Libtorch => Ok(Device::libtorch()),
            #[allow(unreachable_patterns)]
            other => Err(Error::Device(format!(
                "this nem-tui was built without {other}; build it with `cargo build --release --features {other}`, \
                 or choose --device {}",
                built()
            ))),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceName::Flex => "flex",
            DeviceName::Libtorch => "libtorch",
        })
    }
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

fn built() -> String {
    DeviceName::BUILT.iter().map(DeviceName::to_string).collect::<Vec<_>>().join(", ")
}

/// Every device this binary was built with, for tests that hold on all of them.
pub fn available() -> Vec<Device> {
    DeviceName::BUILT.iter().filter_map(|name| name.open().ok()).collect()
}
