"""Divergences built on entropic transport.

Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences", AISTATS 2019    [feydy2019]
Salimans et al., "Improving GANs using optimal transport", ICLR 2018                                     [salimans2018]
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
    """Potentials that `sinkhorn_divergence` leaves behind for its next call, one training step
    later.

    A state fits clouds of one size; where the sizes change, it starts from nothing.
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
    r"""Debiased entropic transport cost: at least 0, and 0 only between equal measures.

    .. math:: S_\varepsilon(\alpha, \beta) = W_\varepsilon(\alpha, \beta)
              - \tfrac12 W_\varepsilon(\alpha, \alpha) - \tfrac12 W_\varepsilon(\beta, \beta)

    ``x`` is (..., n, d), ``y`` (..., m, d); the result has shape (...) and the unit of the cost.
    Differentiable in points and weights. The loss of Sinkhorn GANs is twice this. In a training,
    pass one ``state`` to every call: each begins with the potentials of the one before. Errors are
    those of `sinkhorn`. Source: [feydy2019].

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
    start = _fitting(state.cross, y)
    init = (
        None
        if start is None
        else (torch.zeros(x.shape[:-1], dtype=x.dtype, device=x.device), start)
    )
    cross = sinkhorn(x, y, a=a, b=b, init=init, **options)
    within_x = self_transport(x, a=a, init=_fitting(state.within_x, x), **options)
    within_y = self_transport(y, a=b, init=_fitting(state.within_y, y), **options)
    state.cross, state.within_x, state.within_y = cross.g, within_x.f, within_y.f
    return non_negative(cross.value - within_x.value / 2 - within_y.value / 2)


def _fitting(g: Tensor | None, y: Tensor) -> Tensor | None:
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
    """Entropic transport of a measure to itself, by the symmetric solver; the cost must be
    symmetric.

    >>> self_transport(torch.zeros(3, 2), epsilon=1.0).value
    tensor(0.)
    """
    epsilon = check.positive(epsilon, "epsilon")
    problem = Problem.between(x, x, cost)
    n = problem.geometry.n
    a = check.weights(a, problem.like, n, "a")
    flat, start = problem.flatten(a.detach()), None if init is None else problem.flatten(init)
    if linear_memory(memory, problem):
        found = fit(
            Task(problem.geometry, flat, flat), epsilon, tol, max_iter, start, streamed=True
        )
    else:
        found = fit_symmetric(problem.geometry, flat, epsilon, tol, max_iter, start)
    return as_plan(problem, a, a, found, epsilon, tol)


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
    """The six plans of the mini-batch energy distance as one batch, in the order xy, xy2, x2y,
    x2y2, xx2, yy2.

    All four batches have shape (n, d). Use it instead of `minibatch_energy_distance` to look at the
    matchings too.
    """
    shapes = {tuple(t.shape) for t in (x, x2, y, y2)}
    if len(shapes) > 1 or x.ndim != 2:
        raise ValueError(
            f"the four half-batches must share one shape (n, d), got {sorted(shapes)}: use an even "
            "batch"
        )
    left, right = torch.stack([x, x, x2, x2, x, y]), torch.stack([y, y2, y, y2, x2, y2])
    return sinkhorn(left, right, epsilon=epsilon, cost=cost, tol=tol, max_iter=max_iter)


def minibatch_energy(plan: Plan) -> Tensor:
    """Four cross terms minus twice the two within terms, from `minibatch_energy_plan`."""
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
    r"""Mini-batch energy distance of OT-GAN between two pairs of independent batches.

    .. math:: W(X,Y) + W(X,Y') + W(X',Y) + W(X',Y') - 2 W(X,X') - 2 W(Y,Y')

    with :math:`W = \langle P, C\rangle` and P the entropic plan. The gradient is not taken through
    P (envelope theorem). All four batches have shape (n, d); the result is a scalar, an unbiased
    estimate that may be negative on a single draw. Source: [salimans2018], Algorithm 1, line 3.

    >>> x, y = torch.eye(2), -torch.eye(2)
    >>> minibatch_energy_distance(x, x, y, y, epsilon=0.002).round(decimals=2)
    tensor(4.)
    """
    return minibatch_energy(
        minibatch_energy_plan(x, x2, y, y2, epsilon=epsilon, cost=cost, tol=tol, max_iter=max_iter)
    )
