"""File calls that fail: once, a few times, from then on, as short writes, and two at a time.

A transient error must be told once and survived, with the same bytes at the end; while it lasts the program waits, and a
request to stop ends it with a sentence, so that the run can be resumed. What is not essential (a lock or a flushed
directory on a file system that has neither, permissions, the socket, removing old files) stops nothing. Before the
training has begun, a failure may also end the program with a sentence, if the same command works afterwards.
"""
import collections, os, random, re, signal, time

from harness import ERRORS, STOP, TO_BE_CONTINUED, Violation, one_sentence, told
from kills import resuming

TRANSIENT = ["ENOSPC", "EIO", "EDQUOT", "ESTALE"]
# The errors that each call can meet.
MEETS = {
    "create": [*TRANSIENT, "EMFILE", "ENFILE", "EROFS", "EACCES"],
    "write": [*TRANSIENT, "EINTR", "short-1", "short-7", "EROFS"],
    "copy": TRANSIENT, "sync": [*TRANSIENT, "EINTR"], "rename": [*TRANSIENT, "EROFS"], "truncate": TRANSIENT,
    "mkdir": [*TRANSIENT, "EROFS"], "link": ["EPERM", "ENOTSUP"], "symlink": ["EPERM", "ENOTSUP"],
    "syncdir": ["EINVAL", "ENOTSUP", "ENOSYS", "EIO"], "chmod": ["EPERM", "ENOTSUP", "EIO"],
    "lock": ["ENOLCK", "ENOSYS", "ENOTSUP", "EINTR", "EIO"],
    "bind": ["EPERM", "ENOTSUP", "EROFS", "EACCES"], "unlink": ["EIO", "ESTALE", "EBUSY", "EROFS"],
    "open": ["EIO", "ESTALE", "EMFILE", "ENFILE"], "read": ["EIO", "ESTALE", "EINTR"], "list": ["EIO", "ESTALE"],
    "stat": ["EIO", "ESTALE"], "close": ["EIO"],
}
# Calls that the training can do without, with the errors that say so.
OPTIONAL = {"link", "symlink", "chmod", "lock", "bind", "unlink", "close"}
READING = {"open", "read", "list", "stat"}
# Errors that need not be transient: ending with a sentence is right, too.
LASTING = {"EROFS", "EACCES"}
# Whose failure need not be told: nothing is lost by it.
UNTOLD = {"chmod", "unlink", "close", "link", "symlink", "stat", "list", "syncdir"}

# Lines on stderr of a training that met an error and was ended: what it waits for, and what is lost.
LINES = 6


class Site:
    """A call: its number, its name, its file, and whether the training had begun."""

    def __init__(self, number, name, path, phase):
        self.number, self.name, self.path, self.phase = number, name, path, phase
        # Names of temporary files are drawn; the part before them is the same in every run.
        self.part = re.sub(r"(/\.[a-z-]*)[-.]?[A-Za-z0-9]{6}(/.*)?$", r"\1", path[path.rindex("/run") if "/run" in path else 0:])
        self.nth = 0

    def rule(self, action, times=""):
        """Numbers of calls differ between runs, because threads share them; places among a file's own calls do not."""
        return f"{self.name}:{self.part[:60]}@{self.nth}{times}={action}"


def sites(calls, placed=True):
    """The calls of a run that succeeded, with their places if `placed`, which takes long for many calls."""
    phase, found, before = "start", [], collections.defaultdict(list)
    for number, name, error, path in calls:
        before[name].append(path)
        if name == "write" and path.endswith("metrics.jsonl"):
            phase = "training"
        if error <= 0:
            found.append(Site(number, name, path, phase))
            if placed:
                found[-1].nth = sum(found[-1].part[:60] in there for there in before[name])
    return found


def met(attempt):
    """The faults that a run did meet."""
    names = {number: name for name, number in ERRORS.items()}
    calls = {number: error for number, _, error, _ in attempt.calls() if error < 0}
    return [(site, names[-calls[site.number]]) for site in sites(attempt.calls(), placed=False)
            if site.number in calls]


def tries(lab):
    found = sites(lab.calls)
    for site in found:
        for error in [error for error in MEETS[site.name] if error not in LASTING]:
            yield f"once {site.number} {error}", once(site, error, "")
            if error != "EINTR" and not error.startswith("short"):
                yield f"few {site.number} {error}", once(site, error, "x3")
    for site in found:
        for error in MEETS[site.name]:
            if error != "EINTR":
                yield f"lasting {site.number} {error}", lasting(site, error)
    draw = random.Random(f"{lab.seed} pairs")
    for again in range(8 if lab.short else 400):
        one, other = sorted(draw.sample(found, 2), key=lambda site: site.number)
        errors = [draw.choice(MEETS[site.name]) for site in (one, other)]
        yield f"pair {again}", pair([(one, errors[0]), (other, errors[1])])


def action(error):
    return str(ERRORS.get(error, error))


