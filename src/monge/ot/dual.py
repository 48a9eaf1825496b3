r"""Dual potentials given by networks: gradient penalty, convex conjugate and dual value.

.. math:: W_1(P, Q) = \sup_{\mathrm{Lip}(f) \le 1} E_P f - E_Q f, \qquad
          \psi^*(y) = \max_t\; \langle y, t\rangle - \psi(t), \quad \nabla\psi(t) = y

    Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017 [gulrajani2017], eq. (3)
    Barzilai & Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988
        [barzilai1988]

The t that attains the maximum is the inverse of the transport map x ↦ ∇ψ(x) at y. It is computed by
gradient descent for each y separately, all y in one batch. The step sizes alternate between
⟨s,s⟩/⟨s,r⟩ and ⟨s,r⟩/⟨r,r⟩, where s is the last step and r the change of the gradient over it;
without a line search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import _validate as check

_FIRST = 0.3  # first step size, a guess for maps of slope 1 to 3
_LEAST, _MOST = 1e-3, 1e3  # bounds on the step sizes
_WORSE = 4.0  # a step that multiplies |∇ψ(t) − y|² by more is rejected and shortened


@dataclass(frozen=True)
class Conjugate:
    """Points where the maximum over t is attained.

    Attributes
    ----------
    point : Tensor (n, d)
        t, without gradient. By the envelope theorem the gradient of ψ* is that of ⟨y, t⟩ − ψ(t) at
        fixed t.
    residual : Tensor (n,)
        \\|∇ψ(t) − y\\|, in the units of y.
    n_iter : int
        Number of steps.
    converged : bool
        Whether every residual is at most ``tol``.
    """

    point: Tensor
    residual: Tensor
    n_iter: int
    converged: bool


@torch.no_grad()
def conjugate(
    gradient: Callable[[Tensor], Tensor],
    y: Tensor,
    *,
    init: Tensor | None = None,
    tol: float = 1e-4,
    max_iter: int = 100,
) -> Conjugate:
    """Find t with ∇ψ(t) = y for each row of y.

    For each row the result is the point of least residual among all steps. No solution exists for
    a y outside the image of ∇ψ.

    Parameters
    ----------
    gradient : callable
        ∇ψ of a convex ψ, which maps (n, d) to (n, d) row by row.
    y : Tensor (n, d)
        Points at which to invert ∇ψ.
    init : Tensor (n, d), optional
        Initial points; y by default. The prediction of a network saves most of the steps.
    tol : float
        Residual at which to stop, in the units of y. With 0, ``max_iter`` steps are made.
    max_iter : int
        Maximum number of steps; each evaluates one gradient of all rows.

    Returns
    -------
    Conjugate

    Examples
    --------
    >>> y = torch.tensor([[2.0, 4.0]])
    >>> result = conjugate(lambda t: 2 * t, y)
    >>> result.point, result.converged
    (tensor([[1., 2.]]), True)
    """
    y = check.points(y, "y").detach()
    if max_iter < 0 or tol < 0:
        raise ValueError(f"max_iter and tol must be at least 0, got {max_iter} and {tol}")
    t = (y if init is None else init).detach()
    if t.shape != y.shape:
        raise ValueError(
            f"init has shape {tuple(t.shape)}, y {tuple(y.shape)}: give one initial point for each "
            "row of y"
        )
    r = gradient(t) - y
    best, least = t, _squared(r)
    step, n_iter = torch.full_like(least, _FIRST), 0
    while n_iter < max_iter and not bool((least <= tol**2).all()):
        s = -step * r
        r_next = gradient(t + s) - y
        squared, change = _squared(r_next), r_next - r
        rejected = squared > _WORSE * _squared(r)
        rejected |= ~squared.isfinite()
        sr = (s * change).sum(1, keepdim=True).clamp_min(1e-30)
        next_step = _squared(s) / sr if n_iter % 2 else sr / _squared(change).clamp_min(1e-30)
        step = torch.where(rejected, step / 4, next_step.clamp(_LEAST, _MOST))
        t, r = torch.where(rejected, t, t + s), torch.where(rejected, r, r_next)
        better = squared < least
        best, least = torch.where(better, t, best), torch.where(better, squared, least)
        n_iter += 1
    residual = least.sqrt()[:, 0]
    return Conjugate(best, residual, n_iter, bool((residual <= tol).all()))


def _squared(x: Tensor) -> Tensor:
    return x.square().sum(1, keepdim=True)


def gradient_penalty(
    f: Callable[[Tensor], Tensor], x: Tensor, *, one_sided: bool = False
) -> Tensor:
    r"""Compute the penalty on gradients whose norm is not 1, for each point.

    .. math:: (\|\nabla f(x_i)\|_2 - 1)^2

    ``f`` maps (n, ...) to (n,) or (n, 1); the value of a point must depend on that point, and must
    not depend on the others. The result (n,) is differentiable in the parameters of ``f``, but not
    in the points ``x`` (n, ...). With ``one_sided`` only norms above 1 are penalized.

    >>> gradient_penalty(lambda x: 3 * x[:, 0], torch.zeros(2, 5))
    tensor([4., 4.])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = f(x)
        if value.numel() != len(x):
            raise ValueError(
                f"f must give one number for each of {len(x)} points, got shape "
                f"{tuple(value.shape)}"
            )
        slope = None
        if value.requires_grad:
            (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True, allow_unused=True)
        if slope is None:
            raise ValueError("f does not depend on x: compute its value from x without detaching x")
        excess = torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1
        return (excess.clamp_min(0) if one_sided else excess).square()


def dual_w2_squared(psi: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    r"""Estimate the dual objective of :math:`W_2^2` at a convex potential, from samples.

    .. math::

        E\|x\|^2 + E\|y\|^2 - 2\,(E\,\psi(x) + E\,\psi^*(y)), \qquad
        \psi^*(y) = \langle t, y\rangle - \psi(t)

    Up to sampling error this is a lower bound of W₂² if t attains the maximum, and equal to W₂² if
    the potential is optimal. ``psi`` maps (n, d) to (n,); x (n, d) and y (m, d) are samples of P
    and Q, and t (m, d) are the points where ψ*(y) is attained, see `conjugate`.

    >>> x, y = torch.zeros(4, 2), torch.ones(4, 2)
    >>> dual_w2_squared(lambda v: v.square().sum(1) / 2 + v.sum(1), x, y, y - 1)  # of the map v + 1
    tensor(2.)
    """
    conjugates = (t * y).sum(1) - psi(t)
    squares = x.square().sum(1).mean() + y.square().sum(1).mean()
    return squares - 2 * (psi(x).mean() + conjugates.mean())
