//! Sweeps on a real Slurm: a cluster of this machine alone, started by scripts/slurm. Without Slurm nothing is tested,
//! and the test says so.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test's way to fail

mod support {
    #[allow(dead_code)] // every test file uses its own part
    pub mod cli;
    #[allow(dead_code)]
    pub mod sweep;
}

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::cli::TINY;
use support::sweep::{assert_same, records, sweep, sweep_of, trials};

/// How long to wait for something before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(600);

/// A cluster, which ends with this value.
struct Cluster {
    directory: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Option<Cluster> {
        let is_there = |name: &str| {
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
            std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
        };
        let missing = ["slurmctld", "slurmd", "sbatch", "munged"].into_iter().find(|name| !is_there(name));
        if let Some(missing) = missing {
            eprintln!(
                "skipped: {missing} is not installed (apt-get install slurmctld slurmd slurm-client munge)"
            );
            return None;
        }
        if !Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n") {
            eprintln!("skipped: slurmd needs root");
            return None;
        }
        let cluster = Cluster { directory: tempfile::tempdir().unwrap() };
        cluster.script("start");
        Some(cluster)
    }

    fn here(&self) -> &Path {
        self.directory.path()
    }

    fn script(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slurm");
        let output = Command::new(script).arg(what).arg(self.here().join("slurm")).output().unwrap();
        assert!(output.status.success(), "scripts/slurm {what}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A command with this cluster's configuration.
    fn call(&self, program: impl Into<PathBuf>, arguments: &[&str]) -> Output {
        let mut command = Command::new(program.into());
        command.current_dir(self.here()).args(arguments);
        command.env("SLURM_CONF", self.here().join("slurm/slurm.conf")).output().unwrap()
    }

    /// The program's exit code, and what it says.
    fn nem_tui(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.call(env!("CARGO_BIN_EXE_nem-tui"), arguments);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    fn submit(&self, name: &str) -> String {
        let (code, said) =
            self.nem_tui(&["sweep", &format!("{name}.ron"), "--executor", "slurm", "--device", "flex"]);
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// The jobs and tasks in the queue, with their states. By default one that is being requeued is not listed for a
    /// moment.
    fn queue(&self) -> Vec<(String, String)> {
        let output = self.call("squeue", &["--noheader", "--array", "--states=all", "--format=%i %T"]);
        assert!(output.status.success(), "squeue: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let words =
            |line: &str| line.split_once(' ').map(|(task, state)| (task.to_owned(), state.to_owned()));
        let has_ended =
            |state: &str| ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"].contains(&state);
        text.lines().filter_map(words).filter(|(_, state)| !has_ended(state)).collect()
    }

    /// Waits until the queue is empty, and nothing trains the sweep: what was running on a node that failed may train
    /// after Slurm has given it up.
    fn drain(&self, name: &str) {
        self.await_that("the queue's end", || {
            self.queue().is_empty() && self.counts(name).contains(" 0 running")
        });
    }

    fn await_that(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}", self.queue());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn counts(&self, name: &str) -> String {
        self.nem_tui(&["sweep", "status", &format!("sweeps/{name}")]).1.lines().next().unwrap().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop");
    }
}

#[test]
fn sweeps_run_on_slurm() {
    let Some(cluster) = Cluster::start() else { return };
    every_trial_is_trained_once(&cluster);
    a_refusal_is_told_and_leaves_nothing_behind(&cluster);
    interrupted_trials_end_as_if_nothing_had_been(&cluster);
    a_node_that_fails_costs_nothing(&cluster);
    train_requeues_itself(&cluster);
}

fn every_trial_is_trained_once(cluster: &Cluster) {
    let more = "grid: {\"k\": [2, 3, 4]}, seeds: 3, max_iterations: 2, slurm: (time: \"10\", parallel: 6, per_job: 2)";
    sweep(cluster.here(), "once", more);
    assert!(cluster.submit("once").contains("submitted job 1 with 5 tasks for 9 trials"));
    // What waits or runs is not submitted again.
    let again = cluster.submit("once");
    assert!(again.starts_with("nothing to submit: "), "{again}");
    cluster.drain("once");
    assert_eq!(
        cluster.counts("once"),
        "sweeps/once: 9 trials: 9 done, 0 running, 0 unfinished, 0 failed, 0 waiting"
    );
    for trial in trials(cluster.here(), "once") {
        assert_eq!(records(&cluster.here().join("sweeps/once").join(trial)).len(), 2);
    }
    assert!(cluster.submit("once").starts_with("nothing to submit: 9 done"));
}

fn a_refusal_is_told_and_leaves_nothing_behind(cluster: &Cluster) {
    sweep(cluster.here(), "refused", "seeds: 3, slurm: (partition: \"nowhere\")");
    let (code, said) = cluster.nem_tui(&["sweep", "refused.ron", "--executor", "slurm"]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with("nem-tui: Slurm refuses: ") && said.contains("invalid partition"), "{said}");
    assert!(!cluster.here().join("sweeps/refused/slurm/jobs.jsonl").exists() && cluster.queue().is_empty());
}

/// Long enough to be interrupted.
const LONG: [&str; 2] = ["train.max_epochs=40", "train.patience=1000"];

/// Trains a sweep here, submits the same one with the name `cut`, and calls `interrupt` for each trial, with the number of
/// its task, while it trains. In the end they must be the same.
fn compare(cluster: &Cluster, cut: &str, what: &str, interrupt: impl Fn(usize, &str)) {
    let (here, whole) = (cluster.here(), &format!("{cut}-whole"));
    sweep_of(here, whole, &LONG, what);
    sweep_of(here, cut, &LONG, &format!("{what}, slurm: (time: \"30\")"));
    let trained_here =
        cluster.nem_tui(&["sweep", &format!("{whole}.ron"), "--device", "flex", "--jobs", "2"]);
    assert_eq!(trained_here.0, Some(0), "{}", trained_here.1);
    let said = cluster.submit(cut);
    let job = said.split_whitespace().nth(2).unwrap();
    let sweep = here.join("sweeps").join(cut);
    let all = trials(here, cut);
    for (i, trial) in all.iter().enumerate() {
        let metrics = sweep.join(trial).join("metrics.jsonl");
        cluster.await_that(trial, || std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 2000));
        interrupt(i, &format!("{job}_{i}"));
    }
    cluster.drain(cut);
    // One that was killed, or found its run still in training, is not in the queue any more.
    cluster.submit(cut);
    cluster.drain(cut);
    let counts = format!("{0} done, 0 running, 0 unfinished, 0 failed, 0 waiting", all.len());
    assert_eq!(cluster.counts(cut), format!("sweeps/{cut}: {} trials: {counts}", all.len()));
    assert_same(here, cut, whole);
}

fn interrupted_trials_end_as_if_nothing_had_been(cluster: &Cluster) {
    compare(cluster, "cut", "grid: {\"k\": [2, 3, 4]}", |i, task| {
        // As its limit of time says, as an administrator or a job of more priority does, and as memory that is short does.
        let (program, words): (_, &[&str]) = match i {
            0 => ("scancel", &["--signal=USR1", "--batch", task]),
            1 => ("scontrol", &["requeue", task]),
            _ => ("scancel", &["--signal=KILL", "--batch", task]),
        };
        cluster.call(program, words);
    });
}

/// Its jobs are queued again, while what they started trains until the node is back.
fn a_node_that_fails_costs_nothing(cluster: &Cluster) {
    compare(cluster, "node", "grid: {\"k\": [2, 3]}", |i, _| {
        if i == 1 {
            cluster.script("down");
            cluster.script("up");
        }
    });
}

/// A job of the user's own, without a sweep. Its training has no end.
fn train_requeues_itself(cluster: &Cluster) {
    let here = cluster.here();
    let more = ["--set", "train.max_epochs=1000000", "--set", "train.patience=1000000", "--device", "flex"];
    let line = [
        &[env!("CARGO_BIN_EXE_nem-tui"), "train", "quickstart", "--out", "own", "--resume-if-exists"],
        &TINY[..],
        &more,
    ];
    let script = format!("#!/bin/sh\nexec {} --requeue\n", line.concat().join(" "));
    std::fs::write(here.join("own.sh"), script).unwrap();
    let options = ["--parsable", "--requeue", "--open-mode=append", "--output=own.log", "own.sh"];
    let submitted = String::from_utf8(cluster.call("sbatch", &options).stdout).unwrap();
    let told = || -> Vec<Value> {
        let log = std::fs::read_to_string(here.join("own.log")).unwrap_or_default();
        // Others write to it, too, and the last line may be written only in part.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let steps = || told().iter().filter(|line| line["kind"] == "step").count();
    let begun = || -> Vec<u64> {
        let told = told();
        let begun = told.iter().filter(|line| line["kind"] == "started");
        begun.map(|line| line["iteration"].as_u64().unwrap()).collect()
    };
    cluster.await_that("its training", || steps() > 10);
    cluster.call("scancel", &["--signal=USR1", "--batch", submitted.trim()]);
    cluster.await_that("its second start", || begun().len() == 2);
    let before = steps();
    cluster.await_that("its training after that", || steps() > before + 10);
    assert!(told().iter().any(|line| line["kind"] == "finished" && line["reason"] == "stopped"));
    assert!(begun()[0] == 0 && begun()[1] >= 10, "{:?}", begun());
    cluster.call("scancel", &[submitted.trim()]);
    cluster.await_that("its end", || cluster.queue().is_empty());
    let records = records(&here.join("own"));
    let iterations = records.iter().filter(|record| record["kind"] == "step").map(|step| &step["iteration"]);
    assert!(iterations.zip(1..).all(|(iteration, i)| *iteration == i), "iterations are lost or doubled");
}
