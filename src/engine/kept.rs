//! What is kept of a run when its weights are not: how it was begun, its epochs, and what its keeper reads in
//! them. `docs/runs` holds such runs; a run directory that is still whole is one too.
//!
//! ```text
//! runs/flying-shapes-3-s1/
//!   run.json, preset.ron   as every run has them
//!   metrics.jsonl[.gz]     its epochs, perhaps compressed, perhaps without most iterations
//!   reading.md             what to see in them, in words, if there is something to say
//! ```

use std::fmt::Write as _;
use std::path::Path;

use super::experiments::{CELLS, Part};
use super::results::{changed, duration};
use super::run_dir::{Record, RunFile, read_metrics};
use crate::error::{Error, Result};
use crate::preset::Preset;
use crate::protocol::Epoch;

/// Rows of a run's table at most.
const ROWS: usize = 12;

/// A run, without its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The name of its directory.
    pub name: String,
    /// How it was begun.
    pub run: RunFile,
    /// The preset's name.
    pub preset: String,
    /// Settings that are not the named preset's.
    pub changed: Vec<String>,
    /// Its epochs.
    pub epochs: Vec<Epoch>,
    /// What to see in them.
    pub reading: Option<String>,
}

impl Kept {
    /// Reads what is kept of the run in `path`.
    ///
    /// # Errors
    /// A directory that is no run, or damaged.
    pub fn read(path: &Path) -> Result<Kept> {
        let run = RunFile::read(path)?;
        let preset = Preset::load(&path.join("preset.ron").to_string_lossy())?;
        let epoch = |record| match record {
            Record::Epoch(epoch) => Some(epoch),
            _ => None,
        };
        let reading = path.join("reading.md");
        let reading = match std::fs::read_to_string(&reading) {
            Ok(text) => Some(text.trim_end().to_owned()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("read", &reading)(e)),
        };
        Ok(Kept {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            run,
            changed: changed(&preset, 0),
            preset: preset.name,
            epochs: read_metrics(path)?.into_iter().filter_map(epoch).collect(),
            reading,
        })
    }

    /// All in `runs` that were validated at least once, in the order of their names.
    ///
    /// # Errors
    /// What [`Kept::read`] meets.
    pub fn read_all(runs: &Path) -> Result<Vec<Kept>> {
        let entries = match std::fs::read_dir(runs) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io("read", runs)(e)),
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.join("run.json").is_file());
        paths.sort();
        let kept = paths.iter().map(|path| Kept::read(path)).collect::<Result<Vec<_>>>()?;
        Ok(kept.into_iter().filter(|run| !run.epochs.is_empty()).collect())
    }

    /// The part of the paper's results that it belongs to.
    pub fn part(&self) -> Option<Part> {
        CELLS.iter().find(|cell| cell.preset == self.preset).map(|cell| cell.part)
    }

    /// Hours of training after each epoch, validation included.
    pub fn hours(&self) -> impl Iterator<Item = (f64, &Epoch)> {
        self.epochs.iter().scan(0.0, |hours, epoch| {
            *hours += epoch.seconds / 3600.0;
            Some((*hours, epoch))
        })
    }

    /// Hours until an epoch's validation first reached this AMI (max, last step).
    pub fn hours_to(&self, ami: f64) -> Option<f64> {
        self.hours().find(|(_, epoch)| epoch.ami >= ami).map(|(hours, _)| hours)
    }

    /// A section about it: what differs from its preset, a table of its epochs, and the reading.
    pub fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n", self.name);
        let _ = write!(text, "{}, seed {}, on {}", self.preset, self.run.seed, self.run.device);
        if !self.run.machine.is_empty() {
            let _ = write!(text, " ({})", self.run.machine);
        }
        let _ = write!(text, ", program {}", self.run.version);
        match self.changed.as_slice() {
            [] => text += ".",
            changed => {
                let _ = write!(text, "; other than in the preset: {}.", changed.join(", "));
            }
        }
        text += "\n\n| iterations | time | train loss | validation loss | AMI | ARI | confidence |\n\
                 |---|---|---|---|---|---|---|\n";
        let epochs: Vec<_> = self.hours().collect();
        let rows = ROWS.min(epochs.len());
        for row in 0..rows {
            // The first, the last, and those evenly between.
            let (hours, epoch) = epochs[row * (epochs.len() - 1) / (rows - 1).max(1)];
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} | {:.3} | {:.3} | {:.3} |",
                epoch.iteration,
                duration(hours),
                epoch.train_loss,
                epoch.validation_loss,
                epoch.ami,
                epoch.ari,
                epoch.confidence
            );
        }
        if let Some(reading) = &self.reading {
            let _ = write!(text, "\n{reading}\n");
        }
        text
    }
}
