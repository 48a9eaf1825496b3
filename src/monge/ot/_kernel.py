"""One Sinkhorn iteration, on a stored kernel or on tiles that are made again each time.

    Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems",
        SISC 2019 [schmitzer2019]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018
        [chizat2018]

    f, g    reduced potentials at the last start, see `_geometry`
    h       log v, the logarithm of the column scalings since then: the potential is g + εh
    K       stabilized kernel exp((f ⊕ g − C′)/ε); each of its rows has maximum 1 at the start
    p, w    scaled weights a·u and b·v: the plan is diag(p) K diag(w)
    λ       ρ/(ρ + ε) for a marginal that may be left at the price ρ KL, 1 for one that may not

`sweep(h)` fits the rows exactly and returns the h that would fit the columns. The kernel is
exponentiated only at a start; after that an iteration reads each block of rows once, for the row
sums and, while it is in cache, for its share of the column sums.
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
    """Costs and weights, flat and without gradient; ``sharded`` where a and the rows are this
    process's share of them.
    """

    geometry: Geometry
    a: Tensor
    b: Tensor
    damping: Damping = (1.0, 1.0)
    sharded: bool = False

    @cached_property
    def zero_mass(self) -> Tensor | None:
        """Columns without weight."""
        return self.b == 0 if self.b.amin().item() == 0 else None


class Operator(Protocol):
    """One iteration of a task, and what can be asked after it.

    A plain step goes the part ``damping`` of the way to T(h).
    """

    damping: float

    def start(self, g: Tensor, epsilon: float) -> None:
        """Begin at the reduced potential g, which is h = 0."""

    def sweep(self, h: Tensor) -> Tensor: ...

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]: ...

    def dual(self, h: Tensor) -> Tensor:
        """The dual objective (…) after the sweep of h, in units of ε and up to a constant: plain
        iterations raise it.
        """

    def coupling(self) -> Coupling: ...


class Dense:
    """The kernel in memory."""

    damping = 1.0

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
        return _fitted(task, total, self._g, self._epsilon)

    def _scaled(self, s: Tensor, f: Tensor, a: Tensor, rows: slice) -> Tensor:
        power, alpha = self._task.damping[0], self._task.geometry.alpha
        if power == 1:
            return a / s
        of_f = f if alpha is None else f + alpha[..., rows]
        return a * torch.exp(-power * s.log() - (1 - power) / self._epsilon * of_f)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        f = self._f - self._epsilon * self._s.log()
        return damped(
            f, self._task.geometry.alpha, self._task.damping[0]
        ), self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        task = self._task
        if task.damping == (1.0, 1.0) and not task.sharded and h.ndim == 1:
            return torch.dot(task.b, h) - torch.dot(task.a, self._s.log())
        return dual_value(task, *self.potentials(h), self._epsilon)

    def coupling(self) -> Coupling:
        return Scaled(self._task.geometry, self._K, self._p, self._w, self._p * self._s, self._c)


class Symmetric:
    """The kernel of a measure against itself, in memory; one potential serves both sides
    [feydy2019].
    """

    damping = 0.5

    def __init__(self, geometry: Geometry, a: Tensor) -> None:
        self._geometry, self._a = geometry, a
        self._K = geometry.like.new_empty((*geometry.batch, geometry.n, geometry.m))

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        for rows in self._geometry.blocks():
            S = self._geometry.exponent(g, epsilon * LN2, rows)
            exp2_(
                torch.add(
                    S, (g[..., rows] / (epsilon * LN2)).unsqueeze(-1), out=self._K[..., rows, :]
                )
            )

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
    """Tiles of the kernel, made again at each iteration: memory is linear in n + m."""

    damping = 1.0

    def __init__(self, task: Task) -> None:
        self._task, self._log_b = task, task.b.log()

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon

    def sweep(self, h: Tensor) -> Tensor:
        task, geometry, epsilon = self._task, self._task.geometry, self._epsilon
        power, alpha = task.damping[0], geometry.alpha
        self._last = self._g + epsilon * h
        weighted = self._last + epsilon * self._log_b
        # Outputs come before tiles: a small tensor made between two tiles keeps the allocator from
        # using their memory again.
        c = torch.zeros_like(h)
        self._f = torch.empty_like(task.a)
        self._rows = torch.empty_like(task.a)
        for rows in geometry.blocks():
            top, tile, s = row_sums(geometry.exponent(weighted, epsilon * LN2, rows))
            f = -epsilon * (LN2 * top + s.log())
            p = task.a[..., rows] / s
            if power != 1:
                of_f = f if alpha is None else f + alpha[..., rows]
                p = p * torch.exp((power - 1) / epsilon * of_f)
                f = f + (power - 1) * of_f
            self._f[..., rows], self._rows[..., rows] = f, p * s
            c += _mv(tile.mT, p)
        self._columns = c
        total = parallel.total(c.clone()) if task.sharded else c
        return _fitted(task, total / (task.b * h.exp()), self._g, epsilon)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self._f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        return dual_value(self._task, *self.potentials(h), self._epsilon)

    def coupling(self) -> Coupling:
        task = self._task
        return Tiled(
            task.geometry,
            self._f,
            self._last,
            task.a,
            task.b,
            self._epsilon,
            self._rows,
            self._columns,
        )


def _fitted(task: Task, c: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """The h that fits the columns, from c = Kᵀp; 0 where there is no weight."""
    h, power = c.log().neg_(), task.damping[1]
    if power != 1:
        h = power * h - (1 - power) / epsilon * full(g, task.geometry.beta)
    return h if task.zero_mass is None else h.masked_fill_(task.zero_mass, 0)


def damped(f: Tensor, shift: Tensor | None, power: float) -> Tensor:
    """The reduced potential of a marginal that may be left at a price, from the one that keeps it."""
    if power == 1:
        return f
    return power * f if shift is None else power * (f + shift) - shift


def dual_value(task: Task, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    """The dual where the rows are fitted, whose mass is then a function of f."""
    geometry, (rows, columns) = task.geometry, task.damping
    left = _gain(f, task.a, geometry.alpha, rows, epsilon, True)
    right = _gain(g, task.b, geometry.beta, columns, epsilon, False)
    return ((parallel.total(left) if task.sharded else left) + right) / epsilon


def _gain(
    f: Tensor, a: Tensor, alpha: Tensor | None, power: float, epsilon: float, fitted: bool
) -> Tensor:
    if power == 1:
        return (a * f).sum(-1)
    rho = epsilon * power / (1 - power)
    return -((rho + epsilon if fitted else rho) * a * torch.expm1(-full(f, alpha) / rho)).sum(-1)


def _mv(K: Tensor, v: Tensor) -> Tensor:
    if K.ndim == 2:
        return torch.mv(K, v)
    # as a row vector: batched K @ v takes a path 7 times slower on the CPU
    return (v.unsqueeze(-2) @ K.mT).squeeze(-2)
