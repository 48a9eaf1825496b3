"""POT, on torch and on numpy, and three lines of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.solvers.peers.registry import (
    ITERATIONS,
    PROJECTIONS,
    Answer,
    Call,
    in_torch,
    inner_costs,
    peer,
)


@peer("POT solve_sample, torch", "ot", ITERATIONS)
def pot_solve_sample(x: Any, y: Any, epsilon: float, k: int) -> Call:
    import ot
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def call() -> Answer:
        x1 = x.clone().requires_grad_()
        result = ot.solve_sample(x1, y, reg=epsilon, max_iter=k, tol=0.0, grad="envelope")
        result.value.backward()
        return Answer(result.value.item(), x1.grad, lambda: result.plan.detach())

    return call


def pot_batch(method: str) -> Callable[..., Call]:
    """Compute the gradient by hand, without a graph.

    This is faster than ``grad="envelope"``, which keeps the graph of every iteration.
    """

    def make(x: Any, y: Any, epsilon: float, k: int) -> Call:
        import torch
        from ot.batch import dist_batch, solve_batch

        x, y = torch.from_numpy(x), torch.from_numpy(y)

        def call() -> Answer:
            with torch.no_grad():
                M = dist_batch(x[None], y[None])
                result = solve_batch(
                    M, reg=epsilon, max_iter=k, tol=0.0, method=method, grad="detach", reg_type="kl"
                )
                P = result.plan[0]
                return Answer(result.value[0], 2 * (x / len(x) - P @ y), lambda: P)

        return call

    return make


peer("POT batch log, torch", "ot", ITERATIONS)(pot_batch("log_sinkhorn"))
peer("POT batch kernel, torch", "ot", ITERATIONS)(pot_batch("sinkhorn"))


def pot_numpy(
    solver: str, start: bool = False, own_stop: bool = False, **options: Any
) -> Callable[..., Call]:
    """In float32. With ``start``, from the potentials (min over j of C, 0) instead of zero."""

    def make(x: Any, y: Any, epsilon: float, setting: Any) -> Call:
        import ot

        a, b = (np.full(len(z), 1 / len(z), z.dtype) for z in (x, y))
        stop = (
            {"numItermax": 4000, "stopThr": setting}
            if own_stop
            else {"numItermax": setting, "stopThr": 0.0}
        )

        def call() -> Answer:
            M = ot.dist(x, y)
            warm = {"warmstart": (M.min(1), np.zeros_like(b))} if start else {}
            P = getattr(ot.bregman, solver)(a, b, M, epsilon, warn=False, **stop, **warm, **options)
            return Answer((P * M).sum(), 2 * (a[:, None] * x - P @ y), lambda: P)

        return call

    return make


# Its default tau = 1e3 absorbs at every iteration from n = 1000 on, and what it returns right after
# absorbing is not a plan.
STABLE: dict[str, Any] = {"solver": "sinkhorn_stabilized", "tau": 1e6, "print_period": 10**9}
STOPS = tuple(float(f"{10 ** (-k / 3):.2g}") for k in range(8, 22))  # L2 norms
peer("POT kernel, numpy", "ot", ITERATIONS)(pot_numpy("sinkhorn_knopp"))
peer("POT stabilized, numpy", "ot", ITERATIONS)(pot_numpy(**STABLE))
peer("POT stabilized from row minima, numpy", "ot", ITERATIONS)(pot_numpy(start=True, **STABLE))
peer("POT kernel, numpy, own stop", "ot", STOPS)(pot_numpy("sinkhorn_knopp", own_stop=True))
peer("POT stabilized from row minima, numpy, own stop", "ot", STOPS)(
    pot_numpy(start=True, own_stop=True, **STABLE | {"print_period": 20})
)


@peer("POT entropic PGD, numpy", "ot", (1e-3, 1e-4, 1e-5), "gromov")
def pot_gromov(x: Any, y: Any, epsilon: float, tol: float) -> Call:
    import ot

    def call() -> Answer:
        Cx, Cy = inner_costs(x, y)
        # stopThr is that of the inner Sinkhorn
        options = {"epsilon": epsilon, "symmetric": True, "tol": tol, "stopThr": 1e-4}
        P, log = ot.gromov.entropic_gromov_wasserstein(Cx, Cy, solver="PGD", log=True, **options)
        return Answer(float(log["gw_dist"]), coupling=lambda: P)

    return call


def pot_sliced(_: float) -> Callable[..., Any]:
    import ot

    return lambda x, y: ot.sliced_wasserstein_distance(x, y, n_projections=PROJECTIONS, seed=0) ** 2


def torch_sliced(_: float) -> Callable[..., Any]:
    import torch

    def loss(x: Any, y: Any) -> Any:
        directions = torch.nn.functional.normalize(torch.randn(x.shape[1], PROJECTIONS), dim=0)
        return ((x @ directions).sort(0).values - (y @ directions).sort(0).values).square().mean()

    return loss


peer("POT, torch", "ot", task="sliced")(in_torch(pot_sliced))
peer("three lines of torch", "torch", task="sliced")(in_torch(torch_sliced))
