"""Ground costs c(x, y) between points.

Every cost knows its matrix, the inner product <P, c(x, y)> as a function that can be differentiated
in the points while P stays fixed (all that the envelope theorem asks for), and the geometry that
the iterations work on.
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

_FEW_DIMENSIONS = 4


@dataclass(frozen=True)
class Cost:
    """A ground cost.

    ``matrix(x, y)`` maps (..., n, d) and (..., m, d) to (..., n, m). ``inner(P, x, y)`` is Σᵢⱼ Pᵢⱼ
    c(xᵢ, yⱼ), shape (...). ``geometry(x, y)`` serves the iterations. ``gradients(x, y, geometry, P,
    wanted)`` are those of <P, c> in x and in y, for a P that is a linear map; None where only
    `inner` knows them, since a callable may hold parameters.
    """

    matrix: Callable[[Tensor, Tensor], Tensor]
    inner: Callable[[Tensor, Tensor, Tensor], Tensor]
    geometry: Callable[[Tensor, Tensor], Geometry]
    gradients: (
        Callable[[Tensor, Tensor, Geometry, Coupling, tuple[bool, bool]], Gradients] | None
    ) = None


def _about_center(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    # translation invariance keeps |x|² small, hence accurate
    center = y.detach().mean(-2, keepdim=True)
    return x - center, y - center


def _sqeuclidean(x: Tensor, y: Tensor) -> Tensor:
    if x.shape[-1] <= _FEW_DIMENSIONS:  # exact differences: no cancellation, and cheap
        xs, ys = x.unbind(-1), y.unbind(-1)
        return sum(
            (s[..., :, None] - t[..., None, :]).square() for s, t in zip(xs, ys, strict=True)
        )  # type: ignore
    x, y = _about_center(x, y)
    squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]
    return (squares - 2 * (x @ y.mT)).clamp_min(0)


def _sqeuclidean_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    x, y = _about_center(x, y)
    squares = (P.sum(-1) * x.square().sum(-1)).sum(-1) + (P.sum(-2) * y.square().sum(-1)).sum(-1)
    return squares - 2 * (x * (P @ y)).sum((-2, -1))


def _sqeuclidean_geometry(x: Tensor, y: Tensor) -> Geometry:
    x, y = _about_center(x, y)
    return Bilinear(x, y, torch.linalg.vecdot(x, x), torch.linalg.vecdot(y, y), squared=True)


def _sqeuclidean_gradients(
    _: Tensor, __: Tensor, geometry: Geometry, P: Coupling, wanted: tuple[bool, bool]
) -> Gradients:
    """2 (P1 ∘ x − P y) and 2 (Pᵀ1 ∘ y − Pᵀ x)."""
    assert isinstance(geometry, Bilinear)
    x, y = geometry.q, geometry.k
    dx = (
        torch.addcmul(P.apply(y), x, P.rows.unsqueeze(-1), value=-1).mul_(-2) if wanted[0] else None
    )
    dy = (
        torch.addcmul(P.pull(x), y, P.columns.unsqueeze(-1), value=-1).mul_(-2)
        if wanted[1]
        else None
    )
    return dx, dy


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    squared = _sqeuclidean(x, y)
    apart = squared > 0  # at coincident points the subgradient 0 is taken
    return torch.where(apart, torch.where(apart, squared, 1).sqrt(), 0)


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return 1 - normalize(x, dim=-1) @ normalize(y, dim=-1).mT


def _cosine_geometry(x: Tensor, y: Tensor) -> Geometry:
    return Bilinear(
        normalize(x, dim=-1),
        normalize(y, dim=-1),
        x.new_ones(x.shape[:-1]),
        y.new_zeros(y.shape[:-1]),
    )


def _cosine_gradients(
    x: Tensor, y: Tensor, _: Geometry, P: Coupling, wanted: tuple[bool, bool]
) -> Gradients:
    """−P ŷ and −Pᵀ x̂, along the sphere."""
    # 1e-12 as in torch's normalize
    x_norm, y_norm = (t.norm(dim=-1, keepdim=True).clamp_min(1e-12) for t in (x, y))
    x, y = x / x_norm, y / y_norm

    def along(t: Tensor, norm: Tensor, v: Tensor) -> Tensor:
        return ((t * v).sum(-1, keepdim=True) * t - v) / norm

    return along(x, x_norm, P.apply(y)) if wanted[0] else None, along(
        y, y_norm, P.pull(x)
    ) if wanted[1] else None


def _cosine_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return P.sum((-2, -1)) - (normalize(x, dim=-1) * (P @ normalize(y, dim=-1))).sum((-2, -1))


def _by_matrix(matrix: Callable[[Tensor, Tensor], Tensor], with_gradients: bool = False) -> Cost:
    """The cost of a function; its gradients are found by automatic differentiation, a block of rows
    at a time.
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
    """Return the `Cost` for a name or a callable.

    ``"sqeuclidean"`` is \\|x − y\\|² (not halved), ``"euclidean"`` \\|x − y\\|, ``"cosine"`` 1 −
    cos(x, y). A callable maps (..., n, d), (..., m, d) to (..., n, m).

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
