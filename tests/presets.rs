//! The presets that come with the program, each made small enough for a test.

#![allow(clippy::unwrap_used)] // a test's way to fail

use nem_tui::backend::DeviceName;
use nem_tui::preset::{Preset, embedded_names};
use nem_tui::train::trainer::Trainer;

/// Every preset trains: the loss of an iteration is finite, otherwise the step fails, and Adam moves every weight.
#[test]
fn every_preset_takes_a_training_step() {
    let device = DeviceName::Flex.open().unwrap();
    let mut presets = 0;
    for name in embedded_names() {
        // Two steps, because the first has no state to feed back.
        let small = ["steps=2", "train.batch=2", "train.train_size=4", "train.stages=[]"];
        let preset = Preset::load(name).unwrap().set(&small).unwrap();
        let mut trainer = Trainer::new(&preset, 1, &device).unwrap();
        let before = trainer.model().weights();
        trainer.step().unwrap();
        for (parameter, array) in trainer.model().weights() {
            assert!(array.values.iter().all(|v| v.is_finite()), "{name}: {parameter} is not finite");
            assert_ne!(array, before[&parameter], "{name}: {parameter} did not move");
        }
        presets += 1;
    }
    assert!(presets >= 13, "only {presets} presets were tried");
}
