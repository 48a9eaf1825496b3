r"""Motion on other time: smoothed, or at another number of frames a second.

Bones keep their lengths.

    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985    [shoemake1985]

======  ===========================================
symbol  meaning
======  ===========================================
σ       standard deviation of a Gaussian, frames
u_b     directions of bones, points of the sphere
======  ===========================================

The mean of two poses of a bent arm has a shorter arm. With a skeleton, the root's path and the
directions of bones are averaged instead of the joints, and the directions are brought back to the
sphere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv1d, normalize, pad

from .rotations import slerp
from .skeleton import Skeleton, check_motion, check_rate, directions, place

_LONGEST = 60  # seconds; the kernel has eight times as many


def smooth(
    positions: Tensor, rate: float, seconds: float, skeleton: Skeleton | None = None
) -> Tensor:
    r"""The Gaussian mean over time (..., T, J, 3) of positions (..., T, J, 3), with standard
    deviation ``seconds``.

    .. math::

        \bar x(t) \propto \sum_s e^{-s^2 / 2\sigma^2} x(t + s), \qquad \sigma = \mathrm{rate} \cdot
        \mathrm{seconds}

    The first and the last frame are held beyond the ends. With a skeleton the directions of the
    bones are averaged and normalized, and bones have its lengths; without, bones become shorter
    where they turn fast. 0 seconds change nothing.

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
    """The normalized Gaussian mean over time of directions u (..., T, B, 3), as in `smooth`.

    Where directions cancel, as those of a bone that turns round and round, there is no mean: the
    direction stays what it was.

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
    r"""Positions (..., T′, J, 3) at ``rate_out`` frames a second of positions (..., T, J, 3) at
    ``rate_in``.

    .. math:: T' = \lfloor (T - 1)\, \mathrm{rate_{out}} / \mathrm{rate_{in}} \rfloor + 1

    Between frames joints go along straight lines or, with a skeleton, the root does and bones turn
    along great circles [shoemake1985], so that they keep its lengths. Movement of more than
    ``rate_out`` / 2 Hz is not filtered out: `smooth` the dance first where it has such.

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
        return torch.lerp(
            positions[..., before, :, :], positions[..., after, :, :], share[..., None]
        )
    root, u = positions[..., skeleton.root, :], directions(positions, skeleton)
    path = torch.lerp(root[..., before, :], root[..., after, :], share)
    return place(slerp(u[..., before, :, :], u[..., after, :, :], share), path, skeleton)


def _gaussian(x: Tensor, sigma: float) -> Tensor:
    """Mean of x (..., T, J, 3) over T."""
    radius = math.ceil(4 * sigma)
    kernel = torch.exp(
        -torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device).square() / (2 * sigma**2)
    )
    rows = x.movedim(-3, -1)
    held = pad(rows.reshape(-1, 1, rows.shape[-1]), (radius, radius), mode="replicate")
    return conv1d(held, (kernel / kernel.sum())[None, None]).reshape(rows.shape).movedim(-1, -3)


def _sigma(rate: float, seconds: float) -> float:
    if not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"seconds must be from 0 to {_LONGEST}, got {seconds}: 0.1 takes away the noise of "
            "motion capture"
        )
    return rate * seconds
