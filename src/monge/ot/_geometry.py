"""Where costs come from, in blocks of rows: the one thing that the iterations know of a problem.

A squared distance is |x|² + |y|² − 2⟨x, y⟩. The first two terms only shift the potentials, so the
iterations see the reduced cost −2⟨x, y⟩ and reduced potentials f − |x|², g − |y|². What is left of
the cost matrix is one matrix product, cheaper to make again than to keep. The cosine cost 1 − ⟨x̂,
ŷ⟩ has the same form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ._matmul import pairwise

LN2 = math.log(2)
_BLOCK = 2**20  # entries: a block of rows stays in the cache while it is worked on
_ROWS = 64  # and not fewer rows, for the matrix product's sake


class Geometry(ABC):
    """Costs C = α ⊕ β + C′ between n and m points, (n, m) or (B, n, m); everything is without
    gradient.

    Shifts ``alpha`` (…, n) and ``beta`` (…, m) are None for zero; ``like`` is a tensor that tells
    dtype and device.
    """

    n: int
    m: int
    batch: tuple[int, ...]
    like: Tensor
    alpha: Tensor | None = None
    beta: Tensor | None = None

    @abstractmethod
    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        """(g − C′)/ε for a block of rows, (…, rows, m).

        Callers pass ε ln 2 and take `torch.exp2`: on the CPU 4 times as fast as `torch.exp`, and 20
        times where it underflows.
        """

    @property
    @abstractmethod
    def transposed(self) -> Geometry:
        """The same costs with the two sides exchanged."""

    @abstractmethod
    def scale(self) -> float:
        """Mean cost over all pairs and problems."""

    @abstractmethod
    def double(self) -> Geometry:
        """The same costs in float64."""

    def blocks(self) -> Iterator[slice]:
        """Slices that cover the rows; small problems and batches are one block."""
        size = (
            self.n if self.batch or self.n * self.m <= 2 * _BLOCK else max(_ROWS, _BLOCK // self.m)
        )
        return slices(self.n, size)

    def softmin(self, g: Tensor, log_b: Tensor, epsilon: float) -> Tensor:
        """−ε log Σⱼ bⱼ exp((gⱼ − C′ᵢⱼ)/ε) in linear memory, (…, n)."""
        h, f = g + epsilon * log_b, self.like.new_empty((*self.batch, self.n))
        for rows in self.blocks():
            top, _, s = row_sums(self.exponent(h, epsilon * LN2, rows))
            f[..., rows] = -epsilon * (LN2 * top + s.log())
        return f


def slices(n: int, size: int) -> Iterator[slice]:
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def exp2_(S: Tensor) -> Tensor:
    """2^S in place, with 0 for subnormal results: arithmetic with those is twenty times slower on
    many processors.
    """
    if S.device.type == "cpu":
        torch.threshold_(S, math.log2(torch.finfo(S.dtype).tiny), -torch.inf)
    return S.exp2_()


def row_sums(S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Maxima of the rows, 2^(S − maximum) in place of S, and its row sums."""
    top = S.amax(-1)
    E = exp2_(S.sub_(top.unsqueeze(-1)))
    return top, E, E.sum(-1)


def centered(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both clouds as (batch, n, d) about one center: far from the origin float32 products would
    lose digits.
    """
    x, y = (t.detach().reshape(-1, *t.shape[-2:]) for t in (x, y))
    center = (x.mean(-2, keepdim=True) + y.mean(-2, keepdim=True)) / 2
    return x - center, y - center


def flat(t: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Join the batch dimensions into one, if there are several."""
    return t if len(batch) <= 1 else t.reshape(-1, *t.shape[len(batch) :])


def unflat(t: Tensor, batch: tuple[int, ...]) -> Tensor:
    return t if len(batch) <= 1 else t.reshape(*batch, *t.shape[1:])


def full(f: Tensor, shift: Tensor | None) -> Tensor:
    """The potential, from the reduced one."""
    return f if shift is None else f + shift


def reduced(f: Tensor, shift: Tensor | None) -> Tensor:
    return f if shift is None else f - shift


class Bilinear(Geometry):
    """C = α ⊕ β − s q kᵀ with s = 2 where it is ``squared`` distance (q = x, k = y, centered on the
    mean of y), else 1.
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
    """A cost matrix that is there, or that a function gives by blocks of rows."""

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
    """Costs that a function of points gives, computed again for each block."""

    def __init__(
        self,
        matrix: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        swapped: bool = False,
    ) -> None:
        self.matrix, self.x, self.y, self.swapped = matrix, x, y, swapped
        self.n, self.m, self.batch, self.like = x.shape[-2], y.shape[-2], x.shape[:-2], x

    @torch.no_grad()  # parameters of the function may ask for one
    def exponent(self, g: Tensor, epsilon: float, rows: slice) -> Tensor:
        x = self.x[..., rows, :]
        C = self.matrix(self.y, x).mT if self.swapped else self.matrix(x, self.y)
        return torch.sub(g.unsqueeze(-2), C).div_(epsilon)

    @property
    def transposed(self) -> Geometry:
        return Pairwise(self.matrix, self.y, self.x, not self.swapped)

    def scale(self) -> float:
        zero = self.like.new_zeros(self.m)
        means = [
            self.exponent(zero, 1.0, rows).mean() * (rows.stop - rows.start)
            for rows in self.blocks()
        ]
        return -sum(mean.item() for mean in means) / self.n

    def double(self) -> Geometry:
        return Pairwise(self.matrix, self.x.double(), self.y.double(), self.swapped)
