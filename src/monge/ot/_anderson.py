"""Anderson acceleration of a fixed-point iteration.

    Walker & Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 2011
        [walker2011]

The next h is the point in the affine span of the last images T(h) whose residual h − T(h), if it
were linear, is least in L²(b).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MEMORY = 5  # differences that are combined
# plain iterations that cost more than one extrapolation, for large and for small problems
_PATIENCE = (
    2,
    8,
)
_SMALL = 200  # columns
_RIDGE = 1e-8  # of the Gram matrix's trace
# longest extrapolation: where the dual is flat, as between far groups of points, it would go
# anywhere
_LEAP = 300.0
SLACK = 16  # rounding errors that are let pass


class Anderson:
    """The last images and residuals, for a batch of fixed-point problems at once."""

    def __init__(self, b: Tensor) -> None:
        self._b, self._previous = b, math.inf
        self._patience = _PATIENCE[b.numel() < _SMALL]
        self.forget()

    def forget(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._count = 0

    def next(self, image: Tensor, r: Tensor, worst: float, goal: float) -> Tensor | None:
        """The next h from the image T(h) and the residual of the last one; None where a few plain
        steps will do.
        """
        shrink, self._previous = min(worst / self._previous, 1.0), worst
        last, self._last = self._last, (image, r)
        if last is None:
            return None
        if self._count == 0:
            shape = (*image.shape[:-1], _MEMORY, image.shape[-1])
            self._steps, self._differences = image.new_empty(shape), image.new_empty(shape)
        slot, self._count = self._count % _MEMORY, self._count + 1
        torch.sub(image, last[0], out=self._steps[..., slot, :])
        torch.sub(r, last[1], out=self._differences[..., slot, :])
        if worst * shrink**self._patience < goal:
            return None
        used = min(self._count, _MEMORY)
        D = self._differences[..., :used, :].double()
        weighted = D * self._b.unsqueeze(-2)
        A, y = weighted @ D.mT, weighted @ r.double().unsqueeze(-1)
        diagonal = A.diagonal(dim1=-2, dim2=-1)
        noise = (
            SLACK * torch.finfo(image.dtype).eps
        ) ** 2  # of residuals that are all rounding, as in a solved problem
        diagonal += _RIDGE * diagonal.sum(-1, keepdim=True) + noise
        theta = torch.linalg.solve_ex(A, y)[0].to(image.dtype)
        step = (self._steps[..., :used, :].mT @ theta).squeeze(-1)
        size = torch.linalg.vector_norm(step, torch.inf, -1, keepdim=True)
        return image - step * (_LEAP / size).clamp_max_(1)
