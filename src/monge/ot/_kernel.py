"""One Sinkhorn iteration, on a stored kernel or on tiles that are recomputed each time.

    Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems",
        SISC 2019 [schmitzer2019]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018
        [chizat2018]

    f, g    reduced potentials at the last start, see `_geometry`
    h       log v, the logarithm of the column scalings since then: the potential is g + εh
    K       stabilized kernel exp((f ⊕ g − C′)/ε); each of its rows has maximum 1 at the start
    p, w    scaled weights a·u and b·v: the plan is diag(p) K diag(w)
    λ       damping: ρ/(ρ + ε) for a marginal with the penalty ρ KL, 1 for a fixed one

`sweep(h)` fits the rows exactly and returns the h that would fit the columns. The kernel is
exponentiated only at a start; after that, an iteration reads each block of rows once, for the row
sums and, while the block is in cache, for its contribution to the column sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from .. import parallel
from ._coupling import Coupling, Scaled, Tiled
from ._geometry import LN2, Geometry, exp2_, full, row_sums

Damping = tuple[float, float]  # λ of the rows, λ of the columns


@dataclass(frozen=True)
class Task:
    """Costs and weights of a problem, flat and without gradient.

    With ``sharded``, ``a`` and the rows of the costs are the share of this process.
    """

    geometry: Geometry
    a: Tensor
    b: Tensor
    damping: Damping = (1.0, 1.0)
    sharded: bool = False

    @cached_property
    def zero_mass(self) -> Tensor | None:
        """Mask of the columns of zero weight, or None if there are none."""
        return self.b == 0 if self.b.amin().item() == 0 else None


class Operator(Protocol):
    """One iteration of a task, and its results.

    A plain step is h + ω (T(h) − h), where ω is ``relaxation``.
    """

    relaxation: float

    def start(self, g: Tensor, epsilon: float) -> None:
        """Begin at the reduced potential g, which corresponds to h = 0."""

    def sweep(self, h: Tensor) -> Tensor:
        """Fit the rows to h and return T(h)."""

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reduced potentials after the sweep of h."""

    def dual(self, h: Tensor) -> Tensor:
        """Return the dual objective (…) after the sweep of h, in units of ε and up to a constant.

        Plain iterations never lower it.
        """

    def coupling(self) -> Coupling:
        """Return the plan after the last sweep."""


class Dense:
    """The iteration on a kernel in memory."""

    relaxation = 1.0

    def __init__(self, task: Task) -> None:
        geometry, self._task = task.geometry, task
        self._K = geometry.like.new_empty((*geometry.batch, geometry.n, geometry.m))
        self._KT = self._K.mT
        self._blocks = [(rows, self._K[..., rows, :]) for rows in geometry.blocks()]

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon, zero_mass = g, epsilon, self._task.zero_mass
        live = g if zero_mass is None else g.masked_fill(zero_mass, -torch.inf)
        tops = []
        for rows, K in self._blocks:
            S = self._task.geometry.exponent(live, epsilon * LN2, rows)
            tops.append(S.amax(-1))
            exp2_(torch.sub(S, tops[-1].unsqueeze(-1), out=K))
        self._f = (tops[0] if len(tops) == 1 else torch.cat(tops, -1)).mul_(-epsilon * LN2)

    def sweep(self, h: Tensor) -> Tensor:
        task = self._task
        self._w = w = task.b * h.exp()
        if len(self._blocks) == 1:
            self._s = _mv(self._K, w)
            self._p = self._scaled(self._s, self._f, task.a, slice(None))
            c = _mv(self._KT, self._p)
        else:
            self._s = torch.empty_like(self._f)
            self._p = torch.empty_like(self._f)
            c = torch.zeros_like(w)
            for rows, K in self._blocks:
                s = torch.mv(K, w, out=self._s[rows])
                self._p[rows] = p = self._scaled(s, self._f[rows], task.a[rows], rows)
                c.addmv_(K.T, p)
        self._c = c
        total = parallel.total(c.clone()) if task.sharded else c
        return _fit_columns(task, total, self._g, self._epsilon)

    def _scaled(self, s: Tensor, f: Tensor, a: Tensor, rows: slice) -> Tensor:
        damping, alpha = self._task.damping[0], self._task.geometry.alpha
        if damping == 1:
            return a / s
        full_f = f if alpha is None else f + alpha[..., rows]
        return a * torch.exp(-damping * s.log() - (1 - damping) / self._epsilon * full_f)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        f = self._f - self._epsilon * self._s.log()
        f = damped(f, self._task.geometry.alpha, self._task.damping[0])
        return f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        task = self._task
        if task.damping == (1.0, 1.0) and not task.sharded and h.ndim == 1:
            return torch.dot(task.b, h) - torch.dot(task.a, self._s.log())
        return dual_value(task, *self.potentials(h), self._epsilon)

    def coupling(self) -> Coupling:
        return Scaled(self._task.geometry, self._K, self._p, self._w, self._p * self._s, self._c)


