"""Entropic optimal transport: the public solver and its result.

    Cuturi, "Sinkhorn distances", NeurIPS 2013                                                        [cuturi2013]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018   [chizat2018]

The iterations are in `_loop`; here are the door, the plan, and the gradients by the envelope theorem,
d value = <P, dC> + <f, da> + <g, db>. Second derivatives are in `_implicit`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .. import parallel
from . import _validate as check
from ._implicit import differentiable_gradients
from ._kernel import Coupling, Powers
from ._loop import Solution, fit
from ._problem import Problem
from .costs import CostLike

_DENSE_BYTES = 2**31  # kernels up to this size are kept in memory
Rho = tuple[float, float]  # infinite: the marginal is kept


@dataclass(frozen=True)
class Plan:
    """An entropic transport plan.

    Attributes
    ----------
    value : Tensor (...)
        min over P of ``<P, C> + epsilon KL(P | a⊗b)``, with ``rho`` plus ``rho KL(P 1 | a) + rho KL(Pᵀ 1 | b)``, from the dual.
        Differentiable in points, weights and cost matrix by the envelope theorem; twice by implicit differentiation.
    f, g : Tensor (..., n), (..., m)
        Dual potentials, in units of the cost, without gradient, in the dtype of the points: at ε = 1e-5 times the mean cost
        a plan made from float32 ones is off by 4e-3 in its marginals; ``matrix`` and the gradients do not go through them.
    a, b : Tensor (..., n), (..., m)
        The weights.
    epsilon : float
        Regularisation, in units of the cost.
    marginal_error : Tensor (...)
        L1 distance of P's column sums from b (its row sums are exact); with ``rho``, how far b is from a fixed point.
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
    _coupling: Coupling = field(repr=False)
    _sharded: bool = field(repr=False, default=False)

    @cached_property
    def _matrix(self) -> Tensor:
        return self._problem.unflatten(self._coupling.matrix()).to(self.f.dtype)

    @cached_property
    def cost(self) -> Tensor:
        """<P, C>, shape (...). Its gradient holds P fixed, as OT-GAN does [salimans2018]."""
        number = self._problem.unflatten(self._problem.inner(self._coupling)).to(self.f.dtype)
        return _attach(parallel.total(number) if self._sharded else number, self._problem, self._coupling, (), None)

    def matrix(self) -> Tensor:
        """P, shape (..., n, m), without gradient."""
        return self._matrix

    def rounded(self) -> Tensor:
        """P moved by about ``marginal_error`` so that both marginals are exact, (..., n, m) [altschuler2017]."""
        P = self._matrix * (self.a / _mass(self._matrix.sum(-1))).clamp_max(1).unsqueeze(-1)
        P = P * (self.b / _mass(P.sum(-2))).clamp_max(1).unsqueeze(-2)
        left, right = (self.a - P.sum(-1)).clamp_min(0), (self.b - P.sum(-2)).clamp_min(0)
        return P + left.unsqueeze(-1) * (right / _mass(right.sum(-1, keepdim=True))).unsqueeze(-2)

    def apply(self, v: Tensor) -> Tensor:
        """P v for v of shape (..., m, k); the result has shape (..., n, k)."""
        flat = self._problem.flatten(v.detach()).to(self._coupling.rows.dtype)
        return self._problem.unflatten(self._coupling.apply(flat)).to(v.dtype)

    def barycentric_map(self) -> Tensor:
        """Σⱼ Pᵢⱼ yⱼ / Σⱼ Pᵢⱼ: where each xᵢ goes on average, shape (..., n, d); also where its weight is zero."""
        points = self._problem.points
        if points is None:
            raise ValueError("barycentric_map needs the points y, but sinkhorn was given C: use plan.apply(y) instead")
        y = points[1].detach()
        if not (self.a > 0).all():
            return self._problem.conditional_mean(self.g, self.b, y, self.epsilon)
        return self.apply(y) / self._problem.unflatten(self._coupling.rows).unsqueeze(-1).to(y.dtype)

    def perplexity(self) -> Tensor:
        """Mean over rows of exp(entropy of the row), shape (...): 1 for a matching, m for the independent plan."""
        rows = self._matrix / _mass(self._matrix.sum(-1, keepdim=True))
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
    rho: float | tuple[float | None, float | None] | None = None,
    tol: float = 1e-3,
    max_iter: int = 2000,
    init: Plan | tuple[Tensor, Tensor] | None = None,
    memory: str = "auto",
    sharded: bool = False,
) -> Plan:
    r"""Solve entropic optimal transport.

    .. math:: \min_{P 1 = a,\ P^\top 1 = b} \langle P, C \rangle + \varepsilon\, \mathrm{KL}(P \mid a \otimes b)

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points; or pass the matrix ``C`` (..., n, m) instead of both.
    epsilon : float
        Regularisation in units of the cost. Below 1e-3 times the mean cost, float32 problems are solved in float64.
    cost : "sqeuclidean", "euclidean", "cosine" or callable
        Ground cost, see `monge.ot.costs.as_cost`.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed. With ``rho`` any positive total is.
    rho : float or (float or None, float or None), optional
        Unbalanced transport: a marginal may be left at the price ``rho KL(P 1 | a)``, in units of the cost; None keeps it.
    tol : float
        L1 marginal error at which to stop.
    max_iter : int
        Bound on the iterations, all levels of ε together.
    init : Plan or (f, g), optional
        Warm start from the potential g of a problem of the same sizes.
    memory : "auto", "dense" or "linear"
        Whether to keep an n×m kernel or to make its tiles again in each iteration; "auto" keeps kernels up to 2 GiB.
    sharded : bool
        ``x`` (and ``a``) are this process's share of the rows, ``y`` is the same on all; potentials agree by all-reduce.
        ``value`` is the whole problem's; its gradient in ``x`` is complete, those in ``y`` and ``b`` are this process's summand.

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
    Source: [cuturi2013], [schmitzer2019], [walker2011]. For a debiased loss use `sinkhorn_divergence`, for ε = 0 `wasserstein`.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> plan = sinkhorn(x, x + 2, epsilon=0.01)
    >>> round(plan.cost.item(), 3), plan.converged
    (4.0, True)
    """
    epsilon = check.positive(epsilon, "epsilon")
    check.positive(tol, "tol")
    check.positive(max_iter, "max_iter")
    prices = check.marginal_prices(rho)
    problem = Problem.given(C) if C is not None and x is None and y is None else Problem.between(x, y, cost, C)
    n, m = problem.geometry.n, problem.geometry.m
    free = rho is not None
    share = n / parallel.total_number(n) if sharded else 1.0
    a = check.weights(a, problem.like, n, "a", mass=None if free else share)
    b = check.weights(b, problem.like, m, "b", mass=None if free else 1.0)
    start = check.potentials((init.f, init.g) if isinstance(init, Plan) else init, a, b)
    found = fit(
        problem.geometry,
        problem.flatten(a.detach()),
        problem.flatten(b.detach()),
        epsilon,
        tol,
        max_iter,
        None if start is None else problem.flatten(start[1]),
        powers=_powers(prices, epsilon),
        streamed=linear_memory(memory, problem),
        sharded=sharded,
    )
    return as_plan(problem, a, b, found, epsilon, tol, prices, sharded)


