//! The commands without a screen, run as separate processes.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::Path;

use nem_tui::live::backstage::card;
use serde_json::Value;
use support::cli::{nem_tui, nem_tui_with, refused, run, tiny};
use support::readers::{self, Said};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// A run's metrics without their times, the only difference between equal runs.
fn metrics(run: &Path) -> Vec<Value> {
    let mut records = lines(&std::fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    for record in &mut records {
        let seconds = record.as_object_mut().unwrap().remove("seconds");
        assert!(seconds.is_some() || record["kind"] == "change" || record["kind"] == "failed");
    }
    records
}

fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}

#[test]
fn train_reports_its_steps_epochs_and_reason() {
    let directory = tempfile::tempdir().unwrap();
    let events = lines(&run(directory.path(), &tiny("r", &["--epochs", "2"])));
    assert_eq!(kinds(&events, "step").len(), 20);
    let epochs = kinds(&events, "epoch");
    assert_eq!(epochs.len(), 2);
    assert!(epochs.iter().all(|e| e["validation_loss"].is_f64() && e["ami"].is_f64()));
    let last = events.last().unwrap();
    assert_eq!((last["kind"].as_str(), last["reason"].as_str()), (Some("finished"), Some("max_epochs")));
    for file in ["run.json", "preset.ron", "metrics.jsonl", "log.txt", "checkpoints/last", "checkpoints/best"]
    {
        assert!(directory.path().join("r").join(file).is_file(), "{file}");
    }
    let stdout = run(directory.path(), &tiny("s", &["--max-iterations", "7"]));
    let events = lines(&stdout);
    assert_eq!(
        (kinds(&events, "step").len(), events.last().unwrap()["reason"].as_str()),
        (7, Some("max_iterations"))
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (name, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        run(directory.path(), &tiny(name, &["--epochs", "2", "--seed", seed]));
    }
    assert_eq!(metrics(&at("a")), metrics(&at("b")));
    assert_ne!(metrics(&at("a")), metrics(&at("c")));
}

/// A run that is stopped within an epoch and resumed by another process has the same metrics, bit for bit, as a run
/// that was never interrupted.
#[test]
fn resuming_is_exact() {
    resumes_exactly(&[]);
}

/// The same holds with clipped gradients, which lead to another run. Adam's first step does not depend on the
/// gradient's length; later steps do.
#[test]
fn clipped_gradients_give_another_run_and_resume_exactly() {
    let clipped = resumes_exactly(&["--set", "train.clip_norm=0.5"]);
    let plain = resumes_exactly(&[]);
    let losses = |metrics: &[Value]| {
        let steps = kinds(metrics, "step");
        steps.iter().map(|step| step["loss"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (clipped, plain) = (losses(&clipped), losses(&plain));
    assert_eq!(clipped[0], plain[0]);
    assert_ne!(clipped.last(), plain.last());
}

/// A run keeps its precision: resumed without `--precision`, it equals the uninterrupted run bit for bit.
#[cfg(feature = "libtorch")]
#[test]
fn a_run_in_bfloat16_resumes_in_bfloat16() {
    let bf16 = resumes_exactly(&["--device", "libtorch", "--precision", "bf16"]);
    let f32 = resumes_exactly(&["--device", "libtorch"]);
    let first = |metrics: &[Value]| kinds(metrics, "step")[0]["loss"].as_f64().unwrap();
    let off = (first(&bf16) / first(&f32) - 1.0).abs();
    assert!(off > 1e-7 && off < 1e-2, "the first loss is off by {off:.1e}");
}

/// The metrics of the whole run.
fn resumes_exactly(more: &[&str]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    run(directory.path(), &tiny("whole", &[&["--epochs", "3"], more].concat()));
    run(directory.path(), &tiny("parts", &[&["--epochs", "3", "--max-iterations", "13"], more].concat()));
    let events =
        lines(&run(directory.path(), &["train", "--resume", "parts", "--json", "--max-iterations", "14"]));
    assert_eq!(kinds(&events, "step")[0]["iteration"], 14);
    run(directory.path(), &["train", "--resume", "parts", "--json"]);
    assert_eq!(metrics(&at("whole")), metrics(&at("parts")));
    let begun = std::fs::read_to_string(at("parts").join("run.json")).unwrap();
    let precision = if more.contains(&"bf16") { "bf16" } else { "f32" };
    assert_eq!(serde_json::from_str::<Value>(&begun).unwrap()["precision"], precision);
    let weights = |name: &str| {
        let checkpoints = at(name).join("checkpoints");
        let last = std::fs::read_to_string(checkpoints.join("last")).unwrap();
        std::fs::read(checkpoints.join(last).join("weights.safetensors")).unwrap()
    };
    assert_eq!(weights("whole"), weights("parts"));
    metrics(&at("whole"))
}

/// Records after the last checkpoint are computed again and not kept twice.
#[test]
fn resuming_forgets_what_came_after_the_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &tiny("r", &["--epochs", "2", "--max-iterations", "15"]));
    let file = directory.path().join("r/metrics.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{{\"kind\":\"step\",\"iterat")).unwrap();
    run(directory.path(), &["train", "--resume", "r", "--json"]);
    assert_eq!(kinds(&metrics(&directory.path().join("r")), "step").len(), 20);
}

#[test]
fn eval_scores_a_run_or_a_checkpoint_with_other_settings() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &tiny("r", &["--epochs", "2"]));
    let of = |arguments: &[&str]| {
        lines(&run(directory.path(), &[&["eval", "r", "--json"], arguments].concat())).remove(0)
    };
    let report = of(&[]);
    assert_eq!((report["samples"].as_u64(), report["k"].as_u64()), (Some(24), Some(4)));
    for field in [
        "ami",
        "ami_arithmetic",
        "ari",
        "ami_last",
        "ami_arithmetic_last",
        "ari_last",
        "confidence",
        "confidence_last",
        "loss",
        "upper_bound",
        "floor",
    ] {
        assert!(report[field].as_f64().is_some_and(f64::is_finite), "{field}: {report}");
    }
    assert_eq!(report, of(&[]), "held-out noise has changed");
    assert_eq!(of(&["--k", "6", "--samples", "10"])["k"], 6);
    assert_ne!(of(&["--set", "noise.probability=0.4"])["loss"], report["loss"]);
    // The last epoch's validation, scored again from the checkpoint.
    let last = std::fs::read_to_string(directory.path().join("r/checkpoints/last")).unwrap();
    let checkpoint = format!("r/checkpoints/{last}");
    let again =
        lines(&run(directory.path(), &["eval", &checkpoint, "--split", "validation", "--json"])).remove(0);
    let records = metrics(&directory.path().join("r"));
    let epoch = kinds(&records, "epoch").pop().unwrap().clone();
    assert_eq!((&again["loss"], &again["ami_last"]), (&epoch["validation_loss"], &epoch["ami"]));
}

