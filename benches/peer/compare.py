"""Times `nem-tui bench` against PyTorch in turns, on the same machine with the same number of threads.

    benches/peer/compare [--cases flying-shapes-3 …] [--rounds 5] [--iterations 3] [--devices libtorch flex]
                         [--precision f32 bf16] [--batch 256] [--peers eager compile folded folded-compile]

Each round times a few iterations of every contender, one after the other, so that a slow minute of the machine affects
all of them. It prints the median over rounds and the program's time relative to each peer's. `busy` is the number of
cores that other processes used: above 0.1 the figures are doubtful. GiB is the peak memory of the process, libraries
included; on a GPU, PyTorch's allocations there.

Every device is timed in every precision: `libtorch` is float32, `libtorch-bf16` bfloat16, `cuda-tf32` TF32. A peer's
name combines words: eager, folded (the folded kernel), compile (torch.compile), graphs and autotune (its modes
reduce-overhead and max-autotune), tf32 and bf16; for example folded-bf16 or folded-graphs. A contender that fails is
left out, and the exit status is 1.
"""
import argparse
import contextlib
import functools
import json
import os
import select
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = ["static-shapes-rnn-em", "flying-shapes-3", "flying-shapes-3-k5", "flying-mnist-2"]
PEERS = ["eager", "compile", "folded", "folded-compile"]
WORDS = {
    "eager": [],
    "folded": ["--fold"],
    "compile": ["--compile"],
    # A graph is recorded in the third iteration.
    "graphs": ["--compile", "reduce-overhead", "--warm-up", "6"],
    "autotune": ["--compile", "max-autotune", "--warm-up", "6"],
    "tf32": ["--precision", "tf32"],
    "bf16": ["--precision", "bf16"],
}


def peer_name(name):
    if not all(word in WORDS for word in name.split("-")):
        raise argparse.ArgumentTypeError(f"{name!r} is not a combination of {', '.join(WORDS)}")
    return name


def is_cuda(device):
    return device.partition(":")[0] in ("cuda", "cubecl-cuda")


