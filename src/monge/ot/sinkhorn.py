"""Entropic optimal transport: the public solver and its result.

    Cuturi, "Sinkhorn distances", NeurIPS 2013    [cuturi2013]

The iterations are in `_scaling`; here are the door, the plan, and the gradients by the envelope theorem:
d value = <P, dC> + <f, da> + <g, db>.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import _validate as check
from ._scaling import Solution, solve
from .costs import CostLike, as_cost


@dataclass(frozen=True)
class Plan:
    """An entropic transport plan.

    Attributes
    ----------
    value : Tensor (...)
        min over P of ``<P, C> + epsilon KL(P | a⊗b)``, read off the dual. Differentiable in points, weights and cost matrix by
        the envelope theorem; a second derivative raises.
    f, g : Tensor (..., n), (..., m)
        Dual potentials, in units of the cost.
    a, b : Tensor (..., n), (..., m)
        The weights.
    epsilon : float
        Regularisation, in units of the cost.
    marginal_error : Tensor (...)
        L1 distance of P's row sums from a (its column sums are exact).
    n_iter : int
        Iterations over all levels of ε.
    converged : bool
        Whether every problem of the batch met the tolerance.
    """

    value: Tensor
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    epsilon: float
    marginal_error: Tensor
    n_iter: int
    converged: bool
    _problem: Problem = field(repr=False)
    _P: Tensor | None = field(repr=False, default=None)

    @cached_property
    def _matrix(self) -> Tensor:
        if self._P is not None:
            return self._P
        return coupling(self._problem.C, self.f, self.g, self.a, self.b, self.epsilon)

    @cached_property
    def cost(self) -> Tensor:
        """<P, C>, shape (...). Its gradient holds P fixed, as OT-GAN does [salimans2018]."""
        return self._problem.inner(self._matrix)

    def matrix(self) -> Tensor:
        """P, shape (..., n, m), without gradient."""
        return self._matrix

    def apply(self, v: Tensor) -> Tensor:
        """P v for v of shape (..., m, k); the result has shape (..., n, k)."""
        return self._matrix @ v

    def barycentric_map(self) -> Tensor:
        """Σⱼ Pᵢⱼ yⱼ / Σⱼ Pᵢⱼ: where each xᵢ goes on average, shape (..., n, d); also where its weight is zero."""
        if self._problem.y is None:
            raise ValueError("barycentric_map needs the points y, but sinkhorn was given C: use plan.apply(y) instead")
        rows = coupling(self._problem.C, self.f, self.g, torch.ones_like(self.a), self.b, self.epsilon)
        return rows @ self._problem.y / rows.sum(-1, keepdim=True)

    def perplexity(self) -> Tensor:
        """Mean over rows of exp(entropy of the row), shape (...): 1 for a matching, m for the independent plan."""
        tiny = torch.finfo(self._matrix.dtype).tiny  # a row of weight zero counts for nothing
        rows = self._matrix / self._matrix.sum(-1, keepdim=True).clamp_min(tiny)
        entropy = -torch.special.xlogy(rows, rows).sum(-1)
        return (self.a * entropy.exp()).sum(-1)


def sinkhorn(
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    epsilon: float,
    C: Tensor | None = None,
    cost: CostLike = "sqeuclidean",
    a: Tensor | None = None,
    b: Tensor | None = None,
    tol: float = 1e-3,
    max_iter: int = 2000,
    init: Plan | tuple[Tensor, Tensor] | None = None,
) -> Plan:
    r"""Solve entropic optimal transport.

    .. math:: \min_{P 1 = a,\ P^\top 1 = b} \langle P, C \rangle + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points; or pass the matrix ``C`` (..., n, m) instead of both.
    epsilon : float
        Regularisation in units of the cost. Correct in float32 down to 1e-4 times the mean cost.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed.
    tol : float
        L1 marginal error at which to stop.
    max_iter : int
        Bound on the iterations, all levels of ε together.
    init : Plan or (f, g), optional
        Warm start; skips ε-scaling.

    Returns
    -------
    Plan
        ``plan.value`` is differentiable. If the tolerance was not met, ``plan.converged`` is False and one warning is given.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit, NaN, integer tensors, weights that do not sum to one, ``epsilon <= 0``.

    Notes
    -----
    Source: [cuturi2013], [schmitzer2019]. For a debiased loss use `sinkhorn_divergence`; for ε = 0 use `wasserstein`.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> plan = sinkhorn(x, x + 2, epsilon=0.01)
    >>> round(plan.cost.item(), 3), plan.converged
    (4.0, True)
    """
    check.positive(epsilon, "epsilon")
    check.positive(tol, "tol")
    check.positive(max_iter, "max_iter")
    problem = Problem.given(C) if C is not None and x is None and y is None else Problem.between(x, y, cost, C)
    a = check.weights(a, problem.C, problem.C.shape[-2], "a")
    b = check.weights(b, problem.C, problem.C.shape[-1], "b")
    start = check.potentials((init.f, init.g) if isinstance(init, Plan) else init, a, b)
    found = solve(problem.C, a.detach(), b.detach(), float(epsilon), tol, max_iter, start)
    return as_plan(problem, a, b, found, float(epsilon), tol)


@dataclass(frozen=True)
class Problem:
    """A cost matrix without gradient, and <P, C> as a function of P that carries the gradient."""

    C: Tensor
    inner: Callable[[Tensor], Tensor]
    differentiable: bool
    y: Tensor | None = None

    @classmethod
    def given(cls, C: Tensor) -> Problem:
        C = check.cost_matrix(C)
        C1 = first_order(C)
        return cls(C.detach(), lambda P: (P * C1).sum((-2, -1)), C.requires_grad)

    @classmethod
    def between(cls, x: Tensor | None, y: Tensor | None, cost: CostLike, C: Tensor | None = None) -> Problem:
        if x is None or y is None or C is not None:
            raise ValueError("sinkhorn takes points x and y, or else a cost matrix C=...: give one or the other")
        x, y = check.pair(x, y)
        ground, x1, y1 = as_cost(cost), first_order(x), first_order(y)
        with torch.no_grad():
            matrix = check.cost_matrix(ground.matrix(x, y))
        differentiable = x.requires_grad or y.requires_grad or callable(cost)  # a callable may hold parameters
        return cls(matrix, lambda P: ground.inner(P, x1, y1), differentiable, y.detach())


def as_plan(problem: Problem, a: Tensor, b: Tensor, found: Solution, epsilon: float, tol: float) -> Plan:
    """Attach the differentiable value to a solution; warn if it did not converge."""
    converged = bool((found.error <= tol).all())
    if not converged:
        warnings.warn(
            f"sinkhorn did not reach tol={tol:.2g}: raise max_iter, epsilon or tol, or use float64; "
            "plan.marginal_error says how near it came",  # no figures here: with one text, Python shows the warning once
            RuntimeWarning,
            stacklevel=3,
        )
    value = (a.detach() * found.f).sum(-1) + (b.detach() * found.g).sum(-1)
    P = None
    if torch.is_grad_enabled() and (problem.differentiable or a.requires_grad or b.requires_grad):
        P = coupling(problem.C, found.f, found.g, a.detach(), b.detach(), epsilon)
        slope = problem.inner(P) + (first_order(a) * found.f).sum(-1) + (first_order(b) * found.g).sum(-1)
        value = value + (slope - slope.detach())
    return Plan(
        value=value,
        f=found.f,
        g=found.g,
        a=a.detach(),
        b=b.detach(),
        epsilon=epsilon,
        marginal_error=found.error,
        n_iter=found.n_iter,
        converged=converged,
        _problem=problem,
        _P=P,
    )


def coupling(C: Tensor, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float) -> Tensor:
    """P = a ⊗ b · exp((f ⊕ g − C)/ε)."""
    P = ((f[..., :, None] + g[..., None, :] - C) / epsilon).exp_()
    return P.mul_(a[..., :, None]).mul_(b[..., None, :])


class _FirstOrder(torch.autograd.Function):
    """The identity, differentiable once: a second derivative would silently miss dP/dx, so it raises."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(_: Any, grad: Tensor) -> Tensor:
        return grad


def first_order(x: Tensor) -> Tensor:
    return _FirstOrder.apply(x) if x.requires_grad else x