/// `--from` takes the weights of another run, but neither its optimizer state nor its counters.
#[test]
fn a_run_begins_with_anothers_weights() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("a", &["--epochs", "1"]));
    let loss = |run: &str| metrics(&here.join(run))[0]["loss"].as_f64().unwrap();
    run(here, &tiny("b", &["--epochs", "1", "--from", "a"]));
    assert!(loss("b") < loss("a"), "the first loss is {} after training, {} before", loss("b"), loss("a"));
    assert_eq!(metrics(&here.join("b"))[0]["iteration"], 1);
    let file: Value = serde_json::from_slice(&std::fs::read(here.join("b/run.json")).unwrap()).unwrap();
    // Absolute, so that the run can be repeated from anywhere.
    assert!(
        file["from"].as_str().unwrap().starts_with(here.join("a/checkpoints").to_str().unwrap()),
        "{file}"
    );
    let error = refused(here, &tiny("c", &["--from", "a", "--set", "model.cell.layers.0.units=13"]), 1);
    assert!(error.contains("another architecture"), "{error}");
    assert!(!here.join("c").exists());
}

/// `--seeds` trains one run for each seed, and `eval` of several runs adds mean and deviation.
#[test]
fn a_group_of_seeds_is_trained_and_scored() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("group", &["--epochs", "1", "--seed", "4", "--seeds", "2"]));
    run(here, &tiny("alone", &["--epochs", "1", "--seed", "5"]));
    assert_eq!(metrics(&here.join("group/s5")), metrics(&here.join("alone")));
    let report = lines(&run(here, &["eval", "group/s4", "group/s5", "--json"])).remove(0);
    let amis: Vec<f64> =
        report["runs"].as_array().unwrap().iter().map(|run| run["ami"].as_f64().unwrap()).collect();
    let ami = |field: &str| report["mean"]["ami"][field].as_f64().unwrap();
    assert!((ami("mean") - (amis[0] + amis[1]) / 2.0).abs() < 1e-12);
    assert!((ami("deviation") - (amis[0] - amis[1]).abs() / 2.0f64.sqrt()).abs() < 1e-12);
}

