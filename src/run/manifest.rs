//! `manifest.json`: what ties a checkpoint's files together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol::number_or_nan;
use crate::train::trainer::Counters;

pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const PRESET: &str = "preset.ron";
/// Raised when a checkpoint's meaning changes. Format 1 had no checksum of the manifest.
pub(super) const FORMAT: u32 = 2;
/// What precedes the checksum, the manifest's last field: the SHA-256 of the same text without that field.
const CHECKSUM: &str = ",\n  \"sha256\": \"";

/// A checkpoint's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The run's seed.
    pub seed: u64,
    /// The training's counters.
    pub counters: Counters,
    /// The length of `metrics.jsonl` at that time, in bytes.
    pub metrics_bytes: u64,
    /// Whether the epoch that it ended is the best so far.
    #[serde(default)]
    pub best: bool,
    /// The scores of the weights, if this is a model to share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// SHA-256 of the other files.
    pub(super) files: BTreeMap<String, String>,
}

/// What `nem-tui eval MODEL --samples N` measures with these very weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The device and machine.
    pub device: String,
    /// The version and commit of the program that measured.
    pub version: String,
    /// Held-out samples.
    pub samples: usize,
    /// Mean AMI (max) of the last EM step.
    pub ami_last: Option<f64>,
    /// Mean AMI (max), weighted over EM steps like the loss.
    pub ami: Option<f64>,
    /// Mean ARI of the last EM step.
    pub ari_last: Option<f64>,
    /// The AMI (max) of the best split by position alone.
    pub floor: Option<f64>,
    /// The loss.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
}

impl Manifest {
    /// The text of a manifest's file.
    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        let text = serde_json::to_string_pretty(self)?;
        let sum = sha256(text.as_bytes());
        let fields = text.strip_suffix("\n}").unwrap_or(&text);
        Ok(format!("{fields}{CHECKSUM}{sum}\"\n}}"))
    }

    /// Reads a manifest's file.
    ///
    /// # Errors
    /// What is wrong with it and what to do, without the file's name.
    pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let text = String::from_utf8_lossy(bytes);
        let (text, sum) = match text.rsplit_once(CHECKSUM) {
            Some((fields, sum)) => (format!("{fields}\n}}"), sum.trim_end().strip_suffix("\"\n}")),
            None => (text.into_owned(), None),
        };
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|e| format!("not a checkpoint's manifest ({e}); use another checkpoint"))?;
        match manifest.format {
            1 => {}
            FORMAT if sum == Some(&sha256(text.as_bytes())) => {}
            FORMAT => {
                return Err("damaged: its SHA-256 is not the one it carries; use another checkpoint".into());
            }
            format => {
                return Err(format!(
                    "checkpoint format {format} is not format {FORMAT}, which this version reads"
                ));
            }
        }
        match [WEIGHTS, PRESET].into_iter().find(|file| !manifest.files.contains_key(*file)) {
            Some(file) => Err(format!("names no {file}; use another checkpoint")),
            None => Ok(manifest),
        }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            version: "1".into(),
            seed: 1,
            // A number that is easily read a bit wrong.
            counters: Counters { epoch_loss: 15_104.913_818_359_375, ..Counters::default() },
            metrics_bytes: 9,
            best: true,
            measured: None,
            files: [WEIGHTS, PRESET].map(|file| (file.to_owned(), String::new())).into(),
        }
    }

    #[test]
    fn a_manifest_is_read_as_written_or_refused() {
        let text = manifest().to_text().unwrap();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest());
        // Any change of any byte is noticed, by the syntax or by the checksum.
        for at in 0..text.len() {
            for byte in [b'0', b'"', b'z', 0xff] {
                let mut changed = text.clone().into_bytes();
                changed[at] = byte;
                let same = changed == text.as_bytes();
                assert_eq!(
                    Manifest::parse(&changed).is_ok(),
                    same,
                    "{at} {}",
                    String::from_utf8_lossy(&changed)
                );
            }
            assert!(Manifest::parse(&text.as_bytes()[..at]).is_err());
        }
        let old = serde_json::to_string(&Manifest { format: 1, ..manifest() }).unwrap();
        assert_eq!(Manifest::parse(old.as_bytes()).unwrap().format, 1);
        let unknown = old.replacen('{', "{\"more\": 1,", 1);
        assert!(Manifest::parse(unknown.as_bytes()).unwrap_err().contains("unknown field"));
        let without = text.split(CHECKSUM).next().unwrap().to_owned() + "\n}";
        assert!(Manifest::parse(without.as_bytes()).unwrap_err().contains("SHA-256"));
    }
}
