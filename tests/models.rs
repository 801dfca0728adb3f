//! The models that come with the program, and those that users export.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::{Path, PathBuf};

use nem_tui::run::checkpoint::MODELS;
use serde_json::Value;
use support::cli::{nem_tui, refused, run, tiny};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What a newcomer sees first is a model at its work.
#[test]
fn the_first_sample_of_a_model_is_a_good_one() {
    use nem_tui::backend::DeviceName;
    use nem_tui::live::model;
    for shipped in MODELS {
        let mut handle = model::open(Path::new(shipped.name), DeviceName::Flex).unwrap();
        let first = support::picture(&mut handle, |_| true);
        let ami = first.steps.last().and_then(|step| step.ami).unwrap();
        assert!(ami > 0.9 && first.sample < 16, "{}: sample {} has {ami}", shipped.name, first.sample);
    }
}

/// `eval` of a model's name prints what the manifest promises; the last digits depend on the device.
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

/// A run is exported as a model, in half precision too. The model can be scored and trained from like a checkpoint,
/// but not resumed.
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
    assert!(again.contains("whole exists already"), "{again}");
    assert!(std::fs::read_dir(directory.path()).unwrap().count() == 4, "something was left behind");

    for nowhere in [".", "..", "x/.."] {
        assert!(
            refused(directory.path(), &["export", "r", "--out", nowhere], 2).contains("name a new directory")
        );
    }
    run(directory.path(), &["export", "r", "--out", "deep/er/", "--samples", "2"]);
    assert!(at("deep/er/manifest.json").is_file());

    // Another architecture, an unknown name, and a model instead of a run to resume.
    let error = refused(directory.path(), &["train", "--resume", "half"], 1);
    assert!(error.contains("train PRESET --from"), "{error}");
    let error = refused(directory.path(), &["eval", "half", "--set", "model.cell.layers.0.units=13"], 1);
    assert!(error.contains("another architecture"), "{error}");
    let error = refused(directory.path(), &["eval", "static-shape"], 1);
    assert!(error.contains("one of these models: static-shapes"), "{error}");
    std::fs::write(at("half/weights.safetensors"), b"cut").unwrap();
    let error = refused(directory.path(), &["eval", "half"], 1);
    assert!(error.contains("half/weights.safetensors") && error.contains("damaged"), "{error}");
}

/// `infer` takes a model's weights and preset by its name.
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
    assert_eq!(out["out.gammas"].shape, [20, 2, 4, 784]);
    // A file of weights alone does not say which model it belongs to.
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