#[test]
fn infer_writes_what_the_case_describes() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let directory = tempfile::tempdir().unwrap();
    let (case, file) = (format!("{fixtures}/k1.json"), format!("{fixtures}/k1.safetensors"));
    let arguments = [
        "infer",
        "--preset",
        &case,
        "--weights",
        &file,
        "--input",
        &file,
        "--output",
        "o.safetensors",
        "--grad",
    ];
    run(directory.path(), &arguments);
    let out = nem_tui::tensors::read(&directory.path().join("o.safetensors")).unwrap();
    let expected = nem_tui::tensors::read(Path::new(&file)).unwrap();
    for (name, array) in expected.iter().filter(|(n, _)| !n.starts_with("in.") && !n.starts_with("param.")) {
        assert_eq!(out.get(name).map(|a| &a.shape), Some(&array.shape), "{name}");
    }
}

/// A file that does not fit is refused with its name and with what was expected.
#[test]
fn infer_refuses_files_that_do_not_fit() {
    use nem_tui::tensors::{Array, read, write};
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (case, good) = (format!("{fixtures}/k1.json"), format!("{fixtures}/k1.safetensors"));
    let arrays = read(Path::new(&good)).unwrap();
    let spoilt = |file: &str, name: &str, array: Option<Array>| {
        let mut arrays = arrays.clone();
        arrays.remove(name);
        arrays.extend(array.map(|array| (name.to_owned(), array)));
        write(&here.join(file), &arrays).unwrap();
    };
    let of = |shape: [usize; 5]| Some(Array::new(shape, vec![0.0; shape.iter().product()]));
    spoilt("larger", "in.features_clean", of([4, 3, 1, 9, 8]));
    spoilt("shorter", "in.features_clean", of([3, 3, 1, 8, 8]));
    spoilt("without", "in.features_clean", None);
    spoilt("fewer", "in.features_noisy", of([4, 2, 1, 8, 8]));
    spoilt("gamma", "in.gamma_init", Some(Array::new([3, 1, 63], vec![1.0; 189])));
    spoilt("lacking", "param.recurrent.wh", None);
    spoilt("narrow", "param.recurrent.wh", Some(Array::new([10, 9], vec![0.0; 90])));
    for (weights, input, said) in [
        (
            good.as_str(),
            "larger",
            "larger: in.features_clean has shape [4, 3, 1, 9, 8]; it needs [1 or at least 4, B, 1, 8, 8]",
        ),
        (&good, "shorter", "shorter: in.features_clean has shape [3, 3, 1, 8, 8]"),
        (&good, "without", "without: there is no array in.features_clean"),
        (&good, "fewer", "fewer: in.features_noisy has shape [4, 2, 1, 8, 8]; it needs 3 images"),
        (&good, "gamma", "gamma: in.gamma_init has shape [3, 1, 63]; it needs [3, K, 64]"),
        (
            "lacking",
            good.as_str(),
            "lacking: another architecture than that of k1: these weights lack recurrent.wh",
        ),
        (
            "narrow",
            &good,
            "narrow: another architecture than that of k1: these weights hold recurrent.wh with shape [10, 9]",
        ),
    ] {
        let files = ["--weights", weights, "--input", input, "--output", "o"];
        let error = refused(here, &[&["infer", "--preset", &case][..], &files].concat(), 1);
        assert!(error.contains(said), "{error}");
    }
    assert!(!here.join("o").exists());
}

