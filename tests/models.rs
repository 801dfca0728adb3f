//! The models that come with the program, and those that users export.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::{Path, PathBuf};

use nem_tui::engine::checkpoint::MODELS;
use serde_json::Value;
use support::cli::{nem_tui, refused, run, tiny};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// `eval`, by name, prints what the manifest promises; the last digits depend on the device.
#[test]
fn models_score_what_their_manifests_promise() {
    let directory = tempfile::tempdir().unwrap();
    for model in MODELS {
        let manifest =
            json(&std::fs::read_to_string(assets().join(model.name).join("manifest.json")).unwrap());
        let promised = &manifest["measured"];
        let samples = promised["samples"].to_string();
        let report = json(&run(directory.path(), &["eval", model.name, "--samples", &samples, "--json"]));
        assert_eq!(report["samples"], promised["samples"], "{}", model.name);
        assert_eq!(report["iteration"], manifest["counters"]["iteration"], "{}", model.name);
        for (score, tolerance) in [("ami_last", 2e-3), ("ami", 2e-3), ("ari_last", 2e-3), ("floor", 1e-6)] {
            let (measured, promised) = (report[score].as_f64().unwrap(), promised[score].as_f64().unwrap());
            assert!(
                (measured - promised).abs() <= tolerance,
                "{}: {score} {measured}, not {promised}",
                model.name
            );
        }
        let (ami, floor) = (promised["ami_last"].as_f64().unwrap(), promised["floor"].as_f64().unwrap());
        assert!(ami > floor, "{} has learned nothing", model.name);
    }
}

#[test]
fn every_model_in_the_assets_is_in_the_program_and_small() {
    let entries = std::fs::read_dir(assets()).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut known: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
    known.sort_unstable();
    assert_eq!(names, known);
    for name in names {
        let bytes = assets().join(&name).join("weights.safetensors").metadata().unwrap().len();
        assert!(bytes <= 8 << 20, "{name}: {bytes} bytes");
    }
}

/// A run becomes a model, in half precision too; the model is scored, trained on from and opened like a
/// checkpoint, but has no training to go on with.
#[test]
fn a_run_is_exported_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    run(directory.path(), &tiny("r", &["--max-iterations", "10"]));
    let told = run(directory.path(), &["export", "r", "--out", "whole"]);
    assert!(told.starts_with("whole: AMI "), "{told}");
    run(directory.path(), &["export", "r", "--out", "half", "--half", "--samples", "8"]);
    let bytes = |path: &str| std::fs::metadata(at(path).join("weights.safetensors")).unwrap().len();
    assert!(bytes("half") < bytes("whole") * 2 / 3);
    let manifest = json(&std::fs::read_to_string(at("whole/manifest.json")).unwrap());
    assert_eq!(manifest["measured"]["samples"], 24);
    for (of, samples) in [("r", "24"), ("whole", "24"), ("half", "8")] {
        let report = json(&run(directory.path(), &["eval", of, "--samples", samples, "--json"]));
        if of != "half" {
            assert_eq!(report["ami_last"], manifest["measured"]["ami_last"], "{of}");
        }
    }
    let from = [tiny("s", &["--from", "half", "--max-iterations", "1"])].concat();
    run(directory.path(), &from);
    let again = refused(directory.path(), &["export", "r", "--out", "whole"], 2);
    assert!(again.contains("whole is there already"), "{again}");
    assert!(std::fs::read_dir(directory.path()).unwrap().count() == 4, "something is left aside");

    for nowhere in [".", "..", "x/.."] {
        assert!(
            refused(directory.path(), &["export", "r", "--out", nowhere], 2).contains("name a new directory")
        );
    }
    run(directory.path(), &["export", "r", "--out", "deep/er/", "--samples", "2"]);
    assert!(at("deep/er/manifest.json").is_file());

    // Another architecture, a name that is none, a model as a run to go on with.
    let error = refused(directory.path(), &["train", "--resume", "half"], 1);
    assert!(error.contains("train PRESET --from"), "{error}");
    let error = refused(directory.path(), &["eval", "half", "--set", "model.cell.layers.0.units=13"], 1);
    assert!(error.contains("another architecture"), "{error}");
    let error = refused(directory.path(), &["eval", "static-shape"], 1);
    assert!(error.contains("or a model: static-shapes"), "{error}");
    std::fs::write(at("half/weights.safetensors"), b"cut").unwrap();
    let error = refused(directory.path(), &["eval", "half"], 1);
    assert!(error.contains("half/weights.safetensors") && error.contains("damaged"), "{error}");
}

/// `infer` takes weights and preset of a model by its name.
#[test]
fn infer_takes_a_model() {
    let directory = tempfile::tempdir().unwrap();
    let image = nem_tui::tensors::Array::new([1, 2, 1, 28, 28], vec![0.0; 2 * 784]);
    let input = ["in.features_clean", "in.features_noisy"].map(|name| (name.to_owned(), image.clone()));
    nem_tui::tensors::write(&directory.path().join("in.safetensors"), &input.into()).unwrap();
    let arguments =
        ["infer", "--weights", "static-shapes", "--input", "in.safetensors", "--output", "o.safetensors"];
    run(directory.path(), &arguments);
    let out = nem_tui::tensors::read(&directory.path().join("o.safetensors")).unwrap();
    assert_eq!(out["out.gammas"].shape, [15, 2, 4, 784]);
    // A file of weights alone does not say what they are of.
    let file = assets().join("static-shapes/weights.safetensors");
    let alone = ["infer", "--weights", file.to_str().unwrap(), "--input", "in.safetensors", "--output", "p"];
    let error = refused(directory.path(), &alone, 2);
    assert!(error.contains("--preset"), "{error}");
    assert!(
        nem_tui(directory.path(), &[&alone[..], &["--preset", "static-shapes-rnn-em"]].concat())
            .status
            .success()
    );
}
