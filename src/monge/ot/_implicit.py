"""Second derivatives of entropic transport, by implicit differentiation.

The optimality conditions are P 1 = a and Pᵀ 1 = b with P = a ⊗ b · exp((f ⊕ g − C)/ε). Their
derivative is a linear system in (df, dg),

    [ diag(r)/λ₁   P          ] [df]   [ (P ∘ dC) 1  − ε P  (db/b) ]
    [ Pᵀ           diag(c)/λ₂ ] [dg] = [ (P ∘ dC)ᵀ1  − ε Pᵀ (da/a) ]

with r, c the marginals of P and λ = ρ/(ρ + ε) for a marginal with the penalty ρ KL, λ = 1 for a
fixed one. The system is symmetric and positive semi-definite (its kernel consists of the constants
(1, −1)), so it is its own adjoint; conjugate gradients solve its Schur complement.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._autograd import with_rule
from ._matmul import dot, matvec

if TYPE_CHECKING:
    from ._problem import Problem

_MAX_ITER = 1000


def differentiable_gradients(
    problem: Problem,
    potentials: Any,
    inputs: tuple[Tensor, ...],
    wanted: tuple[bool, ...],
    grad: Tensor,
) -> list[Tensor | None]:
    """Return the gradients of the value in the inputs and weights, differentiable again."""
    f, g, epsilon, marginal_penalties = potentials
    *points, a, b = inputs
    with torch.enable_grad():
        f, g = _potentials(problem.matrix(*points), a, b, f, g, epsilon, marginal_penalties)
        P = _plan(problem.matrix(*points), a, b, f, g, epsilon)
        # By the envelope theorem only these copies are differentiated; P, f and g are held fixed.
        copies = [t.view_as(t) for t in (*points, a, b)]
        *points, a_copy, b_copy = copies
        value = (P * problem.matrix(*points)).sum((-2, -1))
        value = value + dot(a_copy, slope(f, marginal_penalties[0], epsilon, b))
        value = value + dot(b_copy, slope(g, marginal_penalties[1], epsilon, a))
        live = [t for t, w in zip(copies, wanted, strict=True) if w]
        gradients = iter(torch.autograd.grad(value, live, grad, create_graph=True))
    return [next(gradients) if w else None for w in wanted]


def slope(f: Tensor, rho: float, epsilon: float, other: Tensor) -> Tensor:
    """Return the derivative of the value in the weights of a marginal with the penalty ρ KL."""
    if math.isinf(rho):
        return f
    return -(rho + epsilon) * torch.expm1(-f / rho) - epsilon * (1 - other.sum(-1, keepdim=True))


def _plan(C: Tensor, a: Tensor, b: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
    kernel = ((f.unsqueeze(-1) + g.unsqueeze(-2) - C) / epsilon).exp()
    return kernel * a.unsqueeze(-1) * b.unsqueeze(-2)


def _potentials(
    C: Tensor,
    a: Tensor,
    b: Tensor,
    f: Tensor,
    g: Tensor,
    epsilon: float,
    marginal_penalties: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Return the known potentials f, g as differentiable functions of C, a and b."""
    n, m = C.shape[-2:]

    def rule(grad: Tensor, _: tuple[bool, ...], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        C, a, b = inputs
        vf, vg = grad.split([n, m], -1)
        kernel = _plan(C, torch.ones_like(a), torch.ones_like(b), f, g, epsilon)
        P = kernel * a.unsqueeze(-1) * b.unsqueeze(-2)
        left = P.sum(-1) * (1 + epsilon / marginal_penalties[0])
        right = P.sum(-2) * (1 + epsilon / marginal_penalties[1])
        inverse = torch.where(left > 0, 1 / left, 0)

        def schur(v: Tensor) -> Tensor:
            return right * v - _row(matvec(P, v) * inverse, P)

        zg = _conjugate_gradients(schur, vg - _row(vf * inverse, P), right)
        zf = (vf - matvec(P, zg)) * inverse
        dC = P * (zf.unsqueeze(-1) + zg.unsqueeze(-2))
        return dC, -epsilon * matvec(kernel * b.unsqueeze(-2), zg), -epsilon * _row(zf * a, kernel)

    twice = "plan.value can be differentiated twice, not three times"
    return with_rule(torch.cat([f, g], -1), rule, twice, C, a, b).split([n, m], -1)


def _row(v: Tensor, P: Tensor) -> Tensor:
    """Return vᵀ P."""
    return (v.unsqueeze(-2) @ P).squeeze(-2)


def _conjugate_gradients(apply: Any, rhs: Tensor, diagonal: Tensor) -> Tensor:
    """Solve symmetric semi-definite systems, one per problem of the batch.

    ``diagonal`` is the preconditioner.
    """
    inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
    x, r = torch.zeros_like(rhs), rhs
    z = inverse * r
    p, rz = z, (r * z).sum(-1, keepdim=True)
    # below this, rounding errors grow in the kernel of the system
    goal = rz * torch.finfo(rhs.dtype).eps ** 1.5
    for _ in range(_MAX_ITER):
        if (rz <= goal).all():
            break
        Ap = apply(p)
        curvature = (p * Ap).sum(-1, keepdim=True)
        step = torch.where(curvature > 0, rz / curvature, 0)
        x, r = x + step * p, r - step * Ap
        z = inverse * r
        rz, before = (r * z).sum(-1, keepdim=True), rz
        p = z + torch.where(before > 0, rz / before, 0) * p
    return x
