//! `nem-tui reproduce`: which runs it trains, archives, resumes and counts.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::path::Path;

use serde_json::Value;
use support::cli::{nem_tui, refused, run};

/// The paper's static shapes, cut down to a few images. Nothing is learned, so the ten epochs without a better
/// validation loss that end the protocol follow the first epoch: 11 iterations.
const SMALL: [&str; 13] = [
    "reproduce",
    "static",
    "--json",
    "--set",
    "train.train_size=64",
    "--set",
    "train.validation_size=4",
    "--set",
    "train.test_size=6",
    "--set",
    "train.learning_rate=1e-30",
    "--set",
    "steps=2",
];

fn reproduce(here: &Path, more: &[&str]) -> Value {
    serde_json::from_str(&run(here, &[&SMALL, more].concat())).unwrap()
}

fn row<'a>(results: &'a Value, name: &str) -> &'a Value {
    results["rows"].as_array().unwrap().iter().find(|row| row["row"] == name).unwrap()
}

fn scores(here: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        std::fs::read_dir(here.join("reproduced/scores")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

#[test]
fn runs_are_resumed_and_count_only_when_they_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let results = reproduce(here, &["--seeds", "2", "--max-iterations", "1"]);
    for name in ["N-EM", "RNN-EM"] {
        let row = row(&results, name);
        assert_eq!((&row["ours"], &row["unfinished"]["seeds"]), (&Value::Null, &serde_json::json!([1, 2])));
        assert_eq!(row["score"], "ami_last");
    }
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    assert!(text.contains("static-shapes-nem: unfinished seeds 1, 2"), "{text}");

    // Resumed until the protocol ends. Settings that differ from the paper's are listed.
    let results = reproduce(here, &["--seeds", "2"]);
    let row = row(&results, "RNN-EM");
    assert_eq!((&row["unfinished"], &row["missing"]), (&Value::Null, &serde_json::json!([])));
    let of_runs: Vec<f64> = scores(here)
        .iter()
        .filter(|s| s["training"]["preset"] == "static-shapes-rnn-em")
        .map(|s| s["report"]["ami_last"].as_f64().unwrap())
        .collect();
    let [a, b] = of_runs[..] else { panic!("{of_runs:?}") };
    let number = |field: &str| row["ours"][field].as_f64().unwrap();
    assert!((number("mean") - (a + b) / 2.0).abs() < 1e-12);
    assert!((number("deviation") - (a - b).abs() / 2.0f64.sqrt()).abs() < 1e-12);
    let runs = results["runs"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["iterations"] == 11 && run["finished"] == true));
    let changed = runs[0]["changed"].as_array().unwrap();
    assert!(changed.contains(&"train.learning_rate: 0.001 -> 1e-30".into()), "{changed:?}");
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    assert!(text.contains("not trained as the preset says") && !text.contains("## Missing"), "{text}");

    // A third seed is missing, not made up.
    let results = reproduce(here, &["--seeds", "3", "--budget", "0"]);
    assert_eq!(self::row(&results, "N-EM")["missing"], serde_json::json!([3]));
}

/// A run that ended by a lower limit than the protocol's is not a result and is listed as missing.
#[test]
fn a_run_whose_protocol_was_cut_short_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let results = reproduce(here, &["--seeds", "1", "--set", "train.max_epochs=1"]);
    let row = row(&results, "RNN-EM");
    assert_eq!((&row["ours"], &row["unfinished"]["cut_short"]), (&Value::Null, &Value::Bool(true)));
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    assert!(text.contains("\n- static-shapes-rnn-em: cut short seed 1\n"), "{text}");
}

