"""The network under `torch.compile`: the loop over all steps in one graph, and the loop cut into graphs of a few steps.

The compiler unrolls a loop, which takes long: beyond UNROLL steps the whole loop is not tried, and a graph on which it spends
more than COMPILE_LIMIT seconds of processor time is given up. Graphs of a few steps are compiled once and used again for each part of
the sequence.
"""

import os
import signal
import sys
import time

# In this process, where its time is counted.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import torch  # noqa: E402  (reads the environment)
from eager import steps_of, tensors, threads_to_try, way  # noqa: E402
from network import Network, serve  # noqa: E402
from torch import Tensor  # noqa: E402

PART = 25


class TooLong(BaseException):
    """Compiling took too long; no `Exception`, so that the compiler does not take it for a graph that it cannot do."""


def parts(compiled, r: Tensor, projected: Tensor, weight: Tensor, length: int) -> Tensor:
    """All steps, `length` at a time."""
    for part in projected.split(length):
        r = compiled(r, part, weight)
    return r


def give_up(*_) -> None:
    """What the timer does."""
    raise TooLong


def prepare(network: Network) -> dict:
    """One way for each number of threads and each length of a graph."""
    data = tensors(network)
    steps = network.inputs.shape[0]
    limit = int(os.environ["COMPILE_LIMIT"])
    lengths = [steps] if steps < 2 * PART else [PART, steps]
    if steps > int(os.environ["UNROLL"]):
        lengths.remove(steps)
        print(f"torch.compile of {steps} steps in one graph: not tried", file=sys.stderr)
    signal.signal(signal.SIGPROF, give_up)
    ways = {}
    # A graph is made anew for each length and number of threads, within one cache.
    compiled = torch.compile(steps_of, dynamic=False)
    for length in lengths:
        run = compiled if length == steps else lambda r, x, w, n=length: parts(compiled, r, x, w, n)
        for threads in threads_to_try():
            name = f"{threads} threads, {'whole loop' if length == steps else f'graphs of {length} steps'}"
            one = way(threads, run, data)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, limit)
            try:
                one[0]()
            except TooLong:
                print(f"torch.compile of {name} of {steps} took more than {limit} s: skipped", file=sys.stderr)
                return ways
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            print(f"torch.compile of {name} of {steps} took {time.process_time() - began:.0f} s", file=sys.stderr)
            ways[name] = one
    return ways


if __name__ == "__main__":
    torch._dynamo.config.recompile_limit = 64
    serve(f"torch {torch.__version__.split('+')[0]}", prepare)
