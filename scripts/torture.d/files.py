"""Damaged files of every kind that the program reads, each given to the command that reads it.

The bulk of this runs in one process, as the fuzz targets do (`--fuzz`). Here the whole program is tried: it must end with
exit code 0, 1 or 2, say one sentence, and take at most 256 MB more memory than with the whole file.
"""
import os, random, shutil, struct, zlib

from harness import MEMORY, ROOT, Violation, one_sentence

FIXTURES = ROOT / "tests/fixtures"
TIMES = 400
# A command that takes longer with a damaged file hangs.
SECONDS = 30


def mutate(data, draw):
    """Changes some bytes in one of the ways that disks, transfers and editors do, or a number in a text."""
    data, size = bytearray(data), len(data)
    at = draw.randrange(size + 1)
    length = min(size - at, int(2 ** draw.uniform(0, 12)))
    kind = draw.choice(["flip", "flips", "cut", "zeros", "insert", "remove", "repeat", "number", "number", "ones"])
    if kind == "flip" and size:
        data[at % size] ^= 1 << draw.randrange(8)
    elif kind == "flips" and size:
        for _ in range(draw.randrange(2, 20)):
            data[draw.randrange(size)] = draw.randrange(256)
    elif kind == "cut":
        del data[at:]
    elif kind == "zeros":
        data[at:at + length] = bytes(length)
    elif kind == "ones":
        data[at:at + length] = b"\xff" * length
    elif kind == "insert":
        data[at:at] = draw.randbytes(length + 1)
    elif kind == "remove":
        del data[at:at + length]
    elif kind == "repeat":
        data[at:at] = data[at:at + length]
    elif digits := [i for i in range(size) if 48 <= data[i] < 58]:
        start = end = draw.choice(digits)
        while end < size and 48 <= data[end] < 58:
            end += 1
        data[start:end] = draw.choice([b"0", b"-1", b"1e308", b"NaN", b"18446744073709551615", b"4294967296", b"1e-320",
                                       b"99999999999999999999999", b"1000000007", b""])
    return bytes(data)


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gif(width, height):
    """Two frames of black and white, in codes of a table that is never filled."""
    def frame():
        codes, bits, n = bytearray(), 0, 0
        for code in [c for _ in range(width * height) for c in (4, 1)] + [5]:
            bits |= code << n
            n += 3
            while n >= 8:
                codes.append(bits & 255)
                bits, n = bits >> 8, n - 8
        codes.append(bits & 255)
        blocks = b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255))
        return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + blocks + b"\0"

    table = bytes([0, 0, 0, 255, 255, 255, 99, 99, 99, 0, 0, 0])
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x91, 0, 0) + table + frame() + frame() + b";"


def npy(height, width):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + struct.pack("<f", 0.5) * (height * width)


def idx(kind, *shape):
    size = 1
    for n in shape:
        size *= n
    return struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(i % kind for i in range(size))


class Kind:
    """A file kind: its content, and the command that reads a file, given its path and the attempt."""

    def __init__(self, name, content, place, commands):
        self.name, self.content, self.place, self.commands = name, content, place, commands
        self.base = None


def in_run(name, part, commands):
    """A file of a run, `part` below it; the run is copied for each try."""
    def place(attempt, data):
        shutil.copytree(attempt.lab.sample, attempt.run)
        (attempt.run / part(attempt.run)).write_bytes(data)
        return attempt.run

    return Kind(name, lambda lab: (lab.sample / part(lab.sample)).read_bytes(), place, commands)


def alone(name, content, suffix, commands):
    def place(attempt, data):
        path = attempt.here / f"file{suffix}"
        path.write_bytes(data)
        return path

    return Kind(name, lambda _: content, place, commands)


