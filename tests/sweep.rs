//! Sweeps on this machine: what is planned, trained, continued and shown.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod support {
    #[allow(dead_code)] // every test file uses its own part
    pub mod cli;
    #[allow(dead_code)]
    pub mod sweep;
}

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::cli::{nem_tui, nem_tui_with, refused, run};
use support::sweep::{assert_same, preset_of, records, states, status, sweep, sweep_of, trials};

const SHORT: &str = "set_by_tests: ()";

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn a_sweep_is_planned_trained_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let what = "grid: {\"k\": [2, 3, 4]}, list: [{\"data.objects\": 2}, {\"data.objects\": 3}], seeds: 2, \
                only: [\"k > data.objects\"], max_iterations: 20";
    sweep(here, "a", what);
    let planned = run(here, &["sweep", "a.ron", "--dry-run", "--device", "flex"]);
    assert!(lines(&planned).contains(&"1  data.objects=2,k=3,seed=1"), "{planned}");
    assert!(planned.contains("6 trials in sweeps/a; the conditions leave out 3 combinations"), "{planned}");
    assert!(planned.contains("one after another, by 0.") && !here.join("sweeps").exists(), "{planned}");

    run(here, &["sweep", "a.ron", "--jobs", "3", "--device", "flex"]);
    assert_eq!(states(here, "a"), ["done"; 6]);
    let first = here.join("sweeps/a/data.objects=2,k=4,seed=1");
    assert_eq!((preset_of(&first).k, preset_of(&first).data.objects()), (4, Some(2)));
    let result: Value = serde_json::from_slice(&std::fs::read(first.join("result.json")).unwrap()).unwrap();
    assert_eq!((&result["reason"], &result["iterations"]), (&"max_iterations".into(), &20.into()));
    assert!(result["best"]["validation_loss"].is_f64() && result["floor"].is_f64(), "{result}");
    // The plain command continues a trial, too.
    let all = std::fs::read_to_string(here.join("sweeps/a/trials.jsonl")).unwrap();
    let trial: Value = serde_json::from_str(all.lines().nth(3).unwrap()).unwrap();
    assert_eq!((&trial["trial"], &trial["seed"], &trial["set"][1]), (&4.into(), &2.into(), &"k=3".into()));

    let before = records(&first);
    let again = nem_tui(here, &["sweep", "a.ron"]);
    assert_eq!(String::from_utf8(again.stderr).unwrap(), "6 done\n");
    assert!(again.status.success() && records(&first) == before);
    assert!(run(here, &["sweep", "a.ron", "--dry-run"]).contains("all of them are done"));

    let table = run(here, &["sweep", "table", "a.ron"]);
    assert_eq!(
        table.lines().next().unwrap(),
        "| data.objects | k | seeds | validation loss | AMI (last step) | ARI (last step) | floor | hours |"
    );
    assert!(table.contains(" ± ") && table.contains("nem-tui eval sweeps/a/data.objects="), "{table}");
    let json: Value =
        serde_json::from_str(&run(here, &["sweep", "table", "sweeps/a", "--format", "json"])).unwrap();
    assert_eq!((json["rows"].as_array().unwrap().len(), &json["rows"][0]["done"]), (3, &2.into()));
    assert_eq!(run(here, &["sweep", "table", "a.ron", "--format", "csv"]).lines().count(), 4);
    assert_eq!(run(here, &["sweep", "table", "a.ron", "--each", "--format", "csv"]).lines().count(), 7);
    for plot in [&["--x", "k", "--series", "data.objects"][..], &["--curves", "--score", "ami"], &[]] {
        let svg = run(here, &[&["sweep", "plot", "a.ron"], plot].concat());
        assert!(svg.starts_with("<svg") && svg.contains("k"), "{plot:?}: {svg}");
    }
    let told = run(here, &["sweep", "status", "a.ron"]);
    assert_eq!(told, "sweeps/a: 6 trials: 6 done, 0 running, 0 unfinished, 0 failed, 0 waiting\n");
    assert_eq!(run(here, &["sweep", "status", "a.ron", "--all"]).lines().count(), 7);
}

