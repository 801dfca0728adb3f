//! A sweep's directory: `trials.jsonl` lists its trials, and `preset.ron` has what they have in common.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::trials::Trial;
use crate::data::resolved;
use crate::error::{Error, Result};
use crate::files::{has_extension, is_temporary, list, write_durable};
use crate::paths::shown;
use crate::preset::{Difference, Preset, differences};
use crate::run::begun;
use crate::run::lock::Lock;
use crate::run::places::{SWEEPS, TRIALS};

/// The name of the preset that all trials have in common.
pub const PRESET: &str = "preset.ron";
/// What is done with the lock of a sweep.
const SETS_UP: &str = "is setting up this sweep";
/// How many trials are named.
const NAMED: usize = 3;

/// The trials of a sweep, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The sweep's directory.
    pub directory: PathBuf,
    /// Its trials.
    pub trials: Vec<Trial>,
}

/// Where the sweep of `path` is: a directory itself, or `sweeps/NAME` for NAME.ron.
pub fn directory_of_sweep(path: &Path) -> PathBuf {
    match path.is_dir() || !has_extension(path, "ron") {
        true => path.to_owned(),
        false => Path::new(SWEEPS).join(path.file_stem().unwrap_or_default()),
    }
}

impl Plan {
    /// Reads the sweep in `directory`.
    ///
    /// # Errors
    /// A directory without one; damage.
    pub fn open(directory: &Path) -> Result<Plan> {
        let file = directory.join(TRIALS);
        if !file.is_file() {
            return Err(Error::content(
                directory,
                "no sweep (it has no trials.jsonl); begin one with nem-tui sweep FILE.ron",
            ));
        }
        let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let trial = |(i, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|e| Error::content(&file, format!("line {}: not a trial ({e})", i + 1)))
        };
        let trials = text.lines().enumerate().map(trial).collect::<Result<_>>()?;
        Ok(Plan { directory: directory.to_owned(), trials })
    }

    /// The directory of a trial's run.
    pub fn run(&self, trial: &Trial) -> PathBuf {
        self.directory.join(&trial.run)
    }

    /// The preset of a trial, as `train` takes it.
    fn preset_path(&self, trial: &Trial) -> PathBuf {
        match has_extension(Path::new(&trial.preset), "ron") {
            true => self.directory.join(&trial.preset),
            false => PathBuf::from(&trial.preset),
        }
    }

    /// A trial's preset with its settings.
    ///
    /// # Errors
    /// A file that is gone or damaged.
    pub fn preset(&self, trial: &Trial) -> Result<Preset> {
        Preset::load(self.preset_path(trial))?.set(&trial.set)
    }

    /// The arguments with which this program trains a trial.
    pub fn arguments(&self, trial: &Trial) -> Vec<OsString> {
        // A path without a slash would be a preset's name.
        let mut arguments: Vec<OsString> = vec!["train".into(), self.preset_path(trial).into()];
        for set in &trial.set {
            arguments.extend(["--set".into(), set.into()]);
        }
        arguments.extend(["--seed".into(), trial.seed.to_string().into()]);
        if let Some(most) = trial.max_iterations {
            arguments.extend(["--max-iterations".into(), most.to_string().into()]);
        }
        arguments.extend(["--out".into(), self.run(trial).into(), "--resume-if-exists".into()]);
        arguments
    }

    /// The trials with these numbers, such as `3,7-9`.
    ///
    /// # Errors
    /// Text that is no such list, or a number that no trial has.
    pub fn chosen(&self, numbers: &str) -> Result<Vec<Trial>> {
        let wrong = || Error::Usage(format!("--trials {numbers}: write numbers like 3,7-9"));
        let mut chosen = Vec::new();
        for part in numbers.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
            let (first, last) = (number(first)?, number(last)?);
            if first == 0 || first > last || last > self.trials.len() {
                return Err(Error::Usage(format!(
                    "--trials {numbers}: the trials of {} are 1 to {}",
                    shown(&self.directory),
                    self.trials.len()
                )));
            }
            chosen.extend_from_slice(&self.trials[first - 1..last]);
        }
        Ok(chosen)
    }
}

/// Adds `trials` to those listed in `directory`, where they keep their numbers, for runs that no file of a sweep describes.
///
/// # Errors
/// A directory that cannot be written, or in which another process does the same.
pub fn list_in(directory: &Path, trials: Vec<Trial>) -> Result<Plan> {
    std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    let _lock = Lock::take(directory, SETS_UP)?;
    let mut plan = match directory.join(TRIALS).is_file() {
        true => Plan::open(directory)?,
        false => Plan { directory: directory.to_owned(), trials: Vec::new() },
    };
    for new in trials {
        match plan.trials.iter_mut().find(|trial| trial.run == new.run) {
            Some(known) => *known = Trial { trial: known.trial, ..new },
            None => plan.trials.push(Trial { trial: plan.trials.len() + 1, ..new }),
        }
    }
    plan.save()?;
    Ok(plan)
}

/// A sweep as it is asked for.
pub struct Asked {
    /// Its directory.
    pub directory: PathBuf,
    /// What its trials have in common.
    pub base: Preset,
    /// Its trials.
    pub trials: Vec<Trial>,
    /// Whether an earlier sweep in the directory may get more trials or iterations.
    pub extend: bool,
}

