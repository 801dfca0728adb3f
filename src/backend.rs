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

fn built() -> String {
    DeviceName::BUILT.iter().map(DeviceName::to_string).collect::<Vec<_>>().join(", ")
}

/// Every device this binary was built with, for tests that hold on all of them.
pub fn available() -> Vec<Device> {
    DeviceName::BUILT.iter().filter_map(|name| name.open().ok()).collect()
}