class Symmetric:
    """The iteration for a measure and itself, on a kernel in memory.

    One potential serves both sides [feydy2019].
    """

    relaxation = 0.5

    def __init__(self, geometry: Geometry, a: Tensor) -> None:
        self._geometry, self._a = geometry, a
        self._K = geometry.like.new_empty((*geometry.batch, geometry.n, geometry.m))

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        for rows in self._geometry.blocks():
            S = self._geometry.exponent(g, epsilon * LN2, rows)
            shift = (g[..., rows] / (epsilon * LN2)).unsqueeze(-1)
            exp2_(torch.add(S, shift, out=self._K[..., rows, :]))

    def sweep(self, h: Tensor) -> Tensor:
        self._w = self._a * h.exp()
        self._s = _mv(self._K, self._w)
        return -self._s.log()

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        g = self._g + self._epsilon * h
        return g, g

    def dual(self, h: Tensor) -> Tensor:
        return 2 * (self._a * h).sum(-1) - (self._w * self._s).sum(-1)

    def coupling(self) -> Coupling:
        return Scaled(self._geometry, self._K, self._w, self._w, self._w * self._s, self._s)


class Streamed:
    """The iteration on tiles of the kernel that are recomputed: memory is linear in n + m."""

    relaxation = 1.0

    def __init__(self, task: Task) -> None:
        self._task, self._log_b = task, task.b.log()

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon

    def sweep(self, h: Tensor) -> Tensor:
        task, geometry, epsilon = self._task, self._task.geometry, self._epsilon
        damping, alpha = task.damping[0], geometry.alpha
        self._last = self._g + epsilon * h
        weighted = self._last + epsilon * self._log_b
        # Outputs are allocated before the tiles: a small tensor allocated between two tiles would
        # keep the allocator from reusing their memory.
        c = torch.zeros_like(h)
        self._f = torch.empty_like(task.a)
        self._rows = torch.empty_like(task.a)
        for rows in geometry.blocks():
            top, tile, s = row_sums(geometry.exponent(weighted, epsilon * LN2, rows))
            f = -epsilon * (LN2 * top + s.log())
            p = task.a[..., rows] / s
            if damping != 1:
                full_f = f if alpha is None else f + alpha[..., rows]
                p = p * torch.exp((damping - 1) / epsilon * full_f)
                f = f + (damping - 1) * full_f
            self._f[..., rows], self._rows[..., rows] = f, p * s
            c += _mv(tile.mT, p)
        self._columns = c
        total = parallel.total(c.clone()) if task.sharded else c
        return _fit_columns(task, total / (task.b * h.exp()), self._g, epsilon)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self._f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        return dual_value(self._task, *self.potentials(h), self._epsilon)

    def coupling(self) -> Coupling:
        geometry, a, b = self._task.geometry, self._task.a, self._task.b
        f, g, epsilon = self._f, self._last, self._epsilon
        return Tiled(geometry, f, g, a, b, epsilon, self._rows, self._columns)


def _fit_columns(task: Task, c: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """Return the h that fits the columns, from c = Kᵀp; 0 for columns of zero weight."""
    h, damping = c.log().neg_(), task.damping[1]
    if damping != 1:
        h = damping * h - (1 - damping) / epsilon * full(g, task.geometry.beta)
    return h if task.zero_mass is None else h.masked_fill_(task.zero_mass, 0)


def damped(f: Tensor, shift: Tensor | None, damping: float) -> Tensor:
    """Return the reduced potential of a penalized marginal, from that of the fixed one."""
    if damping == 1:
        return f
    return damping * f if shift is None else damping * (f + shift) - shift


def dual_value(task: Task, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """Return the dual objective where the rows are fitted, so that their mass depends on f."""
    geometry, (rows, columns) = task.geometry, task.damping
    left = _dual_term(f, task.a, geometry.alpha, rows, epsilon, True)
    right = _dual_term(g, task.b, geometry.beta, columns, epsilon, False)
    return ((parallel.total(left) if task.sharded else left) + right) / epsilon


def _dual_term(
    f: Tensor, a: Tensor, alpha: Tensor | None, damping: float, epsilon: float, fitted: bool
) -> Tensor:
    if damping == 1:
        return (a * f).sum(-1)
    rho = epsilon * damping / (1 - damping)
    return -((rho + epsilon if fitted else rho) * a * torch.expm1(-full(f, alpha) / rho)).sum(-1)


def _mv(K: Tensor, v: Tensor) -> Tensor:
    if K.ndim == 2:
        return torch.mv(K, v)
    # as a row vector, since batched K @ v takes a path that is 7 times slower on the CPU
    return (v.unsqueeze(-2) @ K.mT).squeeze(-2)
