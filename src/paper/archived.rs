//! Archived runs, without weights: how they were begun, their epochs, and remarks. `docs/runs` has some; a
//! complete run directory can be read as one too.
//!
//! ```text
//! runs/flying-shapes-3-s1/
//!   run.json, preset.ron   as every run has them
//!   metrics.jsonl[.gz]     its epochs, perhaps compressed, perhaps without most iterations
//!   reading.md             remarks on them, if there are any
//! ```

use std::io::ErrorKind;
use std::path::Path;

use super::experiments::{EXPERIMENTS, Section};
use super::runs::{FailedRun, ScoredRun, TrainedRun, changes};
use crate::error::{Error, Result};
use crate::paths::shown;
use crate::protocol::Epoch;
use crate::run::directory::{self, RunFile};
use crate::run::metrics;

/// A run without its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchivedRun {
    /// The name of its directory.
    pub name: String,
    /// How it was begun.
    pub run: RunFile,
    /// The preset's name.
    pub preset: String,
    /// Differences from the named preset, as in [`super::runs::TrainedRun::changed`].
    pub changed: Vec<String>,
    /// Whether its digits were synthetic; its scores do not compare with the paper's then.
    pub synthetic: bool,
    /// Its epochs, each with its stage, counted from 1.
    pub epochs: Vec<(usize, Epoch)>,
    /// K after all stages.
    pub(super) k: usize,
    /// The first stage with the K and the objects of the last: earlier scores are of another task.
    pub(super) counts_from: usize,
    /// Remarks on them.
    pub reading: Option<String>,
}

/// The remarks in `directory` on the numbers there, if there are any.
///
/// # Errors
/// A file that cannot be read.
pub fn reading(directory: &Path) -> Result<Option<String>> {
    let path = directory.join("reading.md");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

impl ArchivedRun {
    /// Reads the archived run in `path`.
    ///
    /// # Errors
    /// A directory that is not a run, or is damaged.
    pub fn read(path: &Path) -> Result<ArchivedRun> {
        let run = RunFile::read(path)?;
        let preset = directory::preset(path)?;
        let metrics = metrics::read(path)?;
        let epochs = metrics.epochs.iter().map(|epoch| (metrics.stage_of(epoch.iteration), *epoch)).collect();
        // preset.ron has the values of the stage that the run itself began in.
        let changed = changes(&run, &preset, metrics.first_stage() - 1, &metrics.changes);
        let stages = preset.train.stages.len().max(1);
        let task = |stage| preset.after_stages(stage).task();
        let others = (1..=stages).rev().take_while(|stage| task(*stage) == task(stages));
        Ok(ArchivedRun {
            name: shown(path.file_name().unwrap_or_default()).to_string(),
            changed,
            run,
            synthetic: preset.data.is_synthetic(),
            epochs,
            k: preset.after_stages(stages).k,
            counts_from: others.last().unwrap_or(stages),
            preset: preset.name,
            reading: reading(path)?,
        })
    }

    /// All in `runs` that were validated at least once, sorted by name, and those that cannot be read.
    ///
    /// # Errors
    /// A directory that cannot be listed.
    pub fn read_all(runs: &Path) -> Result<(Vec<ArchivedRun>, Vec<FailedRun>)> {
        let entries = match std::fs::read_dir(runs) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Default::default()),
            Err(e) => return Err(Error::io("read", runs)(e)),
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.join("run.json").is_file());
        paths.sort();
        let (mut archived, mut failures) = (Vec::new(), Vec::new());
        for path in paths {
            match ArchivedRun::read(&path) {
                Ok(run) if run.epochs.is_empty() => {}
                Ok(run) => archived.push(run),
                Err(e) => failures.push(FailedRun {
                    preset: shown(path.file_name().unwrap_or_default()).to_string(),
                    seed: RunFile::read(&path).map_or(0, |run| run.seed),
                    why: e.to_string(),
                }),
            }
        }
        Ok((archived, failures))
    }

    /// The section of the paper's results that it belongs to.
    pub fn section(&self) -> Option<Section> {
        EXPERIMENTS.iter().find(|of| of.preset == self.preset).map(|of| of.section)
    }

    /// Adds to each of `scored` how its archived run differs from the embedded preset as it is now, which may have
    /// become another recipe since the run was scored.
    pub fn update_changes(scored: &mut [ScoredRun], archived: &[ArchivedRun]) {
        for training in scored.iter_mut().map(|scored| &mut scored.training) {
            let run = archived.iter().find(|run| run.is(training));
            for change in run.into_iter().flat_map(|run| &run.changed) {
                if !training.changed.contains(change) {
                    training.changed.push(change.clone());
                }
            }
        }
    }

    /// Whether it is this run: the same preset, seed and kind of digits.
    pub(super) fn is(&self, run: &TrainedRun) -> bool {
        (&self.preset, self.run.seed, self.synthetic) == (&run.preset, run.seed, run.synthetic)
    }

    /// Every epoch with its stage and the hours of training until its end, validation included.
    pub(super) fn hours(&self) -> impl Iterator<Item = (f64, usize, &Epoch)> {
        self.epochs.iter().scan(0.0, |hours, (stage, epoch)| {
            *hours += epoch.seconds / 3600.0;
            Some((*hours, *stage, epoch))
        })
    }

    /// Hours and validation AMI (max, last step) of the epochs with the preset's K and objects that have one.
    pub fn ami_by_hours(&self) -> Vec<(f64, f64)> {
        let counting = self.hours().filter(|(_, stage, _)| *stage >= self.counts_from);
        counting.filter_map(|(hours, _, epoch)| Some((hours, epoch.ami?))).collect()
    }

    /// Hours until that AMI first reached `ami`.
    pub fn hours_to(&self, ami: f64) -> Option<f64> {
        self.ami_by_hours().into_iter().find(|(_, reached)| *reached >= ami).map(|(hours, _)| hours)
    }
}
