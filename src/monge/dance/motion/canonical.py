"""A dance as a sequence of features that do not say where the body stands or which way it looks.

    Holden, Saito & Komura, "A deep learning framework for character motion synthesis and editing",
        ToG 2016 [holden2016]

========  ======  ============================================================================
channels  symbol  meaning
========  ======  ============================================================================
0         ω_t     turn about the vertical since the frame before, radians, in (−π, π]
1, 2      v_t     step of the root since then: to its left and forward, meters
3         h_t     height of the root, meters
4 …       u_t     directions of the bones, turned so that the body looks along z
========  ======  ============================================================================

The body looks at right angles to its hips and shoulders, along the floor. A step is measured in the
frame that it leads to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .skeleton import Skeleton, directions, place

TRAVEL = 4  # channels before the directions


def channels(skeleton: Skeleton) -> int:
    """Features of a frame, 4 + 3B.

    >>> from monge.dance.motion import MELODY
    >>> channels(MELODY)
    70
    """
    return TRAVEL + 3 * (skeleton.size - 1)


def encode(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Features (..., T, 4 + 3B) of a dance (..., T, J, 3). The first frame neither turns nor steps.

    >>> from monge.dance.motion import MELODY, rest
    >>> dance = rest(MELODY).expand(5, 23, 3)
    >>> features = encode(dance, MELODY)
    >>> features.shape, decode(features, MELODY).allclose(dance, atol=1e-6)
    (torch.Size([5, 70]), True)
    """
    skeleton.check(positions)
    yaw = facing(positions, skeleton)
    root = positions[..., skeleton.root, :]
    turn = torch.diff(yaw, dim=-1, prepend=yaw[..., :1])
    turn = torch.atan2(turn.sin(), turn.cos())
    step = _turned(torch.diff(root, dim=-2, prepend=root[..., :1, :]), -yaw)
    u = _turned(directions(positions, skeleton), -yaw[..., None])
    return torch.cat([turn[..., None], step[..., [0, 2]], root[..., 1:2], u.flatten(-2)], -1)


def decode(features: Tensor, skeleton: Skeleton) -> Tensor:
    """Positions (..., T, J, 3) of a dance that begins above the origin and looks along z; bones
    have the skeleton's lengths.

    Directions are normalized first: they may come from a network.
    """
    if features.ndim < 2 or features.shape[-1] != channels(skeleton):
        raise ValueError(
            f"features must be (..., T, {channels(skeleton)}) for '{skeleton.name}', got "
            f"{tuple(features.shape)}"
        )
    yaw, root = _path(features)
    u = torch.nn.functional.normalize(features[..., TRAVEL:].unflatten(-1, (-1, 3)), dim=-1)
    return place(_turned(u, yaw[..., None]), root, skeleton)


def velocities(features: Tensor, skeleton: Skeleton) -> Tensor:
    """Steps of all joints (..., T − 1, J, 3), meters a frame, seen by the body at the end of each
    step.

    >>> from monge.dance.motion import MELODY, rest
    >>> velocities(encode(rest(MELODY).expand(5, 23, 3), MELODY), MELODY).abs().max().item()
    0.0
    """
    yaw, _ = _path(features)
    return _turned(decode(features, skeleton).diff(dim=-3), -yaw[..., 1:, None])


def facing(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """The angle (...) about the vertical at which a body (..., J, 3) looks, 0 along z and π/2 along
    x.
    """
    (hip, right_hip), (shoulder, right_shoulder) = skeleton.hips, skeleton.shoulders
    across = (
        positions[..., hip, :]
        - positions[..., right_hip, :]
        + positions[..., shoulder, :]
        - positions[..., right_shoulder, :]
    )
    return torch.atan2(-across[..., 2], across[..., 0])


def _path(features: Tensor) -> tuple[Tensor, Tensor]:
    """Angle (..., T) and root (..., T, 3) of each frame; the first one is at the origin."""
    first = torch.ones(features.shape[-2], dtype=features.dtype, device=features.device)
    first[0] = 0.0
    yaw = (features[..., 0] * first).cumsum(-1)
    step = (
        torch.stack([features[..., 1], torch.zeros_like(yaw), features[..., 2]], -1)
        * first[:, None]
    )
    ground = _turned(step, yaw).cumsum(-2)
    height = torch.stack([torch.zeros_like(yaw), features[..., 3], torch.zeros_like(yaw)], -1)
    return yaw, ground + height


def _turned(v: Tensor, yaw: Tensor) -> Tensor:
    """Vectors (..., 3) turned about the vertical by angles (...)."""
    c, s = yaw.cos(), yaw.sin()
    x, y, z = v.unbind(-1)
    return torch.stack([c * x + s * z, y.expand_as(c * x), c * z - s * x], -1)
