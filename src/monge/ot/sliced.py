r"""Transport on lines: the closed form in one dimension, and the sliced distances built on it.

    Rabin, Peyré, Delon & Bernot, "Wasserstein barycenter and its application to texture mixing",
        SSVM 2011 [rabin2011]
    Bonneel, Rabin, Peyré & Pfister, "Sliced and Radon Wasserstein barycenters of measures", JMIV
        2015 [bonneel2015]
    Deshpande et al., "Max-sliced Wasserstein distance and its use for GANs", CVPR 2019
        [deshpande2019]

    u, v    points on lines, one line a row       θ        unit direction, u = θᵀx
    a, b    weights                               q        levels at which either quantile function
            jumps
    δ       u − v for the matched points          mass     weight that a match carries

On a line the optimal plan pairs quantiles, so sorting solves the problem, and the plan gives the
gradient at once: it is computed beside the value and scattered back through the sort.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from . import _validate as check
from ._autograd import asks_gradient, root, with_gradient
from ._geometry import centered

_ENTRIES = 2**20  # of a block of projections: memory stays bounded, and the sort stays in cache
# the mantissa of a float64 is 29 bits longer than a float32's; with one less, rounding back is
# exact
_FREE_BITS = 28
_CANDIDATES = 8  # random directions for each start of the ascent


def wasserstein_1d(
    x: Tensor, y: Tensor, *, p: float = 2, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    r"""Exact Wasserstein distance on the line, in closed form; the p-th root is taken.

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
        In the unit of the values, differentiable once in values and weights (gradient 0 where the
        distance is 0).

    Examples
    --------
    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([4.0, 5.0, 4.0, 5.0]))
    tensor(4.)
    """
    _exponent(p)
    x, y = check.pair(_column(x, "x"), _column(y, "y"))
    a, b = _weights(x, y, a, b)
    x, y = x[..., 0], y[..., 0]
    aw, bw = (None if t is None else t.detach() for t in (a, b))
    line = _solve(x.detach(), y.detach(), aw, bw, p, asks_gradient(x, y, a, b))
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
    r"""Sliced Wasserstein distance, estimated on random directions; the p-th root is taken.

    .. math::

        SW_p = \Bigl(\frac1K \sum_{k=1}^K W_p^p(\theta_k^\top x,\ \theta_k^\top y)\Bigr)^{1/p},
        \qquad \theta_k \text{ uniform on the sphere}

    The cost is K n (d + log n) and memory is linear. In d dimensions expect about W_2 / √d. Source:
    [bonneel2015].

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points, of one dtype and device.
    p : float
        Exponent, at least 1.
    n_projections : int
        Number K of directions; one set serves the whole batch.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default.
    generator : torch.Generator, optional
        Source of the directions; None is torch's default one.
    projections : Tensor (K, d), optional
        Directions of your own, scaled to unit length here; they carry no gradient.

    Returns
    -------
    Tensor (...)
        In the unit of the points and at most W_p, differentiable once in points and weights.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> sliced_wasserstein(x, x + 3, projections=torch.eye(2))
    tensor(3.)
    """
    _exponent(p)
    check.positive(n_projections, "n_projections")
    x, y = check.pair(x, y)
    a, b = _weights(x, y, a, b)
    directions = (
        _random(n_projections, x, generator) if projections is None else _given(projections, x)
    )
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
    r"""Max-sliced Wasserstein distance: the direction that tells the clouds apart best.

    .. math:: \max_{|\theta| = 1} W_p(\theta^\top x,\ \theta^\top y)

    Use it in high dimension, where random directions see little. Source: [deshpande2019].

    Parameters
    ----------
    x, y, p, generator
        As in `sliced_wasserstein`.
    n_iter : int
        Steps of gradient ascent on the sphere.
    n_starts : int
        Ascents, from the difference of the means and from the best of eight times as many random
        directions.

    Returns
    -------
    Tensor (...)
        In the unit of the points; a lower bound of the maximum, for the problem is not concave,
        hence of W_p. Differentiable once in the points, with the direction held fixed (envelope
        theorem).

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> max_sliced_wasserstein(x, x + torch.tensor([3.0, 4.0])).round(decimals=3)
    tensor(5.)
    """
    _exponent(p)
    check.all_positive(n_iter=n_iter, n_starts=n_starts)
    x, y = check.pair(x, y)
    with torch.no_grad():
        best = _ascend(
            *centered(x, y), _random(_CANDIDATES * n_starts, x, generator), p, n_iter, n_starts
        )
    return root(_mean_power(x, y, None, None, best, p), p)


class _Lines(NamedTuple):
    """W_p^p on each line, shape (...), and its gradients in points and weights."""

    value: Tensor
    u: Any = None  # a tensor where asked for, like the next three
    v: Any = None
    a: Any = None
    b: Any = None


def _solve(
    u: Tensor, v: Tensor, a: Tensor | None, b: Tensor | None, p: float, gradient: bool
) -> _Lines:
    us, i = _sort(u, gradient or a is not None)
    vs, j = _sort(v, gradient or b is not None)
    n, m = us.shape[-1], vs.shape[-1]
    if a is None and b is None and n == m:
        cost, slope = _power(us - vs, p, gradient)
        if not gradient:
            return _Lines(cost.mean(-1))
        slope = slope / n
        return _Lines(
            cost.mean(-1),
            torch.empty_like(us).scatter_(-1, i, slope),
            torch.empty_like(vs).scatter_(-1, j, -slope),
        )
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
    # raising the level q moves mass from the match after it to the match before it; a weight raises
    # all levels from its own on
    drop = torch.zeros_like(cost).scatter_(-1, order, -cost.diff(dim=-1, append=cost[..., -1:]))
    potentials = [t.flip(-1).cumsum(-1).flip(-1) for t in drop.split([n, m], -1)]
    ga, gb = (
        torch.empty_like(t).scatter_(-1, index, t)
        for t, index in zip(potentials, (i, j), strict=True)
    )
    return _Lines(value, gu, gv, ga, gb)


def _levels(a: Tensor | None, order: Tensor, n: int, m: int) -> Tensor:
    """Levels at which the quantile function jumps; uniform ones are quotients of integers, so that
    ties are exact.
    """
    if a is None:
        return torch.arange(1, n + 1, device=order.device).mul(m).double() / (n * m)
    levels = a.expand(order.shape).gather(-1, order).double().cumsum(-1)
    return levels / levels[..., -1:]


def _power(difference: Tensor, p: float, slope: bool) -> tuple[Tensor, Tensor]:
    """\\|δ\\|^p and its derivative."""
    if p == 2:
        return difference.square(), 2 * difference if slope else difference
    size = difference.abs()
    return size**p, p * size ** (p - 1) * difference.sign() if slope else difference


def _sort(u: Tensor, ranks: bool) -> tuple[Tensor, Tensor]:
    """Sort the last dimension; the order comes only if ``ranks``.

    On the CPU numpy sorts several times faster than torch.
    """
    if u.device.type != "cpu":
        return u.sort(-1)
    if not ranks:
        return torch.from_numpy(np.sort(u.numpy(), axis=-1)), u
    n = u.shape[-1]
    if u.dtype == torch.float32 and n <= 2**_FREE_BITS:
        # the index rides in the bits that a float32 leaves empty: sorting is faster than argsorting
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
    """Mean over directions (1 or batch, K, d) of W_p^p, shape (...), by blocks of directions."""
    xs, ys = centered(x, y)
    aw, bw = (None if t is None else t.detach().reshape(len(xs), 1, -1) for t in (a, b))
    total, share = xs.new_zeros(len(xs)), 1 / directions.shape[-2]
    gx, gy, ga, gb = (
        None if s is None or not asks_gradient(t) else torch.zeros_like(s)
        for s, t in ((xs, x), (ys, y), (aw, a), (bw, b))
    )
    for block in directions.split(_block(xs, ys), -2):
        line = _solve(block @ xs.mT, block @ ys.mT, aw, bw, p, asks_gradient(x, y, a, b))
        total += share * line.value.sum(-1)
        for sums, rows in ((gx, line.u), (gy, line.v)):
            if sums is not None:
                sums.baddbmm_(rows.mT, block.expand(len(xs), -1, -1), alpha=share)
        for sums, rows in ((ga, line.a), (gb, line.b)):
            if sums is not None:
                sums.add_(rows.sum(-2, keepdim=True), alpha=share)
    return with_gradient(total.view(x.shape[:-2]), (x, gx), (y, gy), (a, ga), (b, gb))


def _ascend(xs: Tensor, ys: Tensor, random: Tensor, p: float, n_iter: int, n_starts: int) -> Tensor:
    """Gradient ascent with a step that grows on success and halves on failure; the best direction,
    (batch, 1, d).
    """
    size = torch.maximum(*(t.abs().amax((-2, -1), keepdim=True) for t in (xs, ys)))
    # powers of a small unit would vanish
    xs, ys = (t / torch.where(size > 0, size, 1) for t in (xs, ys))

    def climb(directions: Tensor) -> tuple[Tensor, Tensor]:
        found = []
        for block in directions.split(_block(xs, ys), -2):
            line = _solve(block @ xs.mT, block @ ys.mT, None, None, p, True)
            found.append((line.value[..., None], line.u @ xs + line.v @ ys))
        values, slopes = zip(*found, strict=True)
        return torch.cat(values, -2), torch.cat(slopes, -2)

    def at(rows: Tensor, *of: Tensor) -> list[Tensor]:
        return [t.gather(-2, rows.expand(-1, -1, t.shape[-1])) for t in of]

    means = normalize((xs.mean(-2) - ys.mean(-2))[:, None], dim=-1)
    start = torch.cat([means, random.expand(len(xs), -1, -1)], -2)
    value, slope = climb(start)
    theta, value, slope = at(value.topk(n_starts, dim=-2).indices, start, value, slope)
    step = torch.ones_like(value)
    for _ in range(n_iter):
        tangent = slope - (slope * theta).sum(-1, keepdim=True) * theta
        trial = normalize(theta + step * normalize(tangent, dim=-1), dim=-1)
        new_value, new_slope = climb(trial)
        better = new_value > value
        theta, value, slope = (
            torch.where(better, new, old)
            for new, old in ((trial, theta), (new_value, value), (new_slope, slope))
        )
        step = torch.where(better, 1.5 * step, step / 2)
    return at(value.argmax(-2, keepdim=True), theta)[0]


def _block(xs: Tensor, ys: Tensor) -> int:
    return max(1, _ENTRIES // (len(xs) * max(xs.shape[-2], ys.shape[-2])))


def _random(count: int, x: Tensor, generator: torch.Generator | None) -> Tensor:
    device = x.device if generator is None else generator.device
    drawn = torch.randn(count, x.shape[-1], generator=generator, dtype=x.dtype, device=device)
    return normalize(drawn.to(x.device), dim=-1)[None]


def _given(projections: Tensor, x: Tensor) -> Tensor:
    d = x.shape[-1]
    if projections.ndim != 2 or projections.shape[1] != d:
        raise ValueError(
            f"projections must have shape (K, {d}), one direction a row, got "
            f"{tuple(projections.shape)}"
        )
    if projections.requires_grad:
        raise ValueError(
            "sliced_wasserstein has no gradient in projections: pass projections.detach()"
        )
    directions = check.points(projections, "projections").to(x)
    lengths = directions.norm(dim=-1, keepdim=True)
    if (lengths == 0).any():
        raise ValueError("projections holds a row of zeros, which is no direction: remove it")
    return (directions / lengths)[None]


def _exponent(p: float) -> None:
    if not 1 <= p < math.inf:
        raise ValueError(f"p must be a finite number >= 1, got {p!r}")


def _column(x: Tensor, name: str) -> Tensor:
    if isinstance(x, Tensor) and x.ndim == 0:
        raise ValueError(f"{name} must have shape (..., n), got a scalar: pass {name}[None]")
    return x[..., None] if isinstance(x, Tensor) else x  # the door refuses what is no tensor


def _weights(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    if a is None and b is None:
        return None, None
    return check.weights(a, x, x.shape[-2], "a"), check.weights(b, y, y.shape[-2], "b")
