r"""Transport in one dimension, in closed form, and the sliced distances based on it.

    Rabin, Peyré, Delon & Bernot, "Wasserstein barycenter and its application to texture mixing",
        SSVM 2011 [rabin2011]
    Bonneel, Rabin, Peyré & Pfister, "Sliced and Radon Wasserstein barycenters of measures", JMIV
        2015 [bonneel2015]
    Deshpande et al., "Max-sliced Wasserstein distance and its use for GANs", CVPR 2019
        [deshpande2019]

    u, v    points on lines, one line per row    θ       unit direction, u = θᵀx
    a, b    weights                              q       levels where a quantile function jumps
    δ       u − v for matched points             mass    mass of a match

On a line the optimal plan matches quantiles, so the problem is solved by sorting. The plan also
gives the gradient, which is computed together with the value and scattered back through the sort.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from . import _validate as check
from ._autograd import needs_gradient, root, with_gradient
from ._geometry import centered

_ENTRIES = 2**20  # size of a block of projections: it bounds memory, and the sort stays in cache
# The mantissa of float64 is 29 bits longer than that of float32; one bit less makes rounding exact.
_FREE_BITS = 28
_CANDIDATES = 8  # random directions per start of the ascent


def wasserstein_1d(
    x: Tensor, y: Tensor, *, p: float = 2, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    r"""Compute the exact Wasserstein distance on the line, including the p-th root.

    .. math:: W_p = \Bigl(\int_0^1 |F_x^{-1}(q) - F_y^{-1}(q)|^p \,dq\Bigr)^{1/p}

    The cost is that of sorting, n log n. Source: [rabin2011].

    Parameters
    ----------
    x, y : Tensor (..., n), (..., m)
        Values, of one dtype and device; n and m may differ.
    p : float
        Exponent, at least 1.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default. Zero weights are allowed.

    Returns
    -------
    Tensor (...)
        Distance in the unit of the values, differentiable once in values and weights (with gradient
        0 where the distance is 0).

    Examples
    --------
    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([4.0, 5.0, 4.0, 5.0]))
    tensor(4.)
    """
    _check_exponent(p)
    x, y = check.pair(_column(x, "x"), _column(y, "y"))
    a, b = _weights(x, y, a, b)
    x, y = x[..., 0], y[..., 0]
    aw, bw = (None if t is None else t.detach() for t in (a, b))
    line = _solve(x.detach(), y.detach(), aw, bw, p, needs_gradient(x, y, a, b))
    return root(with_gradient(line.value, (x, line.u), (y, line.v), (a, line.a), (b, line.b)), p)


def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    *,
    p: float = 2,
    n_projections: int = 128,
    a: Tensor | None = None,
    b: Tensor | None = None,
    generator: torch.Generator | None = None,
    projections: Tensor | None = None,
) -> Tensor:
    r"""Estimate the sliced Wasserstein distance from random directions, including the p-th root.

    .. math::

        SW_p = \Bigl(\frac1K \sum_{k=1}^K W_p^p(\theta_k^\top x,\ \theta_k^\top y)\Bigr)^{1/p},
        \qquad \theta_k \text{ uniform on the sphere}

    The cost is K n (d + log n) and memory is linear. In d dimensions the value is typically about
    W_2 / √d. Source: [bonneel2015].

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points, of one dtype and device.
    p : float
        Exponent, at least 1.
    n_projections : int
        Number K of directions, which are the same for the whole batch.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default.
    generator : torch.Generator, optional
        Random number generator for the directions; by default that of torch.
    projections : Tensor (K, d), optional
        Directions to use in place of random ones; they are normalized and have no gradient.

    Returns
    -------
    Tensor (...)
        Distance in the unit of the points, at most W_p, differentiable once in points and weights.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> sliced_wasserstein(x, x + 3, projections=torch.eye(2))
    tensor(3.)
    """
    _check_exponent(p)
    check.positive(n_projections, "n_projections")
    x, y = check.pair(x, y)
    a, b = _weights(x, y, a, b)
    if projections is None:
        directions = _random_directions(n_projections, x, generator)
    else:
        directions = _given_directions(projections, x)
    return root(_mean_power(x, y, a, b, directions, p), p)


def max_sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    *,
    p: float = 2,
    n_iter: int = 50,
    n_starts: int = 8,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Compute the max-sliced Wasserstein distance, that of the direction of largest distance.

    .. math:: \max_{|\theta| = 1} W_p(\theta^\top x,\ \theta^\top y)

    Use it in high dimension, where distances along random directions are small. Source:
    [deshpande2019].

    Parameters
    ----------
    x, y, p, generator
        As in `sliced_wasserstein`.
    n_iter : int
        Steps of gradient ascent on the sphere.
    n_starts : int
        Number of ascents. They start at the best of these directions: the difference of the means,
        and eight times as many random directions as ascents.

    Returns
    -------
    Tensor (...)
        Distance in the unit of the points. It is a lower bound of the maximum, since the problem is
        not concave, and hence of W_p. Differentiable once in the points, with the direction held
        fixed (envelope theorem).

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> max_sliced_wasserstein(x, x + torch.tensor([3.0, 4.0])).round(decimals=3)
    tensor(5.)
    """
    _check_exponent(p)
    check.all_positive(n_iter=n_iter, n_starts=n_starts)
    x, y = check.pair(x, y)
    with torch.no_grad():
        candidates = _random_directions(_CANDIDATES * n_starts, x, generator)
        best = _ascend(*centered(x, y), candidates, p, n_iter, n_starts)
    return root(_mean_power(x, y, None, None, best, p), p)


