"""What the parts of scripts/torture share: starting the program, comparing its runs, and counting violations."""
import contextlib, errno, gzip, hashlib, json, os, pathlib, re, resource, shutil, signal, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What may be wrong, in the order of the table.
KINDS = ["corrupt", "differing", "silent", "needless", "other"]
# Settings of the smallest run that still does everything: tiny images, and epochs of five iterations.
TINY = {"data.height": 10, "data.width": 12, "train.train_size": 40, "train.batch": 8, "train.validation_size": 16,
        "train.test_size": 24, "model.cell.layers.0.units": 12}
EPOCHS = 3
# Seconds that any command on a tiny run may take before it counts as hanging.
PATIENCE = 60
# A program that is told to stop must have ended after so many seconds.
STOP = 5
# What a mutated file may cost beyond the memory of the same command on the whole file.
MEMORY = 256 << 20


class Violation(Exception):
    """A broken promise: its kind and what was seen."""

    def __init__(self, kind, what):
        super().__init__(f"{kind}: {what}")
        self.kind = kind


# The exit code of a training that was stopped before its end.
TO_BE_CONTINUED = 3
# The exit code of faults.c where the system allows no seccomp filters, and that of this script then.
NOT_ALLOWED, NOT_TRIED = 99, 77


class Skipped(Exception):
    """Why this machine cannot try it."""


class Ended:
    """A program that has ended."""

    def __init__(self, code, out, err, seconds, peak):
        self.code, self.out, self.err, self.seconds, self.peak = code, out, err, seconds, peak

    @property
    def sentence(self):
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1] if lines else "nothing on stderr"

    def events(self, kind):
        return [event for event in map(parsed, self.out.splitlines()) if event.get("kind") == kind]


def parsed(line):
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


