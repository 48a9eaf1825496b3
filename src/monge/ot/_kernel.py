"""One Sinkhorn iteration, on a stored kernel or on tiles that are made again each time.

    Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", SISC 2019    [schmitzer2019]
    Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Math. Comp. 2018            [chizat2018]

======  ==============================================================================================
symbol  meaning
======  ==============================================================================================
f, g    reduced potentials at the last start, see `_geometry`
h       log v, the logarithm of the column scalings since then: the potential is g + εh
K       stabilised kernel exp((f ⊕ g − C′)/ε); each of its rows has maximum 1 at the start
p, w    scaled weights a·u and b·v: the plan is diag(p) K diag(w)
λ       ρ/(ρ + ε) for a marginal that may be left at the price ρ KL, 1 for one that may not
======  ==============================================================================================

`sweep(h)` fits the rows exactly and returns the h that would fit the columns. The kernel is exponentiated only at a start; after
that an iteration reads each block of rows once, for the row sums and, while it is in cache, for its share of the column sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .. import parallel
from ._geometry import LN2, Geometry, exp2_, row_sums
from ._matmul import times

Powers = tuple[float, float]  # λ of the rows, λ of the columns


class Coupling(Protocol):
    """A plan P as a linear map; ``rows`` and ``columns`` are its marginals."""

    @property
    def rows(self) -> Tensor: ...

    @property
    def columns(self) -> Tensor: ...

    def apply(self, v: Tensor) -> Tensor:
        """P v, for v (…, m, k)."""

    def pull(self, v: Tensor) -> Tensor:
        """Pᵀ v, for v (…, n, k)."""

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """P in blocks of rows."""

    def matrix(self) -> Tensor:
        """P itself, (…, n, m)."""


class Operator(Protocol):
    dead: Tensor | None  # columns without weight

    def start(self, g: Tensor, epsilon: float) -> None: ...

    def sweep(self, h: Tensor) -> Tensor: ...

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]: ...

    def dual(self, h: Tensor) -> Tensor:
        """The dual objective (…) after the sweep of h, in units of ε and up to a constant: plain iterations raise it."""

    def coupling(self) -> Coupling: ...


class Dense:
    """The kernel in memory."""

    def __init__(self, geometry: Geometry, a: Tensor, b: Tensor, powers: Powers = (1.0, 1.0), sharded: bool = False) -> None:
        self._geometry, self._a, self._b, self._powers, self._sharded = geometry, a, b, powers, sharded
        self.dead = without_weight(b)
        self._K = geometry.like.new_empty((*geometry.batch, geometry.n, geometry.m))
        self._KT = self._K.mT
        self._blocks = [(rows, self._K[..., rows, :]) for rows in geometry.blocks()]

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        live = g if self.dead is None else g.masked_fill(self.dead, -torch.inf)
        tops = []
        for rows, K in self._blocks:
            S = self._geometry.exponent(live, epsilon * LN2, rows)
            tops.append(S.amax(-1))
            exp2_(torch.sub(S, tops[-1].unsqueeze(-1), out=K))
        self._f = (tops[0] if len(tops) == 1 else torch.cat(tops, -1)).mul_(-epsilon * LN2)

    def sweep(self, h: Tensor) -> Tensor:
        self._w = w = self._b * h.exp()
        if len(self._blocks) == 1:
            self._s = _mv(self._K, w)
            self._p = self._scaled(self._s, self._f, self._a, slice(None))
            c = _mv(self._KT, self._p)
        else:
            self._s, self._p, c = torch.empty_like(self._f), torch.empty_like(self._f), torch.zeros_like(w)
            for rows, K in self._blocks:
                s = torch.mv(K, w, out=self._s[rows])
                self._p[rows] = p = self._scaled(s, self._f[rows], self._a[rows], rows)
                c.addmv_(K.T, p)
        self._c = c
        total = parallel.total(c.clone()) if self._sharded else c
        return _fitted(total, self._g, self._geometry.beta, self._powers[1], self._epsilon, self.dead)

    def _scaled(self, s: Tensor, f: Tensor, a: Tensor, rows: slice) -> Tensor:
        power = self._powers[0]
        if power == 1:
            return a / s
        alpha = self._geometry.alpha
        full = f if alpha is None else f + alpha[..., rows]
        return a * torch.exp(-power * s.log() - (1 - power) / self._epsilon * full)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        power, alpha = self._powers[0], self._geometry.alpha
        f = self._f - self._epsilon * self._s.log()
        if power != 1:
            f = power * f if alpha is None else power * (f + alpha) - alpha
        return f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        if self._powers == (1.0, 1.0) and not self._sharded and h.ndim == 1:
            return torch.dot(self._b, h) - torch.dot(self._a, self._s.log())
        return dual_value(*self.potentials(h), self._a, self._b, self._geometry, self._powers, self._epsilon, self._sharded)

    def coupling(self) -> Coupling:
        return Scaled(self._geometry, self._K, self._p, self._w, self._p * self._s, self._c)


class Symmetric:
    """The kernel of a measure against itself, in memory; one potential serves both sides [feydy2019]."""

    dead: Tensor | None = None

    def __init__(self, geometry: Geometry, a: Tensor) -> None:
        self._geometry, self._a = geometry, a
        self._K = geometry.like.new_empty((*geometry.batch, geometry.n, geometry.m))

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon
        for rows in self._geometry.blocks():
            S = self._geometry.exponent(g, epsilon * LN2, rows)
            exp2_(torch.add(S, (g[..., rows] / (epsilon * LN2)).unsqueeze(-1), out=self._K[..., rows, :]))

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
        mass = self._w * self._s
        return Scaled(self._geometry, self._K, self._w, self._w, mass, self._s)


class Streamed:
    """Tiles of the kernel, made again at each iteration: memory is linear in n + m."""

    def __init__(self, geometry: Geometry, a: Tensor, b: Tensor, powers: Powers = (1.0, 1.0), sharded: bool = False) -> None:
        self._geometry, self._a, self._b, self._powers, self._sharded = geometry, a, b, powers, sharded
        self.dead, self._log_b = without_weight(b), b.log()

    def start(self, g: Tensor, epsilon: float) -> None:
        self._g, self._epsilon = g, epsilon

    def sweep(self, h: Tensor) -> Tensor:
        geometry, epsilon = self._geometry, self._epsilon
        power, alpha = self._powers[0], geometry.alpha
        self._last = self._g + epsilon * h
        weighted = self._last + epsilon * self._log_b
        # Outputs come before tiles: a small tensor made between two tiles keeps the allocator from using their memory again.
        c, self._f, self._rows = torch.zeros_like(h), torch.empty_like(self._a), torch.empty_like(self._a)
        for rows in geometry.blocks():
            top, tile, s = row_sums(geometry.exponent(weighted, epsilon * LN2, rows))
            f = -epsilon * (LN2 * top + s.log())
            p = self._a[..., rows] / s
            if power != 1:
                full = f if alpha is None else f + alpha[..., rows]
                p = p * torch.exp((power - 1) / epsilon * full)
                f = f + (power - 1) * full
            self._f[..., rows], self._rows[..., rows] = f, p * s
            c += _mv(tile.mT, p)
        self._columns = c
        total = parallel.total(c.clone()) if self._sharded else c
        return _fitted(total / (self._b * h.exp()), self._g, geometry.beta, self._powers[1], epsilon, self.dead)

    def potentials(self, h: Tensor) -> tuple[Tensor, Tensor]:
        return self._f, self._g + self._epsilon * h

    def dual(self, h: Tensor) -> Tensor:
        return dual_value(*self.potentials(h), self._a, self._b, self._geometry, self._powers, self._epsilon, self._sharded)

    def coupling(self) -> Coupling:
        return Tiled(self._geometry, self._f, self._last, self._a, self._b, self._epsilon, self._rows, self._columns)


@dataclass(frozen=True)
class Scaled:
    """P = diag(p) K diag(w), with c = Kᵀ p."""

    geometry: Geometry
    K: Tensor
    p: Tensor
    w: Tensor
    rows: Tensor
    c: Tensor

    @property
    def columns(self) -> Tensor:
        return self.c * self.w

    def apply(self, v: Tensor) -> Tensor:
        return times(self.K, self.w.unsqueeze(-1) * v).mul_(self.p.unsqueeze(-1))

    def pull(self, v: Tensor) -> Tensor:
        return times(self.K.mT, self.p.unsqueeze(-1) * v).mul_(self.w.unsqueeze(-1))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        for rows in self.geometry.blocks():
            yield rows, (self.K[..., rows, :] * self.p[..., rows].unsqueeze(-1)).mul_(self.w.unsqueeze(-2))

    def matrix(self) -> Tensor:
        return (self.K * self.p.unsqueeze(-1)).mul_(self.w.unsqueeze(-2))


class Tiled:
    """P = a ⊗ b · exp((f ⊕ g − C′)/ε), tile by tile."""

    def __init__(
        self, geometry: Geometry, f: Tensor, g: Tensor, a: Tensor, b: Tensor, epsilon: float, rows: Tensor, columns: Tensor
    ) -> None:
        self._geometry, self._epsilon = geometry, epsilon * LN2
        self._g, self._top = g + epsilon * b.log(), (f / epsilon + a.log()).div_(LN2)
        self.rows, self.columns = rows, columns

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        for rows in self._geometry.blocks():
            tile = self._geometry.exponent(self._g, self._epsilon, rows)
            yield rows, exp2_(tile.add_(self._top[..., rows].unsqueeze(-1)))

    def apply(self, v: Tensor) -> Tensor:
        out = v.new_empty((*self.rows.shape, v.shape[-1]))
        for rows, tile in self.blocks():
            out[..., rows, :] = times(tile, v)
        return out

    def pull(self, v: Tensor) -> Tensor:
        out = v.new_zeros((*self.columns.shape, v.shape[-1]))
        for rows, tile in self.blocks():
            out += times(tile.mT, v[..., rows, :])
        return out

    def matrix(self) -> Tensor:
        return torch.cat([tile for _, tile in self.blocks()], -2)


def _fitted(c: Tensor, g: Tensor, beta: Tensor | None, power: float, epsilon: float, dead: Tensor | None) -> Tensor:
    """The h that fits the columns, from c = Kᵀp; 0 where there is no weight."""
    h = c.log().neg_()
    if power != 1:
        h = power * h - (1 - power) / epsilon * (g if beta is None else g + beta)
    return h if dead is None else h.masked_fill_(dead, 0)


def dual_value(
    f: Tensor, g: Tensor, a: Tensor, b: Tensor, geometry: Geometry, powers: Powers, epsilon: float, sharded: bool
) -> Tensor:
    """The dual where the rows are fitted, whose mass is then a function of f."""
    left, right = _gain(f, a, geometry.alpha, powers[0], epsilon, True), _gain(g, b, geometry.beta, powers[1], epsilon, False)
    return ((parallel.total(left) if sharded else left) + right) / epsilon


def _gain(f: Tensor, a: Tensor, alpha: Tensor | None, power: float, epsilon: float, fitted: bool) -> Tensor:
    if power == 1:
        return (a * f).sum(-1)
    rho, full = epsilon * power / (1 - power), f if alpha is None else f + alpha
    return -((rho + epsilon if fitted else rho) * a * torch.expm1(-full / rho)).sum(-1)


def without_weight(b: Tensor) -> Tensor | None:
    return b == 0 if b.amin().item() == 0 else None


def _mv(K: Tensor, v: Tensor) -> Tensor:
    if K.ndim == 2:
        return torch.mv(K, v)
    return (v.unsqueeze(-2) @ K.mT).squeeze(-2)  # as a row vector: batched K @ v takes a path 7 times slower on the CPU