/// `infer` computes the same from a PNG, a GIF or an .npy as from the same pixels in safetensors, bit for bit.
#[test]
fn infer_takes_the_users_own_images() {
    use nem_tui::tensors::{Array, Arrays, read, write};
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let infer = |input: &str, more: &[&str]| -> Arrays {
        let arguments = ["infer", "--weights", "static-shapes", "--input", input, "--output", "o"];
        run(here, &[&arguments[..], more].concat());
        read(&here.join("o")).unwrap()
    };
    // A bar that moves by one pixel each frame.
    let frame = |t: usize| -> Vec<u8> {
        (0..784)
            .map(|i| if (6 + t..12 + t).contains(&(i % 28)) && i / 28 > 14 { 255 - (i % 7) as u8 } else { 0 })
            .collect()
    };
    let arrays = |name: &str, frames: usize| {
        let values = (0..frames).flat_map(frame).map(|v| f32::from(v) / 255.0).collect();
        let array = Array::new([frames, 1, 1, 28, 28], values);
        write(&here.join(name), &[("in.features_clean".to_owned(), array)].into()).unwrap();
    };
    image::GrayImage::from_raw(28, 28, frame(0)).unwrap().save(here.join("still.png")).unwrap();
    arrays("still.safetensors", 1);
    let of_png = infer("still.png", &[]);
    assert_eq!(of_png["out.gammas"].shape, [20, 1, 4, 784]);
    assert_eq!(of_png, infer("still.safetensors", &[]));

    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (5, 28, 28), }\n";
    let start = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    std::fs::write(here.join("moves.npy"), [start, (0..5).flat_map(frame).collect()].concat()).unwrap();
    arrays("moves.safetensors", 5);
    let of_npy = infer("moves.npy", &[]);
    assert_eq!(of_npy["out.gammas"].shape, [4, 1, 4, 784], "as many steps as there are frames for");
    assert_eq!(of_npy, infer("moves.safetensors", &["--set", "steps=4"]));
    assert_eq!(infer("moves.npy", &["--set", "steps=2"])["out.gammas"].shape[0], 2);

    let file = std::fs::File::create(here.join("moves.gif")).unwrap();
    let palette: Vec<u8> = (0..=255).flat_map(|grey| [grey; 3]).collect();
    let mut encoder = gif::Encoder::new(file, 28, 28, &palette).unwrap();
    for t in 0..5 {
        encoder.write_frame(&gif::Frame::from_indexed_pixels(28, 28, frame(t), None)).unwrap();
    }
    drop(encoder);
    assert_eq!(infer("moves.gif", &[]), of_npy);
    let told = run(here, &["picture", "static-shapes", "--input", "moves.gif", "--out", "p.png"]);
    assert!(told.contains("EM step 4/4") && !told.contains("AMI"), "{told}");

    // An image of another size.
    image::GrayImage::from_pixel(56, 40, image::Luma([255])).save(here.join("large.png")).unwrap();
    let arguments = ["infer", "--weights", "static-shapes", "--input", "large.png", "--output", "p"];
    let error = refused(here, &arguments, 1);
    assert!(
        error.contains("large.png: the image has 56x40 pixels but the model takes 28x28; use --resize"),
        "{error}"
    );
    assert_eq!(infer("large.png", &["--resize"])["out.gammas"].shape, [20, 1, 4, 784]);
    run(here, &["picture", "static-shapes", "--input", "large.png", "--resize", "--out", "p.safetensors"]);
    let target = &read(&here.join("p.safetensors")).unwrap()["target"].values[..784];
    assert!(target[..4 * 28].iter().chain(&target[24 * 28..]).all(|v| *v == 0.0));
    assert!(target[4 * 28..24 * 28].iter().all(|v| *v == 1.0));

    std::fs::write(here.join("photo.jpg"), b"\xff\xd8\xff\xe0 a photograph").unwrap();
    for (arguments, code, said) in [
        (vec!["--input", "still.png", "--sample", "2"], 2, "no sample 2: still.png has 1"),
        (vec!["--input", "moves.gif", "--steps", "5"], 1, "5 frames, enough for 4 EM steps, not for 5"),
        (vec!["--input", "moves.gif", "--step", "5"], 2, "there are 4 EM steps"),
        (vec!["--input", "still.safetensors", "--resize"], 2, "--resize is for a PNG"),
        (vec!["--input", "photo.jpg"], 1, "photo.jpg: neither"),
        (vec!["--resize"], 2, "--input"),
    ] {
        let error =
            refused(here, &[&["picture", "static-shapes", "--out", "q.png"], &arguments[..]].concat(), code);
        assert!(error.contains(said), "{arguments:?} says {error:?} instead of {said:?}");
    }
    assert!(!here.join("q.png").exists());
}

