//! Sweeps of tiny runs, and whether two runs are the same.

use std::path::Path;

use nem_tui::preset::Preset;
use serde_json::Value;

use super::cli::{TINY, run};

/// A sweep's file `NAME.ron` of tiny runs in `here`, with more fields.
pub fn sweep(here: &Path, name: &str, more: &str) {
    sweep_of(here, name, &[], more);
}

/// The same with more settings of all trials.
pub fn sweep_of(here: &Path, name: &str, sets: &[&str], more: &str) {
    let tiny = TINY.iter().filter(|word| **word != "--set").chain(sets);
    let text = format!("Sweep(preset: \"quickstart\", set: {:?}, {more})", tiny.collect::<Vec<_>>());
    std::fs::write(here.join(format!("{name}.ron")), text).unwrap();
}

/// What `sweep status --json` says.
pub fn status(here: &Path, name: &str) -> Value {
    serde_json::from_str(&run(here, &["sweep", "status", &format!("sweeps/{name}"), "--json"])).unwrap()
}

/// The states of the trials, in their order.
pub fn states(here: &Path, name: &str) -> Vec<String> {
    let trials = status(here, name)["trials"].as_array().unwrap().clone();
    trials.iter().map(|trial| trial["state"].as_str().unwrap().to_owned()).collect()
}

/// The directories of the trials.
pub fn trials(here: &Path, name: &str) -> Vec<String> {
    let list = std::fs::read_to_string(here.join("sweeps").join(name).join("trials.jsonl")).unwrap();
    let run = |line| serde_json::from_str::<Value>(line).unwrap()["run"].as_str().unwrap().to_owned();
    list.lines().map(run).collect()
}

/// The records of a run without their times.
pub fn records(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let record = |line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record.as_object_mut().unwrap().remove("seconds");
        record
    };
    text.lines().map(record).collect()
}

/// The bytes of a run's last weights.
pub fn weights(run: &Path) -> Vec<u8> {
    let last = std::fs::read_to_string(run.join("checkpoints/last")).unwrap();
    std::fs::read(run.join("checkpoints").join(last.trim()).join("weights.safetensors")).unwrap()
}

/// Asserts that all trials of two sweeps are the same, except for times.
pub fn assert_same(here: &Path, one: &str, other: &str) {
    for trial in trials(here, one) {
        let at = |name: &str| here.join("sweeps").join(name).join(&trial);
        assert!(records(&at(one)) == records(&at(other)), "{trial}: other metrics");
        assert!(weights(&at(one)) == weights(&at(other)), "{trial}: other weights");
    }
}

/// The preset's name in a run's directory.
pub fn preset_of(run: &Path) -> Preset {
    Preset::load(run.join("preset.ron")).unwrap()
}
