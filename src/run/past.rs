//! The past of a run: its moments, and the checkpoints that it can be forked from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory::{self, RunFile};
use super::{album, checkpoint, checkpoints};
use crate::error::{Error, Result};
use crate::protocol::Moment;

/// So many ancestors of a fork are looked at.
const ANCESTORS: usize = 16;

/// The checkpoints of the run in `run` by their iterations. A fork has those of its ancestors, too, up to where it began.
pub fn checkpoints(run: &Path) -> BTreeMap<u64, PathBuf> {
    let mut found = BTreeMap::new();
    let (mut run, mut until) = (run.to_owned(), u64::MAX);
    for _ in 0..ANCESTORS {
        let mut all = checkpoints::all(&run).unwrap_or_default();
        // The first of an iteration is the one at the end of an epoch.
        all.sort();
        for path in all.into_iter().filter(|path| checkpoint::is_checkpoint(path)) {
            if let Some(iteration) = checkpoints::iteration_of(&path).filter(|iteration| *iteration <= until)
            {
                found.entry(iteration).or_insert(path);
            }
        }
        let Some(forked) = RunFile::read(&run).ok().and_then(|run| run.forked) else { break };
        let Some(parent) = directory::run_of(&forked) else { break };
        until = checkpoints::iteration_of(&forked).unwrap_or(0).min(until);
        run = parent.to_owned();
    }
    found
}

/// The moments in the album of the run in `run`, in order.
pub fn moments(run: &Path) -> Vec<Moment> {
    let checkpoints = checkpoints(run);
    let moment = |iteration| Moment { iteration, kept: checkpoints.contains_key(&iteration) };
    album::moments(run).into_iter().map(moment).collect()
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
    // That of an ancestor is as likely to stay.
    if path.starts_with(run) {
        super::checkpoints::ask_for(run, path)?;
    }
    Ok(path.clone())
}