/// `infer` takes a run's own weights, under their plain names, with the run's preset.
#[test]
fn infer_takes_a_runs_weights() {
    use nem_tui::tensors::{Array, Arrays, read, write};
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &tiny("r", &["--max-iterations", "3"]));
    let last = std::fs::read_to_string(directory.path().join("r/checkpoints/last")).unwrap();
    let weights = format!("r/checkpoints/{last}/weights.safetensors");
    let input =
        Arrays::from([("in.features_clean".to_owned(), Array::new([1, 2, 1, 10, 12], vec![0.5; 240]))]);
    write(&directory.path().join("i.safetensors"), &input).unwrap();
    run(
        directory.path(),
        &[
            "infer",
            "--preset",
            "r/preset.ron",
            "--weights",
            &weights,
            "--input",
            "i.safetensors",
            "--output",
            "o.safetensors",
        ],
    );
    let out = read(&directory.path().join("o.safetensors")).unwrap();
    assert_eq!(out["out.gammas"].shape, [6, 2, 4, 120]);
}

#[test]
fn presets_and_bench_speak_json() {
    let directory = tempfile::tempdir().unwrap();
    let presets = lines(&run(directory.path(), &["presets", "--json"]));
    let names: Vec<_> = presets.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["quickstart", "static-shapes-rnn-em", "static-shapes-nem"]), "{names:?}");
    // Every file of the folder is listed.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, files);
    let text = run(directory.path(), &["presets", "quickstart"]);
    std::fs::write(directory.path().join("mine.ron"), text).unwrap();
    assert!(run(directory.path(), &["presets", "./mine.ron"]).contains("name: \"quickstart\""));
    let bench = &lines(&run(
        directory.path(),
        &["bench", "quickstart", "--json", "--batch", "4", "--k", "2", "--steps", "3", "--iterations", "4"],
    ))[0];
    assert_eq!(
        (bench["batch"].as_u64(), bench["k"].as_u64(), bench["steps"].as_u64()),
        (Some(4), Some(2), Some(3))
    );
    let [min, median, max] = ["min_s", "median_s", "max_s"].map(|f| bench[f].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max);
    assert!(run(directory.path(), &["completions", "bash"]).contains("nem-tui"));
    assert!(run(directory.path(), &["man"]).contains(".TH nem-tui"));
}

