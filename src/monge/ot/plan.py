"""The result of entropic transport: values, potentials, and the plan as a linear map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ._coupling import LinearMap
from ._geometry import flat, unflat


@dataclass(frozen=True)
class Plan:
    """An entropic transport plan.

    Attributes
    ----------
    value : Tensor (...)
        Minimum over P of ``<P, C> + epsilon KL(P | a⊗b)``, with ``rho`` plus
        ``rho KL(P 1 | a) + rho KL(Pᵀ 1 | b)``, computed from the dual. Differentiable in points,
        weights and cost matrix by the envelope theorem, and twice by implicit differentiation.
    f, g : Tensor (..., n), (..., m)
        Dual potentials, in units of the cost, without gradient, in the dtype of the points. At ε =
        1e-5 times the mean cost, a plan computed from float32 potentials has a marginal error of
        4e-3; ``matrix`` and the gradients do not use them.
    a, b : Tensor (..., n), (..., m)
        Weights.
    epsilon : float
        Regularization, in units of the cost.
    marginal_error : Tensor (...)
        L1 distance of the column sums of P from b (the row sums are exact); with ``rho``, distance
        from a fixed point of the iteration, weighted by b.
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
    _coupling: LinearMap = field(repr=False)  # over one batch dimension or none
    _cost: Callable[[], Tensor] = field(repr=False)  # <P, C>
    # the barycentric map, where there are points
    _image: Callable[[], Tensor] | None = field(repr=False, default=None)

    @cached_property
    def _matrix(self) -> Tensor:
        return unflat(self._coupling.matrix(), self.a.shape[:-1]).to(self.f.dtype)

    @cached_property
    def cost(self) -> Tensor:
        """<P, C>, shape (...). Its gradient holds P fixed, as OT-GAN does [salimans2018]."""
        return self._cost()

    def matrix(self) -> Tensor:
        """Return P, shape (..., n, m), without gradient."""
        return self._matrix

    def rounded(self) -> Tensor:
        """Return a plan with exact marginals, (..., n, m) [altschuler2017].

        Its L1 distance from P is about ``marginal_error``.
        """
        P = self._matrix * (self.a / _mass(self._matrix.sum(-1))).clamp_max(1).unsqueeze(-1)
        P = P * (self.b / _mass(P.sum(-2))).clamp_max(1).unsqueeze(-2)
        left, right = (self.a - P.sum(-1)).clamp_min(0), (self.b - P.sum(-2)).clamp_min(0)
        return P + left.unsqueeze(-1) * (right / _mass(right.sum(-1, keepdim=True))).unsqueeze(-2)

    def apply(self, v: Tensor) -> Tensor:
        """Return P v, shape (..., n, k), for v of shape (..., m, k)."""
        batch, dtype = self.a.shape[:-1], self._coupling.rows.dtype
        Pv = self._coupling.apply(flat(v.detach(), batch).to(dtype))
        return unflat(Pv, batch).to(v.dtype)

    def barycentric_map(self) -> Tensor:
        """Return the mean image Σⱼ Pᵢⱼ yⱼ / Σⱼ Pᵢⱼ of each xᵢ, shape (..., n, d).

        It is also defined for points of zero weight.
        """
        if self._image is None:
            raise ValueError(
                "barycentric_map needs the points y, but the plan was computed from a cost matrix: "
                "use plan.apply(y) instead"
            )
        return self._image()

    def perplexity(self) -> Tensor:
        """Return the mean of exp(entropy of a row) over the rows, shape (...).

        It is 1 for a matching and m for the independent plan.
        """
        rows = self._matrix / _mass(self._matrix.sum(-1, keepdim=True))
        entropy = -torch.special.xlogy(rows, rows).sum(-1)
        return (self.a * entropy.exp()).sum(-1)


def _mass(total: Tensor) -> Tensor:
    return total.clamp_min(torch.finfo(total.dtype).tiny)  # rows of zero weight: avoid 0/0
