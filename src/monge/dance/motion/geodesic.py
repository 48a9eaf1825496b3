r"""Distances between poses: a pose is a point of (S²)^B, one direction for each bone.

==========  =======================================================
symbol      meaning
==========  =======================================================
θ(u, v)     angle between two directions, the geodesic distance on S²
==========  =======================================================
"""

from __future__ import annotations

import torch
from torch import Tensor

_STEEPEST = 1e-3  # of sin² θ: nearer to θ = 0 the derivative is its limit, nearer to π bounded


def angle(u: Tensor, v: Tensor) -> Tensor:
    r"""Compute the geodesic distance θ (...) of directions u, v (..., 3) on the sphere, in radians.

    .. math:: \theta = 2\,\mathrm{atan2}(|u - v|, |u + v|)

    Accurate for small and for opposite directions, where arccos ⟨u, v⟩ is not.

    >>> angle(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])).item()
    1.5707963705062866
    """
    return 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))


def squared_angles(x: Tensor, y: Tensor) -> Tensor:
    r"""Compute the mean squared angles (n, m) between sequences of directions, in radians².

    .. math:: c(x, y) = \frac{1}{k} \sum_k \arccos(\langle x_k, y_k \rangle)^2

    Sequences are x (n, k, 3) and y (m, k, 3). The result is differentiable except between opposite
    directions, where the gradient is bounded.

    >>> x = torch.eye(3)[:, None]
    >>> (squared_angles(x, x) / (torch.pi / 2) ** 2).round(decimals=4)
    tensor([[0., 1., 1.],
            [1., 0., 1.],
            [1., 1., 0.]])
    """
    if x.ndim != 3 or x.shape[1:] != y.shape[1:] or x.shape[-1] != 3:
        raise ValueError(
            f"x and y must be (n, k, 3) and (m, k, 3), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    cosines = x.transpose(0, 1) @ y.permute(1, 2, 0)  # (k, n, m)
    return _SquaredArccos.apply(cosines).mean(0)


class _SquaredArccos(torch.autograd.Function):
    """arccos²; its derivative −2 θ / sin θ is −2 at θ = 0, where that of arccos is infinite."""

    @staticmethod
    def forward(ctx, cosine: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        cosine = cosine.clamp(-1, 1)
        theta = cosine.acos()
        ctx.save_for_backward(cosine, theta)
        return theta.square()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        cosine, theta = ctx.saved_tensors
        sine = (1 - cosine.square()).clamp_min(_STEEPEST).sqrt()
        ratio = torch.where(cosine > 1 - _STEEPEST, 1.0, theta / sine)  # θ / sin θ
        return grad * ratio * -2