#[test]
fn bad_requests_are_refused_in_a_sentence_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("typo.ron"), "(\n    name: \"x\",\n    dta: 3,\n)").unwrap();
    std::fs::write(here.join("file"), "not a directory").unwrap();
    std::fs::create_dir_all(here.join("runs/quickstart-s1")).unwrap();
    std::fs::write(here.join("runs/quickstart-s1/run.json"), "{}").unwrap();
    for (arguments, code, said) in [
        (
            vec!["train", "quickstrat"],
            2,
            "there is no preset called \"quickstrat\"; did you mean quickstart?",
        ),
        (vec!["eval", "static-shape"], 1, "there is no such directory; did you mean static-shapes?"),
        (vec!["attach", "quickstart-s2"], 1, "did you mean runs/quickstart-s1? give a run directory"),
        (vec!["train", "--resume", "runs/quickstrat-s1"], 1, "did you mean runs/quickstart-s1?"),
        (vec!["train", "typo.ron"], 2, "typo.ron:3:"),
        (vec!["train", "missing.ron"], 1, "missing.ron"),
        (vec!["train", "quickstart", "--set", "k=0"], 2, "k is 0"),
        (vec!["train", "quickstart", "--set", "train.bach=3"], 2, "train.bach"),
        (
            vec![
                "train",
                "quickstart",
                "--set",
                "data.height=4",
                "--set",
                "data.width=7",
                "--set",
                "data.objects=1",
            ],
            2,
            "too few different images",
        ),
        (vec!["train", "quickstart", "--out", "file/r"], 1, "file/r"),
        (vec!["train", "quickstart", "--out", "/proc/nem"], 1, "/proc/nem"),
        (vec!["train", "--resume", "nowhere"], 1, "nowhere"),
        (vec!["train"], 2, "required"),
        (vec!["eval", "nowhere"], 1, "nowhere"),
        (vec!["bench", "quickstart", "--k", "0"], 2, "k is 0"),
        (
            vec!["infer", "--preset", "quickstart", "--weights", "file", "--input", "file", "--output", "o"],
            1,
            "safetensors",
        ),
        (
            vec!["train", "quickstart", "--device", "flex", "--precision", "bf16"],
            2,
            "needs a libtorch device",
        ),
        (vec!["eval", "quickstart", "--precision", "f16"], 2, "choose f32, bf16 or auto"),
        (vec!["tui"], 2, "needs a terminal"),
        (vec![], 2, "nem-tui train"),
    ] {
        let error = refused(here, &arguments, code);
        assert!(error.contains(said), "{arguments:?} says {error:?} instead of {said:?}");
    }
    let mut left: Vec<_> = std::fs::read_dir(here).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file", "runs", "typo.ron"], "something was left behind");
    assert_eq!(std::fs::read_dir(here.join("runs")).unwrap().count(), 1, "a run was left behind");
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--max-iterations", "5"]));
    let last = std::fs::read_to_string(here.join("r/checkpoints/last")).unwrap();
    let checkpoint = here.join("r/checkpoints").join(last);
    let error = refused(here, &["eval", "r", "--set", "model.cell.layers.0.units=13"], 1);
    assert!(error.contains("another architecture"), "{error}");
    let error = refused(here, &tiny("r", &[]), 2);
    assert!(error.contains("r is not empty"), "{error}");
    for file in ["weights.safetensors", "optimizer.burnpack", "preset.ron"] {
        let whole = std::fs::read(checkpoint.join(file)).unwrap();
        std::fs::write(checkpoint.join(file), &whole[..whole.len() / 2]).unwrap();
        let error = refused(here, &["train", "--resume", "r"], 1);
        assert!(error.contains(file) && error.contains("damaged"), "{error}");
        std::fs::write(checkpoint.join(file), whole).unwrap();
    }
    run(here, &["train", "--resume", "r", "--max-iterations", "6"]);
}