/// An open model, here a run's checkpoint, shows the user's own image, and then its samples again.
#[test]
fn a_model_shows_the_users_own_images() {
    use nem_tui::backend::DeviceName;
    use nem_tui::live::model;
    use nem_tui::preset::Setting;
    use nem_tui::protocol::{Command, Event, RunHandle};
    use nem_tui::snapshot::Input;
    use support::picture;
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    run(directory.path(), &tiny("r", &["--max-iterations", "10"]));
    let mut handle = model::open(&at("r"), DeviceName::Flex).unwrap();
    let sample = picture(&mut handle, |_| true);
    image::GrayImage::from_fn(12, 10, |x, _| image::Luma([if x < 4 { 255 } else { 0 }]))
        .save(at("own.png"))
        .unwrap();
    image::GrayImage::new(20, 10).save(at("large.png")).unwrap();
    let input = |name: &str, resize| Input::file(at(name), resize, 1);
    let open = |handle: &RunHandle, input: Option<Input>| handle.send(Command::Input(input));
    let own = input("own.png", false);
    open(&handle, Some(own.clone()));
    let shown = picture(&mut handle, |picture| picture.input.is_some());
    assert_eq!((shown.input.as_ref(), shown.steps.len(), shown.k), (Some(&own), 6, 4));
    let step = &shown.steps[5];
    assert_eq!(step.target[..12], [[1.0; 4], [0.0; 4], [0.0; 4]].concat()[..]);
    assert_eq!(step.noisy, step.target, "as it is, without the preset's noise");
    assert!(step.groups.iter().all(|group| *group == 0) && step.ami.is_none() && step.confidence.is_none());
    // The conditions are for it too.
    handle.send(Command::Look(vec![Setting::K(2), Setting::Noise(0.3), Setting::Steps(3)]));
    let shown = picture(&mut handle, |picture| picture.k == 2);
    assert_eq!((shown.input.as_ref(), shown.steps.len()), (Some(&own), 3));
    assert_ne!(shown.steps[0].noisy, shown.steps[0].target);
    handle.send(Command::Look(vec![]));

    // An image that cannot be shown leaves the current one.
    for name in ["large.png", "gone.png"] {
        open(&handle, Some(input(name, false)));
    }
    let mut told = Vec::new();
    while told.len() < 2 {
        match handle.events.blocking_recv().unwrap() {
            Event::WrongSize { input, size } => {
                assert_eq!((input.path(), size), (at("large.png").display().to_string(), [20, 10]));
                told.push("size");
            }
            Event::Refused { why, .. } => {
                assert!(why.contains("gone.png"), "{why}");
                told.push("gone");
            }
            _ => {}
        }
    }
    assert_eq!(told, ["size", "gone"]);
    assert_eq!(picture(&mut handle, |picture| picture.look.is_empty()).input, Some(own));
    let resized = input("large.png", true);
    open(&handle, Some(resized.clone()));
    picture(&mut handle, |picture| picture.input.as_ref() == Some(&resized));
    open(&handle, None);
    // Of requests that come together, each is met or refused on its own.
    let bad = Command::Look(vec![Setting::K(0)]);
    handle.send(bad.clone());
    handle.send(Command::Watch(3));
    picture(&mut handle, |picture| picture.sample == 3);
    match handle.events.blocking_recv().unwrap() {
        Event::Refused { request, .. } => assert_eq!(request, bad),
        other => panic!("{other:?}"),
    }
    handle.send(Command::Watch(sample.sample));
    assert_eq!(
        *picture(&mut handle, |picture| picture.input.is_none() && picture.sample == sample.sample),
        *sample,
        "the sample has changed"
    );
}

/// What cannot be opened is refused before the screen is taken over.
#[test]
fn what_cannot_be_opened_is_refused_without_a_screen() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("text"), "no image").unwrap();
    for (arguments, code, said) in [
        (vec!["--look", "nowhere"], 1, "one of these models: static-shapes"),
        (vec!["--look", "static-shapes", "-i", "text"], 1, "text: neither a PNG"),
        (vec!["--look", "static-shapes", "-i", "gone.png"], 1, "gone.png"),
        (vec!["-i", "text"], 2, "--look"),
        (vec!["--look", "static-shapes", "--preset", "quickstart"], 2, "cannot be used with"),
        // Settings for training do not apply to a model that is only shown.
        (vec!["--look", "static-shapes", "--set", "k=5"], 2, "cannot be used with"),
        (vec!["--resume", "runs/mine", "--seed", "2"], 2, "cannot be used with"),
    ] {
        let error = refused(directory.path(), &arguments, code);
        assert!(error.contains(said), "{arguments:?} says {error:?} instead of {said:?}");
    }
}
