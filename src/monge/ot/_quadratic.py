"""The solver of `monge.ot.gromov`: entropic transport of a quadratic cost, by linearization.

    Peyré, Cuturi & Solomon, "Gromov-Wasserstein averaging of kernel and distance matrices", ICML
        2016 [peyre2016]
    Mémoli, "Gromov-Wasserstein distances and the metric approach to object matching", FoCM 2011
        [memoli2011]
    Barzilai & Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988
        [barzilai1988]
    Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM Review 2011 [halko2011]

    F(P)    Σ L(Cxᵢₖ, Cyⱼₗ) Pᵢⱼ Pₖₗ, with L(s, t) = f₁(s) + f₂(t) − h₁(s) h₂(t) [peyre2016]
    H, σ    symmetric (σ = 1) or skew (σ = −1) part of h₁(Cx) or h₂(Cy); F contains products of
            symmetric parts and of skew parts, but no mixed ones
    A, u    centered part and margin: H = A + u1ᵀ + σ1uᵀ with A a = 0; for y, these are B and v
    Z       ∇F(P) up to margins, which do not change the plan: ∇F(a⊗b) − 2 Σ A P Bᵀ

A step solves entropic transport for the linearized cost and moves Z toward the Z of its plan. The
length of the step is that of Barzilai and Borwein: about 1/(1 − λ) where plain steps contract by λ,
less than 1 where they would oscillate, and growing where they leave a saddle. Multisecant
(Anderson) acceleration, which the inner problems use, would converge to saddles here.

Centering reduces squared distances of points in ℝᵈ to rank d; matrices of rank at most `_SKETCH`
are stored as thin factors.
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

_SKETCH = 32  # largest rank that is tested, in matrices of at least four times this size
# rounding error of the given costs, in machine epsilons and relative to the norm of the matrix
_ROUNDING = 100
_INNER_ITER = 500  # bound for one inner problem; the next one starts from its potentials
COARSE_TOL = 0.02  # tolerance of the first inner problem
FINER = 20  # later inner tolerances are the change of the cost divided by this
_SHORTEST, _LONGEST = 0.05, 20.0  # bounds on the length of a step
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
    """H = Q R + u1ᵀ + σ1uᵀ with A = Q R; if Q is None, A = R."""

    Q: Tensor | None
    R: Tensor
    u: Tensor
    sign: int

    @classmethod
    def all_of(cls, h: Tensor, a: Tensor) -> list[Part]:
        """Return the symmetric part, and the skew part unless it vanishes."""
        rounding = _ROUNDING * torch.finfo(h.dtype).eps * h.abs().amax()
        signs = (1, -1) if (h - h.mT).abs().amax() > rounding else (1,)
        return [cls._of((h + sign * h.mT) / 2, a, sign) for sign in signs]

    @classmethod
    def _of(cls, H: Tensor, a: Tensor, sign: int) -> Part:
        Ha = matvec(H, a)
        u = Ha - dot(a, Ha).unsqueeze(-1) / 2
        return cls(*_factors(H - u[..., :, None] - sign * u[..., None, :]), u, sign)

    def centered(self, s: Tensor) -> Tensor:
        """Return A s."""
        return matvec(self.R, s) if self.Q is None else matvec(self.Q, matvec(self.R, s))

    def congruence(self, P: Tensor, sums: Tensor) -> Tensor:
        """Return P H Pᵀ, where ``sums`` holds the row sums of P."""
        left = P if self.Q is None else P @ self.Q
        margin = matvec(P, self.u)[..., :, None] * sums[..., None, :]
        return left @ (self.R @ P.mT) + margin + self.sign * margin.mT


def _factors(A: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return A = Q R with a thin orthonormal Q where the rank is low, else None and A."""
    n = A.shape[-1]
    if n < 4 * _SKETCH:
        return None, A
    rng = torch.Generator().manual_seed(0)
    directions = torch.randn(n, _SKETCH, generator=rng, dtype=A.dtype).to(A.device)
    Q = torch.linalg.qr(A @ directions).Q
    R = Q.mT @ A
    size, residual = (torch.linalg.matrix_norm(t) for t in (A, A - Q @ R))
    exact = (residual <= _ROUNDING * torch.finfo(A.dtype).eps * size).all()
    return (Q, R) if exact else (None, A)


@dataclass(frozen=True)
class Quadratic:
    """F for two spaces with weights a, b; ``flat`` is ∇F(a⊗b)."""

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
        """Return Z for a plan."""
        Z = self.flat
        for x, y in self.pairs:
            APB = x.R @ P @ y.R.mT
            APB = APB if x.Q is None else x.Q @ APB
            Z = torch.sub(Z, APB if y.Q is None else APB @ y.Q.mT, alpha=2)
        return Z

    def margins(self, P: Tensor) -> tuple[Tensor, Tensor]:
        """Return the s, t that Z omits: ∇F(P) = Z + s ⊕ t."""
        s, t = torch.zeros_like(self.a), torch.zeros_like(self.b)
        for x, y in self.pairs:
            Pv, Pu = matvec(P, y.u), matvec(P.mT, x.u)
            both = (dot(x.u, Pv) - dot(self.a, x.u) * dot(self.b, y.u)).unsqueeze(-1)
            s, t = s - both - 2 * x.sign * x.centered(Pv), t - both - 2 * x.sign * y.centered(Pu)
        return s, t

    def value(self, P: Tensor) -> Tensor:
        """Return F(P) = <P, ∇F(P)>/2, with a and b in place of the sums of P."""
        s, t = self.margins(P)
        return ((P * self.gradient(P)).sum((-2, -1)) + dot(self.a, s) + dot(self.b, t)) / 2

    def tilted(self, generator: torch.Generator | None) -> Tensor:
        """Return Z for the independent plan after a random tilt.

        The tilt correlates a random direction of one space with a random direction of the other.
        """
        x, y = self.pairs[0]
        s, t = _direction(x, self.a, generator), _direction(y, self.b, generator)
        independent = self.a[..., :, None] * self.b[..., None, :]
        return self.gradient(independent * (1 + s[..., :, None] * t[..., None, :]))


