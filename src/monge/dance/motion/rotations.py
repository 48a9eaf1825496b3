r"""Rotations: their representations, distances and interpolation.

    Zhou, Barnes, Lu, Yang, Li, "On the continuity of rotation representations in neural networks",
        CVPR 2019   [zhou2019]
    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985   [shoemake1985]

======  ====================================================
symbol  meaning
======  ====================================================
R       rotation (..., 3, 3), a matrix that turns columns
v, θ    axis of unit length times angle (..., 3), and |v|
q       unit quaternion (w, x, y, z) (..., 4)
[v]×    matrix of the cross product, [v]× y = v × y
======  ====================================================
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def to_6d(rotations: Tensor) -> Tensor:
    """Convert rotations (..., 3, 3) to six numbers (..., 6): the first two columns [zhou2019].

    >>> to_6d(torch.eye(3)).tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    _check(rotations)
    return rotations[..., :2].transpose(-1, -2).flatten(-2)


def from_6d(six: Tensor) -> Tensor:
    """Convert six numbers (..., 6), the first two columns, to rotations (..., 3, 3) [zhou2019].

    The columns are orthonormalized. The map is continuous and differentiable where they are not
    parallel, so that the numbers may be the output of a network.

    >>> from_6d(torch.tensor([2.0, 0.0, 0.0, 5.0, 3.0, 0.0])).equal(torch.eye(3))
    True
    """
    if six.shape[-1] != 6:
        raise ValueError(f"six must be (..., 6), got {tuple(six.shape)}")
    a, b = six.unflatten(-1, (2, 3)).unbind(-2)
    a = normalize(a, dim=-1)
    b = normalize(b - (a * b).sum(-1, keepdim=True) * a, dim=-1)
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)


def exp(axis_angle: Tensor) -> Tensor:
    r"""Compute rotations (..., 3, 3) about axes v (..., 3) by angles θ = |v|, in radians.

    Rodrigues' formula:

    .. math::

        \exp[v]_\times = I + \frac{\sin\theta}{\theta}[v]_\times +
        \frac{1 - \cos\theta}{\theta^2}[v]_\times^2

    >>> quarter = exp(torch.tensor([0.0, torch.pi / 2, 0.0]))
    >>> (quarter @ torch.tensor([0.0, 0.0, 1.0])).round(decimals=3).tolist()[0]
    1.0
    """
    if axis_angle.shape[-1] != 3:
        raise ValueError(f"axis_angle must be (..., 3), got {tuple(axis_angle.shape)}")
    theta = axis_angle.norm(dim=-1)[..., None, None]
    K = _cross_matrix(axis_angle)
    # sin θ / θ and (1 − cos θ) / θ² = (sin(θ/2) / (θ/2))² / 2 without a division by zero
    square = K @ K * torch.sinc(theta / (2 * torch.pi)).square() / 2
    return torch.eye(3).to(K) + torch.sinc(theta / torch.pi) * K + square


def log(rotations: Tensor) -> Tensor:
    """Compute axes times angles (..., 3) of rotations (..., 3, 3), in radians.

    The inverse of `exp`; angles are at most π.

    >>> log(exp(torch.tensor([0.0, 3.0, 0.0]))).allclose(torch.tensor([0.0, 3.0, 0.0]), atol=1e-6)
    True
    """
    quaternion = to_quaternion(rotations)
    w, v = quaternion[..., :1], quaternion[..., 1:]
    sine = v.norm(dim=-1, keepdim=True)
    tiny = sine < 1e-7
    ratio = 2 * torch.atan2(sine, w) / sine.masked_fill(tiny, 1.0)
    return v * torch.where(tiny, 2 / w.clamp_min(0.1), ratio)


