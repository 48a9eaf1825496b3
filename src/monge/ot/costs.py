"""Ground costs c(x, y) between points.

Every cost knows two things: its matrix, and the inner product <P, c(x, y)> as a function that can be differentiated
in the points while P stays fixed. The second is all that the envelope theorem asks for, and for costs that are affine in
x yᵀ it needs one product P y and no n×m intermediate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import normalize

CostLike: TypeAlias = "str | Callable[[Tensor, Tensor], Tensor]"

_FEW_DIMENSIONS = 4


@dataclass(frozen=True)
class Cost:
    """A ground cost.

    ``matrix(x, y)`` maps (..., n, d) and (..., m, d) to (..., n, m). ``inner(P, x, y)`` is Σᵢⱼ Pᵢⱼ c(xᵢ, yⱼ), shape (...).
    """

    matrix: Callable[[Tensor, Tensor], Tensor]
    inner: Callable[[Tensor, Tensor, Tensor], Tensor]


def _sqeuclidean(x: Tensor, y: Tensor) -> Tensor:
    if x.shape[-1] <= _FEW_DIMENSIONS:  # exact differences: no cancellation, and cheap
        xs, ys = x.unbind(-1), y.unbind(-1)
        return sum((s[..., :, None] - t[..., None, :]).square() for s, t in zip(xs, ys, strict=True))  # type: ignore
    centre = y.detach().mean(-2, keepdim=True)  # translation invariance keeps |x|² small, hence accurate
    x, y = x - centre, y - centre
    squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]
    return (squares - 2 * (x @ y.mT)).clamp_min(0)


def _sqeuclidean_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    centre = y.detach().mean(-2, keepdim=True)
    x, y = x - centre, y - centre
    squares = (P.sum(-1) * x.square().sum(-1)).sum(-1) + (P.sum(-2) * y.square().sum(-1)).sum(-1)
    return squares - 2 * (x * (P @ y)).sum((-2, -1))


def _euclidean(x: Tensor, y: Tensor) -> Tensor:
    squared = _sqeuclidean(x, y)
    apart = squared > 0  # at coincident points the subgradient 0 is taken
    return torch.where(apart, torch.where(apart, squared, 1).sqrt(), 0)


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    return 1 - normalize(x, dim=-1) @ normalize(y, dim=-1).mT


def _cosine_inner(P: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return P.sum((-2, -1)) - (normalize(x, dim=-1) * (P @ normalize(y, dim=-1))).sum((-2, -1))


def _inner_by_matrix(matrix: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda P, x, y: (P * matrix(x, y)).sum((-2, -1))


_NAMED = {
    "sqeuclidean": Cost(_sqeuclidean, _sqeuclidean_inner),
    "euclidean": Cost(_euclidean, _inner_by_matrix(_euclidean)),
    "cosine": Cost(_cosine, _cosine_inner),
}


def as_cost(cost: CostLike) -> Cost:
    """Return the `Cost` for a name or a callable.

    ``"sqeuclidean"`` is \\|x − y\\|² (not halved), ``"euclidean"`` \\|x − y\\|, ``"cosine"`` 1 − cos(x, y). A callable maps
    (..., n, d), (..., m, d) to (..., n, m).

    >>> import torch
    >>> as_cost("sqeuclidean").matrix(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[2.]])
    """
    if callable(cost):
        return Cost(cost, _inner_by_matrix(cost))
    if cost not in _NAMED:
        raise ValueError(f"cost must be one of {', '.join(_NAMED)} or a callable (x, y) -> (..., n, m), got {cost!r}")
    return _NAMED[cost]
