//! The examples of other programs that choose settings: Optuna and W&B. `NEM_TUI_PYTHON` names the Python that has
//! Optuna; what is not there is not tested, and the test says so.

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

use serde_json::Value;
use support::cli::TINY;
use support::sweep::preset_of;

fn python() -> String {
    std::env::var("NEM_TUI_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

fn call(here: &Path, script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(python());
    command.current_dir(here).arg(example(script)).args(arguments);
    command.env("NEM_TUI", env!("CARGO_BIN_EXE_nem-tui")).env("WANDB_MODE", "disabled").output().unwrap()
}

/// Whether Python can do this; says what is skipped otherwise.
fn can(program: &str) -> bool {
    let works =
        Command::new(python()).args(["-c", program]).output().is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: {} cannot do `{program}`", python());
    }
    works
}

#[test]
fn optuna_chooses_trains_and_prunes() {
    if !can("import optuna") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    // Many epochs, of which bad trials see only some.
    let more =
        ["--trials", "8", "--seed", "1", "--storage", "sqlite:///study.db", "--set", "train.max_epochs=20"];
    let command = [&["quickstart"], &more[..], &["--set", "train.patience=100"], &TINY].concat();
    let output = call(here, "optuna/tune.py", &command);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        output.status.success() && said.contains("'complete': ") && said.contains("'pruned': "),
        "{said}"
    );
    let runs: Vec<PathBuf> = (0..8).map(|i| here.join(format!("runs/optuna/trial-{i}"))).collect();
    let result = |run: &PathBuf| -> Value {
        serde_json::from_slice(&std::fs::read(run.join("result.json")).unwrap()).unwrap()
    };
    let reasons: Vec<String> =
        runs.iter().map(|run| result(run)["reason"].as_str().unwrap().to_owned()).collect();
    assert!(reasons.contains(&"max_epochs".into()) && reasons.contains(&"stopped".into()), "{reasons:?}");
    let losses = runs.iter().map(result).filter(|result| result["reason"] == "max_epochs");
    let best =
        losses.map(|result| result["best"]["validation_loss"].as_f64().unwrap()).fold(f64::MAX, f64::min);
    assert!(said.contains(&format!("validation loss {best:.3}")), "{best}: {said}");
    assert!((3..=5).contains(&preset_of(&runs[7]).k));
    // The same command has nothing left to do.
    let again = call(here, "optuna/tune.py", &command);
    assert!(again.status.success() && !here.join("runs/optuna/trial-8").exists());
    // A usage error is told at once.
    let wrong =
        call(here, "optuna/tune.py", &["quickstart", "--trials", "3", "--out", "wrong", "--set", "kk=1"]);
    let told = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success() && told.contains("has no field \"kk\""), "{told}");
    assert!(!here.join("wrong/trial-1.err").exists());
}

/// What a W&B agent calls: `command` with `${args}` as --FIELD=VALUE.
#[test]
fn a_wandb_sweep_maps_its_parameters_to_settings() {
    if !can("import sys; sys.exit(sys.version_info < (3, 9))") {
        return;
    }
    let text = std::fs::read_to_string(example("wandb/sweep.yaml")).unwrap();
    let command = text.split_once("command:\n").unwrap().1;
    let words: Vec<&str> = command.lines().map(|line| line.trim().strip_prefix("- ").unwrap()).collect();
    assert_eq!(words, ["${env}", "python3", "${program}", "quickstart", "${args}"]);
    assert!(text.contains("program: examples/wandb/train.py\n"));
    let parameters = text.split_once("parameters:\n").unwrap().1.split_once("command:").unwrap().0;
    let names = parameters.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.map(|line| line.trim().strip_suffix(':').unwrap()).collect();
    let values = ["3", "0.25", "0.00012"];
    let mut arguments = vec!["quickstart".to_owned()];
    arguments.extend(names.iter().zip(values).map(|(name, value)| format!("--{name}={value}")));
    arguments.extend(["--", "--device", "flex", "--epochs", "2"].map(String::from));
    arguments.extend(TINY.map(String::from));

    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let output = call(here, "wandb/train.py", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let (said, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{told}");
    let runs: Vec<PathBuf> =
        std::fs::read_dir(here.join("runs/wandb")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let preset = preset_of(&runs[0]);
    assert_eq!((preset.k, preset.noise.probability(), preset.train.learning_rate), (3, Some(0.25), 0.00012));
    // With W&B it goes there.
    if !can("import wandb") {
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[1]["epoch"]), (3, &2.into()), "{said}");
        assert!(lines[2]["best_validation_loss"].is_f64(), "{said}");
    }
}
