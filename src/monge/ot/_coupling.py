"""Transport plans as linear maps.

Most computations need only products P v; P itself may be too large for memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ._geometry import LN2, Geometry, exp2_
from ._matmul import times


class LinearMap(Protocol):
    """A plan P, (n, m) or (B, n, m); ``rows`` are its row sums."""

    @property
    def rows(self) -> Tensor: ...

    def apply(self, v: Tensor) -> Tensor:
        """Return P v, for v (…, m, k)."""

    def matrix(self) -> Tensor:
        """Return P, (…, n, m)."""


class Coupling(LinearMap, Protocol):
    """A plan with the operations that gradients need; ``columns`` are its column sums."""

    @property
    def columns(self) -> Tensor: ...

    def pull(self, v: Tensor) -> Tensor:
        """Return Pᵀ v, for v (…, n, k)."""

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield P in blocks of rows, each with its slice."""


@dataclass(frozen=True)
class Scaled:
    """P = diag(p) K diag(w) with the kernel K in memory; c = Kᵀ p."""

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
            tile = self.K[..., rows, :] * self.p[..., rows].unsqueeze(-1)
            yield rows, tile.mul_(self.w.unsqueeze(-2))

    def matrix(self) -> Tensor:
        return (self.K * self.p.unsqueeze(-1)).mul_(self.w.unsqueeze(-2))


class Tiled:
    """P = a ⊗ b · exp((f ⊕ g − C′)/ε), computed tile by tile."""

    def __init__(
        self,
        geometry: Geometry,
        f: Tensor,
        g: Tensor,
        a: Tensor,
        b: Tensor,
        epsilon: float,
        rows: Tensor,
        columns: Tensor,
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


@dataclass(frozen=True)
class Stored:
    """A plan that is in memory."""

    P: Tensor

    @property
    def rows(self) -> Tensor:
        return self.P.sum(-1)

    def apply(self, v: Tensor) -> Tensor:
        return self.P @ v

    def matrix(self) -> Tensor:
        return self.P