def is_optional(site, error):
    return (site.name in OPTIONAL or "socket" in site.path or is_removal(site)
            or (site.name == "syncdir" and error in ("EINVAL", "ENOTSUP", "ENOSYS")))


def is_removal(site):
    """Whether this renames an old checkpoint, which is then removed."""
    return site.name == "rename" and os.path.basename(site.path).startswith(".nem-tui-it-")


def expects_telling(site, error):
    return not (error == "EINTR" or error.startswith("short") or site.name in UNTOLD
                or ("socket" in site.path and site.name != "bind"))


def once(site, error, times):
    """One failing call, or a few of that name one after another."""
    def run(attempt):
        ended = attempt.train(*resuming(attempt), faults=site.rule(action(error), times)).end()
        judge(attempt, ended, met(attempt)[:1], 3 if times else 1)
        end(attempt, ended, [site])

    return run


def end(attempt, ended, sites):
    """To the run's end, if it has not come there. What could not be removed may stay."""
    attempt.finish(left(sites)) if ended.code else attempt.compare(left(sites))


def left(sites):
    """What to ignore where a failing call kept the program from removing something."""
    kept = any(site.name in READING | {"unlink", "close"} or is_removal(site) for site in sites)
    return ["left behind"] if kept else []


def pair(both):
    def run(attempt):
        rules = ";".join(site.rule(action(error)) for site, error in both)
        ended = attempt.train(*resuming(attempt), faults=rules).end()
        judge(attempt, ended, met(attempt))
        end(attempt, ended, [site for site, _ in both])

    return run


def describe(faults):
    return " and ".join(f"{error} at {site.name} of {os.path.basename(site.path)} ({site.phase})"
                        for site, error in faults)


def judge(attempt, ended, faults, times=1):
    """Whether a program that met these faults did right."""
    happened = faults
    if ended.code:
        one_sentence(ended, LINES)
        if not any(told(ended, ERRORS[error]) != [0, 0] for _, error in happened if error in ERRORS):
            raise Violation("silent", f"{describe(faults)}: exit code {ended.code} without the reason: {ended.sentence}")
        allowed = any((site.phase == "start" and not is_optional(site, error)) or error in LASTING
                      for site, error in happened)
        if not allowed:
            attempt.finish()
            raise Violation("needless", f"{describe(faults)} ended it: {ended.sentence}")
        return
    for site, error in happened:
        on_stderr, on_stdout = told(ended, ERRORS[error])
        if expects_telling(site, error) and site.name not in READING and not on_stderr + on_stdout:
            raise Violation("silent", f"{describe(faults)} was told nowhere")
        if len(faults) == 1 and max(on_stderr, on_stdout) > times:
            raise Violation("other", f"{describe(faults)} was told {max(on_stderr, on_stdout)} times")


def lasting(site, error):
    """This call, and all of its name after it, fail."""
    def run(attempt):
        rule = site.rule(action(error), "+")
        training = attempt.train(*resuming(attempt), faults=rule)
        if error.startswith("short") or is_optional(site, error):
            ended = training.end()
            judge(attempt, ended, met(attempt)[:1])
            end(attempt, ended, [site])
            return

        def is_told():
            return told(Output(training), ERRORS[error]) != [0, 0]

        training.wait(8, is_told)
        is_running = training.poll() is None
        if is_running:
            # It must not give up a moment later.
            training.wait(0.3)
            is_running = training.poll() is None
        asked = time.monotonic()
        training.signal(signal.SIGTERM)
        ended = training.end()
        took = time.monotonic() - asked
        failed = ended.code not in (0, TO_BE_CONTINUED)
        name = describe([(site, error)])
        must_tell = expects_telling(site, error) and site.name not in READING
        may_end = site.phase == "start" or error in LASTING or site.name in READING | {"syncdir"}
        if failed:
            one_sentence(ended, LINES)
        if told(ended, ERRORS[error]) == [0, 0] and (failed or must_tell) and site.name not in READING:
            raise Violation("silent", f"lasting {name} was told nowhere")
        if not is_running and failed and not may_end:
            attempt.finish()
            raise Violation("needless", f"lasting {name} ended it: {ended.sentence}")
        if is_running and took > STOP:
            raise Violation("other", f"lasting {name}: SIGTERM took {took:.1f} s")
        # The training can give up its album, event files, log, socket and the name in its lock, if it says so.
        may_give_up = error in LASTING or site.phase == "start" or any(
            part in site.path for part in ("/album", "/tensorboard", "/log.txt", "/lock"))
        if is_running and not failed and must_tell and not may_give_up:
            raise Violation("silent", f"lasting {name}: unsaved work was given up with exit code {ended.code}")
        # A run whose album or event files could not be written to the end may lack their rest, because that was told.
        attempt.finish((["album", "event steps"] if not failed else []) + left([site]))

    return run


class Output:
    """What a running program has printed so far."""

    def __init__(self, running):
        self.out, self.err = running.text(running.out), running.text(running.err)