def kinds(lab):
    def last(file):
        return lambda run: f"checkpoints/{(run / 'checkpoints/last').read_text().strip()}/{file}"

    def there(file):
        return lambda _: file

    flex = ["--device", "flex"]
    resume = [lambda run, here: ["train", "--resume", run, "--json", *flex]]
    weigh = [lambda run, here: ["eval", run, "--samples", "2", *flex], *resume]
    draw = [lambda run, here: ["curves", run, "--csv", here / "curves.csv", "--svg", here / "curves.svg"], *resume]
    verify = [lambda run, here: ["verify", run]] if lab.has_verify else []
    replay = [lambda run, here: ["train", "--replay", run, "--out", here / "again", "--json", *flex]]
    moment = sorted((lab.sample / "album").glob("*.gz"))[0].name
    yield in_run("run.json", there("run.json"), [*resume, *replay, *verify])
    yield in_run("preset.ron", there("preset.ron"), [*replay, *verify])
    yield in_run("metrics", there("metrics.jsonl"), [*draw, *replay, *verify])
    yield in_run("last", there("checkpoints/last"), [*resume, *verify])
    yield in_run("best", there("checkpoints/best"), [*weigh, *verify])
    yield in_run("manifest", last("manifest.json"), [*weigh, *verify])
    yield in_run("weights", last("weights.safetensors"), [*weigh, *verify])
    yield in_run("optimizer", last("optimizer.burnpack"), [*resume, *verify])
    yield in_run("checkpoint's preset", last("preset.ron"), [*weigh, *verify])
    yield in_run("album", there(f"album/{moment}"), [*resume, *verify])

    read_image = [lambda path, here: ["picture", "static-shapes", "--input", path, "--resize", "--out", here / "o.png", *flex]]
    yield alone("png", png(28, 28), ".png", read_image)
    yield alone("gif", gif(28, 28), ".gif", read_image)
    yield alone("npy", npy(28, 28), ".npy", read_image)
    case = [lambda path, here: ["infer", "--preset", path, "--weights", FIXTURES / "k1.safetensors", "--input",
                                FIXTURES / "k1.safetensors", "--output", here / "o.safetensors", *flex]]
    yield alone("case", (FIXTURES / "k1.json").read_bytes(), ".json", case)
    arrays = [lambda path, here: ["infer", "--preset", FIXTURES / "k1.json", "--weights", path, "--input", path,
                                  "--output", here / "o.safetensors", *flex]]
    yield alone("safetensors", (FIXTURES / "k1.safetensors").read_bytes(), ".safetensors", arrays)
    preset = [lambda path, here: ["presets", path],
              lambda path, here: ["train", path, "--max-iterations", "1", "--out", here / "new", "--json", *flex]]
    yield alone("preset", lab.sample.joinpath("preset.ron").read_bytes(), ".ron", preset)
    config = lab.output("config").encode()
    yield Kind("config", lambda _: config, lambda attempt, data: write(attempt.here / "config.ron", data),
               [lambda path, here: ["config"]])

    def digits(attempt, data):
        directory = attempt.here / "mnist"
        directory.mkdir()
        for file, content in MNIST.items():
            (directory / file).write_bytes(content)
        (directory / "train-images-idx3-ubyte").write_bytes(data)
        return directory

    yield Kind("idx", lambda _: MNIST["train-images-idx3-ubyte"], digits,
               [lambda path, here: ["data", "check", "--mnist", path]])
    for file, channels in ("earliest.h5", 1), ("latest.h5", 2), ("static.h5", 1):
        data = f"height: 4, width: 6, channels: {channels}"
        sets = ["train.train_size=4", "train.batch=2", "train.validation_size=2", "train.test_size=2", "steps=2",
                "model.cell.layers.0.units=12"]
        sets = [word for value in sets for word in ("--set", value)]
        source = [lambda path, here, sets=sets, data=data: [
            "train", "quickstart", "--max-iterations", "1", "--out", here / "new", *flex, "--set",
            f'data=Hdf5(path: "{path}", {data})', *sets]]
        yield alone(file, (FIXTURES / "hdf5" / file).read_bytes(), ".h5", source)


MNIST = {"train-images-idx3-ubyte": idx(256, 60, 28, 28), "train-labels-idx1-ubyte": idx(10, 60),
         "t10k-images-idx3-ubyte": idx(256, 10, 28, 28), "t10k-labels-idx1-ubyte": idx(10, 10)}


def write(path, data):
    path.write_bytes(data)
    return path


def tries(lab):
    for kind in kinds(lab):
        for at in range(len(kind.commands)):
            yield f"{kind.name} whole {at}", whole(kind, at)
        for again in range(60 if lab.short else TIMES):
            yield f"{kind.name} {again}", damaged(kind, again)


def whole(kind, at):
    """The same with nothing damaged, so that the tries are known to read what they are meant to."""
    def run(attempt):
        path = kind.place(attempt, kind.content(attempt.lab))
        ended = bounded(attempt, kind.commands[at](path, attempt.here), path)
        if ended.code:
            raise Violation("needless", f"the whole file is refused: {ended.sentence}")

    return run


def damaged(kind, again):
    def run(attempt):
        lab = attempt.lab
        draw = random.Random(f"{lab.seed} {kind.name} {again}")
        data = kind.content(lab)
        for _ in range(draw.choice([1, 1, 2, 4])):
            data = mutate(data, draw)
        path = kind.place(attempt, data)
        command = draw.choice(kind.commands)(path, attempt.here)
        ended = bounded(attempt, command, path)
        if ended.code not in (0, 1, 2):
            raise Violation("other", f"exit code {ended.code}: {ended.sentence}")
        one_sentence(ended, 3)
        if ended.peak > MEMORY + lab.base:
            raise Violation("other", f"{ended.peak >> 20} MB of memory where the whole file takes {lab.base >> 20}")

    return run


def bounded(attempt, command, path):
    """Runs a command. A damaged number can ask for much work, which is no fault: after a while it is told to stop."""
    env = {"NEM_TUI_CONFIG": str(path)} if command == ["config"] else {}
    running = attempt.start(*command, env=env)
    lab = attempt.lab
    if not hasattr(lab, "base"):
        lab.base = attempt.call("eval", "static-shapes", "--samples", "2", "--device", "flex").peak
    trains = command[0] in ("train", "eval", "picture", "infer")
    if not running.wait(8 if trains else SECONDS):
        running.signal(15)
        if trains:
            running.wait(5)
    return running.end(1)
