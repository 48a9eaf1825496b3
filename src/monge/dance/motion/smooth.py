r"""Smoothing and resampling of motion in time; bones keep their lengths.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985   [shoemake1985]

======  ===========================================
symbol  meaning
======  ===========================================
σ       standard deviation of a Gaussian, frames
u_b     directions of bones, points of the sphere
======  ===========================================

The mean of the joints of two poses has shorter bones. With a skeleton, the root's path and the
directions of bones are averaged instead of the joints, and the directions are normalized.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv1d, normalize, pad

from .rotations import slerp
from .skeleton import Skeleton, check_motion, check_rate, directions, place

_LONGEST = 60  # seconds; the kernel is eight times as long


def smooth(
    positions: Tensor, rate: float, seconds: float, skeleton: Skeleton | None = None
) -> Tensor:
    r"""Smooth positions (..., T, J, 3) in time by a Gaussian with standard deviation ``seconds``.

    .. math::

        \bar x(t) \propto \sum_s e^{-s^2 / 2\sigma^2} x(t + s), \qquad
        \sigma = \mathrm{rate} \cdot \mathrm{seconds}

    The first and the last frame are repeated beyond the ends. With a skeleton the directions of the
    bones are averaged and normalized, and bones have its lengths; without a skeleton bones become
    shorter where they turn fast. ``seconds=0`` returns the positions unchanged.

    >>> from monge.dance.motion import MELODY, rest
    >>> still = rest(MELODY).expand(10, 23, 3)
    >>> smooth(still, rate=25.0, seconds=0.1, skeleton=MELODY).allclose(still, atol=1e-6)
    True
    """
    check_motion(positions, rate=rate)
    if seconds == 0:
        return positions
    if skeleton is None:
        return _gaussian(positions, _sigma(rate, seconds))
    root = _gaussian(positions[..., [skeleton.root], :], _sigma(rate, seconds)).squeeze(-2)
    return place(smooth_directions(directions(positions, skeleton), rate, seconds), root, skeleton)


def smooth_directions(u: Tensor, rate: float, seconds: float) -> Tensor:
    """Compute the normalized Gaussian mean over time of directions u (..., T, B, 3), see `smooth`.

    Where directions cancel, as those of a bone that rotates fully, the mean has no direction: the
    direction is left unchanged.

    >>> u = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    >>> smooth_directions(u, rate=25.0, seconds=1.0).norm(dim=-1).squeeze()
    tensor([1., 1.])
    """
    check_motion(u, rate=rate)
    if seconds == 0:
        return u
    mean = _gaussian(u, _sigma(rate, seconds))
    return torch.where(mean.norm(dim=-1, keepdim=True) > 1e-6, normalize(mean, dim=-1), u)


def resample(
    positions: Tensor, rate_in: float, rate_out: float, skeleton: Skeleton | None = None
) -> Tensor:
    r"""Resample positions from (..., T, J, 3) at ``rate_in`` to (..., T′, J, 3) at ``rate_out``.

    .. math:: T' = \lfloor (T - 1)\, \mathrm{rate_{out}} / \mathrm{rate_{in}} \rfloor + 1

    Rates are in frames per second. Joints are interpolated linearly. With a skeleton, only the root
    is, and bones turn along great circles [shoemake1985], so that they keep its lengths. Movement
    above ``rate_out`` / 2 Hz is not filtered out: `smooth` a dance first that has such movement.

    >>> from monge.dance.motion import SMPL, rest
    >>> resample(rest(SMPL).expand(60, 24, 3), 60.0, 25.0, SMPL).shape
    torch.Size([25, 24, 3])
    """
    check_motion(positions)
    check_rate(rate_in, "rate_in")
    check_rate(rate_out, "rate_out")
    frames = positions.shape[-3]
    count = math.floor((frames - 1) * rate_out / rate_in + 1e-9) + 1
    time = torch.arange(count, dtype=torch.float64, device=positions.device) * (rate_in / rate_out)
    before = time.floor().long().clamp(max=max(frames - 2, 0))
    after = (before + 1).clamp(max=frames - 1)
    share = (time - before).clamp(0, 1).to(positions)[:, None]
    if skeleton is None:
        start, end = positions[..., before, :, :], positions[..., after, :, :]
        return torch.lerp(start, end, share[..., None])
    root, u = positions[..., skeleton.root, :], directions(positions, skeleton)
    path = torch.lerp(root[..., before, :], root[..., after, :], share)
    return place(slerp(u[..., before, :, :], u[..., after, :, :], share), path, skeleton)


def _gaussian(x: Tensor, sigma: float) -> Tensor:
    """Compute the Gaussian mean of x (..., T, J, 3) over T."""
    radius = math.ceil(4 * sigma)
    shift = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-shift.square() / (2 * sigma**2))
    rows = x.movedim(-3, -1)
    padded = pad(rows.reshape(-1, 1, rows.shape[-1]), (radius, radius), mode="replicate")
    means = conv1d(padded, (kernel / kernel.sum())[None, None])
    return means.reshape(rows.shape).movedim(-1, -3)


def _sigma(rate: float, seconds: float) -> float:
    if not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"seconds must be from 0 to {_LONGEST}, got {seconds}: 0.1 removes the noise of motion "
            "capture"
        )
    return rate * seconds