/// A loss that is not a number ends the run with that reason and keeps what was saved before.
#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--max-iterations", "10", "--epochs", "9", "--tensorboard"]));
    let last = || std::fs::read_to_string(here.join("r/checkpoints/last")).unwrap();
    let good = last();
    // No setting makes this model's loss infinite for certain, so the checkpoint is rewritten with a learning rate
    // that ruins the weights.
    let checkpoint = here.join("r/checkpoints").join(&good);
    let preset = std::fs::read_to_string(checkpoint.join("preset.ron")).unwrap();
    let broken = preset.replace("learning_rate: 0.004", "learning_rate: 1e300");
    assert_ne!(preset, broken);
    std::fs::write(checkpoint.join("preset.ron"), &broken).unwrap();
    let manifest = std::fs::read_to_string(checkpoint.join("manifest.json")).unwrap();
    // The manifest ends with the SHA-256 of the rest of it.
    let (fields, _) = manifest.rsplit_once(",\n  \"sha256\"").unwrap();
    let fields = fields.replace(&sha256(&preset), &sha256(&broken));
    let sealed = format!("{fields},\n  \"sha256\": \"{}\"\n}}", sha256(&format!("{fields}\n}}")));
    std::fs::write(checkpoint.join("manifest.json"), sealed).unwrap();
    let error = refused(here, &["train", "--resume", "r", "--json"], 1);
    assert!(error.contains("the loss became NaN in iteration 12"), "{error}");
    assert_eq!(last(), good, "the good checkpoint is no longer the last");

    // The run is listed as failed, and every curve shows where.
    let trouble = card(&here.join("r")).unwrap().trouble.unwrap();
    assert!(trouble.starts_with("failed: ") && trouble.contains("NaN in iteration 12"), "{trouble}");
    let failed = metrics(&here.join("r")).pop().unwrap();
    assert_eq!((&failed["kind"], &failed["iteration"]), (&"failed".into(), &12.into()));
    run(here, &["curves", "r", "--csv", "r.csv", "--svg", "r.svg", "--tensorboard", "t"]);
    let table = std::fs::read_to_string(here.join("r.csv")).unwrap();
    assert!(table.lines().last().unwrap().starts_with("12,2,0.004,NaN,,"), "{table}");
    let svg = std::fs::read_to_string(here.join("r.svg")).unwrap();
    assert!(svg.lines().any(|line| line.trim() == "failed: loss NaN"));
    for file in ["t/events.out.tfevents.0000000001.000", "r/tensorboard/events.out.tfevents.0000000011.000"] {
        let events = readers::events(&std::fs::read(here.join(file)).unwrap());
        let (_, step, said) = events.last().unwrap();
        let Said::Scalar(tag, loss) = said else { panic!("{said:?}") };
        assert!(*step == 12 && tag == "train/loss" && loss.is_nan(), "{file}: {step} {tag} {loss}");
    }

    // Resumed with the settings it had, it has not failed any more.
    std::fs::write(checkpoint.join("preset.ron"), &preset).unwrap();
    std::fs::write(checkpoint.join("manifest.json"), manifest).unwrap();
    run(here, &["train", "--resume", "r", "--json", "--max-iterations", "14"]);
    assert_eq!(card(&here.join("r")).unwrap().trouble, None);
    assert!(kinds(&metrics(&here.join("r")), "failed").is_empty());
}

/// A run that failed before its first checkpoint, or is damaged, is listed all the same, and says why.
#[test]
fn a_damaged_run_is_listed_with_its_trouble() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--max-iterations", "1"]));
    std::fs::remove_dir_all(here.join("r/checkpoints")).unwrap();
    std::fs::create_dir(here.join("r/checkpoints")).unwrap();
    let listed = || card(&here.join("r")).unwrap();
    assert_eq!((listed().iteration, listed().seed), (0, 1));
    assert_eq!(listed().trouble, None, "it begins anew when it is resumed");
    let whole =
        ["run.json", "preset.ron"].map(|file| (file, std::fs::read(here.join("r").join(file)).unwrap()));
    for file in ["run.json", "preset.ron"] {
        std::fs::write(here.join("r").join(file), "{").unwrap();
        assert!(listed().trouble.is_some_and(|trouble| trouble.contains("run.json")), "{file}");
    }
    for (file, bytes) in &whole {
        std::fs::write(here.join("r").join(file), bytes).unwrap();
        let left = (*file == "run.json").then_some("preset.ron");
        assert!(left.is_none_or(|left| listed().trouble.unwrap().contains(left)));
    }
    let failed = r#"{"kind":"failed","iteration":1,"epoch":1,"why":"no space left on the disk"}"#;
    let file = here.join("r/metrics.jsonl");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}{failed}\n")).unwrap();
    assert_eq!(listed().trouble.as_deref(), Some("failed: no space left on the disk"));
    // It broke no loss, so no loss is drawn for it.
    run(here, &["curves", "r", "--csv", "r.csv"]);
    assert_eq!(std::fs::read_to_string(here.join("r.csv")).unwrap().lines().count(), 2);
}

