#!/usr/bin/env python3
"""Tunes a preset with Optuna: chooses settings, trains with `nem-tui train --json`, and ends trials that look bad.

    pip install optuna
    examples/optuna/tune.py quickstart --trials 20 --storage sqlite:///quickstart.db

Every trial is a run in --out, so `nem-tui attach`, `eval`, `curves` and the workbench work on it, too. The same command
with the same --storage continues the study. NEM_TUI names the program. What is tuned is in `settings`, at the top.
"""
import argparse, json, os, pathlib, signal, subprocess, sys

import optuna


def settings(trial):
    return {
        "k": trial.suggest_int("k", 3, 5),
        "noise.probability": trial.suggest_float("noise.probability", 0.05, 0.3),
        "train.learning_rate": trial.suggest_float("train.learning_rate", 1e-4, 1e-2, log=True),
    }


def train(study, trial, args):
    """Trains a trial and tells the study what came of it."""
    run = args.out / f"trial-{trial.number}"
    command = [os.environ.get("NEM_TUI", "nem-tui"), "train", args.preset, "--json", "--out", run, "--resume-if-exists"]
    command += [f"--set={field}={value}" for field, value in settings(trial).items()]
    command += [f"--set={setting}" for setting in args.set]
    pruned, errors = False, open(args.out / f"trial-{trial.number}.err", "w+")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:
        try:
            for line in child.stdout:
                event = json.loads(line)
                # A loss that is no number is null, and the run fails.
                if event["kind"] == "epoch" and event["validation_loss"] is not None and not pruned:
                    trial.report(event["validation_loss"], event["epoch"])
                    if trial.should_prune():
                        pruned = True
                        child.send_signal(signal.SIGTERM)
        except BaseException:
            child.terminate()
            raise
    # 0: done; 3: stopped before the end, and saved; 1: failed; 2: a usage error, which no other trial will escape.
    if child.returncode == 2:
        errors.seek(0)
        sys.exit(errors.read().strip())
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return
    # Somebody else has stopped it.
    if child.returncode == 3:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        sys.exit(3)
    result = json.loads((run / "result.json").read_text()) if child.returncode == 0 else {}
    best = result.get("best")
    if best is None or best["validation_loss"] is None:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    trial.set_user_attr("run", str(run))
    trial.set_user_attr("ami", best["ami"])
    study.tell(trial, best["validation_loss"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/optuna"), metavar="DIR")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a setting of all trials")
    parser.add_argument("--storage", help="where the study is kept, such as sqlite:///study.db")
    parser.add_argument("--seed", type=int, help="of the sampler")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=args.preset, storage=args.storage, load_if_exists=True, direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=args.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2))
    while len(study.trials) < args.trials:
        train(study, study.ask(), args)
    states = [trial.state.name for trial in study.trials]
    print({name.lower(): states.count(name) for name in sorted(set(states))})
    if "COMPLETE" in states:
        best = study.best_trial
        print(f"best: {best.user_attrs['run']}, validation loss {best.value:.3f}, {best.params}")


if __name__ == "__main__":
    main()
