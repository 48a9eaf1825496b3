"""Costs in blocks of rows, as the iterations read them.

    C       cost matrix, C = α ⊕ β + C′           C′      reduced cost
    α, β    shifts of the rows and columns        f, g    potentials; f − α, g − β are reduced

A squared distance is |x|² + |y|² − 2⟨x, y⟩. The first two terms only shift the potentials, so the
iterations work with the reduced cost −2⟨x, y⟩ and the reduced potentials f − |x|², g − |y|². The
reduced cost is one matrix product, which is cheaper to recompute than to store. The cosine cost
1 − ⟨x̂, ŷ⟩ has the same form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ._matmul import pairwise

LN2 = math.log(2)
_BLOCK = 2**20  # entries of a block of rows, so that it stays in cache
_ROWS = 64  # least rows of a block, so that the matrix product is efficient


class Geometry(ABC):
    """Costs C = α ⊕ β + C′ between n and m points, (n, m) or (B, n, m), without gradient.

    The shifts ``alpha`` (…, n) and ``beta`` (…, m) are None where they are zero; ``like`` is a
    tensor of the dtype and device.
    """

    n: int
    m: int
    batch: tuple[int, ...]
    like: Tensor
    alpha: Tensor | None = None
    beta: Tensor | None = None

    @abstractmethod
    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        """Return (g − C′)/ε for a block of rows, (…, rows, m).

        Callers pass ε ln 2 and apply `torch.exp2`, which on the CPU is 4 times as fast as
        `torch.exp`, and 20 times where the result underflows.
        """

    @property
    @abstractmethod
    def transposed(self) -> Geometry:
        """The same costs with the two sides exchanged."""

    @abstractmethod
    def scale(self) -> float:
        """Return the mean cost over all pairs and problems."""

    @abstractmethod
    def double(self) -> Geometry:
        """Return the same costs in float64."""

    def blocks(self) -> Iterator[slice]:
        """Return slices that cover the rows; small problems and batches are one block."""
        whole = bool(self.batch) or self.n * self.m <= 2 * _BLOCK
        return slices(self.n, self.n if whole else max(_ROWS, _BLOCK // self.m))

    def softmin(self, g: Tensor, log_b: Tensor, epsilon: float) -> Tensor:
        """Return −ε log Σⱼ bⱼ exp((gⱼ − C′ᵢⱼ)/ε), (…, n), in linear memory."""
        h, f = g + epsilon * log_b, self.like.new_empty((*self.batch, self.n))
        for rows in self.blocks():
            top, _, s = row_sums(self.exponent(h, epsilon * LN2, rows))
            f[..., rows] = -epsilon * (LN2 * top + s.log())
        return f


def slices(n: int, size: int) -> Iterator[slice]:
    """Return slices of ``size`` that cover 0 to n."""
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def exp2_(S: Tensor) -> Tensor:
    """Compute 2^S in place, with 0 for subnormal results.

    Arithmetic with subnormal numbers is twenty times slower on many processors.
    """
    if S.device.type == "cpu":
        torch.threshold_(S, math.log2(torch.finfo(S.dtype).tiny), -torch.inf)
    return S.exp2_()


def row_sums(S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maxima of the rows, 2^(S − maximum) in place of S, and its row sums."""
    top = S.amax(-1)
    E = exp2_(S.sub_(top.unsqueeze(-1)))
    return top, E, E.sum(-1)


def centered(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return both clouds as (batch, n, d), relative to their common center.

    Far from the origin, float32 products would lose digits.
    """
    x, y = (t.detach().reshape(-1, *t.shape[-2:]) for t in (x, y))
    center = (x.mean(-2, keepdim=True) + y.mean(-2, keepdim=True)) / 2
    return x - center, y - center


def flat(t: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Join several batch dimensions into one."""
    return t if len(batch) <= 1 else t.reshape(-1, *t.shape[len(batch) :])


def unflat(t: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Undo `flat`."""
    return t if len(batch) <= 1 else t.reshape(*batch, *t.shape[1:])


def full(f: Tensor, shift: Tensor | None) -> Tensor:
    """Return the potential of a reduced potential."""
    return f if shift is None else f + shift


def reduced(f: Tensor, shift: Tensor | None) -> Tensor:
    """Return the reduced potential of a potential."""
    return f if shift is None else f - shift


class Bilinear(Geometry):
    """C = α ⊕ β − s q kᵀ.

    For the ``squared`` distance, s = 2 and q = x, k = y, both relative to the mean of y; otherwise
    s = 1.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(
        self, q: Tensor, k: Tensor, alpha: Tensor, beta: Tensor, squared: bool = False
    ) -> None:
        self.q, self.k, self.alpha, self.beta, self.squared = q, k, alpha, beta, squared
        self.n, self.m, self.batch, self.like = q.shape[-2], k.shape[-2], q.shape[:-2], q
        self.factor = 2.0 if squared else 1.0

    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        q = self.q[..., rows, :] if rows.stop - rows.start < self.n else self.q
        return pairwise(q, self.k, g / epsilon, self.factor / epsilon)

    @property
    def transposed(self) -> Geometry:
        return Bilinear(self.k, self.q, self.beta, self.alpha, self.squared)

    def scale(self) -> float:
        ends = self.alpha.mean() + self.beta.mean()
        if self.squared:  # one side is centered
            return ends.item()
        return (ends - self.factor * (self.q.mean(-2) * self.k.mean(-2)).sum(-1).mean()).item()

    def double(self) -> Geometry:
        return Bilinear(
            self.q.double(), self.k.double(), self.alpha.double(), self.beta.double(), self.squared
        )


class Matrix(Geometry):
    """A cost matrix in memory."""

    def __init__(self, C: Tensor) -> None:
        self.C = C
        self.n, self.m, self.batch, self.like = C.shape[-2], C.shape[-1], C.shape[:-2], C

    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        return torch.sub(g.unsqueeze(-2), self.C[..., rows, :]).div_(epsilon)

    @property
    def transposed(self) -> Geometry:
        return Matrix(self.C.mT)

    def scale(self) -> float:
        return self.C.mean().item()

    def double(self) -> Geometry:
        return Matrix(self.C.double())


class Pairwise(Geometry):
    """Costs given by a function of the points, recomputed for each block."""

    def __init__(
        self,
        matrix: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        swapped: bool = False,
    ) -> None:
        self.matrix, self.x, self.y, self.swapped = matrix, x, y, swapped
        self.n, self.m, self.batch, self.like = x.shape[-2], y.shape[-2], x.shape[:-2], x

    @torch.no_grad()  # the function may have parameters that require a gradient
    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        x = self.x[..., rows, :]
        C = self.matrix(self.y, x).mT if self.swapped else self.matrix(x, self.y)
        return torch.sub(g.unsqueeze(-2), C).div_(epsilon)

    @property
    def transposed(self) -> Geometry:
        return Pairwise(self.matrix, self.y, self.x, not self.swapped)

    def scale(self) -> float:
        zero = self.like.new_zeros(self.m)
        totals = [
            self.exponent(zero, 1.0, rows).mean() * (rows.stop - rows.start)
            for rows in self.blocks()
        ]
        return -sum(total.item() for total in totals) / self.n

    def double(self) -> Geometry:
        return Pairwise(self.matrix, self.x.double(), self.y.double(), self.swapped)