#[test]
fn a_changed_file_is_refused_by_its_differences_or_extends_the_sweep() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    sweep(here, "a", "grid: {\"k\": [3]}, max_iterations: 2");
    run(here, &["sweep", "a.ron", "--device", "flex"]);
    let first = records(&here.join("sweeps/a/k=3,seed=1"));
    sweep(here, "a", "grid: {\"k\": [4, 3]}, seeds: 2, max_iterations: 4");
    let told = refused(here, &["sweep", "a.ron"], 2);
    for part in [
        "smaller sweep",
        "max_iterations: 2 -> 4",
        "more trials: k=4,seed=1 k=4,seed=2 k=3,seed=2",
        "--extend",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    run(here, &["sweep", "a.ron", "--extend", "--device", "flex"]);
    assert_eq!(trials(here, "a"), ["k=3,seed=1", "k=4,seed=1", "k=4,seed=2", "k=3,seed=2"]);
    let longer = records(&here.join("sweeps/a/k=3,seed=1"));
    assert!(longer.len() == 4 && longer[..2] == first[..], "{longer:?}");

    // Trials that are no longer there, and other settings.
    sweep(here, "a", "grid: {\"k\": [4]}, seeds: 2, max_iterations: 4");
    let told = refused(here, &["sweep", "a.ron", "--extend"], 2);
    assert!(told.contains("another sweep (fewer trials: k=3,seed=1 k=3,seed=2)"), "{told}");
    sweep_of(here, "a", &["steps=3"], "grid: {\"k\": [4, 3]}, seeds: 2, max_iterations: 4");
    let told = refused(here, &["sweep", "a.ron", "--extend"], 2);
    assert!(told.contains("another sweep (steps: ") && told.contains(" -> 3)"), "{told}");
    assert_eq!(states(here, "a"), ["done"; 4]);
}

#[test]
fn bad_input_is_refused_in_a_sentence_before_anything_begins() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for (more, code, said) in [
        ("grid: {\"k\": [3, 65, many]}", 2, "k=65: k is 65"),
        ("grid: {\"k\": [3, 65, many]}", 2, "k=many: \"many\" is not a valid k"),
        (
            "random: (count: 10001, draw: {\"train.learning_rate\": Uniform(0.1, 0.9), \"noise.probability\": Uniform(0, 1)})",
            2,
            "repeat this with --yes",
        ),
        ("gird: {}", 2, "a.ron:1:"),
        (SHORT, 2, "a.ron:1:"),
    ] {
        sweep(here, "a", more);
        let told = refused(here, &["sweep", "a.ron"], code);
        assert!(told.contains(said), "{more}: {told}");
        assert!(!here.join("sweeps").exists(), "{more}");
    }
    assert!(refused(here, &["sweep", "nowhere.ron"], 1).contains("cannot read nowhere.ron"));
    assert!(refused(here, &["sweep", "status", "nowhere"], 1).contains("no sweep"));

    sweep(here, "a", "grid: {\"k\": [3]}, max_iterations: 2");
    let no_slurm = nem_tui_with(here, &["sweep", "a.ron", "--executor", "slurm"], &[("PATH", "/nowhere")]);
    let told = String::from_utf8(no_slurm.stderr).unwrap();
    assert!(no_slurm.status.code() == Some(2) && told.contains("sbatch is not on the path"), "{told}");
    assert!(!here.join("sweeps").exists());
    let script = nem_tui_with(here, &["sweep", "a.ron", "--print-only"], &[("PATH", "/nowhere")]);
    assert!(String::from_utf8(script.stdout).unwrap().contains("#SBATCH --array=0-0\n"));
    assert!(!here.join("sweeps").exists());

    // Directories that hold something else.
    std::fs::create_dir(here.join("thesis")).unwrap();
    std::fs::write(here.join("thesis/a.tex"), "").unwrap();
    let told = refused(here, &["sweep", "a.ron", "--out", "thesis"], 2);
    assert!(told.contains("thesis is not empty and holds no sweep"), "{told}");
    run(here, &["sweep", "a.ron", "--device", "flex"]);
    assert!(refused(here, &["sweep", "run", "sweeps/a", "--trials", "2"], 2).contains("are 1 to 1"));
    let trial = here.join("sweeps/a/k=3,seed=1");
    std::fs::remove_dir_all(&trial).unwrap();
    run(here, &["train", "quickstart", "--max-iterations", "1", "--out", trial.to_str().unwrap()]);
    let told = refused(here, &["sweep", "a.ron"], 2);
    assert!(told.contains("k=3,seed=1 holds another run (") && told.contains("move it away"), "{told}");
}

