"""Ground costs c(x, y) between points.

A cost provides its matrix, the inner product <P, c(x, y)> as a differentiable function of the
points at fixed P, which the envelope theorem needs, and the geometry that the iterations read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ._coupling import Coupling
from ._geometry import Bilinear, Geometry, Pairwise

CostLike: TypeAlias = "str | Callable[[Tensor, Tensor], Tensor]"
Gradients: TypeAlias = "tuple[Tensor | None, Tensor | None]"

_FEW_DIMENSIONS = 4  # up to here squared distances are sums of squared differences


@dataclass(frozen=True)
class Cost:
    """A ground cost.

    ``matrix(x, y)`` maps (..., n, d) and (..., m, d) to (..., n, m). ``inner(P, x, y)`` returns
    Σᵢⱼ Pᵢⱼ c(xᵢ, yⱼ), shape (...). ``geometry(x, y)`` is what the iterations read.
    ``gradients(x, y, geometry, P, wanted)`` returns the gradients of <P, c> in x and y for a plan P
    that is a linear map. It is None for callables, which may have parameters, so that the gradient
    is that of ``inner``.
    """

    matrix: Callable[[Tensor, Tensor], Tensor]
    inner: Callable[[Tensor, Tensor, Tensor], Tensor]
    geometry: Callable[[Tensor, Tensor], Geometry]
    gradients: (
        Callable[[Tensor, Tensor, Geometry, Coupling, tuple[bool, bool]], Gradients] | None
    ) = None


def _center(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return x and y relative to the mean of y, where |x|² is small and hence accurate."""
    center = y.detach().mean(-2, keepdim=True)
    return x - center, y - center


def _sqeuclidean(x: Tensor, y: Tensor) -> Tensor:
    if x.shape[-1] <= _FEW_DIMENSIONS:  # exact differences: no cancellation, and cheap
        coordinates = zip(x.unbind(-1), y.unbind(-1), strict=True)
        terms = ((s[..., :, None] - t[..., None, :]).square() for s, t in coordinates)
        return sum(terms)  # type: ignore
    x, y = _center(x, y)
    squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]
    return (squares - 2 * (x @ y.mT)).clamp_min(0)


def _sqeuclidean_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    x, y = _center(x, y)
    squares = (P.sum(-1) * x.square().sum(-1)).sum(-1) + (P.sum(-2) * y.square().sum(-1)).sum(-1)
    return squares - 2 * (x * (P @ y)).sum((-2, -1))


def _sqeuclidean_geometry(x: Tensor, y: Tensor) -> Geometry:
    x, y = _center(x, y)
    return Bilinear(x, y, torch.linalg.vecdot(x, x), torch.linalg.vecdot(y, y), squared=True)


def _sqeuclidean_gradients(
    _: Tensor, __: Tensor, geometry: Geometry, P: Coupling, wanted: tuple[bool, bool]
) -> Gradients:
    """Return 2 (P1 ∘ x − P y) and 2 (Pᵀ1 ∘ y − Pᵀ x)."""
    assert isinstance(geometry, Bilinear)
    x, y = geometry.q, geometry.k
    dx = dy = None
    if wanted[0]:
        dx = torch.addcmul(P.apply(y), x, P.rows.unsqueeze(-1), value=-1).mul_(-2)
    if wanted[1]:
        dy = torch.addcmul(P.pull(x), y, P.columns.unsqueeze(-1), value=-1).mul_(-2)
    return dx, dy


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    squared = _sqeuclidean(x, y)
    distinct = squared > 0  # at coincident points the subgradient is 0
    return torch.where(distinct, torch.where(distinct, squared, 1).sqrt(), 0)


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return 1 - normalize(x, dim=-1) @ normalize(y, dim=-1).mT


def _cosine_geometry(x: Tensor, y: Tensor) -> Geometry:
    alpha, beta = x.new_ones(x.shape[:-1]), y.new_zeros(y.shape[:-1])
    return Bilinear(normalize(x, dim=-1), normalize(y, dim=-1), alpha, beta)


def _cosine_gradients(
    x: Tensor, y: Tensor, _: Geometry, P: Coupling, wanted: tuple[bool, bool]
) -> Gradients:
    """Return −P ŷ and −Pᵀ x̂, projected on the tangent spaces of the sphere."""
    # the bound 1e-12 is that of torch's normalize
    x_norm, y_norm = (t.norm(dim=-1, keepdim=True).clamp_min(1e-12) for t in (x, y))
    x, y = x / x_norm, y / y_norm

    def project(t: Tensor, norm: Tensor, v: Tensor) -> Tensor:
        return ((t * v).sum(-1, keepdim=True) * t - v) / norm

    dx = project(x, x_norm, P.apply(y)) if wanted[0] else None
    dy = project(y, y_norm, P.pull(x)) if wanted[1] else None
    return dx, dy


def _cosine_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return P.sum((-2, -1)) - (normalize(x, dim=-1) * (P @ normalize(y, dim=-1))).sum((-2, -1))


def _by_matrix(matrix: Callable[[Tensor, Tensor], Tensor], with_gradients: bool = False) -> Cost:
    """Return the cost of a function.

    Its gradients are computed by automatic differentiation, one block of rows at a time.
    """

    def gradients(
        x: Tensor, y: Tensor, _: Geometry, P: Coupling, wanted: tuple[bool, bool]
    ) -> Gradients:
        dx, dy = torch.zeros_like(x), torch.zeros_like(y)
        for rows, tile in P.blocks():
            with torch.enable_grad():
                xs, ys = x[..., rows, :].detach().requires_grad_(), y.detach().requires_grad_()
                dx[..., rows, :], dys = torch.autograd.grad((tile * matrix(xs, ys)).sum(), (xs, ys))
            dy += dys
        return dx if wanted[0] else None, dy if wanted[1] else None

    return Cost(
        matrix,
        lambda P, x, y: (P * matrix(x, y)).sum((-2, -1)),
        lambda x, y: Pairwise(matrix, x, y),
        gradients if with_gradients else None,
    )


_NAMED = {
    "sqeuclidean": Cost(
        _sqeuclidean, _sqeuclidean_inner, _sqeuclidean_geometry, _sqeuclidean_gradients
    ),
    "euclidean": _by_matrix(_euclidean, with_gradients=True),
    "cosine": Cost(_cosine, _cosine_inner, _cosine_geometry, _cosine_gradients),
}


def as_cost(cost: CostLike) -> Cost:
    """Return the `Cost` of a name or a callable.

    ``"sqeuclidean"`` is \\|x − y\\|² (not halved), ``"euclidean"`` is \\|x − y\\|, and ``"cosine"``
    is 1 − cos(x, y). A callable maps (..., n, d) and (..., m, d) to (..., n, m).

    >>> as_cost("sqeuclidean").matrix(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[2.]])
    """
    if callable(cost):
        return _by_matrix(cost)
    if cost not in _NAMED:
        raise ValueError(
            f"cost must be one of {', '.join(_NAMED)} or a callable (x, y) -> (..., n, m), got "
            f"{cost!r}"
        )
    return _NAMED[cost]