/// Where nothing can be scored, nothing is printed as a number: one component for the only object is always right.
#[test]
fn what_cannot_be_scored_is_no_number() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let alone = ["--set", "k=1", "--set", "data.objects=1", "--epochs", "1", "--tensorboard"];
    let events = lines(&run(here, &tiny("r", &alone)));
    let (started, epoch) = (kinds(&events, "started")[0], kinds(&events, "epoch")[0]);
    assert_eq!((&started["floor"], &started["floor_ari"]), (&Value::Null, &Value::Null));
    for scores in [epoch, kinds(&metrics(&here.join("r")), "epoch")[0]] {
        for score in ["ami", "ami_arithmetic", "ari"] {
            assert_eq!(scores.get(score), Some(&Value::Null), "{score}: {scores}");
        }
    }
    run(here, &["curves", "r", "--csv", "r.csv", "--svg", "r.svg"]);
    let table = std::fs::read_to_string(here.join("r.csv")).unwrap();
    let last: Vec<&str> = table.lines().last().unwrap().split(',').collect();
    assert_eq!((last[6], last[7], &last[11..14]), ("", "", &["", "", ""][..]), "{table}");
    assert!(!std::fs::read_to_string(here.join("r.svg")).unwrap().contains("AMI ("));
    let file = std::fs::read(here.join("r/tensorboard/events.out.tfevents.0000000001.000")).unwrap();
    assert!(!readers::events(&file).iter().any(
        |(_, _, said)| matches!(said, Said::Scalar(tag, _) if tag.ends_with("AMI") || tag.ends_with("ARI"))
    ));
    let report = lines(&run(here, &["eval", "r", "--json"])).remove(0);
    for score in ["ami", "ami_last", "ami_arithmetic", "ami_arithmetic_last", "ari", "ari_last", "floor"] {
        assert_eq!(report.get(score), Some(&Value::Null), "{score}");
    }
    assert_eq!((&report["frames"], &report["frames_last"]), (&0.into(), &0.into()));
    assert_eq!(report["unscored"], "with one component or one object there is nothing to tell apart");
    assert!(report["per_step"][0]["ami"].is_null() && report["per_step"][0]["quartiles"].is_null());
    let said = run(here, &["eval", "r", "--per-step"]);
    let row = |name: &str| {
        said.lines().find(|line| line.starts_with(name)).unwrap()[name.len()..].split_whitespace()
    };
    assert!(row("AMI (last step)").eq(["–", "–"]) && row("ARI (all steps)").eq(["–", "–"]), "{said}");
    assert!(said.contains("of 0 of 24 frames: with one component or one object"), "{said}");
    assert!(!said.contains("above it") && !said.contains("NaN"), "{said}");
    // Means over nothing, and over one run of two.
    let of = |runs: &[&str]| lines(&run(here, &[&["eval", "--json"], runs].concat())).remove(0);
    let means = of(&["r", "r"])["mean"]["ami"].clone();
    assert_eq!(means, serde_json::json!({"mean": null, "deviation": null, "runs": 0}));
    run(here, &tiny("s", &["--epochs", "1"]));
    let means = of(&["r", "s"])["mean"]["ami"].clone();
    assert_eq!(
        (means["mean"].is_f64(), &means["deviation"], &means["runs"]),
        (true, &Value::Null, &1.into())
    );
    let table = run(here, &["eval", "r", "s"]);
    assert!(table.contains("of 1 runs that have it"), "{table}");
    let model = run(here, &["export", "r", "--out", "m"]);
    assert!(model.contains("AMI (last step) –") && model.contains("floor –"), "{model}");
    assert_eq!(lines(&run(here, &["eval", "m", "--json"]))[0]["ami"], Value::Null);
}