def jiffies():
    """CPU time of all processes."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    return sum(fields[:3]) + sum(fields[5:8])


def process_jiffies(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    except OSError:
        return 0


class Failed(Exception):
    """Why a contender is left out."""


class Peer:
    """A PyTorch process that stays warm."""

    def __init__(self, name, preset, args):
        options = [option for word in name.split("-") for option in WORDS[word]]
        command = [sys.executable, os.path.join(HERE, "nem.py"), *options, "--threads", str(args.threads)]
        command += ["--batch", str(args.batch)] if args.batch else []
        # The same GPU for both of our CUDA backends.
        device = args.devices[0]
        command += ["--device", f"cuda:{device.partition(':')[2] or 0}" if is_cuda(device) else "cpu"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(json.dumps(preset))

    def wait(self, deadline):
        if not select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))[0]:
            raise Failed("not ready in time")
        if self.process.stdout.readline().strip() != "ready":
            raise Failed("did not start; see its message above")

    def ask(self, line):
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed("has ended; see its message above") from None

    def time(self, iterations):
        self.ask(iterations)
        answer = self.process.stdout.readline()
        if not answer:
            raise Failed("has ended; see its message above")
        return json.loads(answer)

    def end(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ours(case, device, precision, args):
    command = [args.binary, "bench", case, "--device", device, "--json", "--warm-up", "2"]
    command += ["--iterations", str(args.iterations)]
    command += ["--precision", "f32", "--tf32"] if precision == "tf32" else ["--precision", precision]
    command += ["--batch", str(args.batch)] if args.batch else []
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads), RAYON_NUM_THREADS=str(args.threads))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed("failed; see its message above")
    return json.loads(done.stdout)


def contenders(case, args):
    """Functions that time our program, by name."""
    times = {}
    for device in args.devices:
        for precision in args.precision:
            # Flex has no bfloat16, and only GPUs have TF32.
            if (precision == "bf16" and device == "flex") or (precision == "tf32" and not is_cuda(device)):
                continue
            name = device if precision == "f32" else f"{device}-{precision}"
            times[name] = functools.partial(ours, case, device, precision, args)
    return times


def groups(args):
    """The peers that start at the same time. On a CPU they start one by one, to limit peak memory; on a GPU autotuning
    must be undisturbed."""
    if not is_cuda(args.devices[0]):
        return [[name] for name in args.peers]
    tuned = [name for name in args.peers if "autotune" in name]
    return [[name for name in args.peers if name not in tuned], *([name] for name in tuned)]


def compare(case, args):
    """Prints the comparison; returns whether all contenders were timed."""
    start = time.monotonic()
    # Peers may take half of the time to start, since torch.compile may take minutes.
    ready_by, end = start + args.seconds / 2, start + args.seconds
    shown = subprocess.run([args.binary, "presets", case, "--json"], check=True, stdout=subprocess.PIPE)
    preset = json.loads(shown.stdout)
    timed, peers, left_out = contenders(case, args), {}, {}
    mine = list(timed)

    def leave_out(name, why):
        print(f"{case}: {name} {why}", file=sys.stderr, flush=True)
        left_out[name] = str(why)
        timed.pop(name, None)
        if name in peers:
            peers.pop(name).end()

    try:
        for names in groups(args):
            for name in names:
                peers[name] = Peer(name, preset, args)
            for name in names:
                try:
                    peers[name].wait(ready_by)
                    timed[name] = functools.partial(peers[name].time, args.iterations)
                except Failed as why:
                    leave_out(name, why)
        times, reports, rounds = {}, {}, 0
        before, before_peers = jiffies(), sum(process_jiffies(peer.process.pid) for peer in peers.values())
        before_ours, begin, longest = os.times(), time.monotonic(), 0
        while rounds < args.rounds and (rounds == 0 or time.monotonic() + longest < end):
            round_begin = time.monotonic()
            for name in list(timed):
                try:
                    reports[name] = timed[name]()
                    times.setdefault(name, []).append(reports[name])
                except Failed as why:
                    leave_out(name, why)
            rounds += 1
            longest = max(longest, time.monotonic() - round_begin)
        after_ours, elapsed = os.times(), time.monotonic() - begin
        of_peers = sum(process_jiffies(peer.process.pid) for peer in peers.values()) - before_peers
        of_ours = sum(getattr(after_ours, f) - getattr(before_ours, f) for f in
                      ("user", "system", "children_user", "children_system"))
        busy = ((jiffies() - before - of_peers) / os.sysconf("SC_CLK_TCK") - of_ours) / elapsed
    finally:
        for peer in peers.values():
            peer.end()
    seconds = {name: [report["median_s"] for report in times[name]] for name in timed}
    medians = {name: statistics.median(of) for name, of in seconds.items()}
    mine = [name for name in mine if name in medians]
    batch = f", batch {args.batch}" if args.batch else ""
    print(f"{case}{batch}: {rounds} rounds of {args.iterations} iterations, {args.threads} threads, busy {busy:.2f}")
    for name, median in medians.items():
        ratios = "  ".join(f"{one} x{medians[one] / median:.2f}" for one in mine)
        peak = reports[name].get("peak_bytes", 0) / 2**30
        print(f"  {name:20}{median:9.4f} s {peak:6.2f} GiB  {ratios if name in peers else ''}".rstrip())
    for name in mine:
        report = reports[name]
        ceiling = statistics.median(of["ceiling_gflops"] for of in times[name])
        print(f"  {name} reaches {report['gflop'] / medians[name] / ceiling:.0%} of {ceiling:.0f} GFLOP/s")
    print(json.dumps({"case": case, "batch": args.batch or preset["train"]["batch"], "rounds": rounds,
                      "busy": round(busy, 3), "threads": args.threads, "median_s": medians, "all_s": seconds,
                      "left_out": left_out, "bench": reports}), flush=True)
    return not left_out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--devices", nargs="+", default=["libtorch"], help="of our program, for example libtorch flex")
    parser.add_argument("--precision", nargs="+", default=["f32"], choices=["f32", "tf32", "bf16"], help="of our program")
    parser.add_argument("--peers", nargs="*", type=peer_name,
                        help=f"[default: {' '.join(PEERS)}, and folded-bf16 with --precision bf16]")
    parser.add_argument("--batch", type=int, help="images per iteration [default: the preset's]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1e6, help="approximate time limit for each case")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--binary", default="target/release/nem-tui")
    args = parser.parse_args()
    if args.peers is None:
        args.peers = PEERS + (["folded-bf16"] if "bf16" in args.precision else [])
    complete = [compare(case, args) for case in args.cases]
    sys.exit(0 if all(complete) else 1)


if __name__ == "__main__":
    main()
