"""Entropic optimal transport.

    Cuturi, "Sinkhorn distances", NeurIPS 2013 [cuturi2013]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018
        [chizat2018]

The iterations are in `_loop`, the gradients in `_problem` and, for second derivatives, in
`_implicit`.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from .. import parallel
from . import _validate as check
from ._coupling import Coupling
from ._implicit import slope
from ._kernel import Task
from ._loop import Solution, fit
from ._problem import Problem
from .costs import CostLike
from .plan import Plan

_DENSE_BYTES = 2**31  # kernels up to this size are kept in memory
Rho = tuple[float, float]  # infinite: the marginal is kept
KEPT: Rho = (math.inf, math.inf)


def sinkhorn(
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    epsilon: float,
    C: Tensor | None = None,
    cost: CostLike = "sqeuclidean",
    a: Tensor | None = None,
    b: Tensor | None = None,
    rho: float | tuple[float | None, float | None] | None = None,
    tol: float = 1e-3,
    max_iter: int = 2000,
    init: Plan | tuple[Tensor, Tensor] | None = None,
    memory: str = "auto",
    sharded: bool = False,
) -> Plan:
    r"""Solve entropic optimal transport.

    .. math::

        \min_{P 1 = a,\ P^\top 1 = b} \langle P, C \rangle + \varepsilon\, \mathrm{KL}(P \mid a
        \otimes b)

    Source: [cuturi2013], [schmitzer2019], [walker2011]. For a debiased loss use
        `sinkhorn_divergence`, for ε = 0 `wasserstein`.

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points; or pass the matrix ``C`` (..., n, m) instead of both.
    epsilon : float
        Regularization in units of the cost. Below 1e-3 times the mean cost, float32 problems are
        solved in float64.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed. With ``rho`` any
        positive total is.
    rho : float or (float or None, float or None), optional
        Unbalanced transport: a marginal may be left at the price ``rho KL(P 1 | a)``, in units of
        the cost; None keeps it.
    tol : float
        L1 marginal error at which to stop.
    max_iter : int
        Bound on the iterations, all levels of ε together.
    init : Plan or (f, g), optional
        Warm start from the potential g of a problem of the same sizes.
    memory : "auto", "dense" or "linear"
        Whether to keep an n×m kernel or to make its tiles again in each iteration; "auto" keeps
        kernels up to 2 GiB.
    sharded : bool
        ``x`` (and ``a``) are this process's share of the rows, ``y`` is the same on all; potentials
        agree by all-reduce. ``value`` is the whole problem's; its gradient in ``x`` is complete,
        those in ``y`` and ``b`` are this process's summand.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> plan = sinkhorn(x, x + 2, epsilon=0.01)
    >>> round(plan.cost.item(), 3), plan.converged
    (4.0, True)
    """
    epsilon = check.positive(epsilon, "epsilon")
    check.all_positive(tol=tol, max_iter=max_iter)
    marginal_penalties = check.marginal_penalties(rho)
    problem = (
        Problem.given(C)
        if C is not None and x is None and y is None
        else Problem.between(x, y, cost, C)
    )
    n, m = problem.geometry.n, problem.geometry.m
    free = rho is not None
    share = n / parallel.total_number(n) if sharded else 1.0
    a = check.weights(a, problem.like, n, "a", mass=None if free else share)
    b = check.weights(b, problem.like, m, "b", mass=None if free else 1.0)
    start = check.potentials((init.f, init.g) if isinstance(init, Plan) else init, a, b)
    flat_a, flat_b = problem.flatten(a.detach()), problem.flatten(b.detach())
    first, second = (
        1.0 if math.isinf(price) else price / (price + epsilon) for price in marginal_penalties
    )
    task = Task(problem.geometry, flat_a, flat_b, (first, second), sharded)
    g = None if start is None else problem.flatten(start[1])
    found = fit(task, epsilon, tol, max_iter, g, streamed=linear_memory(memory, problem))
    return as_plan(problem, a, b, found, epsilon, tol, marginal_penalties, sharded)


def linear_memory(memory: str, problem: Problem) -> bool:
    """Whether to stream the kernel of a problem."""
    size = (
        math.prod((*problem.batch, problem.geometry.n, problem.geometry.m))
        * problem.like.element_size()
    )
    return check.choice(memory, ("auto", "dense", "linear"), "memory") == "linear" or (
        memory == "auto" and size > _DENSE_BYTES
    )


def as_plan(
    problem: Problem,
    a: Tensor,
    b: Tensor,
    found: Solution,
    epsilon: float,
    tol: float,
    marginal_penalties: Rho = KEPT,
    sharded: bool = False,
) -> Plan:
    """Attach the differentiable value to a solution; warn if it did not converge."""
    error = problem.unflatten(found.error)
    converged = bool(found.worst <= tol)
    if not converged:  # no error is told: with one text, Python shows the warning once
        check.warn_not_reached(
            "sinkhorn",
            tol,
            f"{check.REMEDY}; plan.marginal_error says how near it came",
            stacklevel=4,
        )
    f, g = problem.unflatten(found.f), problem.unflatten(found.g)
    held_a, held_b = a.detach(), b.detach()
    left, right = _dual(f, held_a, marginal_penalties[0]), _dual(g, held_b, marginal_penalties[1])
    if sharded:
        left = parallel.total(left)
    number = left + right
    if marginal_penalties != KEPT:
        mass = problem.unflatten(found.coupling.rows).sum(-1)
        excess = mass - held_a.sum(-1) * held_b.sum(-1)
        number = number - epsilon * (parallel.total(excess) if sharded else excess)
    slopes = (
        slope(f, marginal_penalties[0], epsilon, held_b),
        slope(g, marginal_penalties[1], epsilon, held_a),
    )
    P, image = found.coupling, None
    value = problem.with_gradient(
        number.to(f.dtype), P, (a, b), slopes, (f, g, epsilon, marginal_penalties)
    )
    if problem.points is not None:
        image = partial(problem.barycentric_map, P, held_a, held_b, g, epsilon)
    cost = partial(_cost, problem, P, f.dtype, sharded)
    return Plan(
        value, f, g, held_a, held_b, epsilon, error, found.n_iter, converged, P, cost, image
    )


def _cost(problem: Problem, P: Coupling, dtype: torch.dtype, sharded: bool) -> Tensor:
    number = problem.unflatten(problem.inner(P)).to(dtype)
    return problem.with_gradient(parallel.total(number) if sharded else number, P)


def _dual(f: Tensor, a: Tensor, rho: float) -> Tensor:
    """−φ*(−f) for the marginal's price: <a, f>, or ρ <a, 1 − e^(−f/ρ)>."""
    return (a * (f if math.isinf(rho) else -rho * torch.expm1(-f / rho))).sum(-1)
