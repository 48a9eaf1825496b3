"""Divergences based on entropic transport.

Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences",
    AISTATS 2019 [feydy2019]
Salimans et al., "Improving GANs using optimal transport", ICLR 2018 [salimans2018]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import non_negative
from ._kernel import Task
from ._loop import fit, fit_symmetric
from ._problem import Problem
from .costs import CostLike
from .plan import Plan
from .sinkhorn import as_plan, linear_memory, sinkhorn


@dataclass
class SinkhornState:
    """Potentials that `sinkhorn_divergence` stores for its next call.

    Pass one state to all calls of a training, so that each call starts from the potentials of the
    previous step. Where the sizes of the clouds change, the call starts without them.
    """

    cross: Tensor | None = None
    within_x: Tensor | None = None
    within_y: Tensor | None = None


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    cost: CostLike = "sqeuclidean",
    a: Tensor | None = None,
    b: Tensor | None = None,
    tol: float = 1e-3,
    max_iter: int = 2000,
    memory: str = "auto",
    state: SinkhornState | None = None,
) -> Tensor:
    r"""Compute the debiased entropic transport cost, which is 0 only between equal measures.

    .. math:: S_\varepsilon(\alpha, \beta) = W_\varepsilon(\alpha, \beta)
              - \tfrac12 W_\varepsilon(\alpha, \alpha) - \tfrac12 W_\varepsilon(\beta, \beta)

    ``x`` is (..., n, d), ``y`` (..., m, d); the result has shape (...) and the unit of the cost,
    is never negative, and is differentiable in points and weights. The loss of Sinkhorn GANs is
    twice this value. In a training, pass one ``state`` to all calls: each starts from the
    potentials of the previous one. The other parameters and the errors are those of `sinkhorn`.
    Source: [feydy2019].

    >>> x = torch.tensor([[0.0], [1.0]])
    >>> sinkhorn_divergence(x, x + 2, epsilon=0.1).round(decimals=2)
    tensor(4.)
    """
    x, y = check.pair(x, y)
    state = SinkhornState() if state is None else state
    options: dict[str, Any] = {
        "epsilon": epsilon,
        "cost": cost,
        "tol": tol,
        "max_iter": max_iter,
        "memory": memory,
    }
    init, g = None, _if_fitting(state.cross, y)
    if g is not None:
        init = torch.zeros(x.shape[:-1], dtype=x.dtype, device=x.device), g
    cross = sinkhorn(x, y, a=a, b=b, init=init, **options)
    within_x = self_transport(x, a=a, init=_if_fitting(state.within_x, x), **options)
    within_y = self_transport(y, a=b, init=_if_fitting(state.within_y, y), **options)
    state.cross, state.within_x, state.within_y = cross.g, within_x.f, within_y.f
    return non_negative(cross.value - within_x.value / 2 - within_y.value / 2)


def _if_fitting(g: Tensor | None, y: Tensor) -> Tensor | None:
    """Return the potential g if it has one number per point of y, else None."""
    return g if g is not None and g.shape == y.shape[:-1] else None


def self_transport(
    x: Tensor,
    *,
    epsilon: float,
    cost: CostLike = "sqeuclidean",
    a: Tensor | None = None,
    tol: float = 1e-3,
    max_iter: int = 2000,
    memory: str = "auto",
    init: Tensor | None = None,
) -> Plan:
    """Solve entropic transport from a measure to itself, for a symmetric cost.

    One potential f serves both sides. Parameters are those of `sinkhorn`, except that ``init`` is
    the potential f (..., n).

    >>> self_transport(torch.zeros(3, 2), epsilon=1.0).value
    tensor(0.)
    """
    epsilon = check.positive(epsilon, "epsilon")
    problem = Problem.between(x, x, cost)
    n = problem.geometry.n
    a = check.weights(a, problem.like, n, "a")
    flat, start = problem.flatten(a.detach()), None if init is None else problem.flatten(init)
    if linear_memory(memory, problem):
        task = Task(problem.geometry, flat, flat)
        solution = fit(task, epsilon, tol, max_iter, start, streamed=True)
    else:
        solution = fit_symmetric(problem.geometry, flat, epsilon, tol, max_iter, start)
    return as_plan(problem, a, a, solution, epsilon, tol)


def minibatch_energy_plan(
    x: Tensor,
    x2: Tensor,
    y: Tensor,
    y2: Tensor,
    *,
    epsilon: float,
    cost: CostLike = "cosine",
    tol: float = 1e-2,
    max_iter: int = 2000,
) -> Plan:
    """Compute the six plans of the mini-batch energy distance.

    All four batches have shape (n, d). The plans form one batch in the order xy, xy2, x2y, x2y2,
    xx2, yy2. Use this instead of `minibatch_energy_distance` if the plans are needed too.
    """
    shapes = {tuple(t.shape) for t in (x, x2, y, y2)}
    if len(shapes) > 1 or x.ndim != 2:
        raise ValueError(
            f"x, x2, y and y2 must have one shape (n, d), got {sorted(shapes)}: use an even batch "
            "size"
        )
    left, right = torch.stack([x, x, x2, x2, x, y]), torch.stack([y, y2, y, y2, x2, y2])
    return sinkhorn(left, right, epsilon=epsilon, cost=cost, tol=tol, max_iter=max_iter)


def minibatch_energy(plan: Plan) -> Tensor:
    """Compute the mini-batch energy distance from the plans of `minibatch_energy_plan`."""
    cost = plan.cost
    return cost[:4].sum() - 2 * cost[4:].sum()


def minibatch_energy_distance(
    x: Tensor,
    x2: Tensor,
    y: Tensor,
    y2: Tensor,
    *,
    epsilon: float,
    cost: CostLike = "cosine",
    tol: float = 1e-2,
    max_iter: int = 2000,
) -> Tensor:
    r"""Compute the mini-batch energy distance of OT-GAN, from two pairs of independent batches.

    .. math:: W(X,Y) + W(X,Y') + W(X',Y) + W(X',Y') - 2 W(X,X') - 2 W(Y,Y')

    Here :math:`W = \langle P, C\rangle`, where P is the entropic plan. The gradient holds P fixed
    (envelope theorem). All four batches have shape (n, d); the result is a scalar, an unbiased
    estimate that may be negative for a single draw. Source: [salimans2018], Algorithm 1, line 3.

    >>> x, y = torch.eye(2), -torch.eye(2)
    >>> minibatch_energy_distance(x, x, y, y, epsilon=0.002).round(decimals=2)
    tensor(4.)
    """
    return minibatch_energy(
        minibatch_energy_plan(x, x2, y, y2, epsilon=epsilon, cost=cost, tol=tol, max_iter=max_iter)
    )
