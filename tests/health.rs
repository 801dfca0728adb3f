//! Warnings about a training, over the kept runs and over runs that went wrong.
#![allow(clippy::unwrap_used)] // a test's way to fail

use std::io::Write;
use std::sync::Arc;

use nem_tui::backend::DeviceName;
use nem_tui::live::begin::{Ending, Job, start};
use nem_tui::preset::Preset;
use nem_tui::protocol::Event;

#[test]
#[ignore = "records"]
fn record() {
    let out = std::env::var("RECORD").unwrap();
    let sets: Vec<String> = std::env::var("SETS").unwrap().split_whitespace().map(str::to_owned).collect();
    let most: u64 = std::env::var("MOST").unwrap().parse().unwrap();
    let name = std::env::var("PRESET").unwrap_or("quickstart".into());
    let preset = Preset::load(&name).unwrap().set(&sets).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let seed = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let job = Job {
        out: Some(directory.path().join("run")),
        ending: Ending { max_iterations: Some(most), stay: false },
        ..Job::new(preset, seed, DeviceName::Flex)
    };
    let mut handle = start(&job).unwrap();
    let mut file = std::fs::File::create(out).unwrap();
    let mut seen = None;
    while let Some(event) = handle.events.blocking_recv() {
        writeln!(file, "{}", serde_json::to_string(&event).unwrap()).unwrap();
        if let Some(snapshot) = handle.snapshots.borrow_and_update().clone() {
            if seen.as_ref().is_none_or(|s| !Arc::ptr_eq(s, &snapshot)) {
                let mut one = (*snapshot).clone();
                one.steps = one.steps.last().cloned().into_iter().collect();
                writeln!(file, "{}", serde_json::json!({"Snapshot": one})).unwrap();
                seen = Some(snapshot);
            }
        }
        if matches!(event, Event::Finished(_)) {
            break;
        }
    }
}
