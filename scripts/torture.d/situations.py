"""Situations from the reports of people who run trainers on clusters and terminal programs over ssh, one by one."""
import contextlib, fcntl, os, random, shutil, signal, stat, struct, subprocess, threading, time

from harness import MEMORY, PATIENCE, STOP, TO_BE_CONTINUED, Skipped, Violation, described, one_sentence, until_trained
from terminal import Terminal, workbench

FLEX = ["--device", "flex"]
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def tries(lab):
    for name, function in CASES.items():
        yield name, function
    for again in range(6 if lab.short else 60):
        yield f"told_to_stop {again}", told_to_stop(again)
    for at in [4] if lab.short else [0.2, 0.5, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30, 40]:
        yield f"large {at}", large(at)
    for name in DAMAGES:
        yield f"damaged {name}", damaged(name)
    for name in OUTPUTS:
        yield f"output {name}", output(name)
    for at in range(len(NUMBERS)):
        yield f"number {at}", number(at)


def expect(that, what, kind="other"):
    if not that:
        raise Violation(kind, what)


def ended_well(ended):
    expect(ended.code == 0, f"exit code {ended.code}: {ended.sentence}", "needless")


def through_shell(attempt, script, words, **options):
    """Starts the program through a shell that first prepares something."""
    return attempt.start_words(["sh", "-c", f'{script} exec "$0" "$@"', attempt.lab.binary, *words], **options)


def trained(attempt, training, iterations=1):
    expect(training.wait(PATIENCE, until_trained(attempt, iterations)), "it did not train")


def wait_for(is_so, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)
    return is_so()


# ---- signals


