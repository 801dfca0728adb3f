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

use support::cli::TINY;
use support::sweep::{assert_same, records, sweep, sweep_of, trials};

/// How long to wait for something before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(240);

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
        let text = String::from_utf8(output.stdout).unwrap();
        let words =
            |line: &str| line.split_once(' ').map(|(task, state)| (task.to_owned(), state.to_owned()));
        let has_ended =
            |state: &str| ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"].contains(&state);
        text.lines().filter_map(words).filter(|(_, state)| !has_ended(state)).collect()
    }

    /// Waits until the queue is empty. What Slurm would start again only after two minutes starts soon; not in the second
    /// of its requeue, for which Slurm refuses it.
    fn drain(&self) {
        let hastened = std::cell::RefCell::new(std::collections::HashSet::new());
        self.await_that("the queue's end", || {
            let queue = self.queue();
            for (task, _) in queue.iter().filter(|(_, state)| state == "PENDING") {
                if hastened.borrow_mut().insert(task.clone()) {
                    self.call("scontrol", &["update", &format!("JobId={task}"), "StartTime=now+3"]);
                }
            }
            queue.is_empty()
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
    train_requeues_itself(&cluster);
}

fn every_trial_is_trained_once(cluster: &Cluster) {
    let more = "grid: {\"k\": [2, 3, 4]}, seeds: 3, max_iterations: 2, slurm: (time: \"10\", parallel: 6, per_job: 2)";
    sweep(cluster.here(), "once", more);
    assert!(cluster.submit("once").contains("submitted job 1 with 5 tasks for 9 trials"));
    // What waits or runs is not submitted again.
    let again = cluster.submit("once");
    assert!(again.starts_with("nothing to submit: "), "{again}");
    cluster.drain();
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

fn interrupted_trials_end_as_if_nothing_had_been(cluster: &Cluster) {
    let here = cluster.here();
    let sets = ["train.max_epochs=40", "train.patience=1000"];
    sweep_of(here, "whole", &sets, "grid: {\"k\": [2, 3]}, seeds: 2");
    sweep_of(here, "cut", &sets, "grid: {\"k\": [2, 3]}, seeds: 2, slurm: (time: \"10\")");
    assert_eq!(cluster.nem_tui(&["sweep", "whole.ron", "--device", "flex", "--jobs", "2"]).0, Some(0));
    let said = cluster.submit("cut");
    let job = said.split_whitespace().nth(2).unwrap();
    let trained = |trial: &str| {
        std::fs::read(here.join("sweeps/cut").join(trial).join("metrics.jsonl")).map_or(0, |text| text.len())
    };
    let all = trials(here, "cut");
    for (i, trial) in all.iter().enumerate() {
        cluster.await_that(trial, || trained(trial) > 2000);
        let task = format!("{job}_{i}");
        // As its limit of time says, as an administrator or a job of more priority does, as memory that is short does, and
        // a node that fails for a while.
        match i {
            0 => drop(cluster.call("scancel", &["--signal=USR1", "--batch", &task])),
            1 => drop(cluster.call("scontrol", &["requeue", &task])),
            2 => drop(cluster.call("scancel", &["--signal=KILL", "--full", &task])),
            _ => {
                cluster.script("down");
                cluster.script("up");
            }
        }
    }
    cluster.drain();
    // The one that was killed is not in the queue any more.
    cluster.submit("cut");
    cluster.drain();
    assert_eq!(
        cluster.counts("cut"),
        "sweeps/cut: 4 trials: 4 done, 0 running, 0 unfinished, 0 failed, 0 waiting"
    );
    assert_same(here, "cut", "whole");
}

/// A job of the user's own, without a sweep.
fn train_requeues_itself(cluster: &Cluster) {
    let here = cluster.here();
    let more = ["--set", "train.max_epochs=40", "--set", "train.patience=1000", "--device", "flex"];
    let line = [
        &[env!("CARGO_BIN_EXE_nem-tui"), "train", "quickstart", "--out", "own", "--resume-if-exists"],
        &TINY[..],
        &more,
    ];
    let script = format!("#!/bin/sh\nexec {} --requeue\n", line.concat().join(" "));
    std::fs::write(here.join("own.sh"), script).unwrap();
    let options = ["--parsable", "--requeue", "--open-mode=append", "--output=own.log", "own.sh"];
    let submitted = String::from_utf8(cluster.call("sbatch", &options).stdout).unwrap();
    let metrics = here.join("own/metrics.jsonl");
    cluster.await_that("the job", || std::fs::read(&metrics).is_ok_and(|text| text.len() > 2000));
    cluster.call("scancel", &["--signal=USR1", "--batch", submitted.trim()]);
    cluster.await_that("the requeue", || {
        let shown = cluster.call("scontrol", &["show", "job", submitted.trim()]).stdout;
        String::from_utf8(shown).unwrap().contains("Restarts=1")
    });
    cluster.drain();
    // Slurm may refuse a job that starts at once after its requeue; the same command does what is left.
    cluster.call("sbatch", &options);
    cluster.drain();
    assert_eq!(records(&here.join("own")).iter().filter(|record| record["kind"] == "step").count(), 400);
    let log = std::fs::read_to_string(here.join("own.log")).unwrap();
    assert!(log.contains("\"reason\":\"stopped\"") && log.contains("\"reason\":\"max_epochs\""), "{log}");
}
