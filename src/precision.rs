//! The precision of matrix products and convolutions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The precision of matrix products and convolutions. In bfloat16 they read and write it, and so do the layers between
/// them, biases included. Weights, Adam's moments, gradients that are added up, statistics of layer norm, the recurrent
/// state, sigmoids, the E-step and the losses are 32-bit floats all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, which keeps 8 of their 24 bits; on libtorch's devices alone.
    Bf16,
}

/// The precision as the user asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrecisionName {
    /// bfloat16 where the hardware multiplies it faster than 32-bit floats, else those.
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        })
    }
}

impl FromStr for PrecisionName {
    type Err = Error;

    fn from_str(text: &str) -> Result<PrecisionName> {
        match text {
            "auto" => Ok(PrecisionName::Auto),
            "f32" => Ok(PrecisionName::F32),
            "bf16" => Ok(PrecisionName::Bf16),
            _ => Err(Error::Usage(format!("there is no precision {text:?}; choose f32, bf16 or auto"))),
        }
    }
}
