"""Times `nem-tui bench` beside PyTorch on the same machine, with the same threads, in turns.

    benches/peer/compare [--cases flying-shapes-3 …] [--rounds 5] [--iterations 3] [--devices libtorch flex]
                         [--peers eager compile folded folded-compile]

Each round times a few iterations of every contender, one after the other, so that a slow minute of the
machine is everyone's. What is printed is the median over rounds, and the program's time over each
peer's. `busy` is how many cores other processes kept busy meanwhile: above 0.1 the figures are in doubt. GiB are the
most memory the process has held, PyTorch's or the program's own libraries included.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = ["static-shapes-rnn-em", "flying-shapes-3", "flying-shapes-3-k5", "flying-mnist-2"]
PEERS = {
    "eager": [],
    "compile": ["--compile"],
    "folded": ["--fold"],
    "folded-compile": ["--fold", "--compile"],
}


def jiffies():
    """Of all processes, and of this one's with its children that have ended or still run."""
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


class Peer:
    """A PyTorch process that stays warm."""

    def __init__(self, preset, options, args):
        command = [sys.executable, os.path.join(HERE, "nem.py"), *options, "--threads", str(args.threads)]
        # The same card, whoever computes on it for us.
        name, _, number = args.device.partition(":")
        command += ["--device", f"cuda:{number or 0}" if name in ("cuda", "cubecl-cuda") else "cpu"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(preset) + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("the PyTorch peer did not start; its message stands above")

    def time(self, iterations):
        self.process.stdin.write(f"{iterations}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ours(name, device, args):
    command = [args.binary, "bench", name, "--device", device, "--json", "--warm-up", "2"]
    command += ["--iterations", str(args.iterations)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads), RAYON_NUM_THREADS=str(args.threads))
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--devices", nargs="+", default=["libtorch"], help="of ours; flex too, for one")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--binary", default="target/release/nem-tui")
    args = parser.parse_args()
    args.device = args.devices[0]
    for case in args.cases:
        shown = subprocess.run([args.binary, "presets", case, "--json"], check=True, stdout=subprocess.PIPE)
        preset = json.loads(shown.stdout)
        peers = {name: Peer(preset, PEERS[name], args) for name in args.peers}
        times = {name: [] for name in [*args.devices, *peers]}
        reports, ceilings = {}, {device: [] for device in args.devices}
        before, before_peers = jiffies(), sum(process_jiffies(peer.process.pid) for peer in peers.values())
        before_ours, start = os.times(), os.times().elapsed
        for _ in range(args.rounds):
            for device in args.devices:
                reports[device] = ours(case, device, args)
                times[device].append(reports[device]["median_s"])
                ceilings[device].append(reports[device]["ceiling_gflops"])
            for name, peer in peers.items():
                reports[name] = peer.time(args.iterations)
                times[name].append(reports[name]["median_s"])
        after_ours, elapsed = os.times(), os.times().elapsed - start
        of_peers = sum(process_jiffies(peer.process.pid) for peer in peers.values()) - before_peers
        of_ours = sum(getattr(after_ours, f) - getattr(before_ours, f) for f in
                      ("user", "system", "children_user", "children_system"))
        hertz = os.sysconf("SC_CLK_TCK")
        busy = ((jiffies() - before - of_peers) / hertz - of_ours) / elapsed
        for peer in peers.values():
            peer.end()
        medians = {name: statistics.median(of) for name, of in times.items()}
        print(f"{case}: {args.rounds} rounds of {args.iterations} iterations, {args.threads} threads, busy {busy:.2f}")
        for name, median in medians.items():
            ratios = "  ".join(f"{device} x{medians[device] / median:.2f}" for device in args.devices)
            peak = reports[name].get("peak_bytes", 0) / 2**30
            print(f"  {name:16}{median:9.4f} s {peak:6.2f} GiB  {ratios if name in peers else ''}".rstrip())
        for device in args.devices:
            report = reports[device]
            ceiling = statistics.median(ceilings[device])
            print(f"  {device} reaches {report['gflop'] / medians[device] / ceiling:.0%} of {ceiling:.0f} GFLOP/s")
        print(json.dumps({"case": case, "busy": round(busy, 3), "threads": args.threads, "median_s": medians,
                          "all_s": times, "bench": reports}), flush=True)


if __name__ == "__main__":
    main()
