"""The streamed iteration on CUDA: two fused log-sum-exps per sweep, with the tiles on chip.

In the terms of `_triton`, half a sweep is one log-sum-exp of the scores <qᵢ, kⱼ> + hⱼ, and P v is
their soft mean.
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
    """The operator of `_kernel.Streamed` for C = α ⊕ β − s q kᵀ.

    ``kernels`` is the module `_triton`, or one with the same functions ``lse`` and ``mean``.
    """

    relaxation = 1.0

    def __init__(self, kernels: ModuleType, task: Task) -> None:
        assert isinstance(task.geometry, Bilinear)
        self._kernels, self._geometry, self._task = kernels, task.geometry, task

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        factor = self._geometry.factor / epsilon
        self._q, self._k = self._geometry.q * factor, self._geometry.k * factor

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
    """P = diag(rows) · softmax of the scores; Pᵀ has the same form with the sides exchanged."""

    def __init__(self, swept: Fused) -> None:
        self._kernels, geometry = swept._kernels, swept._geometry
        self._forth = swept._q, geometry.k, swept._h_b
        self._back = swept._k, geometry.q, swept._h_a
        self._lse = swept._lse
        self._lse_back = self._kernels.lse(*self._back)
        self.rows = (swept._h_a + swept._lse).exp()
        self.columns = (swept._h_b + self._lse_back).exp()
        self._geometry = geometry

    def apply(self, v: Tensor) -> Tensor:
        mean = self._kernels.mean(*self._forth, self._lse, v.contiguous())
        return self.rows.unsqueeze(-1) * mean

    def pull(self, v: Tensor) -> Tensor:
        mean = self._kernels.mean(*self._back, self._lse_back, v.contiguous())
        return self.columns.unsqueeze(-1) * mean

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        q, k, h = self._forth
        for rows in self._geometry.blocks():
            scores = torch.addmm(h, q[rows], k.mT)
            yield rows, scores.sub_((self._lse - self.rows.log())[rows].unsqueeze(-1)).exp_()

    def matrix(self) -> Tensor:
        return torch.cat([tile for _, tile in self.blocks()], -2)
