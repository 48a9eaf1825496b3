"""The result of entropic transport: numbers, and the plan as a linear map."""

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
        min over P of ``<P, C> + epsilon KL(P | a⊗b)``, with ``rho`` plus ``rho KL(P 1 | a) + rho
        KL(Pᵀ 1 | b)``, from the dual. Differentiable in points, weights and cost matrix by the
        envelope theorem; twice by implicit differentiation.
    f, g : Tensor (..., n), (..., m)
        Dual potentials, in units of the cost, without gradient, in the dtype of the points: at ε =
        1e-5 times the mean cost a plan made from float32 ones is off by 4e-3 in its marginals;
        ``matrix`` and the gradients do not go through them.
    a, b : Tensor (..., n), (..., m)
        The weights.
    epsilon : float
        Regularization, in units of the cost.
    marginal_error : Tensor (...)
        L1 distance of P's column sums from b (its row sums are exact); with ``rho``, how far b is
        from a fixed point.
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
        """P, shape (..., n, m), without gradient."""
        return self._matrix

    def rounded(self) -> Tensor:
        """P moved by about ``marginal_error`` so that both marginals are exact, (..., n, m)
        [altschuler2017].
        """
        P = self._matrix * (self.a / _mass(self._matrix.sum(-1))).clamp_max(1).unsqueeze(-1)
        P = P * (self.b / _mass(P.sum(-2))).clamp_max(1).unsqueeze(-2)
        left, right = (self.a - P.sum(-1)).clamp_min(0), (self.b - P.sum(-2)).clamp_min(0)
        return P + left.unsqueeze(-1) * (right / _mass(right.sum(-1, keepdim=True))).unsqueeze(-2)

    def apply(self, v: Tensor) -> Tensor:
        """P v for v of shape (..., m, k); the result has shape (..., n, k)."""
        batch = self.a.shape[:-1]
        return unflat(
            self._coupling.apply(flat(v.detach(), batch).to(self._coupling.rows.dtype)), batch
        ).to(v.dtype)

    def barycentric_map(self) -> Tensor:
        """Σⱼ Pᵢⱼ yⱼ / Σⱼ Pᵢⱼ: where each xᵢ goes on average, shape (..., n, d); also where its
        weight is zero.
        """
        if self._image is None:
            raise ValueError(
                "barycentric_map needs the points y, but sinkhorn was given C: use plan.apply(y) "
                "instead"
            )
        return self._image()

    def perplexity(self) -> Tensor:
        """Mean over rows of exp(entropy of the row), shape (...): 1 for a matching, m for the
        independent plan.
        """
        rows = self._matrix / _mass(self._matrix.sum(-1, keepdim=True))
        entropy = -torch.special.xlogy(rows, rows).sum(-1)
        return (self.a * entropy.exp()).sum(-1)


def _mass(total: Tensor) -> Tensor:
    return total.clamp_min(torch.finfo(total.dtype).tiny)  # a row of weight zero counts for nothing