/// The user and the log are warned once that a network cannot learn any more.
#[test]
fn a_saturated_network_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rate = ["--set", "train.learning_rate=10", "--set", "train.score_every=1", "--epochs", "4"];
    let events = lines(&run(here, &tiny("r", &rate)));
    let notes = kinds(&events, "note");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0]["note"].as_str().unwrap().contains("the network is saturated"), "{notes:?}");
    let log = std::fs::read_to_string(here.join("r/log.txt")).unwrap();
    assert_eq!(log.matches("the network is saturated").count(), 1, "{log}");
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An interrupt stops a run without a screen, which saves first.
#[cfg(unix)]
#[test]
fn an_interrupted_run_is_saved() {
    use std::io::BufRead;
    use std::process::{Command, Stdio};
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_nem-tui"))
        .current_dir(directory.path())
        .args(tiny("r", &["--epochs", "100000", "--set", "train.patience=100000"]))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    output.by_ref().map(Result::unwrap).find(|line| line.contains("\"iteration\":25,")).unwrap();
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let last = output.map(Result::unwrap).last().unwrap();
    assert!(last.contains("\"finished\"") && last.contains("\"stopped\""), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    run(directory.path(), &["eval", "r", "--json"]);
}

/// `+N` trains a run further that is over; without it, the program says that there is nothing to do.
#[test]
fn a_run_that_is_over_is_trained_further() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--epochs", "2"]));
    let over = nem_tui(here, &["train", "--resume", "r"]);
    let said = String::from_utf8(over.stderr).unwrap();
    assert!(said.contains("--epochs +N trains it N epochs further"), "{said}");
    let further = lines(&run(here, &["train", "--resume", "r", "--epochs", "+1"]));
    assert_eq!(kinds(&further, "epoch").len(), 1);
    let fork = lines(&run(here, &["train", "--fork", "r", "--out", "f", "--set", "k=3", "--epochs", "+2"]));
    assert_eq!(kinds(&fork, "epoch").len(), 2);
    let usual = lines(&run(here, &["train", "--fork", "r", "--out", "g", "--set", "k=3"]));
    let notes: Vec<_> = kinds(&usual, "note").into_iter().map(|line| line["note"].to_string()).collect();
    assert_eq!((kinds(&usual, "epoch").len(), notes.len()), (3, 2));
    assert!(notes.iter().any(|note| note.contains("trains 3 more epochs")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("g, forked at")), "{notes:?}");
    let error = refused(here, &["train", "quickstart", "--epochs", "+2"], 2);
    assert!(error.contains("--resume"), "{error}");
}

/// A setting that a stage would override is refused, not silently lost.
#[test]
fn a_setting_of_a_stage_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = refused(directory.path(), &["train", "flying-shapes-fast", "--set", "k=5"], 2);
    assert!(error.contains("--set k: ") && error.contains("--set 'train.stages=[]'"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// What `config` prints is a valid config. An error names its place, and a missing file is an error too.
#[test]
fn the_config_is_printed_and_can_be_saved_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.ron");
    let config = |name: &str| {
        let path = directory.path().join(name);
        let output =
            nem_tui_with(directory.path(), &["config"], &[("NEM_TUI_CONFIG", path.to_str().unwrap())]);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    std::fs::write(&file, r#"(theme: Light, keys: { "pause": "ctrl-p" })"#).unwrap();
    let (code, printed, error) = config("mine.ron");
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(printed.starts_with(&format!("// {}\n", file.display())), "{printed}");
    for line in ["theme: Light,", r#""pause": ["ctrl-p"],"#, r#""k-up": ["K"],"#] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    std::fs::write(&file, &printed).unwrap();
    assert_eq!(config("mine.ron").1, printed);

    std::fs::write(&file, "(\n    them: Light,\n)").unwrap();
    for (name, words) in [
        ("mine.ron", "mine.ron: line 2, column"),
        ("no.ron", "no.ron: the config named by NEM_TUI_CONFIG does not exist"),
    ] {
        let (code, printed, error) = config(name);
        assert_eq!((code, printed.as_str()), (Some(1), ""));
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    }
}