def linear_memory(memory: str, problem: Problem) -> bool:
    """Whether to stream the kernel of a problem."""
    size = math.prod((*problem.batch, problem.geometry.n, problem.geometry.m)) * problem.like.element_size()
    return check.choice(memory, ("auto", "dense", "linear"), "memory") == "linear" or (memory == "auto" and size > _DENSE_BYTES)


def as_plan(
    problem: Problem,
    a: Tensor,
    b: Tensor,
    found: Solution,
    epsilon: float,
    tol: float,
    prices: Rho = (math.inf, math.inf),
    sharded: bool = False,
) -> Plan:
    """Attach the differentiable value to a solution; warn if it did not converge."""
    error = problem.unflatten(found.error)
    converged = bool(found.worst <= tol)
    if not converged:
        warnings.warn(
            f"sinkhorn did not reach tol={tol:.2g}: raise max_iter, epsilon or tol, or use float64; "
            "plan.marginal_error says how near it came",  # no figures here: with one text, Python shows the warning once
            RuntimeWarning,
            stacklevel=3,
        )
    f, g = problem.unflatten(found.f), problem.unflatten(found.g)
    held_a, held_b = a.detach(), b.detach()
    left, right = _dual(f, held_a, prices[0]), _dual(g, held_b, prices[1])
    if sharded:
        left = parallel.total(left)
    number = left + right
    if prices != (math.inf, math.inf):
        mass = problem.unflatten(found.coupling.rows).sum(-1)
        excess = mass - held_a.sum(-1) * held_b.sum(-1)
        number = number - epsilon * (parallel.total(excess) if sharded else excess)
    slopes = (_slope(f, prices[0], epsilon, held_b), _slope(g, prices[1], epsilon, held_a))
    value = _attach(number.to(f.dtype), problem, found.coupling, ((a, slopes[0]), (b, slopes[1])), (f, g, epsilon, prices))
    return Plan(value, f, g, held_a, held_b, epsilon, error, found.n_iter, converged, problem, found.coupling, sharded)


