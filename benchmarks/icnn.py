"""Cost of a W2GN iteration: ours against the plain way, and how far the two agree.

    python benchmarks/icnn.py

The network and the batch are those of the reference: widths 128, 128, 64, rank 3, 1,024 points of
two dimensions, one thread.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from reproduce import RESULTS, surroundings
from torch import Tensor

from monge.data import StepInputs, load
from monge.methods import w2gn
from monge.nets import DenseICNN

STEPS, REPEATS = 20, 5


class Plain(DenseICNN):
    """The same potential as the reference computes it: rank squares a unit, and the gradient by
    double backward.
    """

    _by_products = DenseICNN._by_projections

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            value = self(x)
            return value, torch.autograd.grad(value.sum(), x, create_graph=True)[0]


def main() -> None:
    torch.set_num_threads(1)
    source, times = load("8gaussians"), {}
    for name, kind in (("monge", DenseICNN), ("plain", Plain)):
        method, position = made(kind), 0

        def run(method: w2gn.W2GN = method) -> None:
            nonlocal position
            for _ in range(STEPS):
                draw = StepInputs(source, 0, 1 + position // 1024, position=position)
                method.step(draw)
                position = draw.position

        run()
        times[name] = seconds(run)
    result = {
        "cpu_seconds_per_iteration": times,
        "times_faster": times["plain"]["median"] / times["monge"]["median"],
        "largest_difference": differences(),
        "reference": {
            "cpu_seconds_per_iteration": 0.176,
            "machine": "another one: 2 cores of an AMD EPYC",
        },
        "net": {"widths": [128, 128, 64], "rank": 3, "batch": 1024},
        **surroundings(),
    }
    (RESULTS / "icnn.json").write_text(json.dumps(result, indent=2) + "\n")
    print(
        json.dumps(
            {
                key: result[key]
                for key in ("cpu_seconds_per_iteration", "times_faster", "largest_difference")
            },
            indent=2,
        )
    )


def made(kind: type[DenseICNN]) -> w2gn.W2GN:
    torch.manual_seed(0)
    return w2gn.W2GN(w2gn.Config(start="identity"), kind(2), kind(2))


def seconds(run: Callable[[], None]) -> dict[str, float]:
    """CPU seconds of a step, over the repeats."""
    found = []
    for _ in range(REPEATS):
        begin = time.process_time()
        run()
        found.append((time.process_time() - begin) / STEPS)
    return {"median": statistics.median(found), "least": min(found), "greatest": max(found)}


def differences() -> dict[str, Any]:
    """Between the two ways, after one step: loss, gradients of all weights relative to their norm,
    and the map itself.
    """
    source = load("8gaussians")
    ours, plain = made(DenseICNN), made(Plain)
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


if __name__ == "__main__":
    main()
