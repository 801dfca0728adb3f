//! Where runs are, below the working directory.
//!
//! ```text
//! runs/RUN
//! sweeps/SWEEP/trials.jsonl   the trials of a sweep: see `crate::sweep`
//! sweeps/SWEEP/RUN            the run of a trial
//! ```

use std::path::{Path, PathBuf};

use crate::files::is_temporary;
use crate::paths::shown;

/// The directory of new runs.
pub const RUNS: &str = "runs";
/// The directory of new sweeps.
pub const SWEEPS: &str = "sweeps";
/// The file that lists the trials of a sweep.
pub const TRIALS: &str = "trials.jsonl";

/// The sweep that has the run in `run`, by the name of its directory.
pub fn sweep_of(run: &Path) -> Option<String> {
    let sweep = run.parent().filter(|sweep| is_sweep(sweep))?;
    Some(shown(sweep.file_name()?).to_string())
}

/// All directories in which a run or a trial of a sweep may be, below `here`. One that is being removed is temporary.
pub fn candidates(here: &Path) -> Vec<PathBuf> {
    let inside = |directory: PathBuf| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter(|entry| !is_temporary(&entry.file_name())).map(|entry| entry.path())
    };
    let sweeps = inside(here.join(SWEEPS)).filter(|sweep| is_sweep(sweep));
    inside(here.join(RUNS)).chain(sweeps.flat_map(inside)).collect()
}

fn is_sweep(directory: &Path) -> bool {
    directory.join(TRIALS).is_file()
}
