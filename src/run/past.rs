//! The past of a run: its moments, and the checkpoints that it can be forked from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory::{self, RunFile};
use super::keep::is_parent;
use super::{album, checkpoint, checkpoints};
use crate::error::{Error, Result};
use crate::protocol::Moment;

/// How many ancestors of a fork are looked at.
const ANCESTORS: usize = 16;

/// The checkpoints of the run in `run` and those that it inherited, by their iterations.
pub fn checkpoints(run: &Path) -> BTreeMap<u64, PathBuf> {
    let mut found = inherited(run);
    found.extend(own(run));
    found
}

fn own(run: &Path) -> BTreeMap<u64, PathBuf> {
    let mut all = checkpoints::all(run).unwrap_or_default();
    all.retain(|path| checkpoint::is_checkpoint(path));
    all.sort();
    // The first of an iteration is the one at the end of an epoch, so it is inserted last.
    let of = |path: PathBuf| Some((checkpoints::iteration_of(&path)?, path));
    all.into_iter().rev().filter_map(of).collect()
}

/// The checkpoints of the ancestors of the fork in `run` up to where it began, by their iterations.
pub fn inherited(run: &Path) -> BTreeMap<u64, PathBuf> {
    let mut found = BTreeMap::new();
    let (mut run, mut until) = (run.to_owned(), u64::MAX);
    for _ in 0..ANCESTORS {
        let Some(forked) = RunFile::read(&run).ok().and_then(|run| run.forked) else { break };
        let Some(parent) = directory::run_of(&forked).filter(|parent| is_parent(parent, &run)) else { break };
        until = checkpoints::iteration_of(&forked).unwrap_or(0).min(until);
        for (iteration, path) in own(parent).into_iter().take_while(|(iteration, _)| *iteration <= until) {
            found.entry(iteration).or_insert(path);
        }
        run = parent.to_owned();
    }
    found
}

/// The moments in the album of the run in `run`, in order.
pub fn moments(run: &Path) -> Vec<Moment> {
    let checkpoints = checkpoints(run);
    let fork = |iteration| checkpoints.range(..=iteration).next_back().map(|(iteration, _)| *iteration);
    album::moments(run).into_iter().map(|iteration| Moment { iteration, fork: fork(iteration) }).collect()
}

/// The checkpoint of the run in `run` called `name`: `best`, `last`, or an iteration; without a checkpoint of that
/// iteration the nearest earlier one. It is kept until another one is requested.
///
/// # Errors
/// Those of [`checkpoints::named`].
pub fn named(run: &Path, name: &str) -> Result<PathBuf> {
    let refused = match checkpoints::named(run, name) {
        Err(refused @ Error::Usage(_)) => refused,
        found => return found,
    };
    let iteration = name.strip_prefix("it-").unwrap_or(name).parse::<u64>().ok();
    let checkpoints = checkpoints(run);
    let earlier = iteration.and_then(|iteration| checkpoints.range(..=iteration).next_back());
    let Some((_, path)) = earlier else { return Err(refused) };
    // A pointer in an ancestor's directory is not for a fork to write.
    if path.starts_with(run) {
        super::checkpoints::ask_for(run, path)?;
    }
    Ok(path.clone())
}
