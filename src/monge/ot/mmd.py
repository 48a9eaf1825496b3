r"""Distances based on means of pairwise kernels: MMD and energy distance.

    Gretton et al., "A kernel two-sample test", JMLR 2012        [gretton2012]
    Tolstikhin et al., "Wasserstein auto-encoders", ICLR 2018    [tolstikhin2018]
    Székely & Rizzo, "Energy statistics", JSPI 2013              [szekely2013]

    r²      \|x − y\|² for a pair of points     φ       the kernel as a function of r²
    K       φ(r²) on a block of pairs           W       2 φ'(r²), so that ∂φ/∂x = W (x − y)
    u, v    K b and Kᵀ a                        ℓ       length scale

The three sums over pairs, xx, yy and xy, are computed in blocks that stay in cache, together with
their gradients, so that memory is linear. One matrix product gives r² for a block. It loses digits
where r² is far below \|x\|² + \|y\|²: such pairs, which include coincident points, are recomputed
from differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import needs_gradient, non_negative, with_gradient
from ._geometry import LN2, centered, slices

KernelLike: TypeAlias = "str | Callable[[Tensor, Tensor], Tensor]"
# a function of r², K, scratch, W that fills K and W
Profile: TypeAlias = "Callable[[Tensor, Tensor, Tensor, Tensor], None]"

_ENTRIES = {"cpu": 2**18, "cuda": 2**24}  # size of a block: 1 MB in float32 stays in cache
_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def energy_distance(
    x: Tensor,
    y: Tensor,
    *,
    a: Tensor | None = None,
    b: Tensor | None = None,
    unbiased: bool = False,
) -> Tensor:
    r"""Compute the energy distance, which in one dimension is twice the Cramér distance.

    .. math:: 2\,\mathbb{E}|x - y| - \mathbb{E}|x - x'| - \mathbb{E}|y - y'|

    The cost is n m d; memory is linear, including the gradient. The relative error of a pairwise
    distance is at most √ε/2, with ε the precision of the dtype. The result is the square of
    `scipy.stats.energy_distance`. Source: [szekely2013].

    Parameters
    ----------
    x, y : Tensor (..., n, d), (..., m, d)
        Points, of one dtype and device.
    a, b : Tensor (..., n), (..., m), optional
        Weights that sum to one; uniform by default.
    unbiased : bool
        Omit the pairs of a point with itself, so that the expectation is the value of the
        population; the result may be negative. Needs two points of positive weight.

    Returns
    -------
    Tensor (...)
        In the unit of the points; at least 0, and 0 for equal samples, unless ``unbiased``.
        Differentiable once in points and weights, with subgradient 0 at coincident points.

    Examples
    --------
    >>> energy_distance(torch.zeros(2, 1), torch.ones(3, 1))
    tensor(2.)
    """
    x, y = check.pair(x, y)
    a, b = check.weights(a, x, x.shape[-2], "a"), check.weights(b, y, y.shape[-2], "b")
    within_x, within_y, cross = _pair_sums(x, y, a, b, _distance)
    if unbiased:
        within_x, within_y = within_x / _off_diagonal(a, "a"), within_y / _off_diagonal(b, "b")
    value = 2 * cross - within_x - within_y
    return (value if unbiased else non_negative(value)).to(x.dtype)


def mmd(
    x: Tensor,
    y: Tensor,
    *,
    kernel: KernelLike = "imq",
    scales: Sequence[float] | None = None,
    unbiased: bool = True,
    a: Tensor | None = None,
    b: Tensor | None = None,
) -> Tensor:
    r"""Compute the squared maximum mean discrepancy.

    .. math:: \mathbb{E}\,k(x, x') + \mathbb{E}\,k(y, y') - 2\,\mathbb{E}\,k(x, y)

    .. math:: k_\text{imq} = \sum_\ell \frac{\ell^2}{\ell^2 + |x - y|^2}, \qquad
              k_\text{rbf} = \sum_\ell \exp\Bigl(-\frac{|x - y|^2}{2 \ell^2}\Bigr)

    The cost is n m d. Memory is linear for the named kernels; the matrices of a callable are stored
    as a whole. Source: [gretton2012].

    Parameters
    ----------
    x, y, a, b, unbiased
        As in `energy_distance`, but ``unbiased`` is True by default.
    kernel : "imq", "rbf" or callable
        Inverse multiquadric, Gaussian, or a function that maps (..., n, d), (..., m, d) to the
        matrix (..., n, m).
    scales : sequence of float, optional
        Lengths ℓ, in the unit of the points. By default ℓ² is 0.1, 0.2, 0.5, 1, 2, 5 and 10 times
        the mean squared distance between two points drawn from either sample, which is computed
        without gradient: between two samples from N(0, σ² I) it is 2 d σ², the base of
        [tolstikhin2018]. Pass fixed scales to compare values between data sets.

    Returns
    -------
    Tensor (...)
        Without unit; at least 0, and 0 for equal samples, unless ``unbiased``. Differentiable in
        points and weights, only once for the named kernels.

    Examples
    --------
    >>> mmd(torch.zeros(2, 1), torch.ones(2, 1), scales=[1.0])
    tensor(1.)
    """
    x, y = check.pair(x, y)
    a, b = check.weights(a, x, x.shape[-2], "a"), check.weights(b, y, y.shape[-2], "b")
    if callable(kernel):
        if scales is not None:
            raise ValueError(
                f"scales={scales!r} needs a named kernel: put the scales into the callable"
            )
        within_x, diagonal_x = _quadratic(kernel, x, a)
        within_y, diagonal_y = _quadratic(kernel, y, b)
        K = check.cost_matrix(kernel(x, y), "kernel(x, y)")
        cross = (a * (K @ b[..., None])[..., 0]).sum(-1)
    else:
        profile, at_zero, unit = _named(kernel, scales, x, y)
        within_x, within_y, cross = _pair_sums(x / unit, y / unit, a, b, profile)
        diagonal_x = at_zero * a.double().square().sum(-1)
        diagonal_y = at_zero * b.double().square().sum(-1)
    if unbiased:
        within_x = (within_x - diagonal_x) / _off_diagonal(a, "a")
        within_y = (within_y - diagonal_y) / _off_diagonal(b, "b")
    value = within_x + within_y - 2 * cross
    return (value if unbiased else non_negative(value)).to(x.dtype)


def kernel_scales(x: Tensor) -> list[float]:
    """Return the default lengths of `mmd` for two samples from the distribution of x (n, d).

    Use them to compare values of several samples with one reference x. They are multiples of the
    root mean square distance between two points of x, which must not be 0.

    >>> [round(scale, 4) for scale in kernel_scales(torch.tensor([[-1.0], [1.0]]))[3:5]]
    [2.0, 2.8284]
    """
    spread = 2 * x.double().var(0).sum().item()
    return [(share * spread) ** 0.5 for share in _SCALES]


def _off_diagonal(a: Tensor, name: str) -> Tensor:
    """Return the total weight of the pairs of different points."""
    rest = 1 - a.double().square().sum(-1)
    if (rest < torch.finfo(a.dtype).eps).any():
        raise ValueError(
            f"unbiased=True needs two points of positive weight, but {name} has all weight on one: "
            "use unbiased=False"
        )
    return rest


def _quadratic(
    kernel: Callable[[Tensor, Tensor], Tensor], x: Tensor, a: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the sum of aᵢ aⱼ k(xᵢ, xⱼ) over all pairs, and over the diagonal."""
    K = check.cost_matrix(kernel(x, x), "kernel(x, x)")
    total = (a * (K @ a[..., None])[..., 0]).sum(-1)
    return total, (a.square() * K.diagonal(dim1=-2, dim2=-1)).sum(-1)