def profile_match(Cx: Tensor, Cy: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return twice the squared distances between the quantiles of the rows.

    This is the third lower bound of [memoli2011], linearized.
    """
    return 2 * as_cost("sqeuclidean").matrix(_profiles(Cx, a), _profiles(Cy, b)) / _LEVELS


def _profiles(C: Tensor, a: Tensor) -> Tensor:
    row, order = C.sort(-1)
    mass = a[..., None, :].expand_as(C).gather(-1, order).cumsum(-1)
    levels = (torch.arange(_LEVELS, dtype=C.dtype, device=C.device) + 0.5) / _LEVELS
    at = torch.searchsorted(mass, levels.expand(*mass.shape[:-1], _LEVELS).contiguous())
    return row.gather(-1, at.clamp_max(C.shape[-1] - 1))


def _direction(part: Part, weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a random function on the space, of mean 0 and variance 1, in the range of A."""
    shape, dtype = weights.shape, weights.dtype
    device = weights.device if generator is None else generator.device
    noise = torch.randn(shape, generator=generator, dtype=dtype, device=device).to(weights.device)
    s = part.centered(noise)
    return s / dot(weights, s.square()).unsqueeze(-1).sqrt().clamp_min(torch.finfo(s.dtype).tiny)


@dataclass(frozen=True)
class Descent:
    """Result of `descend`.

    P, f, g     plan and potentials
    error       L1 marginal error
    value       objective
    change      root mean square change of the linearized cost in a further step, in units of ε
    n_iter      linearizations
    """

    P: Tensor
    f: Tensor
    g: Tensor
    error: Tensor
    value: Tensor
    change: Tensor
    n_iter: int

    def or_better(self, other: Descent) -> Descent:
        """Return the result of lower value, for each problem of the batch separately."""
        worse = ~(self.value <= other.value) & other.value.isfinite()

        def pick(s: Tensor, t: Tensor) -> Tensor:
            return torch.where(worse.reshape((*worse.shape, *[1] * (s.ndim - worse.ndim))), t, s)

        names = ("P", "f", "g", "error", "value", "change")
        better = {name: pick(getattr(self, name), getattr(other, name)) for name in names}
        return replace(self, **better, n_iter=self.n_iter + other.n_iter)


def descend(
    F: Quadratic,
    Z: Tensor,
    fixed: Tensor | None,
    alpha: float,
    epsilon: float,
    tol: float,
    max_iter: int,
) -> Descent:
    """Minimize <P, fixed> + α F(P) + ε KL(P | a⊗b), from the linearized cost Z (..., n, m)."""
    a, b, batch = F.a, F.b, F.a.shape[:-1]
    flat_a, flat_b = flat(a, batch), flat(b, batch)
    potentials, before, omega = None, None, Z.new_ones((*Z.shape[:-2], 1, 1))
    inner_tol, used, done = max(tol, COARSE_TOL), 0, False
    while not done:
        C = alpha * Z if fixed is None else torch.add(fixed, Z, alpha=alpha)
        flat_C = flat(C, batch)
        inner = solve(flat_C, flat_a, flat_b, epsilon, inner_tol, _INNER_ITER, potentials)
        P, error = unflat(inner.coupling.matrix(), batch).to(C.dtype), unflat(inner.error, batch)
        residual = F.gradient(P) - Z
        change = alpha / epsilon * residual.square().mean((-2, -1)).sqrt()
        used = used + 1
        potentials = (inner.f, inner.g) if bool((error <= inner_tol).all()) else None
        done = used >= max_iter or bool(((change <= tol) & (error <= tol)).all())
        omega = _relaxation(omega, residual, before)
        Z, before = Z + omega * residual, residual
        inner_tol = max(tol / FINER, min(inner_tol, change.amax().item() / FINER))
    energy = alpha * F.value(P)
    if fixed is not None:
        energy = energy + (P * fixed).sum((-2, -1))
    f, g = unflat(inner.f, batch), unflat(inner.g, batch)
    value = dot(a, f) + dot(b, g) + energy - (P * C).sum((-2, -1))
    return Descent(P, f, g, error, value, change, used)


def _relaxation(omega: Tensor, residual: Tensor, before: Tensor | None) -> Tensor:
    """Return |s|²/<s, y>: s = ω · before is the last step, y = before − residual its effect."""
    if before is None:
        return omega
    squared = before.square().sum((-2, -1), keepdim=True)
    curvature = squared - (before * residual).sum((-2, -1), keepdim=True)
    convex = curvature > 0
    length = torch.where(convex, omega * squared / torch.where(convex, curvature, 1), 2 * omega)
    return length.clamp(_SHORTEST, _LONGEST)
