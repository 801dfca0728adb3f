"""What takes long: the fuzz targets, the soak, and the cost of checkpoints."""
import contextlib, json, os, random, resource, statistics, subprocess, time
import concurrent.futures, pathlib, re, signal

from harness import ROOT, STOP, TO_BE_CONTINUED, Try, parsed, until_trained
from sockets import greeted
from terminal import Terminal, workbench

# Inputs or minutes, whichever comes first, that each fuzz target is owed.
INPUTS = 1_000_000
# Address space of a fuzz process: an array that a damaged file asks for must not be had.
SPACE = 8 << 30
# How much the memory of a long run may grow.
GROWTH = 0.05
# Iterations that are kept in memory for the curves at most; until then a run grows by as much as they take.
KEPT = 40_000
# The part of a run's time that its checkpoints may take.
SHARE = 0.005


def fuzz(minutes, jobs):
    """Runs every fuzz target for so long. Returns rows of a table and whether all went well."""
    build = ["cargo", "test", "--release", "--lib", "--test", "fuzz", "--no-run", "--message-format", "json"]
    lines = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    built = [line for line in map(parsed, lines) if line.get("executable") and line["profile"]["test"]]
    targets = []
    for line in built:
        listed = subprocess.run([line["executable"], "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
        names = [name[:-len(": test")] for name in listed.splitlines() if name.endswith(": test")]
        is_fuzz = line["target"]["name"] == "fuzz"
        targets += [(line["executable"], name) for name in names if is_fuzz or name.endswith("damaged_frames")]

    def run(target):
        executable, name = target
        environment = {**os.environ, "FUZZ_SECONDS": str(round(60 * minutes)), "FUZZ_INPUTS": str(INPUTS),
                       "PROPTEST_CASES": "10000", "RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([executable, "--exact", name, "--nocapture"], cwd=ROOT, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE)))
        found = re.findall(r"^(.+): (\d+) damaged inputs, (\d+) s, peak (\d+) MB$", done.stdout, re.MULTILINE)
        if done.returncode:
            print(f"{name}: exit code {done.returncode}\n{done.stdout[-1500:]}", flush=True)
        return [[of, inputs, seconds, peak] for of, inputs, seconds, peak in found], done.returncode

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(run, targets))
    rows = [["target", "inputs", "seconds", "peak MB"], *[row for rows, _ in results for row in rows]]
    return rows, not any(code for _, code in results)


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024


def reached(run):
    """The iteration of the last record."""
    with open(run / "metrics.jsonl", "rb") as file:
        file.seek(max(0, os.path.getsize(file.name) - 4096))
        return max(map(int, re.findall(rb'"iteration":(\d+)', file.read())), default=0)


def soak(lab, minutes):
    """A tiny run for so long, with viewers that come and go, on the socket and with a screen."""
    draw = random.Random(f"{lab.seed} soak")
    with Try(lab, "soak") as attempt:
        words = [*lab.train(attempt.run, epochs=10**9), "--set", f"train.patience={10**9}"]
        training = attempt.start(*words)
        training.wait(30, until_trained(attempt))
        begin, sizes, joined = time.monotonic(), [], 0
        while (now := time.monotonic() - begin) < 60 * minutes and training.poll() is None:
            with contextlib.suppress(OSError):
                with greeted(str(attempt.run / "socket")) as viewer:
                    joined += 1
                    end = time.monotonic() + draw.uniform(0, 1)
                    while time.monotonic() < end:
                        viewer.recv(1 << 16)
            if draw.random() < 0.1:
                terminal = Terminal()
                with contextlib.closing(terminal):
                    screen = workbench(attempt, terminal, "attach", attempt.run)
                    terminal.read(draw.uniform(0.2, 2))
                    screen.signal(signal.SIGTERM)
                    while screen.poll() is None:
                        terminal.read(0.02)
                    joined += 1
                attempt.started.remove(screen)
            sizes.append((reached(attempt.run), resident(training.child.pid)))
        asked = time.monotonic()
        training.signal(signal.SIGTERM)
        ended = training.end()
        took = time.monotonic() - asked
    warm = [size for iterations, size in sizes if iterations > KEPT]
    if not warm:
        done = sizes[-1][0] if sizes else 0
        raise SystemExit(f"the run made {done} iterations, and memory counts from {KEPT:,} on; give --soak more minutes")
    tenth = max(1, len(warm) // 10)
    # A viewer that joins takes a copy of the curves for a moment, so what is left between viewers counts.
    first, last = min(warm[:tenth]), min(warm[-tenth:])
    growth = last / first - 1
    rows = [["minutes", "iterations", "viewers", "lowest after 40,000 iterations", "lowest at the end", "growth", "SIGTERM to exit"],
            [f"{minutes:g}", len(ended.events("step")), joined, f"{first / 2**20:.1f} MB", f"{last / 2**20:.1f} MB",
             f"{100 * growth:+.1f} %", f"{took:.2f} s"]]
    return rows, growth < GROWTH and took < STOP and ended.code in (0, TO_BE_CONTINUED)


def cost(lab):
    """What one checkpoint takes: runs that save after every iteration, and runs that save only at their end, in pairs."""
    rows, good = [["preset", "iterations", "pairs", "a checkpoint", "every 5 minutes"]], True
    pairs = 5
    for preset, iterations in (("quickstart", 60), ("flying-shapes-3", 10)):
        differences = []
        for again in range(pairs + 1):
            seconds = {}
            for minutes in ("0", "1000000")[::1 if again % 2 else -1]:
                with Try(lab, "cost") as attempt:
                    sets = [f"train.checkpoint_minutes={minutes}", "train.batch=4", "train.validation_size=4",
                            "train.train_size=4000"]
                    ended = attempt.call("train", preset, "--device", "flex", "--json", "--max-iterations",
                                         str(iterations), "--out", attempt.run,
                                         *[word for value in sets for word in ("--set", value)])
                    if ended.code:
                        raise SystemExit(f"cost: {ended.sentence}")
                    seconds[minutes] = ended.seconds
            # The first pair warms the caches.
            if again:
                differences.append((seconds["0"] - seconds["1000000"]) / iterations)
        each = statistics.median(differences)
        share = each / 300
        good = good and share < SHARE
        rows.append([preset, iterations, pairs, f"{1000 * each:.1f} ms", f"{100 * share:.4f} %"])
    return rows, good