class Running:
    """A program that was started; `end` waits for it. Its output goes to files, which nothing can block."""

    def __init__(self, command, cwd, environment, **options):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.begin = time.monotonic()
        streams = {"stdin": subprocess.DEVNULL, "stdout": self.out, "stderr": self.err}
        self.child = subprocess.Popen([str(word) for word in command], cwd=cwd, env=environment,
                                      start_new_session=True, **{**streams, **options})
        self.code, self.peak = None, 0

    def text(self, file):
        return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")

    def poll(self):
        """The exit code if it has ended; negative for a signal. Takes its peak memory, in bytes."""
        if self.code is None:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.child.returncode = self.code
                self.peak = usage.ru_maxrss * 1024
        return self.code

    def wait(self, seconds, until=lambda: False):
        """Waits for its end, or until something; whether either came in time."""
        end = time.monotonic() + seconds
        while self.poll() is None and not until():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def signal(self, number):
        if self.poll() is None:
            os.kill(self.child.pid, number)

    def kill(self):
        """Ends it, and what it started: a run that continues without a screen stays in its session."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.wait(PATIENCE)
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ProcessLookupError):
                if int(stat.read_text().rpartition(")")[2].split()[3]) == self.child.pid:
                    os.kill(int(stat.parent.name), signal.SIGKILL)

    def end(self, seconds=PATIENCE):
        """Waits for the end; a program that hangs or panics is a violation."""
        in_time = self.wait(seconds)
        if not in_time:
            self.kill()
        ended = Ended(self.code, self.text(self.out), self.text(self.err), time.monotonic() - self.begin, self.peak)
        self.out.close()
        self.err.close()
        if not in_time:
            raise Violation("other", f"still running after {seconds:.0f} s; {ended.sentence}")
        if "panicked at" in ended.err or ended.code in (101, 134, 139, -6, -11):
            raise Violation("other", f"panic, exit code {ended.code}: {ended.err[-600:]}")
        return ended


class Try:
    """One attempt, in a directory of its own."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.here = pathlib.Path(tempfile.mkdtemp(prefix="try-", dir=lab.directory))
        self.run = self.here / "run"
        self.trace = self.here / "trace"
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        for one in self.started:
            one.kill()
        if not (error and self.lab.keep):
            shutil.rmtree(self.here, ignore_errors=True)

    def start(self, *command, faults=None, env=(), **options):
        """Starts the program; with `faults` below the preloaded library that makes them."""
        environment = {**self.lab.environment, "TMPDIR": str(self.here), **dict(env)}
        if faults is not None:
            environment |= {"LD_PRELOAD": str(self.lab.library), "FAULTS_UNDER": str(self.run),
                            "FAULTS_TRACE": str(self.trace), "FAULTS": faults}
        return self.start_words([self.lab.binary, *command], env=environment, **options)

    def start_words(self, words, env=None, cwd=None, **options):
        """Starts another command, such as a shell that starts the program."""
        running = Running(words, cwd or self.here, env or {**self.lab.environment, "TMPDIR": str(self.here)}, **options)
        self.started.append(running)
        return running

    def call(self, *command, **options):
        return self.start(*command, **options).end()

    def train(self, *more, **options):
        """Starts the tiny run in this directory."""
        return self.start(*self.lab.train(self.run), *more, **options)

    def calls(self):
        """The calls that the library counted: number, name, error, path."""
        if not self.trace.is_file():
            return []
        lines = (line.split(" ", 3) for line in self.trace.read_text(errors="replace").splitlines())
        return [(int(number), name, int(error), path) for number, name, error, path in lines]

    def finish(self, ignoring=()):
        """Gives the command again, as a scheduler would, until the run's end; then compares with the reference."""
        self.verify()
        if self.lab.has("--resume-if-exists"):
            ended = self.train("--resume-if-exists").end()
        elif (self.run / "checkpoints/last").exists():
            ended = self.call("train", "--resume", self.run, "--device", "flex", "--json")
        else:
            ended = self.train().end()
        if ended.code:
            raise Violation("corrupt", f"the same command again ended with {ended.code}: {ended.sentence}")
        self.compare(ignoring)

    def verify(self):
        """`verify` must read whatever is there; what it says of an unfinished run is not judged."""
        if self.lab.has_verify and self.run.exists():
            ended = self.call("verify", self.run)
            if ended.code not in (0, 1, 2):
                raise Violation("other", f"verify ended with {ended.code}: {ended.sentence}")

    def compare(self, ignoring=()):
        reference = self.lab.reference
        try:
            found = described(self.run)
        except (OSError, ValueError, KeyError) as e:
            raise Violation("corrupt", f"the finished run cannot be read: {e}") from None
        for what, expected in reference.items():
            if what not in ignoring and found[what] != expected:
                raise Violation("differing", f"{what} of the finished run: {difference(expected, found[what])}")
        left = [str(path.relative_to(self.run)) for path in self.run.rglob("*") if path.name.startswith(".")]
        if left and "left behind" not in ignoring:
            raise Violation("other", f"left behind: {' '.join(left)}")
        if self.lab.has_verify:
            ended = self.call("verify", self.run)
            if ended.code:
                damaged = [line for line in ended.out.splitlines() if "DAMAGED" in line]
                raise Violation("corrupt", f"verify ended with {ended.code}: {ended.sentence} {' '.join(damaged)}")

    def saved_iteration(self):
        """The iteration of the last checkpoint; 0 without one."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.run / "checkpoints/last").read_text().split("-")[1])
        return 0

    def lost(self):
        """Iterations, and seconds of training, since the last checkpoint."""
        with contextlib.suppress(OSError):
            lines = map(parsed, (self.run / "metrics.jsonl").read_text(errors="replace").splitlines())
            steps = [one for one in lines if one.get("kind") == "step" and one["iteration"] > self.saved_iteration()]
            return len(steps), sum(step["seconds"] for step in steps)
        return 0, 0.0


def described(run):
    """What must be the same in two runs: the weights, metrics, past, album and event steps. The optimizer's file lists its
    arrays in an order that changes from save to save; that its content is right shows in the weights of later epochs."""
    checkpoint = run / "checkpoints" / (run / "checkpoints/last").read_text().strip()
    best = run / "checkpoints" / (run / "checkpoints/best").read_text().strip()

    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    metrics = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
    return {"weights": digest(checkpoint / "weights.safetensors"), "best": digest(best / "weights.safetensors"),
            "metrics": metrics,
            # One that was written again has another name.
            "past": sorted(re.sub(r"^(it-\d+(?:-unvalidated)?)-\d+$", r"\1", path.name)
                           for path in checkpoint.parent.glob("it-*") if ends_epoch(path)),
            "album": {path.name: moment(path) for path in (run / "album").glob("*.gz")},
            "event steps": sorted(event_steps(run / "tensorboard") - {metrics[-1]["iteration"] + 1})}


def ends_epoch(checkpoint):
    """Whether it is one of those that are kept of the past; others are there by chance."""
    counters = json.loads((checkpoint / "manifest.json").read_text())["counters"]
    return counters["batches"] == 0


def moment(path):
    """An album's file: arrays in safetensors, compressed. The order of its header may differ."""
    data = gzip.decompress(path.read_bytes())
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), hashlib.sha256(data[end:]).hexdigest()


