"""Features of a dance that are invariant to the body's place on the floor and its direction.

    Holden, Saito & Komura, "A deep learning framework for character motion synthesis and editing",
        ToG 2016   [holden2016]

========  ======  ============================================================================
channels  symbol  meaning
========  ======  ============================================================================
0         ω_t     turn about the vertical since the frame before, radians, in (−π, π]
1, 2      v_t     step of the root since then: to its left and forward, meters
3         h_t     height of the root, meters
4 …       u_t     directions of the bones, turned so that the body faces along z
========  ======  ============================================================================

The body faces along the floor, at right angles to its hips and shoulders. A step is expressed in
the axes of the frame that it leads to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .skeleton import Skeleton, directions, place

TRAVEL = 4  # channels before the directions


def channels(skeleton: Skeleton) -> int:
    """Return the number of features of a frame, 4 + 3B.

    >>> from monge.dance.motion import MELODY
    >>> channels(MELODY)
    70
    """
    return TRAVEL + 3 * (skeleton.size - 1)


def encode(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Encode a dance (..., T, J, 3) as features (..., T, 4 + 3B).

    The turn and the step of the first frame are 0.

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
    step = _turn(torch.diff(root, dim=-2, prepend=root[..., :1, :]), -yaw)
    u = _turn(directions(positions, skeleton), -yaw[..., None])
    return torch.cat([turn[..., None], step[..., [0, 2]], root[..., 1:2], u.flatten(-2)], -1)


def decode(features: Tensor, skeleton: Skeleton) -> Tensor:
    """Decode features (..., T, 4 + 3B) to positions (..., T, J, 3).

    The dance begins above the origin and faces along z. Bones have the skeleton's lengths.
    Directions are normalized first: they may come from a network.
    """
    if features.ndim < 2 or features.shape[-1] != channels(skeleton):
        raise ValueError(
            f"features must be (..., T, {channels(skeleton)}) for '{skeleton.name}', got "
            f"{tuple(features.shape)}"
        )
    yaw, root = _path(features)
    u = torch.nn.functional.normalize(features[..., TRAVEL:].unflatten(-1, (-1, 3)), dim=-1)
    return place(_turn(u, yaw[..., None]), root, skeleton)


def velocities(features: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute steps of all joints (..., T − 1, J, 3), in meters per frame.

    Steps are in the axes of the body at the end of each step.

    >>> from monge.dance.motion import MELODY, rest
    >>> velocities(encode(rest(MELODY).expand(5, 23, 3), MELODY), MELODY).abs().max().item()
    0.0
    """
    yaw, _ = _path(features)
    return _turn(decode(features, skeleton).diff(dim=-3), -yaw[..., 1:, None])


def facing(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute the angle (...) about the vertical that a body (..., J, 3) faces.

    It is 0 along z and π/2 along x.
    """
    hip, right_hip = (positions[..., joint, :] for joint in skeleton.hips)
    shoulder, right_shoulder = (positions[..., joint, :] for joint in skeleton.shoulders)
    across = hip - right_hip + shoulder - right_shoulder
    return torch.atan2(-across[..., 2], across[..., 0])


def _path(features: Tensor) -> tuple[Tensor, Tensor]:
    """Integrate the angle (..., T) and the root (..., T, 3) of each frame, from the origin."""
    moves = torch.ones(features.shape[-2], dtype=features.dtype, device=features.device)
    moves[0] = 0.0
    yaw = (features[..., 0] * moves).cumsum(-1)
    zero = torch.zeros_like(yaw)
    step = torch.stack([features[..., 1], zero, features[..., 2]], -1) * moves[:, None]
    ground = _turn(step, yaw).cumsum(-2)
    return yaw, ground + torch.stack([zero, features[..., 3], zero], -1)


def _turn(v: Tensor, yaw: Tensor) -> Tensor:
    """Turn vectors (..., 3) about the vertical by angles (...)."""
    c, s = yaw.cos(), yaw.sin()
    x, y, z = v.unbind(-1)
    return torch.stack([c * x + s * z, y.expand_as(c * x), c * z - s * x], -1)