/// The tables are made from the stored scores and metrics, without weights.
#[test]
fn tables_are_made_again_without_the_weights() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let out = here.join("reproduced");
    let results = reproduce(here, &["--seeds", "1"]);
    let text = std::fs::read_to_string(out.join("results.md")).unwrap();
    for run in std::fs::read_dir(out.join("runs")).unwrap() {
        std::fs::remove_dir_all(run.unwrap().path().join("checkpoints")).unwrap();
    }
    std::fs::remove_file(out.join("results.md")).unwrap();
    assert_eq!(reproduce(here, &["--seeds", "1", "--budget", "0"]), results);
    assert_eq!(std::fs::read_to_string(out.join("results.md")).unwrap(), text);
}

/// The tables and curves in `docs` are exactly those of the scores and runs beside them.
#[test]
fn the_documented_results_are_made_again() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for folder in ["runs", "scores"] {
        copy(&docs.join(folder), &here.join(folder));
    }
    std::fs::copy(docs.join("reading.md"), here.join("reading.md")).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let written: Value = serde_json::from_str(&read(&docs.join("results.json"))).unwrap();
    let seeds = written["seeds"].to_string();
    run(here, &["reproduce", "all", "--budget", "0", "--seeds", &seeds, "--out", "."]);
    let made = std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = made.filter(|path| path.is_file()).collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap();
        assert!(read(&docs.join(name)) == read(&file), "{name:?} differs from the stored one");
    }
    let text = read(&docs.join("results.md"));
    for entry in std::fs::read_dir(&docs).unwrap() {
        let path = entry.unwrap().path();
        let drawn = here.join(path.file_name().unwrap());
        assert!(
            path.extension().is_none_or(|end| end != "svg") || drawn.is_file(),
            "{path:?} is no longer drawn"
        );
    }
    for entry in std::fs::read_dir(docs.join("runs")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(text.contains(&format!("### {}\n", name.to_string_lossy())), "no section about {name:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => std::fs::write(&to, std::fs::read(&path).unwrap()).unwrap(),
        }
    }
}

/// A run of which only the metrics were archived has its curves in the document and is not trained again.
#[test]
fn an_archived_run_is_shown_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    reproduce(here, &["--seeds", "1", "--max-iterations", "1"]);
    let path = here.join("reproduced/runs/static-shapes-nem-s1");
    let keep = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/keep-run");
    let kept = here.join("kept");
    let output = std::process::Command::new("python3").args([&keep, &path, &kept]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::rename(&kept, &path).unwrap();
    std::fs::write(path.join("reading.md"), "It fell.\n").unwrap();
    let text = || std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    let before = text();
    reproduce(here, &["--seeds", "1", "--budget", "0"]);
    let section = text().split_once("\n### static-shapes-nem-s1\n").unwrap().1.to_owned();
    assert!(
        section.contains("steps: 15 -> 2") && section.contains("\n| 1 | ") && section.contains("It fell.")
    );
    assert_eq!(text().replace("\nIt fell.\n", ""), before, "the section differs from a whole run's");
    let output = nem_tui(here, &[&SMALL[..], &["--seeds", "1", "--max-iterations", "9"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && told.contains("this run is archived without a checkpoint"),
        "{told}"
    );
    assert!(path.join("metrics.jsonl.gz").is_file());
}

#[test]
fn figures_are_drawn_of_what_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let small = [
        "reproduce",
        "figure6",
        "--json",
        "--seeds",
        "1",
        "--max-iterations",
        "1",
        "--samples",
        "2",
        "--set",
        "steps=2",
        "--set",
        "train.batch=2",
    ];
    let results: Value = serde_json::from_str(&run(here, &small)).unwrap();
    assert_eq!(row(&results, "4 objects, K 4")["score"], "upper_bound");
    for (file, said) in
        [("figure6-bounds.svg", "K = objects (unfinished)"), ("figure6-steps.svg", "50 steps")]
    {
        let svg = std::fs::read_to_string(here.join("reproduced").join(file)).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains(said), "{file}");
    }
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    assert!(text.contains("](figure6-bounds.svg)"), "{text}");
}