def told_to_stop(again):
    """A signal at any moment, start-up and validations included."""
    def run(attempt):
        draw = random.Random(f"{attempt.lab.seed} stop {again}")
        training = attempt.train()
        training.wait(draw.uniform(0.01, attempt.lab.seconds))
        asked = time.monotonic()
        training.signal(draw.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        ended = training.end()
        took = time.monotonic() - asked
        expect(took < STOP, f"it took {took:.1f} s to end")
        attempt.lab.losses.append(attempt.lost())
        attempt.finish()

    return run


def large(at):
    """A preset of the paper's size, whose start-up and validation take long; the time is in seconds."""
    def run(attempt):
        training = attempt.start("train", "flying-shapes-3", *FLEX, "--json", "--out", attempt.run, "--set",
                                 "train.train_size=64")
        training.wait(at)
        asked = time.monotonic()
        training.signal(signal.SIGTERM)
        training.end()
        took = time.monotonic() - asked
        # Other programs on these cores take as much again.
        busy = os.getloadavg()[0] > os.cpu_count()
        expect(took < STOP * (2 if busy else 1), f"SIGTERM after {at} s took {took:.1f} s to end it")
        lost, seconds = attempt.lost()
        attempt.lab.losses.append((lost, seconds))
        expect(not lost, f"{lost} iterations were not saved")

    return run


@case
def second_signal(attempt):
    training = attempt.train()
    trained(attempt, training)
    for number in (signal.SIGTERM, signal.SIGTERM):
        training.signal(number)
        time.sleep(0.02)
    asked = time.monotonic()
    training.end()
    expect(time.monotonic() - asked < 1.5, "the second signal did not end it at once")
    attempt.finish()


def ignored(*names):
    def run(attempt):
        training = through_shell(attempt, f"trap '' {' '.join(names)};", attempt.lab.train(attempt.run))
        trained(attempt, training)
        for name in names:
            training.signal(getattr(signal, f"SIG{name}"))
        ended_well(training.end())
        attempt.compare()

    return run


CASES["nohup"] = ignored("HUP")
CASES["ignored_signals"] = ignored("HUP", "INT", "TERM", "QUIT", "USR1", "USR2", "XCPU", "TSTP")


def saving(number):
    """Saves, and goes on."""
    def run(attempt):
        training = attempt.train()
        trained(attempt, training, 2)
        training.signal(number)
        ended_well(training.end())
        attempt.compare()

    return run


CASES["usr1"] = saving(signal.SIGUSR1)
CASES["usr2"] = saving(signal.SIGUSR2)


def odd(number):
    """A signal that schedulers send, whose default kills."""
    def run(attempt):
        training = attempt.train()
        trained(attempt, training, 2)
        training.signal(number)
        ended = training.end()
        expect(ended.code >= 0, f"killed by signal {-ended.code}", "needless")
        lost, _ = attempt.lost()
        expect(not lost, f"{lost} iterations were not saved")
        attempt.finish()

    return run


CASES["xcpu"] = odd(signal.SIGXCPU)


@case
def stopped_and_continued(attempt):
    training = attempt.train()
    trained(attempt, training)
    for number in (signal.SIGSTOP, signal.SIGTSTP):
        training.signal(number)
        time.sleep(0.1)
        training.signal(signal.SIGCONT)
    ended_well(training.end())
    attempt.compare()


@case
def startup_signal(attempt):
    """At the first moments of all, before anything is there."""
    for pause in (0, 0.002, 0.005, 0.01, 0.02):
        training = attempt.train()
        time.sleep(pause)
        training.signal(signal.SIGTERM)
        training.end(STOP)
        shutil.rmtree(attempt.run, ignore_errors=True)


# ---- the same command again


@case
def seeds_again(attempt):
    """A group of seeds that is killed and started again."""
    expect(attempt.lab.has("--resume-if-exists"), "there is no --resume-if-exists", "needless")
    words = [*attempt.lab.train(attempt.run), "--seeds", "2", "--resume-if-exists"]
    draw = random.Random(f"{attempt.lab.seed} seeds")
    for _ in range(4):
        training = attempt.start(*words)
        training.wait(draw.uniform(0.05, 2 * attempt.lab.seconds))
        training.kill()
        training.end()
    ended_well(attempt.call(*words))
    again = attempt.call(*words)
    ended_well(again)
    attempt.run = attempt.run / "s1"
    attempt.compare()


@case
def finished_again(attempt):
    """The same command after the end changes nothing."""
    ended_well(attempt.train(*["--resume-if-exists"] * attempt.lab.has("--resume-if-exists")).end())
    attempt.finish()


@case
def two_at_once(attempt):
    """A second training of the same run is refused, and says who is training."""
    words = [*attempt.lab.train(attempt.run, epochs=40), "--set", "train.patience=40"]
    first = attempt.start(*words)
    trained(attempt, first)
    wait_for(lambda: (attempt.run / "checkpoints/last").exists())
    second = attempt.call("train", "--resume", attempt.run, *FLEX)
    expect(second.code in (1, 2), f"the second one ended with {second.code}")
    expect(str(first.child.pid) in second.err, f"the pid of the first is not told: {second.sentence}", "silent")
    first.kill()


@case
def two_reproduces(attempt):
    small = ["train.train_size=16", "train.batch=8", "train.validation_size=8", "train.test_size=8", "steps=2"]
    words = ["reproduce", "static", "--seeds", "1", "--max-iterations", "4", "--samples", "2", "--out", attempt.here / "r",
             *FLEX, *[word for value in small for word in ("--set", value)]]
    both = [attempt.start(*words) for _ in range(2)]
    ended = [one.end() for one in both]
    for one in ended:
        expect(one.code in (0, 1, 2), f"exit code {one.code}")
        expect(one.code == 0 or "process" in one.sentence, f"refused because of: {one.sentence}", "needless")
        expect("failed" not in one.out, "a run in use is called failed", "other")
    expect(any(one.code == 0 for one in ended), "neither did it", "needless")


# ---- streams


def stream(script):
    """Streams that are gone or full: the training ends as if nothing were."""
    def run(attempt):
        words = attempt.lab.train(attempt.run)
        ended = attempt.start_words(["sh", "-c", script, attempt.lab.binary, *words]).end()
        expect(ended.code in (0, 1, 141), f"exit code {ended.code}: {ended.sentence}")
        wait_for(lambda: not is_locked(attempt.run))
        attempt.compare()

    return run


def is_locked(run):
    with contextlib.suppress(OSError), open(run / "metrics.jsonl") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    return True


CASES["stdout_closed"] = stream('"$0" "$@" >&-')
CASES["stderr_closed"] = stream('"$0" "$@" 2>&-')
CASES["all_closed"] = stream('"$0" "$@" <&- >&- 2>&-')
CASES["stdout_full"] = stream('"$0" "$@" >/dev/full')
CASES["stderr_full"] = stream('"$0" "$@" 2>/dev/full >/dev/full')
CASES["reader_gone"] = stream('"$0" "$@" | head -n 1')
CASES["readers_gone"] = stream('"$0" "$@" 2>&1 | head -n 1')
CASES["bar_reader_gone"] = stream('(shift 1; "$0" train "$@") 2>&1 >/dev/null | true')


def table(*words):
    """A command that prints much, into a reader that is gone."""
    def run(attempt):
        script = '{ "$0" "$@"; echo $? >"$CODE"; } 2>&1 | true'
        attempt.start_words(["sh", "-c", script, attempt.lab.binary, *words],
                            env={**attempt.lab.environment, "CODE": str(attempt.here / "code")}).end()
        wait_for((attempt.here / "code").is_file)
        code = (attempt.here / "code").read_text().strip()
        expect(code in ("0", "1", "141"), f"exit code {code}")

    return run


CASES["table_presets"] = table("presets", "quickstart")
CASES["table_eval"] = table("eval", "static-shapes", "--samples", "2", "--per-step", *FLEX)
CASES["table_help"] = table("help")
CASES["table_man"] = table("man")


@case
def background_bar(attempt):
    """A training in the background of a shell draws no bar on its terminal."""
    terminal = Terminal()
    words = [word for word in attempt.lab.train(attempt.run, epochs=20) if word != "--json"]
    script = 'set -m; "$0" "$@" & wait'
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    with contextlib.closing(terminal):
        from terminal import own_terminal
        shell = attempt.start_words(["sh", "-c", script, attempt.lab.binary, *words], preexec_fn=own_terminal,
                                    env={**attempt.lab.environment, "TERM": "xterm-256color"}, **streams)
        while shell.poll() is None and time.monotonic() < shell.begin + PATIENCE:
            terminal.read(0.02)
        terminal.read(0.05)
        expect(b"\x1b[1A" not in terminal.written and b"\x1b[2K" not in terminal.written and b"\xe2\x96" not in
               terminal.written, f"it draws in the background: {bytes(terminal.written[-200:])!r}")


# ---- terminals


@case
def suspended_workbench(attempt):
    """SIGTSTP gives the terminal back, SIGCONT takes it again."""
    terminal = Terminal()
    with contextlib.closing(terminal):
        program = workbench(attempt, terminal, *FLEX)
        read_until(terminal, lambda: b"\x1b[?1049h" in terminal.written, 10)
        terminal.read(0.3)
        program.signal(signal.SIGTSTP)
        read_until(terminal, lambda: b"\x1b[?1049l" in terminal.written, 3)
        expect(not terminal.restored(), f"suspended without giving back {terminal.restored()}")
        before = terminal.written.count(b"\x1b[?1049h")
        program.signal(signal.SIGCONT)
        read_until(terminal, lambda: terminal.written.count(b"\x1b[?1049h") > before, 3)
        expect(terminal.written.count(b"\x1b[?1049h") > before, "continued without taking the terminal")
        stop(program, terminal)
        expect(not terminal.restored(), f"not given back: {terminal.restored()}")


def read_until(terminal, is_so, seconds):
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        terminal.read(0.02)


def stop(program, terminal):
    program.signal(signal.SIGTERM)
    end = time.monotonic() + STOP
    while program.poll() is None and time.monotonic() < end:
        terminal.read(0.02)
    terminal.read(0.05)
    expect(program.poll() is not None, "SIGTERM did not end the workbench")


@case
def hung_up(attempt):
    """The terminal goes away; what was trained is kept."""
    terminal = Terminal(40, 140)
    lab = attempt.lab
    words = lab.train(attempt.run, epochs=100000)
    sets = words[words.index("--set"):]
    program = workbench(attempt, terminal, *FLEX, "--preset", "quickstart", *sets, "--set", "train.patience=100000")
    runs = attempt.here / "runs/quickstart-s1/metrics.jsonl"
    read_until(terminal, lambda: runs.is_file() and runs.stat().st_size > 1000, 20)
    expect(runs.is_file(), "the workbench did not train")
    terminal.close()
    ended = program.end(STOP)
    attempt.run = runs.parent
    expect(not attempt.lost()[0], f"{attempt.lost()[0]} iterations were lost; exit code {ended.code}")


def attached(attempt):
    """Whether a viewer can attach."""
    terminal = Terminal()
    with contextlib.closing(terminal):
        viewer = workbench(attempt, terminal, "attach", attempt.run)
        read_until(terminal, lambda: b"\x1b[?1049h" in terminal.written or viewer.poll() is not None, 10)
        terminal.read(0.2)
        there = viewer.poll() is None
        viewer.kill()
        return there, bytes(terminal.written).decode(errors="replace")


def attachable(env, name="run"):
    def run(attempt):
        attempt.run = attempt.here / name
        attempt.run.parent.mkdir(parents=True, exist_ok=True)
        words = [*attempt.lab.train(attempt.run, epochs=100000), "--set", "train.patience=100000"]
        training = attempt.start(*words, env=env)
        trained(attempt, training)
        there, shown = attached(attempt)
        training.signal(signal.SIGTERM)
        training.end()
        expect(there, f"nobody can attach: {shown[-300:]!r}")

    return run


CASES["tmpdir_gone"] = attachable({"TMPDIR": "/nonexistent/tmp"})
CASES["tmpdir_long"] = attachable({"TMPDIR": "/tmp/" + "t" * 100}, "deep/" + "/".join(["d" * 40] * 3) + "/run")


@case
def socket_gone(attempt):
    """A run whose socket was removed is not called ended."""
    words = [*attempt.lab.train(attempt.run, epochs=100000), "--set", "train.patience=100000"]
    training = attempt.start(*words)
    trained(attempt, training)
    wait_for(lambda: os.path.lexists(attempt.run / "socket"))
    (attempt.run / "socket").unlink()
    _, shown = attached(attempt)
    training.signal(signal.SIGTERM)
    training.end()
    expect("no training is running" not in shown.lower() and "not running" not in shown.lower(),
           f"a running training is denied: {shown[-200:]!r}")


# ---- paths and places


@case
def latin1_directory(attempt):
    here = os.fsencode(attempt.here)
    run = here + b"/caf\xe9"
    words = [word if word != str(attempt.run) else run for word in attempt.lab.train(attempt.run)]
    binary = attempt.lab.binary

    def call(*words):
        done = subprocess.run([binary, *words], capture_output=True, env=attempt.lab.environment, cwd=attempt.here,
                              timeout=PATIENCE)
        expect(done.returncode == 0 and b"panicked" not in done.stderr,
               f"{words[0]} ended with {done.returncode}: {done.stderr[-300:]!r}")

    call(*words)
    call("train", "--resume", run, *FLEX)
    call("curves", run, "--csv", here + b"/\xff.csv")
    call("eval", run, "--samples", "2", *FLEX)
    call("train", "--replay", run, "--out", here + b"/\xfe", *FLEX)
    call("picture", run, "--out", here + b"/\xfd.png", *FLEX)


@case
def directory_removed(attempt):
    """The working directory no longer exists."""
    gone = attempt.here / "gone"
    gone.mkdir()
    words = attempt.lab.train(attempt.run)
    ended_well(through_shell(attempt, f'cd "{gone}"; rmdir "{gone}";', words).end())
    attempt.compare()


@case
def bare_environment(attempt):
    """No variables at all, as from cron."""
    ended_well(attempt.start_words([attempt.lab.binary, *attempt.lab.train(attempt.run)], env={"PATH": "/bin"}).end())
    attempt.compare()


@case
def few_descriptors(attempt):
    ended = through_shell(attempt, "ulimit -n 24;", attempt.lab.train(attempt.run)).end()
    ended_well(ended)
    attempt.compare()


@case
def file_size_limit(attempt):
    """The kernel's limit on a file's size comes with a signal that kills."""
    training = through_shell(attempt, "ulimit -f 8;", attempt.lab.train(attempt.run))
    training.wait(3)
    training.signal(signal.SIGTERM)
    ended = training.end(STOP)
    expect(ended.code >= 0, f"killed by signal {-ended.code}", "needless")
    expect("too large" in (ended.err + ended.out).lower(), f"the limit was not told: {ended.sentence}", "silent")
    attempt.finish()


@case
def full_disk_freed(attempt):
    """A small file system that is full for a while."""
    place = attempt.here / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        raise Skipped("file systems cannot be mounted here")
    try:
        attempt.run = place / "run"
        training = attempt.start(*attempt.lab.train(attempt.run))
        trained(attempt, training)
        with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        training.wait(3)
        (place / "filler").unlink()
        ended_well(training.end())
        attempt.compare()
    finally:
        for one in attempt.started:
            one.kill()
        subprocess.run(["umount", place], check=True)


# ---- a run that was damaged


def last_checkpoint(run):
    return run / "checkpoints" / (run / "checkpoints/last").read_text().strip()


def middle_line(run, change):
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    lines[len(lines) // 2] = change(lines[len(lines) // 2])
    (run / "metrics.jsonl").write_bytes(b"".join(lines))


# The damage, and whether the finished run must still be equal to the undisturbed one.
DAMAGES = {
    "last empty": (lambda run: (run / "checkpoints/last").write_text(""), True),
    "last noise": (lambda run: (run / "checkpoints/last").write_bytes(b"\xff\0\n"), True),
    "last missing": (lambda run: (run / "checkpoints/last").unlink(), True),
    "last elsewhere": (lambda run: (run / "checkpoints/last").write_text("it-99999999"), True),
    "last outside": (lambda run: (run / "checkpoints/last").write_text("../../../etc"), True),
    "best missing": (lambda run: (run / "checkpoints/best").unlink(), True),
    "metrics torn": (lambda run: (run / "metrics.jsonl").open("ab").write(b'{"kind":"step","iter'), True),
    "metrics line": (lambda run: middle_line(run, lambda line: b"#" * (len(line) - 1) + b"\n"), False),
    "metrics zeros": (lambda run: middle_line(run, lambda line: bytes(len(line) - 1) + b"\n"), False),
    "album gone": (lambda run: shutil.rmtree(run / "album"), False),
    "log a directory": (lambda run: ((run / "log.txt").unlink(), (run / "log.txt").mkdir()), False),
    "leftovers": (lambda run: [(run / name).mkdir() for name in ("checkpoints/.unfinished-a1b2c3", ".socket-a1b2c3")],
                  False),
}


def damaged(name):
    damage, is_equal = DAMAGES[name]

    def run(attempt):
        training = attempt.train()
        trained(attempt, training, 7)
        training.signal(signal.SIGTERM)
        training.end()
        expect((attempt.run / "checkpoints/last").exists(), "nothing was saved")
        damage(attempt.run)
        if attempt.lab.has_verify:
            attempt.call("verify", attempt.run)
        drawn = attempt.call("curves", attempt.run, "--csv", attempt.here / "c.csv")
        expect(drawn.code == 0 or not name.startswith("metrics"), f"curves: {drawn.sentence}", "corrupt")
        if is_equal:
            attempt.finish()
            return
        again = ["--resume-if-exists"] if attempt.lab.has("--resume-if-exists") else []
        ended = attempt.train(*again).end() if again else attempt.call("train", "--resume", attempt.run, *FLEX)
        expect(ended.code == 0, f"it cannot be resumed: {ended.sentence}", "corrupt")
        expect(described_weights(attempt.run) == attempt.lab.reference["weights"], "other weights", "differing")

    return run


def described_weights(run):
    import hashlib
    return hashlib.sha256((last_checkpoint(run) / "weights.safetensors").read_bytes()).hexdigest()


# ---- outputs


def csv(attempt, path, **options):
    words = ["curves", str(attempt.lab.sample), "--csv", path]
    ended = attempt.call(*words, **options)
    expect(ended.code == 0, f"exit code {ended.code}: {ended.sentence}", "needless")
    return ended


def to_dash(attempt):
    ended = csv(attempt, "-")
    expect(ended.out.startswith("iteration"), f"nothing on stdout: {ended.out[:80]!r}", "silent")
    expect(not (attempt.here / "-").exists(), "a file called - was written")


def to_dev_stdout(attempt):
    before = os.readlink("/dev/stdout") if os.path.islink("/dev/stdout") else None
    # Never as it is: a program that replaces the file would replace this machine's device.
    if os.geteuid() == 0:
        link = attempt.here / "stdout"
        link.symlink_to("/proc/self/fd/1")
        ended = csv(attempt, str(link))
        expect(link.is_symlink(), "the link was replaced by a file")
    else:
        ended = csv(attempt, "/dev/stdout")
    expect("iteration" in ended.out, "nothing on stdout", "silent")
    expect(before is None or os.path.islink("/dev/stdout"), "the device was replaced")


def to_fifo(attempt):
    fifo = attempt.here / "fifo"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    csv(attempt, str(fifo))
    expect(stat.S_ISFIFO(fifo.stat().st_mode), "the FIFO was replaced by a file")
    reader.join(5)
    expect(read and read[0].startswith(b"iteration"), "nothing came through the FIFO", "silent")


def to_link(attempt):
    (attempt.here / "there").mkdir()
    link = attempt.here / "link.csv"
    link.symlink_to("there/real.csv")
    csv(attempt, str(link))
    expect(link.is_symlink(), "the link was replaced by a file")
    expect((attempt.here / "there/real.csv").is_file(), "the link's target was not written", "silent")


def to_umask(attempt):
    for mask in ("077", "002", "000"):
        path = attempt.here / f"{mask}.csv"
        words = ["curves", attempt.lab.sample, "--csv", path]
        ended_well(through_shell(attempt, f"umask {mask};", words).end())
        found, wanted = path.stat().st_mode & 0o777, 0o666 & ~int(mask, 8)
        expect(found == wanted, f"umask {mask} gives {found:o} instead of {wanted:o}")


def to_full(attempt):
    device = attempt.here / "full"
    device.symlink_to("/dev/full")
    ended = attempt.call("curves", attempt.lab.sample, "--csv", device)
    expect(ended.code == 1, f"exit code {ended.code} on a full device", "silent")
    one_sentence(ended)
    expect(device.is_symlink(), "the link was replaced by a file")


def to_fd(attempt):
    words = ["curves", attempt.lab.sample, "--csv", "/dev/fd/7"]
    ended_well(through_shell(attempt, f"exec 7>'{attempt.here}/seven';", words).end())
    expect((attempt.here / "seven").read_text().startswith("iteration"), "nothing was written", "silent")


def kept_on_failure(attempt):
    """A file that cannot be replaced whole stays as it was."""
    path = attempt.here / "old.csv"
    path.write_text("old")
    attempt.call("curves", attempt.here / "no-run", "--csv", path)
    expect(path.read_text() == "old", "the old file is gone")


OUTPUTS = {"dash": to_dash, "device": to_dev_stdout, "fifo": to_fifo, "link": to_link, "umask": to_umask,
           "full": to_full, "descriptor": to_fd, "kept": kept_on_failure}


def output(name):
    return lambda attempt: OUTPUTS[name](attempt)


# ---- numbers from the command line

HUGE = ["18446744073709551615", "10000000000", "4294967296"]
NUMBERS = [["eval", "static-shapes", f"--{option}", value] for option in ("samples", "k", "steps") for value in HUGE]
NUMBERS += [["picture", "static-shapes", "--out", "o.png", f"--{option}", value]
            for option in ("tile", "sample", "step", "k", "steps") for value in HUGE[:2]]
NUMBERS += [["picture", "static-shapes", "--out", "o.gif", "--tile", "100000"],
            ["bench", "quickstart", "--batch", HUGE[1], "--iterations", "1", "--warm-up", "0"]]
NUMBERS += [["train", "quickstart", "--out", "r", "--max-iterations", "1", "--set", f"{path}={value}"]
            for path in ("train.batch", "train.train_size", "train.validation_size", "k", "steps", "data.height",
                         "model.cell.layers.0.units") for value in HUGE[:2]]


def number(at):
    """Numbers that are too large are refused before memory is asked for."""
    def run(attempt):
        running = attempt.start(*NUMBERS[at], *FLEX)
        running.wait(6)
        running.signal(signal.SIGTERM)
        ended = running.end(STOP)
        name = " ".join(NUMBERS[at])
        expect(ended.code in (0, 1, 2, TO_BE_CONTINUED, 143, -signal.SIGTERM), f"{name}: exit code {ended.code}: {ended.sentence}")
        if ended.code == 1:
            one_sentence(ended)
        expect(ended.peak < 2 * MEMORY, f"{name}: {ended.peak >> 20} MB of memory")

    return run


@case
def byte_order_marks(attempt):
    text = attempt.lab.sample.joinpath("preset.ron").read_text()
    marked, wide = attempt.here / "marked.ron", attempt.here / "wide.ron"
    marked.write_text(text, encoding="utf-8-sig")
    wide.write_text(text, encoding="utf-16")
    ended_well(attempt.call("presets", marked))
    ended = attempt.call("presets", wide)
    expect("UTF-16" in ended.err, f"UTF-16 is not named: {ended.sentence}", "silent")
