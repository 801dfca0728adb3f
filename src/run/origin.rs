//! The weights and the data that a run began with, by their hashes: a replay or a resumed run that finds others at the
//! same path must not take them silently.

use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::paths::quoted;

/// Hashes of what a run began with, as far as there is something to find again. Runs of earlier versions have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the weights of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// [`Dataset::fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Origin {
    /// For a run that begins with the weights of `from` and with `data`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(from: Option<&Checkpoint>, data: &Dataset) -> Result<Origin> {
        let weights = from.and_then(Checkpoint::weights_sha256).map(str::to_owned);
        Ok(Origin { weights, data: data.fingerprint()? })
    }

    /// Whether there is nothing to find again.
    pub fn is_empty(&self) -> bool {
        *self == Origin::default()
    }

    /// Checks that `found` has the weights that the run began with.
    ///
    /// # Errors
    /// Other weights.
    pub fn check_weights(&self, found: &Checkpoint) -> Result<()> {
        let (Some(known), Some(there)) = (self.weights.as_deref(), found.weights_sha256()) else {
            return Ok(());
        };
        match known == there {
            true => Ok(()),
            false => Err(Error::content(
                &found.path,
                format!(
                    "not the weights that the run began with: their SHA-256 was {known} and is now {there}; \
                     put the old ones back, or start a new run with these: train PRESET --from {}",
                    quoted(&found.path)
                ),
            )),
        }
    }

    /// Checks that `data` is what the run began with.
    ///
    /// # Errors
    /// Other data, or a file that cannot be read.
    pub fn check_data(&self, data: &Dataset) -> Result<()> {
        let (Some(known), Some(there)) = (self.data.as_deref(), data.fingerprint()?) else { return Ok(()) };
        if known == there {
            return Ok(());
        }
        let problem = format!(
            "not the data that the run was trained on: its fingerprint was {known} and is now {there}; \
             put the old data back, or start a new run on this: train PRESET --from RUN"
        );
        Err(match data.spec().files() {
            Some(path) => Error::content(path, problem),
            None => Error::Data(format!("the digits in the data directory: {problem}")),
        })
    }
}