#[test]
fn impossible_requests_and_damaged_scores_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    assert!(refused(here, &["reproduce", "static", "--budget=-1"], 2).contains("budget"));
    assert!(refused(here, &["reproduce", "static", "--seeds", "0"], 2).contains("seeds"));
    let file = "reproduced/scores/static-shapes-nem-s1-as-trained.json";
    std::fs::create_dir_all(here.join("reproduced/scores")).unwrap();
    std::fs::write(here.join(file), "{\"training\":").unwrap();
    let error = refused(here, &["reproduce", "static", "--budget", "0"], 1);
    assert!(error.contains(file) && error.contains("remove it"), "{error}");
}

/// A run that was killed before its first checkpoint is started again. One that cannot be resumed does not keep the
/// others from their scores; the table says which one failed, and why.
#[test]
fn a_run_that_fails_stops_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let seeds = ["--seeds", "1", "--max-iterations", "1"];
    let first = reproduce(here, &seeds);
    let nem = here.join("reproduced/runs/static-shapes-nem-s1");
    std::fs::remove_dir_all(nem.join("checkpoints")).unwrap();
    std::fs::create_dir(nem.join("checkpoints")).unwrap();
    std::fs::remove_dir_all(here.join("reproduced/scores")).unwrap();
    let output = nem_tui(here, &[&SMALL[..], &seeds].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("static-shapes-nem-s1 was cut off before"), "{told}");
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&again, "N-EM")["unfinished"], row(&first, "N-EM")["unfinished"]);

    // Metrics that end in half a line, and a directory that is no longer a run: everything else is still reported.
    let rnn = here.join("reproduced/runs/static-shapes-rnn-em-s1");
    let metrics = std::fs::read_to_string(rnn.join("metrics.jsonl")).unwrap();
    std::fs::write(rnn.join("metrics.jsonl"), metrics.clone() + "{\"kind\":\"st").unwrap();
    std::fs::create_dir(here.join("reproduced/runs/broken")).unwrap();
    std::fs::write(here.join("reproduced/runs/broken/run.json"), "{}").unwrap();
    let output = nem_tui(here, &[&SMALL[..], &seeds, &["--budget", "0"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("broken/run.json"), "{told}");
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row(&again, "RNN-EM"), row(&first, "RNN-EM"));
    std::fs::remove_dir_all(here.join("reproduced/runs/broken")).unwrap();
    std::fs::write(rnn.join("metrics.jsonl"), metrics).unwrap();

    // No whole checkpoint.
    for entry in std::fs::read_dir(nem.join("checkpoints")).unwrap().flatten().filter(|e| e.path().is_dir()) {
        std::fs::write(entry.path().join("weights.safetensors"), "no weights").unwrap();
    }
    let more = [&SMALL[..], &["--seeds", "2", "--max-iterations", "11"]].concat();
    let output = nem_tui(here, &more);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.lines().last().unwrap().contains("static-shapes-nem, seed 1: ") && told.contains("damaged"),
        "{told}"
    );
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["failures"].as_array().unwrap().len(), 1);
    assert_eq!(row(&results, "N-EM")["failed"], serde_json::json!([1]));
    // After 11 iterations the runs of seed 2 and of RNN-EM have ended.
    assert_eq!(row(&results, "N-EM")["ours"]["seeds"], serde_json::json!([2]));
    assert_eq!(row(&results, "RNN-EM")["ours"]["seeds"], serde_json::json!([1, 2]));
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("| N-EM").contains("seed 1 failed, see Missing"), "{text}");
    assert!(line("- static-shapes-nem, seed 1: ").contains("damaged"), "{text}");
    assert!(!line("| RNN-EM").contains("failed"), "{text}");
}