def event_steps(directory):
    """The steps in TensorBoard's files; a torn frame at the end of a file is skipped, as TensorBoard does."""
    steps = set()
    for file in sorted(directory.iterdir()):
        data, at = file.read_bytes(), 0
        while at + 12 <= len(data):
            length = int.from_bytes(data[at:at + 8], "little")
            record = data[at + 12:at + 12 + length]
            at += 16 + length
            if at <= len(data) and record[9:10] == b"\x10":
                step, shift, rest = 0, 0, record[10:]
                for byte in rest:
                    step |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                steps.add(step)
    return steps


def difference(a, b):
    if isinstance(a, list):
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        return f"{len(b)} instead of {len(a)}, the first other one is {b[at:at + 1]} instead of {a[at:at + 1]}"
    if isinstance(a, dict):
        keys = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
        return f"{len(keys)} differ, the first is {keys[0]}"
    return f"{b} instead of {a}"


def told(ended, error):
    """How often the output names this error: on stderr, and in the JSON lines on stdout."""
    words = re.compile(f"os error {error}\\b|{re.escape(os.strerror(error))}", re.IGNORECASE)
    return [sum(bool(words.search(line)) for line in text.splitlines()) for text in (ended.err, ended.out)]


def one_sentence(ended, most=1):
    """A command that fails says why in its last line; there are at most so many lines."""
    lines = ended.err.strip().splitlines()
    if ended.code == 1 and not (1 <= len(lines) <= most and lines[-1].startswith("nem-tui: ")):
        raise Violation("silent" if not lines else "other", f"exit code 1 with: {ended.err.strip()[-300:]!r}")


class Lab:
    """The program under test, the library that makes faults, and a run that nothing disturbed."""

    def __init__(self, binary, directory, seed, short, keep):
        self.binary, self.directory, self.seed, self.short, self.keep = binary, directory, seed, short, keep
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "NO_COLOR": "1",
                            # Built with libtorch, the program would restart itself to set this.
                            "NVIDIA_TF32_OVERRIDE": "0",
                            "XDG_CONFIG_HOME": str(directory / "config"), "XDG_DATA_HOME": str(directory / "data")}
        self.library = directory / "faults.so"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", self.library,
                        HERE / "faults.c"], check=True)
        self.train_help = self.output("train", "--help")
        self.has_verify = "verify" in self.output("help")
        self.losses = []  # (iterations, seconds) that each kill cost
        with Try(self, "reference") as undisturbed:
            begin = time.monotonic()
            ended = undisturbed.train(faults="").end()
            self.seconds = time.monotonic() - begin
            if ended.code == NOT_ALLOWED:
                print(ended.err, file=sys.stderr)
                sys.exit(NOT_TRIED)
            if ended.code:
                sys.exit(f"the undisturbed run failed: {ended.err}")
            self.reference = described(undisturbed.run)
            self.calls = undisturbed.calls()
            self.sample = directory / "sample"
            shutil.copytree(undisturbed.run, self.sample)

    def output(self, *command):
        return subprocess.run([self.binary, *command], capture_output=True, text=True, env=self.environment).stdout

    def has(self, option):
        return option in self.train_help

    def train(self, run, epochs=EPOCHS, **sets):
        sets = [word for path, value in {**TINY, **sets}.items() for word in ("--set", f"{path}={value}")]
        return ["train", "quickstart", "--device", "flex", "--epochs", str(epochs), "--tensorboard", "--json",
                "--out", str(run), *sets]


def until_trained(attempt, iterations=1):
    """Whether the run has recorded so many iterations."""
    metrics = attempt.run / "metrics.jsonl"

    def is_so():
        with contextlib.suppress(OSError):
            return metrics.read_bytes().count(b'"kind":"step"') >= iterations
        return False

    return is_so


def more_descriptors(number=4096):
    """Lets this script hold so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number)), hard))


ERRORS = {name: getattr(errno, name) for name in
          "ENOSPC EIO EDQUOT ESTALE EMFILE ENFILE EROFS EINTR ENOLCK ENOSYS ENOTSUP EINVAL EPERM EACCES EBUSY".split()}
