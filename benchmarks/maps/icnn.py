"""CPU time of a W2GN step: ours and a plain implementation, and how far the two agree.

    python -m benchmarks icnn

Writes results/icnn.json. The network and the batch are those of the reference: widths 128, 128, 64,
rank 3, 1,024 points of two dimensions, one thread.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.command import make_parser
from benchmarks.common.cost import timed
from benchmarks.common.provenance import provenance
from benchmarks.common.results import results_file, write_result
from monge.data import StepInputs, load
from monge.methods import w2gn
from monge.nets import DenseICNN

STEPS, REPEATS = 20, 5


class PlainICNN(DenseICNN):
    """The same potential as the reference computes it.

    It has as many squares a unit as the rank, and its gradient is by double backward.
    """

    _by_products = DenseICNN._by_projections

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            value = self(x)
            return value, torch.autograd.grad(value.sum(), x, create_graph=True)[0]


def main(argv: Sequence[str] | None = None) -> None:
    make_parser("icnn", __doc__).parse_args(argv)
    torch.set_num_threads(1)
    source, times = load("8gaussians"), {}
    for name, kind in (("monge", DenseICNN), ("plain", PlainICNN)):
        method, position = build_method(kind), 0

        def run(method: w2gn.W2GN = method) -> None:
            nonlocal position
            for _ in range(STEPS):
                inputs = StepInputs(source, 0, 1 + position // 1024, position=position)
                method.step(inputs)
                position = inputs.position

        run()
        times[name] = seconds_of_step(run)
    result = {
        "cpu_seconds_per_iteration": times,
        "times_faster": times["plain"]["median"] / times["monge"]["median"],
        "largest_difference": differences(),
    }
    print(json.dumps(result, indent=2))
    result |= {
        "reference": {
            "cpu_seconds_per_iteration": 0.176,
            "machine": "another one: 2 cores of an AMD EPYC",
        },
        "net": {"widths": [128, 128, 64], "rank": 3, "batch": 1024},
    }
    write_result(results_file("icnn"), result | provenance())


def build_method(kind: type[DenseICNN]) -> w2gn.W2GN:
    torch.manual_seed(0)
    return w2gn.W2GN(w2gn.Config(start="identity"), kind(2), kind(2))


def seconds_of_step(run: Callable[[], None]) -> dict[str, float]:
    """Return CPU seconds of a step, over the repeats."""
    times = [timed(run)[1]["cpu_seconds"] / STEPS for _ in range(REPEATS)]
    return {"median": statistics.median(times), "least": min(times), "greatest": max(times)}


def differences() -> dict[str, Any]:
    """Return how far the two differ after one step.

    Compared are the loss, the gradients of all weights relative to their norm, and the map itself.
    """
    source = load("8gaussians")
    ours, plain = build_method(DenseICNN), build_method(PlainICNN)
    losses = [method.step(StepInputs(source, 0, 0))["loss"] for method in (ours, plain)]
    grads = [
        torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])
        for method in (ours, plain)
    ]
    x = source.held_out(1024)
    maps = [method.potential.gradient(x).detach() for method in (ours, plain)]
    return {
        "loss": abs(float(losses[0]) - float(losses[1])),
        "gradient, relative": ((grads[0] - grads[1]).norm() / grads[1].norm()).item(),
        "map": (maps[0] - maps[1]).abs().max().item(),
    }
