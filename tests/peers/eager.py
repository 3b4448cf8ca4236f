"""The network in eager PyTorch: input projected for all steps at once, three operations a step."""

import os

import torch
from network import ALPHA, Network, serve
from torch import Tensor
from torch.nn.functional import cross_entropy, linear


def steps_of(r: Tensor, projected: Tensor, weight: Tensor) -> Tensor:
    """The state after all steps; `projected` is `[time, batch, unit]`, `weight` is transposed."""
    for x in projected.unbind(0):
        r = torch.lerp(r, torch.tanh(torch.addmm(x, r, weight)), ALPHA)
    return r


def gradients(run, parameters: list[Tensor], inputs: Tensor, classes: Tensor) -> tuple[Tensor, ...]:
    """Loss and gradients; `run` does the steps."""
    weight, weight_in, bias, head, head_bias = parameters
    projected = linear(inputs, weight_in, bias)
    last = run(torch.zeros(inputs.shape[1], weight.shape[0]), projected, weight.t())
    loss = cross_entropy(linear(last, head, head_bias), classes)
    return loss.detach(), *torch.autograd.grad(loss, parameters)


def tensors(network: Network) -> tuple[list[Tensor], Tensor, Tensor]:
    """Parameters, inputs and classes."""
    parameters = [torch.tensor(parameter, requires_grad=True) for parameter in network.parameters]
    return parameters, torch.tensor(network.inputs), torch.tensor(network.classes)


def way(threads: int, run, data: tuple[list[Tensor], Tensor, Tensor]):
    """What is timed, and the same with values in numpy."""

    def work():
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return gradients(run, *data)

    def values():
        loss, *others = work()
        return float(loss), [gradient.numpy() for gradient in others]

    return work, values


def threads_to_try() -> list[int]:
    """One, and as many as there are cores."""
    return sorted({1, os.cpu_count() or 1})


def prepare(network: Network) -> dict:
    """One way for each number of threads."""
    data = tensors(network)
    return {f"{threads} threads": way(threads, steps_of, data) for threads in threads_to_try()}


if __name__ == "__main__":
    serve(f"torch {torch.__version__.split('+')[0]}", prepare)
