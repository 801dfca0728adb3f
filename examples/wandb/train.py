#!/usr/bin/env python3
"""Trains one run of a W&B sweep: maps the agent's --FIELD=VALUE to --set, and logs every validation.

    pip install wandb
    wandb sweep examples/wandb/sweep.yaml      # then: wandb agent ID

Without wandb it prints what it would log, so that a sweep can be tried out:

    examples/wandb/train.py quickstart --k=3 --train.learning_rate=0.001

Options of `nem-tui train` come after --: quickstart --k=3 -- --device cuda. NEM_TUI names the program.
"""
import json, os, pathlib, signal, subprocess, sys

try:
    import wandb
except ImportError:
    wandb = None

LOGGED = ["epoch", "iteration", "train_loss", "validation_loss", "ami", "ari", "confidence"]


def main():
    preset, *arguments = sys.argv[1:] or sys.exit(__doc__)
    more = arguments[arguments.index("--") + 1:] if "--" in arguments else []
    sets = [word.removeprefix("--") for word in arguments[:len(arguments) - len(more)] if word != "--"]
    run = wandb.init() if wandb else None
    out = pathlib.Path("runs/wandb") / (run.id if run else f"try-{os.getpid()}")
    command = [os.environ.get("NEM_TUI", "nem-tui"), "train", preset, "--json", "--out", out, "--resume-if-exists"]
    command += [f"--set={setting}" for setting in sets] + more
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        # The agent ends a run that looks bad with SIGTERM; the training saves and ends.
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        for line in child.stdout:
            event = json.loads(line)
            if event["kind"] == "epoch":
                values = {name: event[name] for name in LOGGED if event.get(name) is not None}
                run.log(values, step=event["iteration"]) if run else print(json.dumps(values), flush=True)
    result = out / "result.json"
    if result.exists():
        best = json.loads(result.read_text())["best"] or {}
        summary = {f"best_{name}": best[name] for name in LOGGED[3:] if best.get(name) is not None}
        run.summary.update(summary) if run else print(json.dumps(summary), flush=True)
    if run:
        run.finish(exit_code=child.returncode)
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
