"""The solvers of monge."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

from benchmarks.solvers.peers.registry import PROJECTIONS, Answer, Call, in_torch, inner_costs, peer

OURS = (1e-3, 7e-4, 5e-4, 3e-4)


@peer("monge", "monge", OURS)
def monge(x: Any, y: Any, epsilon: float, tol: float, **options: Any) -> Call:
    import torch

    from monge import ot

    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def call() -> Answer:
        x1 = x.clone().requires_grad_()
        plan = ot.sinkhorn(x1, y, epsilon=epsilon, tol=tol, **options)
        (gradient,) = torch.autograd.grad(plan.value, x1)
        note = {
            "n_iter": plan.n_iter,
            "converged": plan.converged,
            "claimed_error": plan.marginal_error.item(),
        }
        return Answer(plan.value.item(), gradient, lambda: (plan.f, plan.g), note)

    return call


peer("monge", "monge", OURS, "large")(partial(monge, memory="linear"))
peer("monge", "monge", OURS, "accuracy float32")(monge)


@peer("monge", "monge", (1e-6,), "accuracy float64")
def monge_float64(x: Any, y: Any, epsilon: float, tol: float) -> Call:
    return monge(x.astype(float), y.astype(float), epsilon, tol)


@peer("monge, warm start", "monge", OURS, "warm")
def monge_warm(
    x: Any, y: Any, epsilon: float, tol: float, step: float = 0.01, steps: int = 6
) -> Call:
    """Start each call from the plan of the one before.

    The points move to and fro on a random walk, each step 1 % of their scale.
    """
    import torch

    from monge import ot

    walk, y = [torch.from_numpy(x)], torch.from_numpy(y)
    for _ in range(steps):
        rng = torch.Generator().manual_seed(len(walk))
        walk.append(walk[-1] + step * torch.randn(x.shape, generator=rng))
    path = cycle([*range(1, steps + 1), *range(steps - 1, -1, -1)])
    last = ot.sinkhorn(walk[0], y, epsilon=epsilon, tol=tol)

    def call() -> Answer:
        nonlocal last
        x1 = walk[next(path)].clone().requires_grad_()
        plan = ot.sinkhorn(x1, y, epsilon=epsilon, tol=tol, init=last)
        (gradient,) = torch.autograd.grad(plan.value, x1)
        last = plan
        return Answer(
            plan.value.item(),
            gradient,
            lambda: (plan.f, plan.g),
            {"n_iter": plan.n_iter},
            x=x1.detach().numpy(),
        )

    return call


@peer("monge's floor", "torch")
def floor(x: Any, y: Any, _: float, n_iter: int) -> Call:
    """Do what n_iter iterations need at least: x yᵀ, an exponential, two products each, P y."""
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    # exponents in [−1, 1]: neither overflow nor denormal numbers
    x = x / (x.norm(dim=1).max() * y.norm(dim=1).max())
    K = torch.empty(len(x), len(y))
    out = torch.empty_like(x)
    u = torch.empty(len(x))
    v = torch.empty(len(y))
    a, b = torch.ones_like(u), torch.ones_like(v)

    def call() -> Answer:
        torch.mm(x, y.T, out=K).exp_()
        for _ in range(n_iter):
            torch.mv(K, b, out=u)
            torch.mv(K.T, a, out=v)
        torch.mm(K, y, out=out)
        return Answer(math.nan)

    return call


@peer("monge", "monge", task="gromov")
def monge_gromov(x: Any, y: Any, epsilon: float, _: None) -> Call:
    import torch

    from monge import ot

    def call() -> Answer:
        plan = ot.gromov_wasserstein(*map(torch.from_numpy, inner_costs(x, y)), epsilon=epsilon)
        return Answer(
            plan.cost.item(),
            coupling=plan.matrix,
            note={"n_iter": plan.n_iter, "converged": plan.converged},
        )

    return call


def monge_sliced(_: float) -> Callable[..., Any]:
    from monge import ot

    return lambda x, y: ot.sliced_wasserstein(x, y, n_projections=PROJECTIONS) ** 2


peer("monge", "monge", task="sliced")(in_torch(monge_sliced))


def monge_mmd(scale: float) -> Callable[..., Any]:
    from monge import ot

    return lambda x, y: ot.mmd(x, y, kernel="rbf", scales=[scale], unbiased=False)


def monge_energy(_: float) -> Callable[..., Any]:
    from monge import ot

    return ot.energy_distance


peer("monge", "monge", task="mmd")(in_torch(monge_mmd))
peer("monge", "monge", task="energy")(in_torch(monge_energy))


@peer("monge", "monge", task="semidiscrete")
def monge_semidiscrete(
    x: Any, y: Any, _: float, __: None, blur: float = 0.006, n_iter: int = 700
) -> Call:
    """From N(0, I), with ε = 0.6 % of the mean cost.

    The relative error of the cells is computed from the unbiased χ² on new points.
    """
    import torch

    from monge import ot

    x, y, rng = torch.from_numpy(x), torch.from_numpy(y), torch.Generator().manual_seed(0)
    epsilon = blur * (x.square().sum(1).mean() + y.square().sum(1).mean()).item()

    def source(n: int) -> Any:
        return torch.randn(n, y.shape[1], generator=rng)

    def call() -> Answer:
        solver = ot.SemiDiscrete(y, epsilon=epsilon)
        solver.fit(source, n_iter=n_iter)

        def later(size: int = 50_000) -> dict[str, Any]:
            chi2 = solver.chi2(source(size)).item()
            error = math.sqrt(max(chi2, 0.0) * 2 / math.pi)  # mean |·| of a Gaussian error
            return {"chi2": chi2, "mass_error": error}

        return Answer(math.nan, later=later, note={"epsilon": epsilon, "n_iter": n_iter})

    return call
