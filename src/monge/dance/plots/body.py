"""The shape of a drawn body: tapered tubes between points computed from a skeleton's joints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.dance.motion import Skeleton

Array: TypeAlias = NDArray[np.float64]

_LEFT, _MIDDLE, _RIGHT = -1, 0, 1
HEAD = 0.25  # height of the head's center above the middle of the shoulders, meters
_RADII = {
    "collar": 0.05,
    "shoulder": 0.048,
    "elbow": 0.039,
    "forearm": 0.033,
    "wrist": 0.028,
    "hand": 0.02,
    "hip": 0.066,
    "knee": 0.05,
    "ankle": 0.037,
    "heel": 0.032,
    "toe": 0.024,
}
_LIMB = 0.035  # radius at joints with other names


@dataclass(frozen=True)
class Tube:
    """A segment between two points, with a radius in meters at either end.

    ``side`` is −1 for left, 0 for the middle, 1 for right.
    """

    start: int
    end: int
    radius: tuple[float, float]
    side: int


@dataclass(frozen=True)
class Body:
    """Tubes between the joints and three further points.

    The points are the middles of shoulders and hips, and the center of the head. The tubes of a
    part are drawn together, in their order: the trunk is a part, and so is each bone of a limb.
    """

    parts: tuple[tuple[Tube, ...], ...]
    shoulders: tuple[int, int]
    hips: tuple[int, int]
    head: int

    @property
    def tubes(self) -> tuple[Tube, ...]:
        return tuple(tube for part in self.parts for tube in part)

    def points(self, positions: Array) -> Array:
        """Append the three points to joints (..., J, 3), to (..., J + 3, 3)."""
        chest = positions[..., list(self.shoulders), :].mean(-2)
        pelvis = positions[..., list(self.hips), :].mean(-2)
        upward = positions[..., self.head, :] - chest
        length = np.linalg.norm(upward, axis=-1, keepdims=True)
        direction = np.where(length > 1e-6, upward / np.maximum(length, 1e-6), [0.0, 1.0, 0.0])
        head = chest + HEAD * direction
        return np.concatenate([positions, np.stack([chest, pelvis, head], -2)], -2)


@cache
def body_of(skeleton: Skeleton) -> Body:
    """Return the body of a skeleton: its limbs, and a trunk between them.

    Limbs are the bones between joints of one side.

    >>> from monge.dance.motion import MELODY
    >>> len(body_of(MELODY).tubes), body_of(MELODY).points(np.zeros((5, 23, 3))).shape
    (21, (5, 26, 3))
    """
    side = [
        _LEFT if "left" in name else _RIGHT if "right" in name else _MIDDLE
        for name in skeleton.joints
    ]
    radius = [_RADII.get(name.split()[-1], _LIMB) for name in skeleton.joints]
    limbs = [
        (Tube(parent, joint, (radius[parent], radius[joint]), side[joint]),)
        for joint, parent in enumerate(skeleton.parents)
        if parent >= 0 and side[joint] == side[parent] != _MIDDLE
    ]
    chest, pelvis, head = range(skeleton.size, skeleton.size + 3)
    trunk = (
        Tube(chest, head, (0.05, 0.045), _MIDDLE),
        Tube(*skeleton.hips, (0.07, 0.07), _MIDDLE),
        Tube(*skeleton.shoulders, (0.055, 0.055), _MIDDLE),
        Tube(pelvis, chest, (0.1, 0.115), _MIDDLE),
        Tube(head, head, (0.105, 0.105), _MIDDLE),
    )
    top = skeleton.joints.index("head") if "head" in skeleton.joints else skeleton.root
    return Body((trunk, *limbs), skeleton.shoulders, skeleton.hips, top)