def rotation_angle(r: Tensor, s: Tensor) -> Tensor:
    r"""Compute the geodesic distance (...) of rotations (..., 3, 3) on SO(3), in [0, π].

    .. math:: d(R, S) = |\log(R^\top S)|

    >>> turn = exp(torch.tensor([0.0, 0.5, 0.0]))
    >>> round(rotation_angle(turn, turn @ turn).item(), 6)
    0.5
    """
    _check(r)
    _check(s)
    m = r.transpose(-1, -2) @ s
    skew = m - m.transpose(-1, -2)
    sine = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1).norm(dim=-1) / 2
    return torch.atan2(sine, (m.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2)


def to_quaternion(rotations: Tensor) -> Tensor:
    """Convert rotations (..., 3, 3) to unit quaternions (w, x, y, z) (..., 4) with w ≥ 0.

    >>> to_quaternion(torch.eye(3)).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    _check(rotations)
    m = [[rotations[..., i, j] for j in range(3)] for i in range(3)]
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    a, b, c = m[0][0], m[1][1], m[2][2]
    # 4 q qᵀ; the row with the largest diagonal is the accurate one
    rows = [
        (1 + a + b + c, x, y, z),
        (x, 1 + a - b - c, xy, xz),
        (y, xy, 1 - a + b - c, yz),
        (z, xz, yz, 1 - a - b + c),
    ]
    outer = torch.stack([torch.stack(row, -1) for row in rows], -2)
    best = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    q = outer.gather(-2, best.expand(*outer.shape[:-2], 1, 4)).squeeze(-2)
    q = normalize(q, dim=-1)
    return torch.where(q[..., :1] < 0, -q, q)


def from_quaternion(quaternion: Tensor) -> Tensor:
    """Convert quaternions (w, x, y, z) (..., 4) of any nonzero length to rotations (..., 3, 3).

    >>> from_quaternion(torch.tensor([2.0, 0.0, 0.0, 0.0])).equal(torch.eye(3))
    True
    """
    if quaternion.shape[-1] != 4:
        raise ValueError(f"quaternion must be (..., 4), got {tuple(quaternion.shape)}")
    q = normalize(quaternion, dim=-1)
    K = _cross_matrix(q[..., 1:])
    return torch.eye(3).to(K) + 2 * q[..., :1, None] * K + 2 * K @ K


def slerp(u: Tensor, v: Tensor, t: Tensor | float) -> Tensor:
    r"""Interpolate on the sphere from u to v (..., d) at the share t (...) [shoemake1985].

    .. math:: \frac{\sin((1 - t)\theta)}{\sin\theta}\,u + \frac{\sin(t\theta)}{\sin\theta}\,v

    u and v have length 1. Between opposite points the shortest path is not unique; the nearer end
    is returned. A rotation has two quaternions, q and −q: first choose the one that is nearer to
    the other end.

    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    tensor([0.7071, 0.7071])
    """
    t = torch.as_tensor(t, dtype=u.dtype, device=u.device)[..., None]
    difference, total = (u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True)
    theta = 2 * torch.atan2(difference, total) / torch.pi
    mixed = (1 - t) * torch.sinc((1 - t) * theta) * u + t * torch.sinc(t * theta) * v
    is_unique = mixed.norm(dim=-1, keepdim=True) > 1e-6
    return torch.where(is_unique, normalize(mixed, dim=-1), torch.where(t < 0.5, u, v))


def between(u: Tensor, v: Tensor) -> Tensor:
    """Compute the minimal rotations (..., 3, 3) that take unit vectors u to v (..., 3).

    The axis is orthogonal to both; if they are opposite, it is any axis orthogonal to u.

    >>> u, v = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, -1.0, 0.0])
    >>> between(u, v) @ u
    tensor([ 0., -1.,  0.])
    """
    u, v = torch.broadcast_tensors(u, v)
    axis = torch.linalg.cross(u, v)
    length = axis.norm(dim=-1, keepdim=True)
    aside = normalize(torch.linalg.cross(u, torch.eye(3).to(u)[u.abs().argmin(-1)]), dim=-1)
    axis = torch.where(length > 1e-4, axis / length.clamp_min(1e-4), aside)
    return _frame(v, axis) @ _frame(u, axis).transpose(-1, -2)


def _frame(u: Tensor, axis: Tensor) -> Tensor:
    """Return right-handed frames (..., 3, 3) with columns u, nearly the axis, and their product."""
    second = normalize(axis - (axis * u).sum(-1, keepdim=True) * u, dim=-1)
    return torch.stack([u, second, torch.linalg.cross(u, second)], -1)


def _cross_matrix(v: Tensor) -> Tensor:
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _check(rotations: Tensor) -> None:
    if rotations.shape[-2:] != (3, 3):
        raise ValueError(f"rotations must be (..., 3, 3), got {tuple(rotations.shape)}")
