"""The network in JAX: `lax.scan` over the steps under `jit`, input projected for all steps at once.

XLA reads its number of threads when the process starts, so that compare.py starts this once for each number, in THREADS.
"""

import os

THREADS = int(os.environ["THREADS"])
if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402  (reads the environment)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from network import ALPHA, Network, serve  # noqa: E402

UNROLL = (1, 4)


def loss(parameters, inputs, classes, unroll: int):
    """Cross-entropy of the head on the last state."""
    weight, weight_in, bias, head, head_bias = parameters
    projected = inputs @ weight_in.T + bias

    def step(r, x):
        return (1 - ALPHA) * r + ALPHA * jnp.tanh(r @ weight.T + x), None

    last, _ = jax.lax.scan(step, jnp.zeros(projected.shape[1:]), projected, unroll=unroll)
    logits = jax.nn.log_softmax(last @ head.T + head_bias)
    return -jnp.take_along_axis(logits, classes[:, None], axis=1).mean()


def way(unroll: int, parameters, inputs, classes):
    """What is timed, and the same with values in numpy."""
    compiled = jax.jit(jax.value_and_grad(lambda p, u, c: loss(p, u, c, unroll))).lower(parameters, inputs, classes).compile()

    def work():
        return jax.block_until_ready(compiled(parameters, inputs, classes))

    def values():
        value, gradients = work()
        return float(value), [np.asarray(gradient) for gradient in gradients]

    return work, values


def prepare(network: Network) -> dict:
    """One way for each number of steps in the body of the loop."""
    parameters = [jnp.asarray(parameter) for parameter in network.parameters]
    inputs, classes = jnp.asarray(network.inputs), jnp.asarray(network.classes)
    return {f"{THREADS} threads, unroll {unroll}": way(unroll, parameters, inputs, classes) for unroll in UNROLL}


if __name__ == "__main__":
    serve(f"jax {jax.__version__}", prepare)