class _Lines(NamedTuple):
    """W_p^p on each line, shape (...), and its gradients in points and weights."""

    value: Tensor
    u: Any = None  # this and the next three are tensors where they are needed
    v: Any = None
    a: Any = None
    b: Any = None


def _solve(
    u: Tensor, v: Tensor, a: Tensor | None, b: Tensor | None, p: float, gradient: bool
) -> _Lines:
    """Solve the problem of each line, with gradients where ``gradient``."""
    us, i = _sort(u, gradient or a is not None)
    vs, j = _sort(v, gradient or b is not None)
    n, m = us.shape[-1], vs.shape[-1]
    if a is None and b is None and n == m:
        cost, slope = _power(us - vs, p, gradient)
        if not gradient:
            return _Lines(cost.mean(-1))
        slope = slope / n
        gu = torch.empty_like(us).scatter_(-1, i, slope)
        gv = torch.empty_like(vs).scatter_(-1, j, -slope)
        return _Lines(cost.mean(-1), gu, gv)
    jumps = torch.cat([_levels(a, i, n, m), _levels(b, j, m, n)], -1).expand(*us.shape[:-1], n + m)
    q, order = _sort(jumps, True)
    left = (order < n).long()
    row = left.cumsum(-1) - left
    column = torch.arange(n + m, device=row.device) - row
    row, column = row.clamp_max(n - 1), column.clamp_max(m - 1)
    mass = q.diff(dim=-1, prepend=torch.zeros_like(q[..., :1])).to(us.dtype)
    cost, slope = _power(us.gather(-1, row) - vs.gather(-1, column), p, gradient)
    value = (mass * cost).sum(-1)
    if not gradient:
        return _Lines(value)
    gu = torch.zeros_like(us).scatter_add_(-1, i.gather(-1, row), mass * slope)
    gv = torch.zeros_like(vs).scatter_add_(-1, j.gather(-1, column), -mass * slope)
    if a is None or b is None:
        return _Lines(value, gu, gv)
    # A larger level q moves mass from the match after it to the match before it. A larger weight
    # raises the level of its point and all levels after it.
    drop = torch.zeros_like(cost).scatter_(-1, order, -cost.diff(dim=-1, append=cost[..., -1:]))
    f, g = (t.flip(-1).cumsum(-1).flip(-1) for t in drop.split([n, m], -1))
    ga = torch.empty_like(f).scatter_(-1, i, f)
    gb = torch.empty_like(g).scatter_(-1, j, g)
    return _Lines(value, gu, gv, ga, gb)


def _levels(a: Tensor | None, order: Tensor, n: int, m: int) -> Tensor:
    """Return the levels at which the quantile function jumps.

    Those of uniform weights are quotients of integers, so that ties are exact.
    """
    if a is None:
        return torch.arange(1, n + 1, device=order.device).mul(m).double() / (n * m)
    levels = a.expand(order.shape).gather(-1, order).double().cumsum(-1)
    return levels / levels[..., -1:]


def _power(difference: Tensor, p: float, slope: bool) -> tuple[Tensor, Tensor]:
    """Return \\|δ\\|^p and, if ``slope``, its derivative."""
    if p == 2:
        return difference.square(), 2 * difference if slope else difference
    size = difference.abs()
    return size**p, p * size ** (p - 1) * difference.sign() if slope else difference


def _sort(u: Tensor, ranks: bool) -> tuple[Tensor, Tensor]:
    """Sort the last dimension; return the order only if ``ranks``.

    On the CPU, numpy sorts several times faster than torch.
    """
    if u.device.type != "cpu":
        return u.sort(-1)
    if not ranks:
        return torch.from_numpy(np.sort(u.numpy(), axis=-1)), u
    n = u.shape[-1]
    if u.dtype == torch.float32 and n <= 2**_FREE_BITS:
        # the index is stored in the bits that a float32 leaves empty: sorting beats argsorting
        keys = u.double()
        bits = keys.view(torch.int64)
        bits |= torch.arange(n)
        keys.numpy().sort(axis=-1)
        return keys.float(), bits & (2**_FREE_BITS - 1)
    order = torch.from_numpy(np.argsort(u.numpy(), axis=-1))
    return u.gather(-1, order), order