def _powers(prices: Rho, epsilon: float) -> Powers:
    first, second = (1.0 if math.isinf(rho) else rho / (rho + epsilon) for rho in prices)
    return first, second


def _dual(f: Tensor, a: Tensor, rho: float) -> Tensor:
    """−φ*(−f) for the marginal's price: <a, f>, or ρ <a, 1 − e^(−f/ρ)>."""
    return (a * (f if math.isinf(rho) else -rho * torch.expm1(-f / rho))).sum(-1)


def _slope(f: Tensor, rho: float, epsilon: float, other: Tensor) -> Tensor:
    """Derivative of the value in the weights."""
    if math.isinf(rho):
        return f
    return -(rho + epsilon) * torch.expm1(-f / rho) - epsilon * (1 - other.sum(-1, keepdim=True))


def _mass(total: Tensor) -> Tensor:
    return total.clamp_min(torch.finfo(total.dtype).tiny)  # a row of weight zero counts for nothing


class _Envelope(torch.autograd.Function):
    """A number whose gradient in the problem's inputs is that of <P, C> at fixed P, and in the weights is given."""

    @staticmethod
    def forward(ctx: Any, number: Tensor, problem: Problem, P: Coupling, slopes: Any, potentials: Any, *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs)
        ctx.found = problem, P, slopes, potentials
        return number.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        problem, P, slopes, potentials = ctx.found
        wanted, inputs = ctx.needs_input_grad[5:], ctx.saved_tensors
        again = torch.is_grad_enabled()  # create_graph=True
        if again and potentials is not None:
            return None, None, None, None, None, *differentiable_gradients(problem, potentials, inputs, wanted, grad)
        with torch.no_grad():
            found = _gradients(problem, P, slopes, inputs, wanted, grad)
        if again:
            found = [t if t is None else _Held.apply(t, grad, *inputs) for t in found]
        return None, None, None, None, None, *found


class _Held(torch.autograd.Function):
    """A first derivative that holds P fixed; its own derivative would silently miss dP, so it raises."""

    @staticmethod
    def forward(_: Any, gradient: Tensor, *__: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(*_: Any) -> Any:
        raise RuntimeError("plan.cost holds P fixed and has no second derivative: use plan.value")


def _gradients(
    problem: Problem, P: Coupling, slopes: list[Tensor], inputs: tuple[Tensor, ...], wanted: tuple[bool, ...], grad: Tensor
) -> list[Tensor | None]:
    k = len(problem.inputs)
    found: list[Tensor | None] = []
    for t, like in zip(problem.gradients(P, wanted[:k]), inputs, strict=False):
        shaped = None if t is None else problem.unflatten(t)
        found.append(None if shaped is None else (shaped * _beside(grad, shaped)).to(like.dtype))
    return found + [s * grad.unsqueeze(-1) if w else None for s, w in zip(slopes, wanted[k:], strict=True)]


def _attach(number: Tensor, problem: Problem, P: Coupling, weights: Any, potentials: Any) -> Tensor:
    """Give the number its gradients."""
    inputs = (*problem.inputs, *(w for w, _ in weights))
    potentials = potentials if problem.inputs else None
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs):
        number = _Envelope.apply(number, problem, P, [s for _, s in weights], potentials, *inputs)
    return problem.linked(number, P)


def _beside(grad: Tensor, t: Tensor) -> Tensor:
    return grad.reshape(*grad.shape, *(1,) * (t.ndim - grad.ndim))
