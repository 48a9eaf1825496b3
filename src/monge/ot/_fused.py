"""The streamed iteration on CUDA: two fused log-sum-exps a sweep, with the tiles on chip.

The scores are <qᵢ, kⱼ> + hⱼ of `_triton`: half a sweep is one pass over them, and P v is their soft
mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor

from .. import parallel
from ._coupling import Coupling
from ._geometry import Bilinear
from ._kernel import Task, damped, dual_value


class Fused:
    """The operator of `_kernel.Streamed`, for C = α ⊕ β − s q kᵀ; ``kernels`` offers ``lse`` and
    ``mean``.
    """

    damping = 1.0

    def __init__(self, kernels: ModuleType, task: Task) -> None:
        assert isinstance(task.geometry, Bilinear)
        self._kernels, self._geometry, self._task = kernels, task.geometry, task

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        self._q, self._k = (
            t * (self._geometry.factor / epsilon) for t in (self._geometry.q, self._geometry.k)
        )

    def sweep(self, h: Tensor) -> Tensor:
        epsilon, geometry, task = self._epsilon, self._geometry, self._task
        self._h_b = h + self._g / epsilon + task.b.log()
        self._lse = self._kernels.lse(self._q, geometry.k, self._h_b)
        self._f = damped(-epsilon * self._lse, geometry.alpha, task.damping[0])
        self._h_a = self._f / epsilon + task.a.log()
        self._columns = self._kernels.lse(self._k, geometry.q, self._h_a)
        if task.sharded:
            self._columns = torch.logsumexp(parallel.gather(self._columns.unsqueeze(0)), 0)
        t = (damped(-epsilon * self._columns, geometry.beta, task.damping[1]) - self._g) / epsilon
        return t if task.zero_mass is None else t.masked_fill_(task.zero_mass, 0)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self._f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        return dual_value(self._task, *self.potentials(h), self._epsilon)

    def coupling(self) -> Coupling:
        return _FusedCoupling(self)


class _FusedCoupling:
    """P = diag(rows) · softmax of the scores, and the same from the other side."""

    def __init__(self, swept: Fused) -> None:
        self._kernels, geometry = swept._kernels, swept._geometry
        self._forth = swept._q, geometry.k, swept._h_b
        self._back = swept._k, geometry.q, swept._h_a
        self._lse = swept._lse
        self._own = self._kernels.lse(*self._back)
        self.rows = (swept._h_a + swept._lse).exp()
        self.columns = (swept._h_b + self._own).exp()
        self._geometry = geometry

    def apply(self, v: Tensor) -> Tensor:
        return self.rows.unsqueeze(-1) * self._kernels.mean(*self._forth, self._lse, v.contiguous())

    def pull(self, v: Tensor) -> Tensor:
        return self.columns.unsqueeze(-1) * self._kernels.mean(
            *self._back, self._own, v.contiguous()
        )

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        q, k, h = self._forth
        for rows in self._geometry.blocks():
            scores = torch.addmm(h, q[rows], k.mT)
            yield rows, scores.sub_((self._lse - self.rows.log())[rows].unsqueeze(-1)).exp_()

    def matrix(self) -> Tensor:
        return torch.cat([tile for _, tile in self.blocks()], -2)