def _mean_power(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None, directions: Tensor, p: float
) -> Tensor:
    """Return the mean of W_p^p over directions (1 or batch, K, d), shape (...), by blocks."""
    xs, ys = centered(x, y)
    aw, bw = (None if t is None else t.detach().reshape(len(xs), 1, -1) for t in (a, b))
    total, share = xs.new_zeros(len(xs)), 1 / directions.shape[-2]
    gx, gy, ga, gb = (
        None if s is None or not needs_gradient(t) else torch.zeros_like(s)
        for s, t in ((xs, x), (ys, y), (aw, a), (bw, b))
    )
    for block in directions.split(_block(xs, ys), -2):
        line = _solve(block @ xs.mT, block @ ys.mT, aw, bw, p, needs_gradient(x, y, a, b))
        total += share * line.value.sum(-1)
        for sums, rows in ((gx, line.u), (gy, line.v)):
            if sums is not None:
                sums.baddbmm_(rows.mT, block.expand(len(xs), -1, -1), alpha=share)
        for sums, rows in ((ga, line.a), (gb, line.b)):
            if sums is not None:
                sums.add_(rows.sum(-2, keepdim=True), alpha=share)
    return with_gradient(total.view(x.shape[:-2]), (x, gx), (y, gy), (a, ga), (b, gb))


def _ascend(
    xs: Tensor, ys: Tensor, candidates: Tensor, p: float, n_iter: int, n_starts: int
) -> Tensor:
    """Maximize W_p^p by gradient ascent; return the best direction, (batch, 1, d).

    The step grows on success and is halved on failure.
    """
    size = torch.maximum(*(t.abs().amax((-2, -1), keepdim=True) for t in (xs, ys)))
    # otherwise powers of small distances would underflow
    xs, ys = (t / torch.where(size > 0, size, 1) for t in (xs, ys))

    def evaluate(directions: Tensor) -> tuple[Tensor, Tensor]:
        values, slopes = [], []
        for block in directions.split(_block(xs, ys), -2):
            line = _solve(block @ xs.mT, block @ ys.mT, None, None, p, True)
            values.append(line.value[..., None])
            slopes.append(line.u @ xs + line.v @ ys)
        return torch.cat(values, -2), torch.cat(slopes, -2)

    def select(rows: Tensor, *tensors: Tensor) -> list[Tensor]:
        return [t.gather(-2, rows.expand(-1, -1, t.shape[-1])) for t in tensors]

    means = normalize((xs.mean(-2) - ys.mean(-2))[:, None], dim=-1)
    start = torch.cat([means, candidates.expand(len(xs), -1, -1)], -2)
    value, slope = evaluate(start)
    theta, value, slope = select(value.topk(n_starts, dim=-2).indices, start, value, slope)
    step = torch.ones_like(value)
    for _ in range(n_iter):
        tangent = slope - (slope * theta).sum(-1, keepdim=True) * theta
        trial = normalize(theta + step * normalize(tangent, dim=-1), dim=-1)
        new_value, new_slope = evaluate(trial)
        better = new_value > value
        theta = torch.where(better, trial, theta)
        value = torch.where(better, new_value, value)
        slope = torch.where(better, new_slope, slope)
        step = torch.where(better, 1.5 * step, step / 2)
    return select(value.argmax(-2, keepdim=True), theta)[0]


def _block(xs: Tensor, ys: Tensor) -> int:
    """Return the number of directions in a block."""
    return max(1, _ENTRIES // (len(xs) * max(xs.shape[-2], ys.shape[-2])))


def _random_directions(count: int, x: Tensor, generator: torch.Generator | None) -> Tensor:
    device, dtype = x.device if generator is None else generator.device, x.dtype
    normal = torch.randn(count, x.shape[-1], generator=generator, dtype=dtype, device=device)
    return normalize(normal.to(x.device), dim=-1)[None]


def _given_directions(projections: Tensor, x: Tensor) -> Tensor:
    d = x.shape[-1]
    if projections.ndim != 2 or projections.shape[1] != d:
        shape = tuple(projections.shape)
        raise ValueError(
            f"projections must have shape (K, {d}), one direction per row, got {shape}"
        )
    if projections.requires_grad:
        raise ValueError(
            "sliced_wasserstein has no gradient in projections: pass projections.detach()"
        )
    directions = check.points(projections, "projections").to(x)
    lengths = directions.norm(dim=-1, keepdim=True)
    if (lengths == 0).any():
        raise ValueError("projections has a row of zeros, which has no direction: remove it")
    return (directions / lengths)[None]


def _check_exponent(p: float) -> None:
    if not 1 <= p < math.inf:
        raise ValueError(f"p must be a finite number >= 1, got {p!r}")


def _column(x: Tensor, name: str) -> Tensor:
    if isinstance(x, Tensor) and x.ndim == 0:
        raise ValueError(f"{name} must have shape (..., n), got a scalar: pass {name}[None]")
    return x[..., None] if isinstance(x, Tensor) else x  # `check.pair` rejects other types


def _weights(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Return weights for both clouds, or None twice where both are uniform."""
    if a is None and b is None:
        return None, None
    return check.weights(a, x, x.shape[-2], "a"), check.weights(b, y, y.shape[-2], "b")
