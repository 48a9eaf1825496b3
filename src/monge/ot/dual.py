r"""Dual potentials that a network holds: what keeps a critic in its set, and the convex conjugate.

.. math:: W_1(P, Q) = \sup_{\mathrm{Lip}(f) \le 1} E_P f - E_Q f, \qquad
          \psi^*(y) = \max_t\; \langle y, t\rangle - \psi(t), \quad \nabla\psi(t) = y

    Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017 [gulrajani2017], eq. (3)
    Barzilai & Borwein, "Two-point step size gradient methods", IMA J. Numer. Anal. 1988
        [barzilai1988]

The t that attains the maximum is the inverse of the transport map x ↦ ∇ψ(x) at y: a descent for
each y on its own, all y in one batch, with the step sizes ⟨s,s⟩/⟨s,r⟩ and ⟨s,r⟩/⟨r,r⟩ by turns, s
the last step and r the change of the gradient over it. No step is a line search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import _validate as check

_FIRST = 0.3  # first step size; a guess near a map of slope 1 to 3
_LEAST, _MOST = 1e-3, 1e3  # bounds of the step sizes
_WORSE = 4.0  # a step that multiplies |∇ψ(t) − y|² by more is taken back and shortened


@dataclass(frozen=True)
class Conjugate:
    """Where the maximum over t is attained.

    Attributes
    ----------
    point : Tensor (n, d)
        t, without gradient: by the envelope theorem ψ* may be differentiated as ⟨y, t⟩ − ψ(t) with
        t fixed.
    residual : Tensor (n,)
        \\|∇ψ(t) − y\\|, in the units of y.
    n_iter : int
        Steps taken.
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
    """Find t with ∇ψ(t) = y for each row of y: the best point of each, for a y outside the image of
    ∇ψ has no solution.

    Parameters
    ----------
    gradient : callable
        ∇ψ of a convex ψ, (n, d) to (n, d), each row by itself.
    y : Tensor (n, d)
    init : Tensor (n, d), optional
        Where to begin; y when None. A network's guess saves most of the steps.
    tol : float
        Residual at which to stop, in the units of y. 0 takes ``max_iter`` steps.
    max_iter : int
        Most steps; each asks for one gradient of all rows.

    Examples
    --------
    >>> y = torch.tensor([[2.0, 4.0]])
    >>> found = conjugate(lambda t: 2 * t, y)
    >>> found.point, found.converged
    (tensor([[1., 2.]]), True)
    """
    y = check.points(y, "y").detach()
    if max_iter < 0 or tol < 0:
        raise ValueError(f"max_iter and tol must be at least 0, got {max_iter} and {tol}")
    t = (y if init is None else init).detach()
    if t.shape != y.shape:
        raise ValueError(
            f"init has shape {tuple(t.shape)}, y {tuple(y.shape)}: give one starting point for "
            "each row of y"
        )
    r = gradient(t) - y
    best, least = t, _squared(r)
    step, n_iter = torch.full_like(least, _FIRST), 0
    while n_iter < max_iter and not bool((least <= tol**2).all()):
        s = -step * r
        r_next = gradient(t + s) - y
        squared, change = _squared(r_next), r_next - r
        held = squared > _WORSE * _squared(r)
        held |= ~squared.isfinite()
        sr = (s * change).sum(1, keepdim=True).clamp_min(1e-30)
        longer = _squared(s) / sr if n_iter % 2 else sr / _squared(change).clamp_min(1e-30)
        step = torch.where(held, step / 4, longer.clamp(_LEAST, _MOST))
        t, r = torch.where(held, t, t + s), torch.where(held, r, r_next)
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
    r"""Return :math:`(\|\nabla f(x_i)\|_2 - 1)^2` for each point, (n,), differentiable in the
    parameters of ``f``.

    ``f`` maps (n, ...) to (n,) or (n, 1); the value of a point must depend on it, and not on the
    other points. ``x`` (n, ...) is where the slope is asked to be 1; its own gradient is not
    followed. ``one_sided`` punishes slopes above 1 only.

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
        slope = (
            torch.autograd.grad(value.sum(), x, create_graph=True, allow_unused=True)[0]
            if value.requires_grad
            else None
        )
        if slope is None:
            raise ValueError(
                "f does not depend on x: its gradient is zero everywhere and no penalty can change "
                "that"
            )
        excess = torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1
        return (excess.clamp_min(0) if one_sided else excess).square()


def dual_w2_squared(psi: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    r"""Return the value of the dual of :math:`W_2^2` at a convex potential, from samples.

    .. math::

        E\|x\|^2 + E\|y\|^2 - 2\,(E\,\psi(x) + E\,\psi^*(y)), \qquad \psi^*(y) = \langle t, y\rangle
        - \psi(t)

    A lower bound where t attains the maximum, up to sampling, and W₂² where the potential is
    optimal. ``psi`` maps (n, d) to (n,); x (n, d) and y (m, d) are samples of P and Q, and t (m, d)
    is where ψ*(y) is attained, see `conjugate`.

    >>> x, y = torch.zeros(4, 2), torch.ones(4, 2)
    >>> dual_w2_squared(lambda v: v.square().sum(1) / 2 + v.sum(1), x, y, y - 1)  # of the map v + 1
    tensor(2.)
    """
    conjugates = (t * y).sum(1) - psi(t)
    return (
        x.square().sum(1).mean()
        + y.square().sum(1).mean()
        - 2 * (psi(x).mean() + conjugates.mean())
    )