/// A run that has weights is never removed, even if the file that names the last checkpoint is missing.
#[test]
fn a_run_with_a_checkpoint_is_not_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let limits = ["--seeds", "1", "--max-iterations", "1"];
    reproduce(here, &limits);
    let checkpoints = here.join("reproduced/runs/static-shapes-nem-s1/checkpoints");
    let last = checkpoints.join("last");
    let name = std::fs::read_to_string(&last).unwrap();
    std::fs::remove_file(&last).unwrap();
    let output = nem_tui(here, &[&SMALL[..], &limits].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    let said = format!("the newest whole checkpoint is {name} (`last` is missing)");
    assert!(output.status.success() && told.contains(&said), "{told}");
}

/// A run that was stopped in an early stage is scored on the final task, not on the stage's: one object with one
/// component has no score.
#[test]
fn a_run_in_an_early_stage_is_scored_in_its_task() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let small = ["--set", "train.batch=2", "--set", "train.train_size=4", "--set", "train.validation_size=2"];
    let limits = ["reproduce", "faster", "--seeds", "1", "--max-iterations", "2", "--samples", "2", "--json"];
    let results: Value = serde_json::from_str(&run(here, &[&limits[..], &small].concat())).unwrap();
    assert!(row(&results, "flying shapes, 3 objects K 3")["unfinished"]["mean"].as_f64().unwrap() < 0.9);
    for scored in scores(here) {
        let (report, test) = (&scored["report"], scored["test"].as_str().unwrap());
        let preset = scored["training"]["preset"].as_str().unwrap();
        let (objects, k) = match (preset, test) {
            ("static-shapes-fast" | "static-shapes-longer", _) => (3, 4),
            ("flying-shapes-fast-k1", "objects4") => (4, 1),
            ("flying-shapes-fast-k1", "objects5") => (5, 1),
            ("flying-shapes-fast-k1", _) => (3, 1),
            ("flying-mnist-fast", "as-trained" | "static-pairs-steps50" | "steps50") => (2, 2),
            (_, "k5") => (3, 5),
            (_, "objects4-k4") => (4, 4),
            (_, "objects5-k5") => (5, 5),
            _ => (3, 3),
        };
        let found = (report["objects"].as_u64(), report["k"].as_u64());
        assert_eq!(found, (Some(objects), Some(k)), "{preset}, {test}");
        // With one component there is nothing to group.
        assert_eq!(report["floor"].is_null(), k == 1, "{preset}, {test}");
        assert!(report["floor"].as_f64().is_none_or(|floor| floor > 0.1), "{preset}, {test}");
    }
    // Its epoch has no AMI, or one of another task, which does not count as the time to AMI 0.8.
    let text = std::fs::read_to_string(here.join("reproduced/results.md")).unwrap();
    let line = text.lines().find(|line| line.starts_with("| flying-shapes-fast, seed 1 |")).unwrap();
    assert!(line.contains("| not reached |"), "{line}");
    assert!(text.contains("Before stage 3 K or the objects differed"), "{text}");
}

/// A run keeps the settings it was started with, so other settings are refused instead of ignored.
#[test]
fn settings_that_a_run_was_not_started_with_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let begin = ["--seeds", "1", "--max-iterations", "1"];
    reproduce(here, &begin);
    reproduce(here, &begin);
    let error = refused(here, &[&SMALL[..], &begin, &["--set", "steps=3"]].concat(), 2);
    assert!(error.contains("static-shapes-nem-s1 was begun with other settings"), "{error}");
    assert!(error.contains("(steps: 2 -> 3)") && error.contains("another --out"), "{error}");
    // The settings need not be given again.
    run(here, &["reproduce", "static", "--seeds", "1", "--max-iterations", "1"]);
    // Shapes do not need digits.
    std::fs::create_dir(here.join("digits")).unwrap();
    run(here, &["reproduce", "static", "--seeds", "1", "--max-iterations", "1", "--mnist", "digits"]);
}

