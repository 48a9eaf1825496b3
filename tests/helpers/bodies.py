"""Motions with known metrics, for the tests of the metrics of dances."""

from __future__ import annotations

from math import pi

import pytest
import torch
from torch import Tensor

from benchmarks.dance.features import geometric_loop, kinetic_loop, motions
from monge.dance.motion import MELODY, SMPL, Skeleton, rest

__all__ = [
    "BOTH",
    "RATE",
    "displace",
    "geometric_loop",
    "kinetic_loop",
    "motions",
    "pendulum",
    "reflect",
    "still",
    "turn",
]

RATE = 25.0
BOTH = pytest.mark.parametrize("skeleton", [MELODY, SMPL], ids=lambda skeleton: skeleton.name)


def still(frames: int, skeleton: Skeleton = MELODY) -> Tensor:
    """Return the rest pose in every frame, (T, J, 3)."""
    return rest(skeleton).double().expand(frames, skeleton.size, 3)


def turn(p: Tensor, angle: float) -> Tensor:
    """Turn positions about the vertical."""
    c, s = torch.tensor(angle).cos().item(), torch.tensor(angle).sin().item()
    return p @ p.new_tensor([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def displace(joint: str, path: Tensor, skeleton: Skeleton = MELODY) -> Tensor:
    """Return a body at rest with one joint displaced along a path (T, 3)."""
    p = still(len(path), skeleton).clone()
    p[:, skeleton.joints.index(joint)] += path
    return p


def pendulum(frames: int, period: int, first: int = 0) -> Tensor:
    """Return a pendulum (T, 1, 3) that turns, and so is slowest, at frames first + k · period."""
    angle = (pi * (torch.arange(frames, dtype=torch.float64) - first) / period).cos()
    return torch.stack([angle.sin(), -angle.cos(), torch.zeros_like(angle)], -1)[:, None]


def reflect(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Reflect every joint, x ↦ −x, and exchange left and right.

    `monge.dance.motion.mirror` keeps head markers on their side instead.
    """
    return positions[..., list(skeleton.mirrored), :] * positions.new_tensor([-1.0, 1.0, 1.0])
