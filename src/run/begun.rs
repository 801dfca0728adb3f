//! The settings of a run: whether it began with those that a command asks for, and what they are at its end.

use std::path::Path;

use super::checkpoints;
use super::directory::{self, RunFile};
use super::keep::inside;
use crate::data::resolved;
use crate::error::Result;
use crate::paths::shown;
use crate::preset::{Difference, Digits, Preset, differences};
use crate::protocol::Metrics;

/// How a new run of `asked` would differ from one that began with `begun`.
///
/// # Errors
/// A relative path of data after the working directory was removed.
pub fn changed_settings(begun: &Preset, asked: &Preset) -> Result<Vec<Difference>> {
    // A fork may begin in a later stage.
    let (begun, mut asked) = (begun.at_first_stage(), asked.at_first_stage());
    // Another machine may have other digits; the run keeps its own.
    if let (Some(Digits::Auto), Some(digits)) = (asked.data.digits(), begun.data.digits()) {
        asked.data = asked.data.with_digits(digits.clone());
    }
    asked.data = resolved(&asked.data)?;
    asked.about.clone_from(&begun.about);
    asked.expect.clone_from(&begun.expect);
    Ok(differences(&begun, &asked))
}

/// The settings of the run in `run` after the last record of `metrics`, which holds all its records.
///
/// # Errors
/// A preset that cannot be read or is damaged.
pub fn preset_at_end(run: &Path, metrics: &Metrics) -> Result<Preset> {
    // A resumed run may have other limits than it began with, so its newest checkpoint is a better start.
    let (begun, iteration) = match checkpoints::glance_at_last(run) {
        Ok(Some((last, _))) => (last.preset, last.manifest.counters.iteration),
        _ => (directory::preset(run)?, 0),
    };
    Ok(metrics.preset_after(begun, iteration))
}

/// How the run in `run` differs from a new one of `asked` with this seed and the weights of `from`, in words.
///
/// # Errors
/// A directory that is not a run, or is damaged.
pub fn otherwise(run: &Path, asked: &Preset, seed: u64, from: Option<&Path>) -> Result<Vec<String>> {
    let file = RunFile::read(run)?;
    let begun = directory::preset(run)?;
    if begun.name != asked.name {
        return Ok(vec![format!("preset: {} -> {}", begun.name, asked.name)]);
    }
    let mut found: Vec<String> = changed_settings(&begun, asked)?.iter().map(Difference::to_string).collect();
    if file.seed != seed {
        found.push(format!("seed: {} -> {seed}", file.seed));
    }
    if let Some(parent) = &file.forked {
        found.push(format!("a fork of {} -> a new run", shown(&parent)));
    }
    if !file.replay.is_empty() {
        found.push("a replay -> a new run".into());
    }
    let is_same = match (&file.from, from) {
        // Its best checkpoint may be another now.
        (Some(begun), Some(asked)) => inside(begun, asked).is_some(),
        (begun, asked) => begun.is_none() && asked.is_none(),
    };
    if !is_same {
        let named = |from: Option<&Path>| from.map_or("the seed's".into(), |from| shown(&from).to_string());
        found.push(format!("weights: {} -> {}", named(file.from.as_deref()), named(from)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `quickstart` with seed 1.
    fn run(from: Option<&str>) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        let file = serde_json::json!({"seed": 1, "device": "flex", "version": "0", "from": from});
        std::fs::write(run.path().join("run.json"), file.to_string()).unwrap();
        let preset = Preset::load("quickstart").unwrap().at_first_stage();
        std::fs::write(run.path().join("preset.ron"), preset.to_ron()).unwrap();
        run
    }

    #[test]
    fn a_run_that_was_begun_otherwise_is_told_apart() {
        let quickstart = Preset::load("quickstart").unwrap();
        let mine = run(None);
        let of = |asked: &Preset, seed, from| otherwise(mine.path(), asked, seed, from).unwrap();
        assert_eq!(of(&quickstart, 1, None), [""; 0]);
        assert_eq!(of(&quickstart, 2, None), ["seed: 1 -> 2"]);
        assert_eq!(of(&quickstart.set(&["k=5"]).unwrap(), 1, None), ["k: 4 -> 5"]);
        let other = Preset::load("static-shapes-nem").unwrap();
        assert_eq!(of(&other, 1, None), ["preset: quickstart -> static-shapes-nem"]);
        let from = Some(Path::new("other"));
        assert_eq!(of(&quickstart, 1, from), ["weights: the seed's -> other"]);
    }

    /// The run whose weights it began with may have a better checkpoint by now.
    #[test]
    fn the_weights_of_the_same_run_are_the_same() {
        let quickstart = Preset::load("quickstart").unwrap();
        let mine = run(Some("other/checkpoints/it-00000010"));
        let of = |from| otherwise(mine.path(), &quickstart, 1, Some(Path::new(from))).unwrap();
        assert_eq!(of("./other"), [""; 0]);
        assert_eq!(of("other/checkpoints/it-00000010"), [""; 0]);
        assert_eq!(of("oth").len(), 1);
    }
}
