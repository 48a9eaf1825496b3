"""The iterations behind `monge.ot.sinkhorn`: stabilised scaling with absorption and ε-scaling.

    Schmitzer, "Stabilized sparse scaling algorithms", SISC 2019    [schmitzer2019]

======  =======================================================
symbol  meaning
======  =======================================================
C       cost matrix (..., n, m)
a, b    weights (..., n), (..., m)
f, g    absorbed potentials
K       stabilised kernel exp((f ⊕ g − C)/ε)
p, q    scaled weights a·u, b·v, with u, v the scalings on top of K: the plan is p K q
======  =======================================================

An exponential is paid for each entry of the matrix only when the scalings are absorbed into the potentials; between two
absorptions an iteration is two matrix-vector products. Each absorption takes one exact iteration in the log domain, so a kernel
whose rows have underflowed costs time and never a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_COOLING = 0.25  # ratio of successive ε in ε-scaling
_COARSE_TOL = 0.1  # marginal error that ends a level above the last
_COARSE_ITER = 20
_SCALING_BOUND = 1e11  # absorb beyond it: what has underflowed in K is then still below 1e-16 of the plan
_CHECK_EVERY = 8


@dataclass(frozen=True)
class Solution:
    """Potentials (..., n), (..., m), L1 marginal error (...), iterations over all levels."""

    f: Tensor
    g: Tensor
    error: Tensor
    n_iter: int


def levels(C: Tensor, epsilon: float) -> list[float]:
    """Geometric sequence from the largest cost down to ε."""
    level, found = (C.amax() - C.amin().clamp_max(0)).item() * _COOLING, []
    while level > epsilon / _COOLING**0.5:
        found.append(level)
        level *= _COOLING
    return [*found, epsilon]


def softmin(C: Tensor, h: Tensor, log_w: Tensor, epsilon: float) -> Tensor:
    """−ε log Σⱼ wⱼ exp((hⱼ − Cᵢⱼ)/ε), shape (..., n)."""
    return torch.logsumexp((h / epsilon + log_w)[..., None, :] - C / epsilon, -1).mul_(-epsilon)


def solve(
    C: Tensor, a: Tensor, b: Tensor, epsilon: float, tol: float, max_iter: int, init: tuple[Tensor, Tensor] | None = None
) -> Solution:
    """Find the potentials of entropic transport between a and b."""
    f, g = init or (torch.zeros_like(a), torch.zeros_like(b))
    done, error = 0, a.new_full(a.shape[:-1], torch.inf)
    for level in [epsilon] if init else levels(C, epsilon):
        last = level == epsilon
        budget = max_iter - done if last else _COARSE_ITER
        f, g, error, used = _level(C, a, b, f, g, level, tol if last else _COARSE_TOL, max(budget, 1))
        done += used
    return Solution(f, g, error, done)


def _level(
    C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, epsilon: float, tol: float, budget: int
) -> tuple[Tensor, Tensor, Tensor, int]:
    log_a, log_b, used = a.log(), b.log(), 0
    omega, rate = a.new_ones((*a.shape[:-1], 1)), _Rate()
    while True:
        f = softmin(C, g, log_b, epsilon)
        g = softmin(C.mT, f, log_a, epsilon)
        K = ((f[..., :, None] + g[..., None, :] - C) / epsilon).exp_()
        u, v = torch.ones_like(a), torch.ones_like(b)
        row = _product(K, b)
        error = (a * (row - 1).abs()).sum(-1)
        used += 1
        relaxed = False  # whether v is over-relaxed, so that column sums are not exact
        while ((worst := error.max().item()) > tol or relaxed) and used < budget:
            relaxed = worst > tol and used + 1 < budget and bool((omega > 1).any())
            w = omega if relaxed else 1.0
            new_u = u ** (1 - w) * row**-w if relaxed else 1 / row
            col = _product(K.mT, a * new_u)
            new_v = v ** (1 - w) * col**-w if relaxed else 1 / col
            new_row = _product(K, b * new_v)
            new_error = (a * (new_u * new_row - 1).abs()).sum(-1)
            if not new_error.isfinite().all():
                omega = torch.ones_like(omega)
                break  # a row of K underflowed: go back to the log domain from the last good scalings
            u, v, row, error = new_u, new_v, new_row, new_error
            used += 1
            if used % _CHECK_EVERY == 0:
                omega = rate.relaxation(error, omega)
                if _too_large(u, v):
                    break
        f, g = f + epsilon * u.log(), g + epsilon * v.log()
        if (worst <= tol and not relaxed) or used >= budget:
            return f, g, error, used


class _Rate:
    """Over-relaxation from the rate of convergence that is seen [lehmann2021].

    With relaxation ω the error contracts by ρ an iteration, (ρ + ω − 1)² = ρ ω² θ, where θ is the rate of plain iterations; the
    best relaxation is 2/(1 + √(1 − θ)).
    """

    def __init__(self) -> None:
        self._before: Tensor | None = None
        self._cap: Tensor | float = 1.95

    def relaxation(self, error: Tensor, omega: Tensor) -> Tensor:
        """Called every `_CHECK_EVERY` iterations with the error (...) and ω (..., 1) since the last call; returns the new ω.

        A window in which the error grew is followed by a plain one, and bounds ω below what it was.
        """
        before, self._before = self._before, error
        if before is None:
            return omega
        rho = (error / before.clamp_min(torch.finfo(error.dtype).tiny)).clamp(1e-6, 4) ** (1 / _CHECK_EVERY)
        w = omega.squeeze(-1)
        grew = rho >= 1
        self._cap = torch.where(grew & (w > 1), 1 + 0.8 * (w - 1), self._cap)
        theta = ((rho + w - 1).square() / (rho * w.square())).clamp(0, 0.9995)
        better = torch.minimum(2 / (1 + (1 - theta).sqrt()), torch.as_tensor(self._cap).to(w))
        return torch.where(grew, 1.0, better).clamp_min(1).unsqueeze(-1)


def solve_symmetric(C: Tensor, a: Tensor, epsilon: float, tol: float, max_iter: int, init: Tensor | None = None) -> Solution:
    """Find the single potential of a measure against itself by averaged updates, f ← (f + T f)/2 [feydy2019]."""
    f = torch.zeros_like(a) if init is None else init
    log_a, done, error = a.log(), 0, a.new_full(a.shape[:-1], torch.inf)
    for level in [epsilon] if init is not None else levels(C, epsilon):
        last = level == epsilon
        budget = max_iter if last else done + _COARSE_ITER
        while True:
            f = (f + softmin(C, f, log_a, level)) / 2
            K = ((f[..., :, None] + f[..., None, :] - C) / level).exp_()
            u = torch.ones_like(a)
            row = _product(K, a)
            error = (a * (row - 1).abs()).sum(-1)
            done += 1
            while (worst := error.max().item()) > (tol if last else _COARSE_TOL) and done < budget:
                new_u = (u / row).sqrt()
                new_row = _product(K, a * new_u)
                new_error = (a * (new_u * new_row - 1).abs()).sum(-1)
                if not new_error.isfinite().all():
                    break
                u, row, error = new_u, new_row, new_error
                done += 1
                if done % _CHECK_EVERY == 0 and _too_large(u, u):
                    break
            f = f + level * u.log()
            if worst <= (tol if last else _COARSE_TOL) or done >= budget:
                break
    return Solution(f, f, error, done)


def _product(K: Tensor, v: Tensor) -> Tensor:
    if K.ndim == 2:
        return K.mv(v)
    return (v.unsqueeze(-2) @ K.mT).squeeze(-2)  # as a row vector: batched K @ v takes a path 7 times slower on the CPU


def _too_large(u: Tensor, v: Tensor) -> bool:
    low, high = torch.aminmax(torch.cat([u, v], -1))
    return bool(high > _SCALING_BOUND) or bool(low < 1 / _SCALING_BOUND)
