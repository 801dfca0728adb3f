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
use super::tables::{Failure, changed, duration};
use crate::error::{Error, Result};
use crate::preset::{Digits, Preset};
use crate::protocol::Epoch;
use crate::run::directory::RunFile;
use crate::run::metrics;

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
    /// What is not the named preset's: settings, and the weights that it began with.
    pub changed: Vec<String>,
    /// Whether its digits were synthetic, and its scores so not the paper's kind.
    pub synthetic: bool,
    /// Its epochs, each with its stage, counted from 1.
    pub epochs: Vec<(usize, Epoch)>,
    /// K, when all stages are over.
    k: usize,
    /// The first stage with the K and the objects that the last one has: only its scores and those of later ones
    /// are the preset's. One object with one component scores 1, and says nothing.
    counts_from: usize,
    /// What to see in them.
    pub reading: Option<String>,
}

/// What somebody has written in `directory` of what to see in the numbers there; `None` where there is nothing.
///
/// # Errors
/// A file that cannot be read.
pub fn reading(directory: &Path) -> Result<Option<String>> {
    let path = directory.join("reading.md");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

impl Kept {
    /// Reads what is kept of the run in `path`.
    ///
    /// # Errors
    /// A directory that is no run, or damaged.
    pub fn read(path: &Path) -> Result<Kept> {
        let run = RunFile::read(path)?;
        let preset = Preset::load(&path.join("preset.ron").to_string_lossy())?;
        let metrics = metrics::read(path)?;
        let epochs = metrics.epochs.iter().map(|epoch| (metrics.stage_of(epoch.iteration), *epoch)).collect();
        // preset.ron has the values of the stage that the run itself began in.
        let changed = changed(&run, &preset, metrics.first_stage() - 1, &metrics.changes);
        let stages = preset.train.stages.len().max(1);
        let task = |stage| preset.after_stages(stage).task();
        let others = (1..=stages).rev().take_while(|stage| task(*stage) == task(stages));
        Ok(Kept {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            changed,
            run,
            synthetic: preset.data.digits() == Some(&Digits::Synthetic),
            epochs,
            k: preset.after_stages(stages).k,
            counts_from: others.last().unwrap_or(stages),
            preset: preset.name,
            reading: reading(path)?,
        })
    }

    /// All in `runs` that were validated at least once, in the order of their names, and those that cannot be
    /// read, with why.
    ///
    /// # Errors
    /// A directory that cannot be listed.
    pub fn read_all(runs: &Path) -> Result<(Vec<Kept>, Vec<Failure>)> {
        let entries = match std::fs::read_dir(runs) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(e) => return Err(Error::io("read", runs)(e)),
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.join("run.json").is_file());
        paths.sort();
        let (mut kept, mut failures) = (Vec::new(), Vec::new());
        for path in paths {
            match Kept::read(&path) {
                Ok(run) if run.epochs.is_empty() => {}
                Ok(run) => kept.push(run),
                Err(e) => failures.push(Failure {
                    preset: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    seed: RunFile::read(&path).map_or(0, |run| run.seed),
                    why: e.to_string(),
                }),
            }
        }
        Ok((kept, failures))
    }

    /// The part of the paper's results that it belongs to.
    pub fn part(&self) -> Option<Part> {
        CELLS.iter().find(|cell| cell.preset == self.preset).map(|cell| cell.part)
    }

    /// Every epoch, with its stage, and the hours of training until its end, validation included.
    fn hours(&self) -> impl Iterator<Item = (f64, usize, &Epoch)> {
        self.epochs.iter().scan(0.0, |hours, (stage, epoch)| {
            *hours += epoch.seconds / 3600.0;
            Some((*hours, *stage, epoch))
        })
    }

    /// Validation AMI (max, last step) over hours, where it is that of the preset's K and objects.
    pub fn ami_by_hours(&self) -> Vec<(f64, f64)> {
        let counting = self.hours().filter(|(_, stage, _)| *stage >= self.counts_from);
        counting.map(|(hours, _, epoch)| (hours, epoch.ami)).collect()
    }

    /// Hours until that first reached `ami`.
    pub fn hours_to(&self, ami: f64) -> Option<f64> {
        self.ami_by_hours().into_iter().find(|(_, reached)| *reached >= ami).map(|(hours, _)| hours)
    }

    /// A section about it: what differs from its preset, a table of its epochs, and the reading.
    pub fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n", self.name);
        let _ = write!(text, "{}, seed {}, on {}", self.preset, self.run.seed, self.run.computed_on());
        if !self.run.machine.is_empty() {
            let _ = write!(text, " ({})", self.run.machine);
        }
        let _ = write!(text, ", program {}", self.run.version);
        if self.synthetic {
            text += "; synthetic digits, whose scores do not compare with the paper's";
        }
        match self.changed.as_slice() {
            [] => text += ".",
            changed => {
                let _ = write!(text, "; other than in the preset: {}.", changed.join(", "));
            }
        }
        text += "\n\n| iterations | stage | time | train loss | validation loss | AMI | ARI | confidence |\n\
                 |---|---|---|---|---|---|---|---|\n";
        let epochs: Vec<_> = self.hours().collect();
        let rows = ROWS.min(epochs.len());
        for row in 0..rows {
            // The first, the last, and those evenly between.
            let (hours, stage, epoch) = epochs[row * (epochs.len() - 1) / (rows - 1).max(1)];
            let _ = writeln!(
                text,
                "| {} | {stage} | {} | {:.1} | {:.1} | {:.3} | {:.3} | {:.3} |",
                epoch.iteration,
                duration(hours),
                epoch.train_loss,
                epoch.validation_loss,
                epoch.ami,
                epoch.ari,
                epoch.confidence
            );
        }
        if rows < epochs.len() {
            let _ = write!(text, "\n{rows} of {} epochs.", epochs.len());
            // One component leaves nothing to group.
            let counting = epochs.iter().filter(|(_, stage, _)| self.k > 1 && *stage >= self.counts_from);
            if let Some((.., best)) = counting.max_by(|a, b| a.2.ami.total_cmp(&b.2.ami)) {
                let _ =
                    write!(text, " AMI was highest, {:.3}, after {} iterations.", best.ami, best.iteration);
            }
            text.push('\n');
        }
        if self.epochs.last().is_some_and(|(stage, _)| *stage > 1) {
            text += "\nLosses of stages with other steps, weights or objects do not compare.\n";
        }
        if self.counts_from > 1 {
            let _ = writeln!(
                text,
                "\nBefore stage {} K or the objects were others, so that scores of those rows are of another task.",
                self.counts_from
            );
        }
        if let Some(reading) = &self.reading {
            let _ = write!(text, "\n{reading}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that leaves epochs out says so, and where the score was best among those that count.
    #[test]
    fn a_thinned_table_names_its_best_epoch() {
        let epoch = |(stage, number, ami): (usize, u64, f64)| {
            let epoch = serde_json::json!({
                "epoch": number, "iteration": 10 * number, "train_loss": 1.0, "validation_loss": 1.0, "ami": ami,
                "ami_arithmetic": ami, "ari": ami, "confidence": 1.0, "best": true, "seconds": 1.0,
            });
            (stage, serde_json::from_value(epoch).unwrap())
        };
        let of = |epochs: u64, k: usize| Kept {
            name: "r".into(),
            run: serde_json::from_value(serde_json::json!({"seed": 1, "device": "flex", "version": "0"}))
                .unwrap(),
            preset: "p".into(),
            changed: Vec::new(),
            synthetic: false,
            // One object with one component scores 1 before the stage that counts.
            epochs: std::iter::once((1, 1, 1.0))
                .chain((2..=epochs).map(|number| (2, number, if number == 5 { 0.25 } else { 0.125 })))
                .map(epoch)
                .collect(),
            k,
            counts_from: 2,
            reading: None,
        };
        let thinned = of(13, 3).markdown();
        assert!(
            thinned.contains("\n12 of 13 epochs. AMI was highest, 0.250, after 50 iterations.\n"),
            "{thinned}"
        );
        assert!(of(13, 1).markdown().contains("\n12 of 13 epochs.\n"));
        assert!(!of(12, 3).markdown().contains("12 of"));
    }
}