/// Puts shell scripts with these names on a path; its value.
#[cfg(unix)]
fn programs(here: &Path, scripts: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    let programs = here.join("bin");
    std::fs::create_dir(&programs).unwrap();
    for (name, script) in scripts {
        let file = programs.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:/usr/bin:/bin", programs.display())
}

/// Slurm takes the first part of a sweep and refuses the second, or the sweep's directory cannot be written.
#[cfg(unix)]
#[test]
fn nothing_stays_half_submitted() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let path = programs(
        here,
        &[
            (
                "sbatch",
                "[ $1 = --version ] && exit; echo x >> jobs; n=$(wc -l < jobs); [ $n = 2 ] && { echo sbatch: error: no more >&2; exit 1; }; echo $n",
            ),
            ("scontrol", "echo MaxArraySize = 2"),
            ("scancel", "echo $1 >> cancelled"),
            ("squeue", "exit 0"),
        ],
    );
    let submit = || {
        let output =
            nem_tui_with(here, &["sweep", "a.ron", "--executor", "slurm"], &[("PATH", path.as_str())]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let cancelled = || std::fs::read_to_string(here.join("cancelled")).unwrap();
    sweep(here, "a", "grid: {\"k\": [2, 3, 4]}");
    let (code, told) = submit();
    assert_eq!((code, told.as_str()), (Some(1), "nem-tui: Slurm refuses: sbatch: error: no more\n"));
    assert_eq!(cancelled(), "1\n");
    // Jobs that would not be known.
    let jobs = here.join("sweeps/a/slurm/jobs.jsonl");
    std::fs::create_dir(&jobs).unwrap();
    let (code, told) = submit();
    assert!(code == Some(1) && told.lines().count() == 1 && told.contains("jobs.jsonl"), "{told}");
    assert_eq!(cancelled(), "1\n3\n4\n");
    std::fs::remove_dir(&jobs).unwrap();
    let (code, told) = submit();
    assert!(code == Some(0) && told.starts_with("submitted job 5 with 2 tasks, job 6 with 1 task"), "{told}");
    assert_eq!(
        (cancelled(), std::fs::read_to_string(jobs).unwrap().lines().count()),
        ("1\n3\n4\n".into(), 2)
    );
}

/// A trial whose loss is no number fails, is tried again, and does not stop the others.
#[test]
fn a_failed_trial_is_told_from_an_unfinished_one() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    sweep(here, "a", "grid: {\"train.learning_rate\": [1e38, 1e-3]}, max_iterations: 20");
    let output = nem_tui(here, &["sweep", "a.ron", "--retries", "2", "--device", "flex"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.matches("again    train.learning_rate=1e38,seed=1, which failed: ").count(), 2, "{told}");
    let last = told.lines().last().unwrap();
    assert!(
        last.starts_with("nem-tui: train.learning_rate=1e38,seed=1 failed: training stopped: "),
        "{told}"
    );
    assert_eq!(states(here, "a"), ["failed", "done"]);
    assert!(status(here, "a")["trials"][0]["why"].as_str().unwrap().contains("loss became"));
    assert!(run(here, &["sweep", "table", "a.ron"]).contains("0 of 1, 1 failed"));
}

/// A request to end saves all trials; the same command continues them, and they end as if nothing had been.
#[cfg(unix)]
#[test]
fn a_stopped_sweep_is_continued() {
    use std::io::{BufRead, BufReader};
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let what = "grid: {\"k\": [3, 4]}, seeds: 2";
    let sets = ["train.max_epochs=8", "train.patience=1000"];
    sweep_of(here, "whole", &sets, what);
    sweep_of(here, "a", &sets, what);
    run(here, &["sweep", "whole.ron", "--device", "flex"]);
    let mut codes = Vec::new();
    for signal in ["TERM", "INT", "XCPU"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nem-tui"));
        command.current_dir(here).args(["sweep", "a.ron", "--jobs", "2", "--device", "flex"]);
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let said = child.stderr.take().unwrap();
        // Once something was trained that had not been before.
        let trained = || -> usize {
            let metrics = trials(here, "a").into_iter().map(|trial| here.join("sweeps/a").join(trial));
            metrics
                .filter_map(|run| std::fs::read(run.join("metrics.jsonl")).ok())
                .map(|text| text.len())
                .sum()
        };
        let before = if here.join("sweeps/a/trials.jsonl").exists() { trained() } else { 0 };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
        while child.try_wait().unwrap().is_none()
            && (!here.join("sweeps/a/trials.jsonl").exists() || trained() <= before)
        {
            assert!(std::time::Instant::now() < deadline, "nothing was trained");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        let code = child.wait().unwrap().code();
        let lines: Vec<String> = BufReader::new(said).lines().map(Result::unwrap).collect();
        // It may have ended in the meantime.
        assert!(matches!(code, Some(0 | 3)), "{code:?}: {lines:?}");
        codes.push(code);
        assert!(!states(here, "a").iter().any(|state| state == "running" || state == "failed"));
    }
    assert_eq!(codes[0], Some(3), "{codes:?}");
    run(here, &["sweep", "run", "sweeps/a", "--trials", "4,1-2", "--device", "flex"]);
    run(here, &["sweep", "a.ron", "--device", "flex"]);
    assert_eq!(states(here, "a"), ["done"; 4]);
    assert_same(here, "a", "whole");
}

/// What a failed node had begun may still train when Slurm starts its job again; that job is to come back later.
#[cfg(unix)]
#[test]
fn a_job_whose_trial_is_in_training_elsewhere_is_requeued() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let path = programs(here, &[("scontrol", "echo $* >> asked")]);
    sweep_of(here, "a", &["train.max_epochs=1000000", "train.patience=1000000"], "seeds: 1");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nem-tui"));
    command.current_dir(here).args(["sweep", "a.ron", "--jobs", "1", "--device", "flex"]);
    let mut first = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(240);
    while !here.join("sweeps/a/trials.jsonl").exists() || states(here, "a") != ["running"] {
        assert!(std::time::Instant::now() < deadline, "nothing is trained");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let job = [("PATH", path.as_str()), ("SLURM_JOB_ID", "7")];
    let second = nem_tui_with(here, &["sweep", "run", "sweeps/a", "--trials", "1", "--requeue"], &job);
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(3) && told.contains("1 trained by other processes"), "{told}");
    assert_eq!(std::fs::read_to_string(here.join("asked")).unwrap(), "requeue 7\n");
    Command::new("kill").arg(first.id().to_string()).status().unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(3));
}

/// As tuners write it.
#[test]
fn both_forms_of_set_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let here: &Path = directory.path();
    let tiny = support::cli::TINY;
    let command = ["train", "quickstart", "--set=k=3", "--set", "steps=4", "--set=train.learning_rate=1e-05"];
    run(here, &[&command[..], &["--out", "r", "--max-iterations", "1"], &tiny].concat());
    let preset = preset_of(&here.join("r"));
    assert_eq!((preset.k, preset.steps, preset.train.learning_rate), (3, 4, 1e-5));
}
