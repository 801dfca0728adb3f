//! What clusters, shells and other programs do to the commands without a screen: signals, streams that fail, and the
//! same command again.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test's way to fail

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use support::cli::{TINY, refused, run, tiny};

/// An epoch that takes longer than a test, so that checkpoints are those that were asked for.
const LONG: [&str; 2] = ["--set", "train.train_size=8000000"];

/// The exit code of a run that was stopped before its end.
const TO_BE_CONTINUED: i32 = 3;

fn program(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nem-tui"));
    command.current_dir(here).args(arguments);
    command
}

/// A training in another process, and what it reports.
struct Training {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Training {
    fn start(command: &mut Command) -> Training {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Training { child, lines }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The next report of this kind.
    fn next(&mut self, kind: &str) -> Value {
        let reports = self.lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let mut reports =
            reports.inspect(|report| assert!(kind == "finished" || report["kind"] != "finished"));
        reports.find(|report| report["kind"] == kind).unwrap()
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn steps(run: &Path) -> usize {
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    metrics.lines().filter(|line| line.contains("\"step\"")).count()
}

#[test]
fn a_run_is_saved_when_it_is_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut training = Training::start(&mut program(directory.path(), &tiny("r", &LONG)));
    for signal in ["USR1", "USR2"] {
        let before = training.next("step")["iteration"].as_u64();
        training.signal(signal);
        assert!(training.next("saved")["iteration"].as_u64() >= before);
    }
    // The limit on its time.
    training.signal("XCPU");
    assert_eq!(training.next("finished")["reason"], "stopped");
    assert_eq!(training.child.wait().unwrap().code(), Some(TO_BE_CONTINUED));
    run(directory.path(), &["train", "--resume", "r", "--max-iterations", "1"]);
}

/// `nohup` and background jobs of scripts start programs with signals ignored.
#[test]
fn signals_that_were_ignored_stay_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.current_dir(directory.path()).args(["-c", "trap '' HUP INT USR2; exec \"$0\" \"$@\""]);
    let mut training = Training::start(shell.arg(env!("CARGO_BIN_EXE_nem-tui")).args(tiny("r", &LONG)));
    training.next("step");
    ["HUP", "INT", "USR2"].iter().for_each(|signal| training.signal(signal));
    training.next("step");
    training.signal("USR1");
    training.next("saved");
    training.next("step");
    training.signal("TERM");
    assert_eq!(training.next("finished")["reason"], "stopped");
}

/// Whether these tests were started with this signal ignored, which the program inherits.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Where there is nothing to save, a request to end has its usual effect, at any moment.
#[test]
fn other_commands_end_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, signal) in [
        (vec!["eval", "flying-shapes"], "TERM"),
        (vec!["bench", "quickstart", "--iterations", "1000000000"], "INT"),
        (vec!["train", "flying-shapes-3"], "HUP"),
    ] {
        let number = match signal {
            "HUP" => 1,
            "INT" => 2,
            _ => 15,
        };
        // As in tests that run in the background of a script.
        if is_ignored(number) {
            continue;
        }
        let mut child = program(directory.path(), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{arguments:?}");
    }
}

/// A training continues without its reader, or on a full disk; the latter it tells once, and in its exit code.
#[test]
fn a_training_needs_nobody_to_read_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (out, stdout, code, told) in [("gone", Stdio::from(writer), 0, 0), ("full", Stdio::from(full), 1, 2)]
    {
        let child = program(here, &tiny(out, &["--epochs", "2"])).stdout(stdout).output().unwrap();
        let error = String::from_utf8(child.stderr).unwrap();
        assert_eq!((child.status.code(), error.lines().count()), (Some(code), told), "{error}");
        assert_eq!(error.matches("the training continues").count(), told / 2, "{error}");
        assert_eq!(steps(&here.join(out)), 20, "{out}");
    }
}

/// Fills a pipe, which nobody empties.
fn fill(mut pipe: &std::io::PipeWriter) {
    rustix::io::ioctl_fionbio(pipe, true).unwrap();
    while pipe.write(&[0; 1024]).is_ok() {}
    while pipe.write(&[0]).is_ok() {}
    rustix::io::ioctl_fionbio(pipe, false).unwrap();
}

#[test]
fn a_training_whose_lines_nobody_reads_is_saved_and_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (mut reader, writer) = pipe().unwrap();
    let mut command = program(directory.path(), &tiny("r", &LONG));
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(Stdio::null()).spawn().unwrap();
    // Its first line.
    reader.read_exact(&mut [0; 100]).unwrap();
    fill(&writer);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(TO_BE_CONTINUED));
    assert!(directory.path().join("r/checkpoints/last").is_file());
}

