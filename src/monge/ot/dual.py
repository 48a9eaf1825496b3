r"""What keeps a critic in the set over which a dual problem is a supremum.

.. math:: W_1(P, Q) = \sup_{\mathrm{Lip}(f) \le 1} E_P f - E_Q f

    Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017    [gulrajani2017], eq. (3)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(f: Callable[[Tensor], Tensor], x: Tensor, *, one_sided: bool = False) -> Tensor:
    r"""Return :math:`(\|\nabla f(x_i)\|_2 - 1)^2` for each point, differentiable in the parameters of ``f``.

    Parameters
    ----------
    f : callable
        (n, ...) to (n,) or (n, 1); the value of a point must not depend on the other points.
    x : Tensor, (n, ...)
        Where the slope is asked to be 1; its own gradient is not followed.
    one_sided : bool
        Punish slopes above 1 only.

    Returns
    -------
    Tensor, (n,)

    Raises
    ------
    ValueError
        If ``f`` does not depend on ``x``, or gives more than one number a point.

    Examples
    --------
    >>> gradient_penalty(lambda x: 3 * x[:, 0], torch.zeros(2, 5))
    tensor([4., 4.])
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = f(x)
        if value.numel() != len(x):
            raise ValueError(f"f must give one number for each of {len(x)} points, got shape {tuple(value.shape)}")
        slope = torch.autograd.grad(value.sum(), x, create_graph=True, allow_unused=True)[0] if value.requires_grad else None
        if slope is None:
            raise ValueError("f does not depend on x: its gradient is zero everywhere and no penalty can change that")
        excess = torch.linalg.vector_norm(slope.flatten(1), dim=1) - 1
        return (excess.clamp_min(0) if one_sided else excess).square()


def dual_w2_squared(psi: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    r"""Return the value of the dual of :math:`W_2^2` at a convex potential, from samples.

    .. math:: E\|x\|^2 + E\|y\|^2 - 2\,(E\,\psi(x) + E\,\psi^*(y)), \qquad \psi^*(y) = \langle t, y\rangle - \psi(t)

    A lower bound where t attains the maximum, up to sampling, and W₂² where the potential is optimal.

    Parameters
    ----------
    psi : callable
        (n, d) to (n,).
    x, y : Tensor (n, d), (m, d)
        Samples of P and Q.
    t : Tensor (m, d)
        Where ψ*(y) is attained, see `conjugate`.

    Examples
    --------
    >>> x, y = torch.zeros(4, 2), torch.ones(4, 2)
    >>> dual_w2_squared(lambda v: v.square().sum(1) / 2 + v.sum(1), x, y, y - 1)  # of the map v + 1
    tensor(2.)
    """
    conjugates = (t * y).sum(1) - psi(t)
    return x.square().sum(1).mean() + y.square().sum(1).mean() - 2 * (psi(x).mean() + conjugates.mean())