impl Asked {
    /// The same with absolute paths in its preset, as runs have them.
    ///
    /// # Errors
    /// A relative path of data after the working directory was removed.
    pub fn new(directory: PathBuf, mut base: Preset, trials: Vec<Trial>, extend: bool) -> Result<Asked> {
        base.data = resolved(&base.data)?;
        Ok(Asked { directory, base, trials, extend })
    }

    /// The sweep as it will be: that of the directory, with more trials if it may be extended.
    ///
    /// # Errors
    /// A directory with something else, or another sweep; the message names the differences.
    pub fn check(&self) -> Result<Plan> {
        let directory = &self.directory;
        let new = Plan { directory: directory.clone(), trials: self.trials.clone() };
        if !directory.join(TRIALS).is_file() {
            let known = |path: &PathBuf| {
                path.file_name().is_some_and(|name| name == PRESET || name == "lock" || is_temporary(name))
            };
            let others = list(directory).is_ok_and(|all| !all.iter().all(known));
            return match others {
                true => Err(Error::Usage(format!(
                    "{} is not empty and holds no sweep; name another directory with --out",
                    shown(directory)
                ))),
                false => Ok(new),
            };
        }
        let old = Plan::open(directory)?;
        let before = Preset::load(directory.join(PRESET))?;
        let mut base = self.base.clone();
        base.about.clone_from(&before.about);
        base.expect.clone_from(&before.expect);
        let settings = differences(&before, &base);
        let of = |some: &Plan, others: &Plan| -> Vec<Trial> {
            // Names are unique within a sweep.
            let names: HashSet<&str> = others.trials.iter().map(|trial| trial.run.as_str()).collect();
            some.trials.iter().filter(|trial| !names.contains(trial.run.as_str())).cloned().collect()
        };
        let (more, fewer) = (of(&new, &old), of(&old, &new));
        let most = |plan: &Plan| plan.trials.first().and_then(|trial| trial.max_iterations);
        let (before, now) = (most(&old), most(&new));
        let mut told: Vec<String> = settings.iter().map(Difference::to_string).collect();
        if before != now {
            let named = |most: Option<u64>| most.map_or("none".to_owned(), |most| most.to_string());
            told.push(format!("max_iterations: {} -> {}", named(before), named(now)));
        }
        told.extend((!fewer.is_empty()).then(|| format!("fewer trials: {}", named(&fewer))));
        told.extend((!more.is_empty()).then(|| format!("more trials: {}", named(&more))));
        if told.is_empty() {
            return Ok(old);
        }
        let is_longer = before == now || now.is_none() || before.is_some_and(|before| now > Some(before));
        let extends = settings.is_empty() && fewer.is_empty() && is_longer;
        let told = told.join("; ");
        match (extends, self.extend) {
            (true, true) => {
                let all = old.trials.into_iter().chain(more).enumerate();
                let numbered = |(i, trial)| Trial { trial: i + 1, max_iterations: now, ..trial };
                Ok(Plan { directory: directory.clone(), trials: all.map(numbered).collect() })
            }
            (true, false) => Err(Error::Usage(format!(
                "{} has a smaller sweep ({told}); add to it with --extend, or name another directory with --out",
                shown(directory)
            ))),
            (false, _) => Err(Error::Usage(format!(
                "{} has another sweep ({told}); name another directory with --out",
                shown(directory)
            ))),
        }
    }

    /// Writes the sweep into its directory.
    ///
    /// # Errors
    /// Those of [`Asked::check`]; a trial's directory with another run; a directory that cannot be written or in which
    /// another process does the same.
    pub fn write(&self) -> Result<Plan> {
        self.check()?;
        std::fs::create_dir_all(&self.directory).map_err(Error::io("create", &self.directory))?;
        let _lock = Lock::take(&self.directory, SETS_UP)?;
        let plan = self.check()?;
        plan.check_runs()?;
        if !self.directory.join(TRIALS).is_file() {
            write_durable(&self.directory.join(PRESET), self.base.to_ron().as_bytes())?;
        }
        plan.save()?;
        Ok(plan)
    }
}

impl Plan {
    /// Writes the list of trials, if it has changed.
    fn save(&self) -> Result<()> {
        let mut lines = Vec::new();
        for trial in &self.trials {
            let line = serde_json::to_vec(trial);
            lines.extend(line.map_err(|e| Error::content(&self.directory, e.to_string()))?);
            lines.push(b'\n');
        }
        let file = self.directory.join(TRIALS);
        match std::fs::read(&file).is_ok_and(|there| there == lines) {
            true => Ok(()),
            false => write_durable(&file, &lines),
        }
    }

    /// Refuses a directory in which there is another run than the trial's: its training would be refused.
    fn check_runs(&self) -> Result<()> {
        for trial in self.trials.iter().filter(|trial| self.run(trial).join("run.json").is_file()) {
            let run = self.run(trial);
            let others = begun::otherwise(&run, &self.preset(trial)?, trial.seed, None)?;
            if !others.is_empty() {
                return Err(Error::Usage(format!(
                    "{} holds another run ({}); move it away",
                    shown(&run),
                    others.join(", ")
                )));
            }
        }
        Ok(())
    }
}

fn named(trials: &[Trial]) -> String {
    let mut names: Vec<&str> = trials.iter().take(NAMED).map(|trial| trial.run.as_str()).collect();
    let more = format!("and {} more", trials.len().saturating_sub(NAMED));
    if trials.len() > NAMED {
        names.push(&more);
    }
    names.join(" ")
}
