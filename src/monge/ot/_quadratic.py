"""The descent behind `monge.ot.gromov`: entropic transport under a quadratic cost, by successive
linearization.

    Peyré, Cuturi & Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Mémoli, "Gromov-Wasserstein distances and the metric approach to object matching", FoCM 2011
        [memoli2011]
    Barzilai & Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988
        [barzilai1988]
    Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM Review 2011 [halko2011]

    F(P)    Σ L(Cxᵢₖ, Cyⱼₗ) Pᵢⱼ Pₖₗ, with L(s, t) = f₁(s) + f₂(t) − h₁(s) h₂(t) [peyre2016]
    H, σ    symmetric (σ = 1) or skew (σ = −1) part of h₁(Cx) or h₂(Cy); in F the parts meet only
        their like
    A, u    centered part and margin: H = A + u1ᵀ + σ1uᵀ with A a = 0; on the side of y, B and v
    Z       ∇F(P) up to margins, which a transport problem ignores: ∇F(a⊗b) − 2 Σ A P Bᵀ

A step solves entropic transport for the linearized cost and moves Z toward the Z of its plan. The
length of the move is Barzilai and Borwein's: about 1/(1 − λ) where plain steps contract by λ, less
than 1 where they would oscillate, and growing where they leave a saddle. Multisecant (Anderson)
acceleration, which serves the inner problems, converges to saddles here.

Centring brings squared distances of points in ℝᵈ down to rank d; matrices of rank at most `_SKETCH`
are kept as thin factors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ._geometry import flat, unflat
from ._loop import solve
from ._matmul import dot, matvec
from .costs import as_cost

_SKETCH = 32  # the largest rank that is looked for, in matrices of at least four times this size
# in machine epsilons, relative to the matrix: less than this is rounding of the costs given
_ROUNDING = 100
_INNER_ITER = 500  # the next inner problem starts from the potentials of the last
COARSE_TOL = 0.02
FINER = 20
_SHORTEST, _LONGEST = 0.05, 20.0  # bounds on a move
_LEVELS = 64  # quantiles in a profile of distances


@dataclass(frozen=True)
class Loss:
    """L(s, t) = f₁(s) + f₂(t) − h₁(s) h₂(t)."""

    f1: Callable[[Tensor], Tensor]
    f2: Callable[[Tensor], Tensor]
    h1: Callable[[Tensor], Tensor]
    h2: Callable[[Tensor], Tensor]


LOSSES = {
    "square": Loss(torch.square, torch.square, lambda s: 2 * s, lambda t: t),
    "kl": Loss(lambda s: torch.special.xlogy(s, s) - s, lambda t: t, lambda s: s, torch.log),
}


@dataclass(frozen=True)
class Part:
    """H = Q R + u1ᵀ + σ1uᵀ, where Q R is A and Q None stands for the identity."""

    Q: Tensor | None
    R: Tensor
    u: Tensor
    sign: int

    @classmethod
    def all_of(cls, h: Tensor, a: Tensor) -> list[Part]:
        """The symmetric part, and the skew one unless it vanishes."""
        asymmetric = (h - h.mT).abs().amax() > _ROUNDING * torch.finfo(h.dtype).eps * h.abs().amax()
        return [
            cls._of((h + sign * h.mT) / 2, a, sign) for sign in ((1, -1) if asymmetric else (1,))
        ]

    @classmethod
    def _of(cls, H: Tensor, a: Tensor, sign: int) -> Part:
        Ha = matvec(H, a)
        u = Ha - dot(a, Ha).unsqueeze(-1) / 2
        return cls(*_factors(H - u[..., :, None] - sign * u[..., None, :]), u, sign)

    def centered(self, s: Tensor) -> Tensor:
        """A s."""
        return matvec(self.R, s) if self.Q is None else matvec(self.Q, matvec(self.R, s))

    def congruence(self, P: Tensor, sums: Tensor) -> Tensor:
        """P H Pᵀ, where ``sums`` holds the row sums of P."""
        left = P if self.Q is None else P @ self.Q
        margin = matvec(P, self.u)[..., :, None] * sums[..., None, :]
        return left @ (self.R @ P.mT) + margin + self.sign * margin.mT


def _factors(A: Tensor) -> tuple[Tensor | None, Tensor]:
    """A = Q R with Q orthonormal and thin where the rank allows."""
    n = A.shape[-1]
    if n < 4 * _SKETCH:
        return None, A
    directions = torch.randn(
        n, _SKETCH, generator=torch.Generator().manual_seed(0), dtype=A.dtype
    ).to(A.device)
    Q = torch.linalg.qr(A @ directions).Q
    R = Q.mT @ A
    size, missed = (torch.linalg.matrix_norm(t) for t in (A, A - Q @ R))
    return (Q, R) if (missed <= _ROUNDING * torch.finfo(A.dtype).eps * size).all() else (None, A)


@dataclass(frozen=True)
class Quadratic:
    """F between two spaces with weights a, b; ``flat`` is ∇F(a⊗b)."""

    a: Tensor
    b: Tensor
    x: list[Part]
    y: list[Part]
    flat: Tensor

    @property
    def pairs(self) -> list[tuple[Part, Part]]:
        # a skew part without a partner has no effect
        return list(zip(self.x, self.y, strict=False))

    @classmethod
    def of(cls, Cx: Tensor, Cy: Tensor, a: Tensor, b: Tensor, loss: Loss) -> Quadratic:
        h1, h2 = loss.h1(Cx), loss.h2(Cy)
        rows, columns = (matvec(f + f.mT, w) for f, w in ((loss.f1(Cx), a), (loss.f2(Cy), b)))
        flat = rows[..., :, None] + columns[..., None, :]
        for h, g in ((h1, h2), (h1.mT, h2.mT)):
            flat = flat - matvec(h, a)[..., :, None] * matvec(g, b)[..., None, :]
        return cls(a, b, Part.all_of(h1, a), Part.all_of(h2, b), flat)

    def gradient(self, P: Tensor) -> Tensor:
        """Z of a plan."""
        Z = self.flat
        for x, y in self.pairs:
            APB = x.R @ P @ y.R.mT
            APB = APB if x.Q is None else x.Q @ APB
            Z = torch.sub(Z, APB if y.Q is None else APB @ y.Q.mT, alpha=2)
        return Z

    def margins(self, P: Tensor) -> tuple[Tensor, Tensor]:
        """The s, t that Z leaves out: ∇F(P) = Z + s ⊕ t."""
        s, t = torch.zeros_like(self.a), torch.zeros_like(self.b)
        for x, y in self.pairs:
            Pv, Pu = matvec(P, y.u), matvec(P.mT, x.u)
            both = (dot(x.u, Pv) - dot(self.a, x.u) * dot(self.b, y.u)).unsqueeze(-1)
            s, t = s - both - 2 * x.sign * x.centered(Pv), t - both - 2 * x.sign * y.centered(Pu)
        return s, t

    def value(self, P: Tensor) -> Tensor:
        """F(P) = <P, ∇F(P)>/2, with a and b for the sums of P."""
        s, t = self.margins(P)
        return ((P * self.gradient(P)).sum((-2, -1)) + dot(self.a, s) + dot(self.b, t)) / 2

    def tilted(self, generator: torch.Generator | None) -> Tensor:
        """Z of the independent plan, tilted to correlate a random direction of one space with one
        of the other.
        """
        x, y = self.pairs[0]
        s, t = _direction(x, self.a, generator), _direction(y, self.b, generator)
        return self.gradient(
            self.a[..., :, None] * self.b[..., None, :] * (1 + s[..., :, None] * t[..., None, :])
        )


def profile_match(Cx: Tensor, Cy: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Twice the squared distances between quantiles of rows: linearized, the third lower bound of
    [memoli2011].
    """
    return 2 * as_cost("sqeuclidean").matrix(_profiles(Cx, a), _profiles(Cy, b)) / _LEVELS


