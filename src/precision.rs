//! The precision of matrix products and convolutions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The precision of matrix products, convolutions and the layers between them, biases included. Weights, Adam's
/// moments, sums of gradients, layer norm's statistics, the recurrent state, sigmoids, the E-step and the losses are
/// always 32-bit floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16, with 8 significant bits instead of 24; only on libtorch devices.
    Bf16,
}

/// The precision that the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrecisionName {
    /// bfloat16 if the hardware multiplies it faster than 32-bit floats, else f32.
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

impl fmt::Display for PrecisionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrecisionName::Auto => f.write_str("auto"),
            PrecisionName::F32 => Precision::F32.fmt(f),
            PrecisionName::Bf16 => Precision::Bf16.fmt(f),
        }
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
