"""Viewers that do not behave. Whatever they do, the run ends as if nobody had looked."""
import contextlib, random, socket, struct, threading, time

from harness import PATIENCE, Try, Violation, described, difference, until_trained

# Long enough that every viewer has done its worst: some seconds.
EPOCHS = 60
# Times that the run may take with a viewer that does its worst, and seconds beside that.
SLOWER, SLACK = 4, 5
# They share the processor with the run, and should disturb that one only.
AT_ONCE = 1
# Descriptors that the run may have; an idle crowd must not take them all.
DESCRIPTORS = 1024


def tries(lab):
    for name, viewer in VIEWERS.items():
        for again in range(1 if lab.short else 20):
            yield f"{name} {again}", against(name, viewer, again)


def against(name, viewer, again):
    def run(attempt):
        lab = attempt.lab
        expected = undisturbed(lab)
        training = start(attempt)
        if not training.wait(PATIENCE, until_trained(attempt)) or training.poll() is not None:
            raise Violation("other", f"it did not train: {training.end().sentence}")
        over = threading.Event()
        draw = random.Random(f"{lab.seed} {name} {again}")
        rude = threading.Thread(target=visit, args=(viewer, attempt.run / "socket", draw, over))
        rude.start()
        training.wait(PATIENCE)
        seconds = time.monotonic() - training.begin
        over.set()
        rude.join()
        ended = training.end()
        if ended.code:
            raise Violation("needless", f"exit code {ended.code}: {ended.sentence}")
        if not ended.events("finished") or ended.events("finished")[-1]["reason"] != "max_epochs":
            raise Violation("needless", f"it ended early: {ended.out.splitlines()[-1:]}")
        if "os error" in ended.err:
            raise Violation("other", f"viewers made its own work fail: {ended.sentence}")
        if seconds > SLOWER * lab.unwatched_seconds + SLACK:
            raise Violation("other", f"the run took {seconds:.1f} s instead of {lab.unwatched_seconds:.1f}")
        found = described(attempt.run)
        for what in ("weights", "metrics"):
            if found[what] != expected[what]:
                raise Violation("differing", f"{what}: {difference(expected[what], found[what])}")

    return run


def start(attempt):
    words = ["sh", "-c", f'ulimit -Sn {DESCRIPTORS}; exec "$0" "$@"', attempt.lab.binary,
             *attempt.lab.train(attempt.run, epochs=EPOCHS, **{"train.patience": EPOCHS})]
    return attempt.start_words(words)


LOCK = threading.Lock()


def undisturbed(lab):
    """The same run without viewers."""
    with LOCK:
        if not hasattr(lab, "unwatched"):
            with Try(lab, "unwatched") as alone:
                lab.unwatched_seconds = start(alone).end().seconds
                lab.unwatched = described(alone.run)
        return lab.unwatched


def visit(viewer, path, draw, over):
    """Calls a viewer again and again until the run is over."""
    while not over.is_set():
        with contextlib.suppress(OSError):
            viewer(str(path), draw, over)
        time.sleep(0.001)


def connected(path):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(2)
    one.connect(path)
    return one


def greeted(path):
    """A connection after both hellos; ours repeats what the run said, which has the right version."""
    one = connected(path)
    try:
        (length,) = struct.unpack("<I", exactly(one, 4))
        one.sendall(struct.pack("<I", length) + exactly(one, length))
    except BaseException:
        one.close()
        raise
    return one


def exactly(one, length):
    data = b""
    while len(data) < length:
        part = one.recv(length - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def frame(content):
    return struct.pack("<I", len(content)) + content


def word(name):
    """A command without arguments, as MessagePack writes it."""
    return bytes([0xA0 + len(name)]) + name.encode()


def idle(path, draw, over):
    """Far more connections than the run has descriptors, which say nothing."""
    crowd = []
    try:
        while len(crowd) < 1500 and not over.is_set():
            one = socket.socket(socket.AF_UNIX)
            crowd.append(one)
            one.settimeout(0.2)
            with contextlib.suppress(OSError):
                one.connect(path)
        over.wait(5)
    finally:
        for one in crowd:
            one.close()


def welcomed(path, draw, over):
    """Many that say hello, and then neither read nor write."""
    crowd = []
    try:
        with contextlib.suppress(OSError):
            while len(crowd) < 300 and not over.is_set():
                crowd.append(greeted(path))
        over.wait(5)
    finally:
        for one in crowd:
            one.close()


def noise(path, draw, over):
    with connected(path) as one:
        one.sendall(draw.randbytes(draw.randrange(1, 10_000)))


def framed(path, draw, over):
    """Frames of the right form with the wrong content."""
    with greeted(path) as one:
        for _ in range(100):
            one.sendall(frame(draw.randbytes(draw.randrange(16, 4000))))


def trailing(path, draw, over):
    """A command, and more behind it in the same frame."""
    with greeted(path) as one:
        one.sendall(frame(word(draw.choice(["Stop", "Pause", "Step"])) + draw.randbytes(draw.randrange(1, 50))))
        time.sleep(0.01)


def long_frame(path, draw, over):
    """Lengths beyond every limit."""
    with greeted(path) as one:
        one.sendall(struct.pack("<I", draw.choice([4097, 1 << 20, 1 << 31, (1 << 32) - 1])))
        one.sendall(draw.randbytes(5000))


def half(path, draw, over):
    """The beginning of a frame."""
    with greeted(path) as one:
        one.sendall(frame(word("Stop"))[:draw.randrange(1, 8)])
        over.wait(draw.uniform(0, 0.5))


def slow(path, draw, over):
    with greeted(path) as one:
        while not over.is_set() and one.recv(draw.randrange(1, 200)):
            time.sleep(0.02)


def flood(path, draw, over):
    """Commands faster than anybody can carry them out, with no answer read."""
    many = frame(word("Show")) * 1000
    with greeted(path) as one:
        while not over.is_set():
            one.sendall(many)


def brief(path, draw, over):
    connected(path).close()
    greeted(path).close()


VIEWERS = {"idle": idle, "welcomed": welcomed, "noise": noise, "framed": framed, "trailing": trailing, "half": half,
           "long": long_frame, "slow": slow, "flood": flood, "brief": brief}
