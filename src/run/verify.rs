//! Checks every file of a run, or of a single checkpoint.

use std::path::Path;

use serde::Serialize;

use super::checkpoint::{self, Checkpoint};
use super::checkpoints::{self, BEGIN, BEST, CHECKPOINTS, LAST, PREVIOUS};
use super::directory::{self, RunFile};
use super::lock::{self, Held};
use super::{album, metrics, tensorboard};
use crate::error::{Error, Result};

/// What was found out about one file or directory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its path inside the run.
    pub file: String,
    /// Whether it is whole.
    pub good: bool,
    /// What it holds, or what is wrong with it.
    pub what: String,
}

/// What was found out about a run or a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// One for each file or directory.
    pub findings: Vec<Finding>,
    /// The checkpoint that `train --resume` takes; `None` if it begins anew, or for a single checkpoint.
    pub resumes_from: Option<String>,
}

impl Verification {
    /// Whether everything is whole.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.good)
    }

    fn add(&mut self, file: impl Into<String>, found: Result<String>) {
        let good = found.is_ok();
        let what = found.unwrap_or_else(|e| e.to_string());
        self.findings.push(Finding { file: file.into(), good, what });
    }
}

/// Checks the run or the checkpoint at `path`. Nothing is changed, so a run in training can be checked, too.
///
/// # Errors
/// A path that is neither.
pub fn verify(path: &Path) -> Result<Verification> {
    let mut found = Verification { findings: Vec::new(), resumes_from: None };
    if checkpoint::is_checkpoint(path) {
        found.add(".", check_checkpoint(path).map(|(what, _)| what));
        return Ok(found);
    }
    let run = RunFile::read(path);
    if let Err(e) = &run
        && !path.join(CHECKPOINTS).is_dir()
    {
        return Err(Error::content(path, format!("neither a run nor a checkpoint ({e}); name one")));
    }
    found.add("run.json", run.map(|run| format!("seed {}, {}", run.seed, run.computed_on())));
    found.add("preset.ron", directory::preset(path).map(|preset| preset.name));
    found.add("metrics", check_metrics(path));
    let newest = check_checkpoints(path, &mut found)?;
    let moments = album::moments(path);
    let damaged: Vec<Error> =
        moments.iter().filter_map(|moment| album::read(path, *moment, 0).err()).collect();
    match damaged.into_iter().next() {
        Some(e) => found.add("album", Err(e)),
        None if moments.is_empty() => {}
        None => found.add("album", Ok(format!("{} moments", moments.len()))),
    }
    for (name, checked) in tensorboard::check_all(path)? {
        found.add(name, checked);
    }
    if let Held::Here(holder) | Held::Elsewhere(holder) = lock::state(path) {
        found.add("lock", Ok(format!("{holder} is training this run")));
    }
    found.resumes_from = newest;
    Ok(found)
}

/// Checks the checkpoints and their pointers; the name of the newest whole checkpoint.
fn check_checkpoints(run: &Path, found: &mut Verification) -> Result<Option<String>> {
    let mut all = checkpoints::all(run)?;
    all.sort();
    let mut newest = None;
    for path in &all {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let checked = check_checkpoint(path);
        if let Ok((_, progress)) = &checked {
            newest = newest.max(Some((*progress, name.clone())));
        }
        found.add(format!("{CHECKPOINTS}/{name}"), checked.map(|(what, _)| what));
    }
    for name in [LAST, PREVIOUS, BEST, BEGIN] {
        let pointed = checkpoints::pointer(run, name).transpose().map(|target| {
            let target = target?;
            match checkpoint::is_checkpoint(&target) {
                true => Ok(target.file_name().unwrap_or_default().to_string_lossy().into_owned()),
                false => Err(Error::content(&target, "there is no such checkpoint")),
            }
        });
        match pointed {
            Some(pointed) => found.add(format!("{CHECKPOINTS}/{name}"), pointed),
            None if name == LAST && !all.is_empty() => {
                found.add(format!("{CHECKPOINTS}/{name}"), Err(Error::content(run, "`last` is missing")));
            }
            None => {}
        }
    }
    Ok(newest.map(|(_, name)| name))
}

/// A checkpoint's description, and how far it is.
fn check_checkpoint(path: &Path) -> Result<(String, (u64, u64))> {
    let checkpoint = Checkpoint::open(path)?;
    checkpoint.weights()?;
    let counters = &checkpoint.manifest.counters;
    let (iteration, epochs) = (counters.iteration, counters.epochs);
    Ok((format!("iteration {iteration}, {epochs} epochs"), (iteration, epochs)))
}

fn check_metrics(run: &Path) -> Result<String> {
    let (mut records, mut last) = (0usize, 0);
    let (file, damaged) = metrics::check(run, |record| {
        records += 1;
        last = record.iteration().max(last);
    })?;
    match metrics::told(&damaged) {
        Some(which) => Err(Error::content(&file, format!("{which}; the others are used"))),
        None => Ok(format!("{records} records, to iteration {last}")),
    }
}