def _profiles(C: Tensor, a: Tensor) -> Tensor:
    row, order = C.sort(-1)
    mass = a[..., None, :].expand_as(C).gather(-1, order).cumsum(-1)
    levels = (torch.arange(_LEVELS, dtype=C.dtype, device=C.device) + 0.5) / _LEVELS
    at = torch.searchsorted(mass, levels.expand(*mass.shape[:-1], _LEVELS).contiguous())
    return row.gather(-1, at.clamp_max(C.shape[-1] - 1))


def _direction(part: Part, weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """A function on the space, of mean 0 and variance 1, in the range of A."""
    device = weights.device if generator is None else generator.device
    noise = torch.randn(weights.shape, generator=generator, dtype=weights.dtype, device=device).to(
        weights.device
    )
    s = part.centered(noise)
    return s / dot(weights, s.square()).unsqueeze(-1).sqrt().clamp_min(torch.finfo(s.dtype).tiny)


@dataclass(frozen=True)
class Found:
    """A plan P, its potentials and marginal error, the objective, and how much the linearized cost
    would still change.
    """

    P: Tensor
    f: Tensor
    g: Tensor
    error: Tensor
    value: Tensor
    change: Tensor
    n_iter: int

    def or_better(self, other: Found) -> Found:
        """Of two runs the one of lower value, for each problem of the batch by itself."""
        worse = ~(self.value <= other.value) & other.value.isfinite()

        def pick(s: Tensor, t: Tensor) -> Tensor:
            return torch.where(worse.reshape((*worse.shape, *[1] * (s.ndim - worse.ndim))), t, s)

        names = ("P", "f", "g", "error", "value", "change")
        return replace(
            self,
            **{name: pick(getattr(self, name), getattr(other, name)) for name in names},
            n_iter=self.n_iter + other.n_iter,
        )


def descend(
    F: Quadratic,
    Z: Tensor,
    fixed: Tensor | None,
    alpha: float,
    epsilon: float,
    tol: float,
    max_iter: int,
) -> Found:
    """Minimize <P, fixed> + α F(P) + ε KL(P | a⊗b), from the linearized cost Z (..., n, m)."""
    a, b, batch = F.a, F.b, F.a.shape[:-1]
    potentials, before, omega = None, None, Z.new_ones((*Z.shape[:-2], 1, 1))
    inner_tol, used, done = max(tol, COARSE_TOL), 0, False
    while not done:
        C = alpha * Z if fixed is None else torch.add(fixed, Z, alpha=alpha)
        found = solve(
            flat(C, batch),
            flat(a, batch),
            flat(b, batch),
            epsilon,
            inner_tol,
            _INNER_ITER,
            potentials,
        )
        P, error = unflat(found.coupling.matrix(), batch).to(C.dtype), unflat(found.error, batch)
        residual = F.gradient(P) - Z
        change = alpha / epsilon * residual.square().mean((-2, -1)).sqrt()
        used = used + 1
        potentials = (found.f, found.g) if bool((error <= inner_tol).all()) else None
        done = used >= max_iter or bool(((change <= tol) & (error <= tol)).all())
        omega = _relaxation(omega, residual, before)
        Z, before = Z + omega * residual, residual
        inner_tol = max(tol / FINER, min(inner_tol, change.amax().item() / FINER))
    energy = alpha * F.value(P) if fixed is None else alpha * F.value(P) + (P * fixed).sum((-2, -1))
    f, g = unflat(found.f, batch), unflat(found.g, batch)
    return Found(
        P, f, g, error, dot(a, f) + dot(b, g) + energy - (P * C).sum((-2, -1)), change, used
    )


def _relaxation(omega: Tensor, residual: Tensor, before: Tensor | None) -> Tensor:
    """|s|²/<s, y>, where s = ω · before was the last move and y = before − residual is what it
    changed.
    """
    if before is None:
        return omega
    moved = before.square().sum((-2, -1), keepdim=True)
    curvature = moved - (before * residual).sum((-2, -1), keepdim=True)
    convex = curvature > 0
    length = torch.where(convex, omega * moved / torch.where(convex, curvature, 1), 2 * omega)
    return length.clamp(_SHORTEST, _LONGEST)