/// Whether stderr is gone, full or blocked, the work is done.
#[test]
fn nothing_depends_on_stderr() {
    let directory = tempfile::tempdir().unwrap();
    let (gone, no_reader) = pipe().unwrap();
    drop(gone);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (_reader, blocked) = pipe().unwrap();
    fill(&blocked);
    let small = ["--set", "train.train_size=64", "--set", "train.validation_size=4", "--set", "steps=2"];
    let limits = ["--json", "--seeds", "1", "--max-iterations", "1", "--samples", "2"];
    for (out, stderr) in
        [("a", Stdio::from(no_reader)), ("b", Stdio::from(full)), ("c", Stdio::from(blocked))]
    {
        let command = [&["reproduce", "static", "--out", out], &small[..], &limits[..]].concat();
        let child =
            program(directory.path(), &command).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{out}");
        let results: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(results["failures"], Value::Null, "{out}");
    }
}

#[test]
fn a_table_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [vec!["presets"], vec!["--help"], vec!["eval", "static-shapes", "--samples", "2"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program(directory.path(), &arguments).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(
            error.starts_with("nem-tui: cannot write to stdout: ") && error.lines().count() == 1,
            "{error}"
        );
    }
}

/// The same command begins a run, resumes it, and leaves it as it is when it has ended.
#[test]
fn the_same_command_begins_and_resumes() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let finished = |stdout: &str| {
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        (stdout.lines().count(), last["reason"].as_str().unwrap().to_owned())
    };
    let command = ["--epochs", "3", "--seeds", "2", "--seed", "5", "--resume-if-exists"];
    run(here, &tiny("group/s5", &["--epochs", "3", "--seed", "5", "--max-iterations", "13"]));
    let resumed = run(here, &tiny("group", &command));
    assert!(resumed.contains("\"iteration\":13,\"kind\":\"started\""), "{resumed}");
    assert!(resumed.contains("\"iteration\":0,\"kind\":\"started\""), "{resumed}");
    assert_eq!((steps(&here.join("group/s5")), steps(&here.join("group/s6"))), (30, 30));
    let written = || std::fs::metadata(here.join("group/s5/metrics.jsonl")).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(finished(&run(here, &tiny("group", &command))), (2, "max_epochs".into()));
    assert_eq!(written(), before);
    // More epochs are not other settings.
    run(here, &tiny("group", &["--epochs", "4", "--seeds", "2", "--seed", "5", "--resume-if-exists"]));
    assert_eq!(steps(&here.join("group/s6")), 40);

    // Without --out, in the directory that a first run gets.
    let command =
        [&["train", "quickstart", "--json", "--resume-if-exists", "--max-iterations", "5"], &TINY[..]]
            .concat();
    assert_eq!(finished(&run(here, &command)).1, "max_iterations");
    assert_eq!(finished(&run(here, &command)), (1, "max_iterations".into()));
    assert_eq!(std::fs::read_dir(here.join("runs")).unwrap().count(), 1);
}

#[test]
fn a_run_that_was_begun_otherwise_is_not_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run(here, &tiny("r", &["--max-iterations", "3"]));
    for (more, difference) in [
        (vec!["--set", "k=5"], "k: 4 -> 5"),
        (vec!["--seed", "2"], "seed: 1 -> 2"),
        (vec!["--from", "r"], "weights: the seed's -> r"),
    ] {
        let error = refused(here, &tiny("r", &[&["--resume-if-exists"], &more[..]].concat()), 2);
        assert!(error.contains("r was begun with other settings") && error.contains(difference), "{error}");
    }
    // An empty directory has no run yet; one with other files never gets one.
    std::fs::create_dir(here.join("empty")).unwrap();
    run(here, &tiny("empty", &["--resume-if-exists", "--max-iterations", "1"]));
    std::fs::create_dir(here.join("others")).unwrap();
    std::fs::write(here.join("others/thesis.tex"), "").unwrap();
    refused(here, &tiny("others", &["--resume-if-exists"]), 2);
}

/// A job in the background of a shell draws nothing on the terminal, where another program may be; a job in the
/// foreground draws its bar.
#[test]
fn a_job_in_the_background_draws_nothing() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    let directory = tempfile::tempdir().unwrap();
    let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 80, ..PtySize::default() }).unwrap();
    let script =
        "set -m; \"$0\" train \"$@\" --out behind & wait $!; echo between; \"$0\" train \"$@\" --out before";
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_nem-tui"), "quickstart", "--epochs", "2"]);
    command.args(TINY);
    command.cwd(directory.path());
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut shown = Vec::new();
    // Linux reports the end of a terminal as an error.
    let _ = reader.read_to_end(&mut shown);
    child.wait().unwrap();
    let shown = String::from_utf8(shown).unwrap();
    let (background, foreground) = shown.split_once("between").unwrap();
    assert!(!background.contains("quickstart") && !background.contains("epoch"), "{background:?}");
    for line in ["quickstart on ", "epoch   2", "max epochs: before"] {
        assert!(foreground.contains(line), "{line}: {foreground:?}");
    }
    assert_eq!((steps(&directory.path().join("behind")), steps(&directory.path().join("before"))), (20, 20));
}