def _named(
    kernel: str, scales: Sequence[float] | None, x: Tensor, y: Tensor
) -> tuple[Profile, float, Tensor]:
    """Return the profile, its value at r = 0, and its unit of length."""
    if kernel not in ("imq", "rbf"):
        raise ValueError(
            f"kernel must be imq, rbf or a callable (x, y) -> (..., n, m), got {kernel!r}"
        )
    if scales is None:
        x, y = x.detach(), y.detach()
        # center of the pooled sample, in which each cloud has weight 1/2
        center = (x.mean(-2, keepdim=True) + y.mean(-2, keepdim=True)) / 2
        spread = (x - center).square().sum(-1).mean(-1) + (y - center).square().sum(-1).mean(-1)
        squares, unit = list(_SCALES), torch.where(spread > 0, spread, 1)[..., None, None].sqrt()
    else:
        if len(scales) == 0 or not all(0 < scale < math.inf for scale in scales):
            raise ValueError(f"scales must be one or more positive lengths, got {scales!r}")
        squares, unit = [float(scale) ** 2 for scale in scales], x.new_ones(())
    return (_imq if kernel == "imq" else _rbf)(squares), float(len(squares)), unit


def _distance(r2: Tensor, K: Tensor, _: Tensor, W: Tensor) -> None:
    """The profile φ = r with W = 1/r, and W = 0 at r = 0."""
    torch.rsqrt(r2, out=W).masked_fill_(r2 == 0, 0)
    torch.mul(r2, W, out=K)


def _imq(squares: Sequence[float]) -> Profile:
    def profile(r2: Tensor, K: Tensor, scratch: Tensor, W: Tensor) -> None:
        K.zero_()
        W.zero_()
        for c in squares:
            torch.add(r2, c, out=scratch).reciprocal_()
            K.add_(scratch, alpha=c)
            W.addcmul_(scratch, scratch, value=-2 * c)

    return profile


def _rbf(squares: Sequence[float]) -> Profile:
    def profile(r2: Tensor, K: Tensor, scratch: Tensor, W: Tensor) -> None:
        K.zero_()
        W.zero_()
        for c in squares:
            torch.mul(r2, -0.5 / (c * LN2), out=scratch).exp2_()  # several times faster than exp
            K.add_(scratch)
            W.add_(scratch, alpha=-1 / c)

    return profile


