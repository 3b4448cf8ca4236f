"""The network that all peers train, its batch, and the way in which a peer answers compare.py.

    r' = (1 - alpha) r + alpha tanh(W r + W_in u + b),    alpha = 0.2,  r = 0 at first

One input channel of random bits, a linear head of two classes on the last state, cross-entropy, mean over rows. A training step
is the forward pass, the loss and the gradients of W, W_in, b and the head. All peers get the same numbers in float32.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ALPHA = 0.2
CLASSES = 2
# The threads of some pools keep a core busy for some milliseconds after they have finished.
PAUSE = 0.01

Step = Callable[[], tuple[float, list[np.ndarray]]]


@dataclass
class Network:
    """Parameters and a batch, in numpy."""

    parameters: list[np.ndarray]
    """W `[units, units]`, W_in `[units, 1]`, b `[units]`, head `[classes, units]`, its bias `[classes]`."""
    inputs: np.ndarray
    """Bits, `[time, batch, 1]`."""
    classes: np.ndarray
    """Parity of the bits, `[batch]`."""


def network(rows: int, units: int, steps: int) -> Network:
    """The network of a size and its batch; always the same."""
    rng = np.random.default_rng(1)
    bound = units**-0.5
    shapes = [(units, units), (units, 1), (units,), (CLASSES, units), (CLASSES,)]
    parameters = [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]
    bits = rng.integers(0, 2, (steps, rows, 1))
    return Network(parameters, bits.astype(np.float32), bits.sum((0, 2)) % 2)


def timed(step: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of single training steps, as they are in a training, where the same has just been done before."""
    began, times = time.perf_counter(), []
    while len(times) < 3 or time.perf_counter() - began < seconds:
        time.sleep(PAUSE)
        step()
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def serve(version: str, prepare: Callable[[Network], dict[str, tuple[Callable[[], object], Step]]]) -> None:
    """Answer compare.py, one JSON document a line, until its end closes.

    `prepare` gives for a network the ways in which the peer can do it: each has a name, what is timed, and the same with the loss
    and the gradients in numpy.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    ways = {}
    for line in sys.stdin:
        question = json.loads(line)
        shape = tuple(question["shape"])
        if question["do"] == "prepare":
            began = time.perf_counter()
            ways[shape] = prepare(network(*shape))
            checks = {}
            for name, (_, values) in ways[shape].items():
                loss, gradients = values()
                checks[name] = [float(loss), *(float(np.linalg.norm(gradient)) for gradient in gradients)]
            answer = {"version": version, "checks": checks, "seconds": time.perf_counter() - began}
        else:
            answer = {"times": timed(ways[shape][question["way"]][0], question["seconds"])}
        print(json.dumps(answer), file=answers, flush=True)