/// A fork that begins in a later stage has that stage's settings from the start.
#[test]
fn a_fork_from_a_later_stage_has_no_other_settings() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let small = ["--set", "train.batch=2", "--set", "train.train_size=2", "--set", "train.validation_size=2"];
    run(
        here,
        &[&["train", "static-shapes-fast", "--max-iterations", "21", "--out", "parent"], &small[..]].concat(),
    );
    let fork = "reproduced/runs/static-shapes-fast-s1";
    run(here, &["train", "--fork", "parent", "--max-iterations", "22", "--out", fork]);
    let begun = std::fs::read_to_string(here.join(fork).join("preset.ron")).unwrap();
    assert!(begun.contains("steps: 10"), "the second stage's: {begun}");
    let faster = ["reproduce", "faster", "--seeds", "1", "--budget", "0", "--samples", "2"];
    run(here, &[&faster[..], &small].concat());
    let error = refused(here, &[&faster[..], &small, &["--set", "noise=0.3"]].concat(), 2);
    assert!(error.contains("(noise.probability: 0.1 -> 0.3)"), "{error}");
}

/// A request to end stops the training, keeps it, and says how to continue. Meanwhile no other process can reproduce in
/// the same directory.
#[cfg(unix)]
#[test]
fn an_interrupted_reproduction_is_continued_by_the_same_command() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let endless = [&SMALL[..], &["--seeds", "1", "--set", "train.patience=1000000"]].concat();
    let mut child = Command::new(env!("CARGO_BIN_EXE_nem-tui"))
        .current_dir(here)
        .args(&endless)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch   2") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended");
    }
    let error = refused(here, &endless, 1);
    assert!(error.contains(&format!("process {} on ", child.id())), "{error}");
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(
        rest.ends_with("nem-tui: stopped before it was finished; the same command continues it\n"),
        "{rest}"
    );
    assert!(here.join("reproduced/runs/static-shapes-nem-s1/checkpoints/last").is_file());
    assert!(!here.join("reproduced/results.md").exists());
}

/// A run that another process trains, here this one, has not failed; it is left to that process.
#[test]
fn a_run_in_use_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    reproduce(here, &["--seeds", "1", "--max-iterations", "1"]);
    let in_use = here.join("reproduced/runs/static-shapes-nem-s1");
    let _held = nem_tui::run::directory::RunDir::resume(&in_use).unwrap();
    let output = nem_tui(here, &[&SMALL[..], &["--seeds", "1"]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("is training this run"), "{told}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["failures"], Value::Null);
    assert_eq!(row(&results, "RNN-EM")["ours"]["seeds"], serde_json::json!([1]));
    assert_eq!(row(&results, "N-EM")["unfinished"]["seeds"], serde_json::json!([1]));
}

/// The runs are a sweep of their own, with the same results.
#[test]
fn runs_are_trained_at_once_or_by_slurm() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let limits = ["--seeds", "2", "--max-iterations", "2", "--device", "flex"];
    let one_by_one = reproduce(here, &[&limits[..], &["--out", "one-by-one"]].concat());
    let at_once = reproduce(here, &[&limits[..], &["--jobs", "2", "--retries", "0"]].concat());
    let losses = |results: &Value| -> Vec<Value> {
        results["runs"].as_array().unwrap().iter().map(|run| run["iterations"].clone()).collect()
    };
    assert_eq!(losses(&at_once), [2, 2, 2, 2]);
    assert_eq!(losses(&at_once), losses(&one_by_one));
    assert_eq!(
        row(&at_once, "RNN-EM")["unfinished"]["mean"],
        row(&one_by_one, "RNN-EM")["unfinished"]["mean"]
    );
    let told = run(here, &["sweep", "status", "reproduced/runs"]);
    assert!(told.starts_with("reproduced/runs: 4 trials: 4 done"), "{told}");
    let wrong = [&SMALL[..], &["--slurm", "(tme: \"1\")"]].concat();
    assert!(nem_tui(here, &wrong).status.code() == Some(2));
}
