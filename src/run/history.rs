//! Which past checkpoints of a run are kept, to fork from.
//!
//! Only checkpoints at the ends of epochs count, because a repeated run has the same ones. The first of all is kept, and
//! the first of each rung. There are four rungs for a doubling of the iterations; if their checkpoints take too much
//! room, neighbouring rungs are joined: two for a doubling, one, one for two doublings, and so on. So a checkpoint that
//! was removed is never needed later, and a run that was killed and resumed keeps the same ones as any other.

use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::checkpoints;
use crate::error::{Error, Result};
use crate::files::list;
use crate::train::trainer::Counters;

/// Most rungs for a doubling of the iterations.
const PER_DOUBLING: f64 = 4.0;
/// What a manifest counts, in bytes: the same in a repeated run, whose times have other lengths.
const MANIFEST: u64 = 4096;
/// How often rungs can be joined in pairs, plus one: then all iterations are on one rung.
const LEVELS: u32 = 9;

/// The rung of an iteration on the logarithmic scale.
pub(super) fn rung(iteration: u64) -> i64 {
    if iteration == 0 { -1 } else { (PER_DOUBLING * (iteration as f64).log2()).floor() as i64 }
}

/// The iterations to keep of `past`, the candidates in order with their sizes in bytes. Together these are at most
/// `most` bytes.
pub(super) fn kept(past: &[(u64, u64)], most: u64) -> Vec<u64> {
    let (Some((first, _)), Some((last, _))) = (past.first(), past.last()) else { return Vec::new() };
    // Counted as if all were as large as the largest, one on every rung, so that the level never has to fall again.
    let largest = past.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).max(1);
    let room = i64::try_from(most / largest).unwrap_or(i64::MAX);
    let at = |iteration, level: u32| (rung(iteration) - rung(*first)) >> level;
    let Some(level) = (0..LEVELS).find(|&level| at(*last, level) < room) else {
        return Vec::new();
    };
    let mut before = None;
    let starts = past.iter().map(|(iteration, _)| *iteration).filter(|iteration| {
        let now = Some(at(*iteration, level));
        before.replace(now) != Some(now)
    });
    starts.collect()
}

/// The past checkpoints of a run in training.
#[derive(Default)]
pub(super) struct History {
    /// In the order of their iterations, each with its size in bytes.
    past: Vec<(u64, u64, PathBuf)>,
}

impl History {
    /// Reads those of the run in `run` up to iteration `until`.
    ///
    /// # Errors
    /// A directory or a file that cannot be read for now.
    pub(super) fn read(run: &Path, until: u64) -> Result<History> {
        let mut all = checkpoints::all(run)?;
        all.sort();
        let mut history = History::default();
        for path in all {
            match Checkpoint::glance(&path) {
                Ok(found) if found.manifest.counters.iteration <= until => {
                    history.add(&found.manifest.counters, &path)?;
                }
                Err(e) if e.may_pass() => return Err(e),
                // Damaged, or to be trained again.
                _ => {}
            }
        }
        Ok(history)
    }

    /// Adds a checkpoint if it is at the end of an epoch, and the first one there.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub(super) fn add(&mut self, counters: &Counters, path: &Path) -> Result<()> {
        let is_later = self.past.last().is_none_or(|(last, ..)| *last < counters.iteration);
        if counters.batches == 0 && counters.iteration > 0 && is_later {
            self.past.push((counters.iteration, size(path)?, path.to_owned()));
        }
        Ok(())
    }

    /// Forgets those that are not to be kept in `most` bytes. Returns the others.
    pub(super) fn thin(&mut self, most: u64) -> Vec<PathBuf> {
        let sizes: Vec<_> = self.past.iter().map(|(iteration, bytes, _)| (*iteration, *bytes)).collect();
        let kept = kept(&sizes, most);
        self.past.retain(|(iteration, ..)| kept.contains(iteration));
        self.past.iter().map(|(.., path)| path.clone()).collect()
    }

    /// The iterations of the checkpoints, in order.
    pub(super) fn iterations(&self) -> Vec<u64> {
        self.past.iter().map(|(iteration, ..)| *iteration).collect()
    }
}

/// What a checkpoint takes on the disk, the same in a repeated run.
fn size(checkpoint: &Path) -> Result<u64> {
    let files = list(checkpoint).map_err(Error::io("read", checkpoint))?;
    let size = |file: &PathBuf| file.metadata().map(|file| file.len()).map_err(Error::io("read", file));
    let others = files.iter().filter(|file| file.extension().is_none_or(|ending| ending != "json"));
    others.map(size).sum::<Result<u64>>().map(|bytes| bytes + MANIFEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sized(iterations: impl IntoIterator<Item = u64>, bytes: u64) -> Vec<(u64, u64)> {
        iterations.into_iter().map(|iteration| (iteration, bytes)).collect()
    }

    #[test]
    fn the_first_and_the_first_of_each_rung_are_kept() {
        let epochs = || (1..=64).map(|epoch| 100 * epoch);
        let fine = kept(&sized(epochs(), 1), 1000);
        assert_eq!(fine[..8], [100, 200, 300, 400, 500, 600, 700, 800]);
        assert_eq!(fine.len(), 20);
        assert_eq!(fine.last(), Some(&5800));
        assert_eq!(
            kept(&sized(epochs(), 1), 13),
            [100, 200, 300, 400, 600, 800, 1100, 1500, 2100, 2900, 4100, 5800]
        );
        assert_eq!(kept(&sized(epochs(), 1), 12), [100, 200, 400, 800, 1500, 2900, 5800]);
        assert_eq!(kept(&sized(epochs(), 1), 2), [100, 1500]);
        assert_eq!(kept(&sized(epochs(), 1), 1), [100]);
        assert_eq!(kept(&sized(epochs(), 10), 9), [0; 0], "not even one");
        assert_eq!(kept(&sized(epochs(), 10), 0), [0; 0]);
        assert_eq!(kept(&[], 100), [0; 0]);
    }

    proptest! {
        /// For any epochs and any room: the room is kept to, the first stays if it fits, and thinning after every epoch,
        /// also with what a kill left over, gives the same as thinning once.
        #[test]
        fn thinning_often_is_thinning_once(
            gaps in prop::collection::vec(1u64..5000, 1..200),
            bytes in 1u64..100,
            most in 0u64..3000,
            left in prop::collection::vec(any::<bool>(), 200),
        ) {
            let (mut all, mut often, mut killed) = (Vec::new(), Vec::new(), Vec::new());
            let mut at = 0;
            for (gap, left) in gaps.into_iter().zip(left) {
                at += gap;
                all.push((at, bytes));
                for list in [&mut often, &mut killed] {
                    list.push((at, bytes));
                }
                let now = kept(&often, most);
                often.retain(|(iteration, _)| now.contains(iteration));
                let now = kept(&killed, most);
                prop_assert_eq!(&now, &kept(&all, most));
                // A kill between two removals leaves some.
                killed.retain(|(iteration, _)| now.contains(iteration) || left && iteration % 2 == 0);
                prop_assert!(now.len() as u64 * bytes <= most);
                prop_assert!(most < bytes || now.first() == all.first().map(|(first, _)| first));
            }
            let often: Vec<u64> = often.into_iter().map(|(iteration, _)| iteration).collect();
            prop_assert_eq!(often, kept(&all, most));
        }
    }
}
