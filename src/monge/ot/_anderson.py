"""Anderson acceleration of a fixed-point iteration.

    Walker & Ni, "Anderson acceleration for fixed-point iterations", SIAM J. Numer. Anal. 2011
        [walker2011]

    T       the fixed-point map            h       its argument, one problem per row
    T(h)    image of h                     r       residual h − T(h)
    b       weights of the norm L²(b)

The next h is the point in the affine span of the last images T(h) that would have the smallest
residual in L²(b) if the residual were linear in h.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MEMORY = 5  # number of differences that are combined
# number of plain iterations that cost more than one extrapolation, for large and small problems
_PATIENCE = (2, 8)
_SMALL = 200  # columns of a small problem
_RIDGE = 1e-8  # relative to the trace of the Gram matrix
# Longest extrapolation. Without a bound it would be arbitrarily long where the dual is flat, as it
# is between distant groups of points.
_LEAP = 300.0
SLACK = 16  # tolerated rounding error, in machine epsilons


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
        """Return the next h from the image and residual of the last, or None for a plain step.

        ``worst`` is the largest error of the batch and ``goal`` the error to reach. A plain step is
        preferred where a few of them are expected to reach it.
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
        # keeps the system regular where all residuals are rounding errors, as in a solved problem
        noise = (SLACK * torch.finfo(image.dtype).eps) ** 2
        diagonal += _RIDGE * diagonal.sum(-1, keepdim=True) + noise
        theta = torch.linalg.solve_ex(A, y)[0].to(image.dtype)
        step = (self._steps[..., :used, :].mT @ theta).squeeze(-1)
        size = torch.linalg.vector_norm(step, torch.inf, -1, keepdim=True)
        return image - step * (_LEAP / size).clamp_max_(1)
