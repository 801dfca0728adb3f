"""SIGKILL at random moments and at every call that changes a file; then the same command again, to the end."""
import random, signal

from harness import PATIENCE, Violation

CHANGING = {"create", "write", "sync", "syncdir", "rename", "link", "symlink", "truncate", "mkdir", "unlink", "chmod",
            "bind", "copy"}


def tries(lab):
    from faults import sites

    for site in sites(lab.calls):
        if site.name in CHANGING:
            for how in ["kill", "torn"] if site.name == "write" else ["kill"]:
                yield f"boundary {site.number} {how}", boundary(site.rule(how))
    for again in range(40 if lab.short else 500):
        yield f"random {again}", moment(again)
    for again in range(10 if lab.short else 100):
        yield f"twice {again}", twice(again)


def killed(attempt, faults):
    """Runs the command until the library kills it; whether it did."""
    ended = attempt.train(*resuming(attempt), faults=faults).end()
    if ended.code not in (0, -signal.SIGKILL):
        raise Violation("corrupt", f"exit code {ended.code}: {ended.sentence}")
    attempt.lab.losses.append(attempt.lost())
    return ended.code != 0


def resuming(attempt):
    return ["--resume-if-exists"] if attempt.lab.has("--resume-if-exists") else []


def boundary(faults):
    def run(attempt):
        killed(attempt, faults)
        attempt.finish()

    return run


def moment(again):
    def run(attempt):
        seconds = random.Random(f"{attempt.lab.seed} {again}").uniform(0, 1.1 * attempt.lab.seconds)
        training = attempt.train(*resuming(attempt))
        training.wait(seconds)
        training.kill()
        training.end()
        attempt.lab.losses.append(attempt.lost())
        attempt.finish()

    return run


def twice(again):
    """Killed, and killed again while it resumes."""
    def run(attempt):
        draw = random.Random(f"{attempt.lab.seed} twice {again}")
        killed(attempt, f"any@{draw.randrange(1, len(attempt.lab.calls))}=kill")
        if resuming(attempt):
            killed(attempt, f"any@{draw.randrange(1, len(attempt.lab.calls))}=kill")
        attempt.finish()

    return run
