"""Times one training step of the same network in eager PyTorch, torch.compile, JAX and synfire, and prints the ratios.

Run by hand, not in CI. It needs the program, built with `cargo build --release`, and a Python with the peers:

    python -m venv peers && peers/bin/pip install -r tests/peers/requirements.txt
    peers/bin/python tests/peers/compare.py --synfire target/release/synfire

The network is in network.py, and each peer is one file that does it as a competent user would: the input is projected for all
steps at once, and the number of threads, the length of compiled graphs and the unrolling of a scan are those that are fastest for
it at that size. All must find the same loss and the same lengths of the gradients, or nothing is printed.

First everything is compiled; that takes minutes, and `--wait` asks for Enter after it, so that other work on the machine can be
stopped. Then each way of a peer is timed briefly, and the fastest is timed again, peers in turn; synfire measures its own by
`synfire bench rate-network` before and after them. Where its two times differ much, the machine was not quiet, and the ratios say
little. A time is a median. Compare within one run only: fewer cores or another load give other numbers.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SHAPES = [(64, 50, 200), (128, 128, 100), (64, 500, 100), (256, 256, 200), (500, 50, 750), (256, 500, 27)]
ROUNDS = 3


class Peer:
    """A process with one peer for some shapes."""

    def __init__(self, label: str, file: str, shapes: list, **settings: str):
        self.label, self.shapes, self.ways, self.version = label, shapes, {}, ""
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )

    def ask(self, **question) -> None:
        """Have something done."""
        print(json.dumps(question), file=self.process.stdin, flush=True)

    def answer(self) -> dict:
        """What came of it."""
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.label} ended early; its message is above")
        return json.loads(line)

    def prepare(self) -> None:
        """Have everything compiled; `prepared` waits for it."""
        for shape in self.shapes:
            self.ask(do="prepare", shape=shape)

    def prepared(self) -> None:
        """Everything is compiled."""
        for shape in self.shapes:
            answer = self.answer()
            self.version, self.ways[shape] = answer["version"], answer["checks"]
            print(f"{self.label} {shape}: ready after {answer['seconds']:.0f} s", file=sys.stderr)

    def times(self, shape: tuple, way: str, seconds: float) -> list[float]:
        """Milliseconds of training steps."""
        self.ask(do="time", shape=shape, way=way, seconds=seconds)
        return self.answer()["times"]


def same(peers: list[Peer], shape: tuple) -> None:
    """Refuse to compare different networks: losses and lengths of gradients agree to what float32 allows."""
    checks = [(peer.label, way, values) for peer in peers for way, values in peer.ways.get(shape, {}).items()]
    for label, way, values in checks[1:]:
        for one, other in zip(checks[0][2], values, strict=True):
            if abs(one - other) > 1e-3 * abs(one) + 1e-6:
                sys.exit(f"{label} ({way}) has loss and gradients {values} at {shape}, {checks[0][0]} has {checks[0][2]}")


def synfire(program: str, seconds: float) -> dict[tuple, dict]:
    """What `synfire bench rate-network` measures, by shape."""
    command = [program, "bench", "rate-network", "--json", "--seconds", str(seconds)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    cases = report if isinstance(report, list) else next(value for value in report.values() if isinstance(value, list))
    # "64 rows, 50 units, 200 steps"
    return {tuple(int(part.split()[0]) for part in case["shape"].split(",")): case for case in cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synfire", required=True, metavar="PATH", help="the program")
    parser.add_argument("--seconds", type=float, default=3, metavar="S", help="for each peer and shape, for synfire twice")
    parser.add_argument("--compile-limit", type=int, default=180, metavar="S", help="processor time for a graph of torch.compile")
    parser.add_argument("--unroll", type=int, default=100, metavar="STEPS", help="most steps in one graph of torch.compile")
    parser.add_argument("--wait", action="store_true", help="ask for Enter between compiling and timing")
    parser.add_argument("--json", metavar="PATH", help="write what was measured there, too")
    arguments = parser.parse_args()

    peers = [Peer("eager PyTorch", "eager.py", SHAPES)]
    peers += [Peer("JAX", "scan.py", SHAPES, THREADS=str(n)) for n in sorted({1, os.cpu_count() or 1})]
    # A process for each shape: a graph that is given up leaves nothing behind for others.
    settings = {"COMPILE_LIMIT": str(arguments.compile_limit), "UNROLL": str(arguments.unroll)}
    peers += [Peer("torch.compile", "compiled.py", [shape], **settings) for shape in SHAPES]
    for peer in peers:
        peer.prepare()
    for peer in peers:
        peer.prepared()
    for shape in SHAPES:
        same(peers, shape)
    if arguments.wait:
        input("Everything is compiled. Press Enter to begin with the timing. ")

    best = {}
    for shape in SHAPES:
        for peer in peers:
            for way in peer.ways.get(shape, {}):
                median = statistics.median(peer.times(shape, way, arguments.seconds / 10))
                key = (shape, peer.label)
                if key not in best or median < best[key][0]:
                    best[key] = (median, peer, way)
    if arguments.wait:
        input("The fastest way of each peer is known. Press Enter to time them. ")

    ours = [synfire(arguments.synfire, arguments.seconds)]
    times = {key: [] for key in best}
    for shape in SHAPES:
        for _ in range(ROUNDS):
            for key, (_, peer, way) in best.items():
                if key[0] == shape:
                    times[key] += peer.times(shape, way, arguments.seconds / ROUNDS)
    ours.append(synfire(arguments.synfire, arguments.seconds))

    print(", ".join(sorted({peer.version for peer in peers})))
    labels = list(dict.fromkeys(peer.label for peer in peers))
    print("| rows, units, steps | synfire ms |" + "".join(f" {label} ms |" for label in labels) + " best peer / synfire |")
    print("|---|" + "--:|" * (len(labels) + 2))
    report = []
    for shape in SHAPES:
        mine = statistics.mean(run[shape]["ours_ms"] for run in ours)
        medians = {label: statistics.median(times[shape, label]) for label in labels if (shape, label) in times}
        cells = [f"{medians[label]:.1f} ({medians[label] / mine:.1f}x)" if label in medians else "skipped" for label in labels]
        fastest = min(medians, key=medians.get)
        print(f"| {', '.join(map(str, shape))} | {mine:.1f} | {' | '.join(cells)} | {medians[fastest] / mine:.2f}x, {fastest} |")
        ways = {
            label: {"ms": median, "way": best[shape, label][2], "steps": len(times[shape, label])}
            for label, median in medians.items()
        }
        report.append({"shape": shape, "synfire": [run[shape] for run in ours], "peers": ways})
    for entry in report:
        print(f"{entry['shape']}: synfire {' and '.join(str(round(run['ours_ms'], 2)) for run in entry['synfire'])} ms; "
              + "; ".join(f"{label} {peer['way']}, {peer['steps']} times" for label, peer in entry["peers"].items()))  # fmt: skip
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(report, indent=1))
    for peer in peers:
        peer.process.stdin.close()
        peer.process.wait()


if __name__ == "__main__":
    main()
