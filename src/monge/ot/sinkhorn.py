"""Entropic optimal transport.

    Cuturi, "Sinkhorn distances", NeurIPS 2013 [cuturi2013]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018
        [chizat2018]

The iterations are in `_loop`, the gradients in `_problem`, and the second derivatives in
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
Rho = tuple[float, float]  # penalties of the marginals; infinite for a fixed one
FIXED: Rho = (math.inf, math.inf)


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

        \min_{P 1 = a,\ P^\top 1 = b} \langle P, C \rangle
        + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    For a debiased loss use `sinkhorn_divergence`, for ε = 0 `wasserstein`. Source: [cuturi2013],
    [schmitzer2019], [walker2011].

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points. Omit both to pass a cost matrix ``C``.
    epsilon : float
        Regularization in units of the cost. Below 1e-3 times the mean cost, float32 problems are
        solved in float64.
    C : Tensor (..., n, m), optional
        Cost matrix, in place of the points.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed. With ``rho``, any
        positive total is allowed.
    rho : float or (float or None, float or None), optional
        Unbalanced transport: the constraint on a marginal is replaced by the penalty
        ``rho KL(P 1 | a)``, in units of the cost. One number applies to both marginals; None keeps
        the constraint.
    tol : float
        L1 marginal error at which to stop.
    max_iter : int
        Maximum number of iterations, over all levels of ε.
    init : Plan or (f, g), optional
        Warm start from the potential g of a problem of the same sizes.
    memory : "auto", "dense" or "linear"
        Whether to keep the n×m kernel in memory or to recompute its tiles in each iteration; "auto"
        keeps kernels up to 2 GiB.
    sharded : bool
        Share the rows among processes: ``x`` (and ``a``) are the share of this process, ``y`` is
        the same on all; potentials are synchronized by all-reduce. ``value`` is that of the whole
        problem; its gradient in ``x`` is complete, those in ``y`` and ``b`` are the summands of
        this process.

    Returns
    -------
    Plan

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
    if C is not None and x is None and y is None:
        problem = Problem.given(C)
    else:
        problem = Problem.between(x, y, cost, C)
    n, m = problem.geometry.n, problem.geometry.m
    free = rho is not None
    share = n / parallel.total_number(n) if sharded else 1.0
    a = check.weights(a, problem.like, n, "a", mass=None if free else share)
    b = check.weights(b, problem.like, m, "b", mass=None if free else 1.0)
    start = check.potentials((init.f, init.g) if isinstance(init, Plan) else init, a, b)
    flat_a, flat_b = problem.flatten(a.detach()), problem.flatten(b.detach())
    first, second = (1.0 if math.isinf(r) else r / (r + epsilon) for r in marginal_penalties)
    task = Task(problem.geometry, flat_a, flat_b, (first, second), sharded)
    g = None if start is None else problem.flatten(start[1])
    solution = fit(task, epsilon, tol, max_iter, g, streamed=linear_memory(memory, problem))
    return as_plan(problem, a, b, solution, epsilon, tol, marginal_penalties, sharded)


def linear_memory(memory: str, problem: Problem) -> bool:
    """Return whether to stream the kernel of a problem."""
    check.choice(memory, ("auto", "dense", "linear"), "memory")
    entries = math.prod((*problem.batch, problem.geometry.n, problem.geometry.m))
    large = entries * problem.like.element_size() > _DENSE_BYTES
    return memory == "linear" or (memory == "auto" and large)


def as_plan(
    problem: Problem,
    a: Tensor,
    b: Tensor,
    solution: Solution,
    epsilon: float,
    tol: float,
    marginal_penalties: Rho = FIXED,
    sharded: bool = False,
) -> Plan:
    """Attach the differentiable value to a solution; warn if it did not converge."""
    error = problem.unflatten(solution.error)
    converged = bool(solution.worst <= tol)
    if not converged:
        # the text does not contain the error: Python shows a warning of the same text only once
        remedy = f"{check.REMEDY}; plan.marginal_error is the error that was reached"
        check.warn_not_reached("sinkhorn", tol, remedy, stacklevel=4)
    f, g = problem.unflatten(solution.f), problem.unflatten(solution.g)
    held_a, held_b = a.detach(), b.detach()
    left, right = _dual(f, held_a, marginal_penalties[0]), _dual(g, held_b, marginal_penalties[1])
    if sharded:
        left = parallel.total(left)
    number = left + right
    if marginal_penalties != FIXED:
        mass = problem.unflatten(solution.coupling.rows).sum(-1)
        excess = mass - held_a.sum(-1) * held_b.sum(-1)
        number = number - epsilon * (parallel.total(excess) if sharded else excess)
    slope_a = slope(f, marginal_penalties[0], epsilon, held_b)
    slope_b = slope(g, marginal_penalties[1], epsilon, held_a)
    P, image, potentials = solution.coupling, None, (f, g, epsilon, marginal_penalties)
    value = problem.with_gradient(number.to(f.dtype), P, (a, b), (slope_a, slope_b), potentials)
    if problem.points is not None:
        image = partial(problem.barycentric_map, P, held_a, held_b, g, epsilon)
    cost, n_iter = partial(_cost, problem, P, f.dtype, sharded), solution.n_iter
    return Plan(value, f, g, held_a, held_b, epsilon, error, n_iter, converged, P, cost, image)


def _cost(problem: Problem, P: Coupling, dtype: torch.dtype, sharded: bool) -> Tensor:
    number = problem.unflatten(problem.inner(P)).to(dtype)
    return problem.with_gradient(parallel.total(number) if sharded else number, P)


def _dual(f: Tensor, a: Tensor, rho: float) -> Tensor:
    """Return −φ*(−f) for the penalty of a marginal: <a, f>, or ρ <a, 1 − e^(−f/ρ)>."""
    return (a * (f if math.isinf(rho) else -rho * torch.expm1(-f / rho))).sum(-1)