def _pair_sums(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, profile: Profile
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums over the pairs within x, within y, and between x and y."""
    within_x = _pair_sum(x, x, a, a, profile, within=True)
    within_y = _pair_sum(y, y, b, b, profile, within=True)
    return within_x, within_y, _pair_sum(x, y, a, b, profile, within=False)


def _pair_sum(x: Tensor, y: Tensor, a: Tensor, b: Tensor, profile: Profile, within: bool) -> Tensor:
    """Return Σ aᵢ bⱼ φ(|xᵢ − yⱼ|²), shape (...), in float64, since three such sums cancel.

    ``within`` means that y, b are x, a.
    """
    xs, ys = centered(x, y)
    aw, bw = (t.detach().reshape(-1, t.shape[-1], 1) for t in (a, b))
    wanted = needs_gradient(x), not within and needs_gradient(y), not within and needs_gradient(b)
    size = max(1, _entries(xs) // (xs.shape[1] * ys.shape[1]))  # problems per chunk
    chunks = zip(*(t.split(size) for t in (xs, ys, aw, bw)), strict=True)
    parts = [_sum(xc, yc, ac, bc, profile, wanted, within) for xc, yc, ac, bc in chunks]
    value, gx, gy, ga, gb = (torch.cat(part) for part in zip(*parts, strict=True))
    if within:
        return with_gradient(value.view(x.shape[:-2]), (x, 2 * gx), (a, 2 * ga))
    return with_gradient(value.view(x.shape[:-2]), (x, gx), (y, gy), (a, ga), (b, gb))


def _sum(
    x: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    profile: Profile,
    wanted: tuple[bool, bool, bool],
    within: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the sum and its gradients in x, y, a and b, by blocks of rows and columns.

    The gradients in x, y and b are computed where ``wanted``. With ``within``, the blocks above the
    diagonal also serve for those below it.
    """
    x_wanted, y_wanted, b_wanted = wanted
    x1, y1 = _lift(x, y)
    ax, by = torch.cat([a * x, a], -1), torch.cat([b * y, b], -1)
    u = torch.zeros_like(a)
    v = torch.zeros_like(b)
    gx = torch.zeros_like(x)
    gy = torch.zeros_like(y)
    if within:
        v, gy = u, gx
    rows, columns = _sides(x.shape[1], y.shape[1], _entries(x) // len(x), within)
    buffers = x.new_empty(4, len(x) * rows * columns)
    for i in slices(x.shape[1], rows):
        for j in slices(y.shape[1], columns):
            if within and j.start < i.start:
                continue
            mirror = within and i != j
            shape = len(x), i.stop - i.start, j.stop - j.start
            r2, K, scratch, W = (t[: math.prod(shape)].view(shape) for t in buffers)
            _squared_distances(x1[:, i], y1[:, j], r2)
            profile(r2, K, scratch, W)
            u[:, i] += K @ b[:, j]
            if b_wanted or mirror:
                v[:, j] += K.mT @ a[:, i]
            if x_wanted:
                gx[:, i] += _pull(a[:, i], x[:, i], W @ by[:, j])
            if y_wanted or (x_wanted and mirror):
                gy[:, j] += _pull(b[:, j], y[:, j], W.mT @ ax[:, i])
    return (a.double() * u).sum((-2, -1)), gx, gy, u, v


def _pull(a: Tensor, x: Tensor, moments: Tensor) -> Tensor:
    """Return aᵢ Σⱼ Wᵢⱼ bⱼ (xᵢ − yⱼ), from the moments Σⱼ Wᵢⱼ bⱼ (yⱼ, 1)."""
    return a * (x * moments[..., -1:] - moments[..., :-1])


def _lift(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return lifted vectors with the inner products |x − y|²."""
    sx, sy = x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
    x1 = torch.cat([x, sx, torch.ones_like(sx)], -1)
    return x1, torch.cat([-2 * y, torch.ones_like(sy), sy], -1)


def _squared_distances(x1: Tensor, y1: Tensor, out: Tensor) -> None:
    """Write |x − y|² into ``out``, from the lifted vectors."""
    torch.bmm(x1, y1.mT, out=out)
    # relative to |x|² + |y|², below this at least half of the digits are lost
    inexact = torch.finfo(out.dtype).eps ** 0.5
    sx, sy = x1[..., -2, None], y1[..., None, :, -1]
    if out.amin() <= inexact * (sx.amax() + sy.amax()):
        near = (out <= inexact * (sx + sy)).nonzero()
        for indices in near.split(max(1, out.numel() // x1.shape[-1])):
            k, i, j = indices.unbind(1)
            out[k, i, j] = (x1[k, i, :-2] + y1[k, j, :-2] / 2).square().sum(-1)


def _entries(x: Tensor) -> int:
    """Return the number of entries of a block."""
    return _ENTRIES.get(x.device.type, _ENTRIES["cpu"])


def _sides(n: int, m: int, entries: int, square: bool) -> tuple[int, int]:
    """Return the rows and columns of a block; one side is longer where the other is short."""
    rows = min(n, max(1, math.isqrt(entries)))
    if square:
        return rows, rows
    columns = min(m, max(1, entries // rows))
    return min(n, max(1, entries // columns)), columns
