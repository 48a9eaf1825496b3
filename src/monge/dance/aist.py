"""AIST++: street dance as joint rotations and as 3-D keypoints, 60 frames per second.

    Li, Yang, Ross, Kanazawa, "AI choreographer: music conditioned 3D dance generation with AIST++",
        ICCV 2021   [li2021]
    Loper et al., "SMPL: a skinned multi-person linear model", ACM ToG 2015   [loper2015]

=================  =================================================================================
in the files       meaning
=================  =================================================================================
smpl_poses         (T, 72): the rotation of each of 24 joints, axis times angle; the root is first
smpl_trans         (T, 3): position of the body's origin, in centimeters
smpl_scaling       (1,): how many of these centimeters one meter of the body is
keypoints3d        (T, 17, 3): COCO's keypoints, in centimeters; keypoints3d_optim: smoothed
=================  =================================================================================

The files are pickles, which `read_arrays` reads without executing them. The license does not allow
monge to ship the data: get the annotations from https://google.github.io/aistplusplus_dataset, and
pass `read_aist` the folder that holds ``motions``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.errors import MongeError

from ._pickle import read_arrays
from .motion import SMPL, Skeleton, bone_rotations, exp, forward_kinematics, resample

RATE = 60.0  # frames per second of the files
GENRES = {
    "BR": "break",
    "PO": "pop",
    "LO": "lock",
    "MH": "middle hip-hop",
    "LH": "LA-style hip-hop",
    "HO": "house",
    "WA": "waack",
    "KR": "krump",
    "JS": "street jazz",
    "JB": "ballet jazz",
}
COCO = (
    *("nose", "left eye", "right eye", "left ear", "right ear"),
    *("left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist"),
    *("left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle"),
)

_NAME = re.compile(
    r"g(?P<genre>[A-Z]{2})_s[A-Z]{2}_c\w+?_d\d+(?:_d\d+)*_m(?P<music>[A-Z]{2}\d+)_ch\d+"
)
_PELVIS = (0.0, -0.223, 0.028)  # of SMPL's mean body at rest, from its origin, meters
_FLOOR = 0.01  # share of the frames that may reach below the floor
# SMPL's mean body at rest: from each joint's parent to the joint, meters, mean of left and right
_OFFSETS = {
    "hip": (0.059, -0.086, -0.016),
    "knee": (0.043, -0.385, 0.002),
    "ankle": (-0.017, -0.423, -0.036),
    "toe": (0.038, -0.061, 0.126),
    "spine": (0.0, 0.124, -0.038),
    "chest": (0.0, 0.138, 0.027),
    "breast": (0.0, 0.056, 0.003),
    "neck": (0.0, 0.212, -0.033),
    "head": (0.0, 0.089, 0.050),
    "collar": (0.077, 0.113, -0.021),
    "shoulder": (0.118, 0.046, -0.014),
    "elbow": (0.258, -0.015, -0.027),
    "wrist": (0.267, 0.010, -0.007),
    "hand": (0.088, -0.010, -0.013),
}


@dataclass(frozen=True)
class AistDance:
    """One dance of AIST++ and the name of its ``music``.

    ``positions`` (T, 24, 3) are those of the joints of `monge.dance.motion.SMPL`, in meters, at
    ``rate`` Hz.
    """

    name: str
    genre: str
    music: str
    positions: Tensor
    rate: float


def read_aist(root: str | Path, rate: float = 25.0) -> list[AistDance]:
    """Return the dances in ``root/motions``, in the order of their names.

    Those listed in ``root/ignore_list.txt`` are left out. A name such as
    gBR_sBM_cAll_d04_mBR0_ch01 holds the genre and the piece of music.
    """
    folder = Path(root) / "motions"
    listed = Path(root) / "ignore_list.txt"
    ignored = set(listed.read_text().split()) if listed.is_file() else set()
    files = [file for file in sorted(folder.glob("*.pkl")) if file.stem not in ignored]
    if not files:
        raise MongeError(
            f"no motions of AIST++ are at {folder}: pass the folder that holds motions/*.pkl"
        )
    return [_dance(file, rate) for file in files]


def read_motion(path: str | Path, rate: float = 25.0) -> Tensor:
    """Return positions (T, 24, 3) of `monge.dance.motion.SMPL` from a file of ``motions``.

    Positions are in meters at ``rate`` Hz, with y up and the floor at 0. Rotations and translations
    are those of the file, bones have the lengths of the skeleton, and the pelvis is where it is in
    the mean body. One percent of the frames may reach below the floor.

    Raises MongeError for a file that does not exist, is corrupt, holds anything but arrays, or
    holds arrays of other shapes; the message names the cause.
    """
    arrays = read_arrays(path)
    poses = _array(path, arrays, "smpl_poses", SMPL.size, 3)
    trans = _array(path, arrays, "smpl_trans", 3)
    scaling = _value(path, arrays, "smpl_scaling")
    if len(poses) != len(trans):
        raise MongeError(
            f"'{path}' has {len(poses)} poses and {len(trans)} translations: copy it again"
        )
    if scaling.size != 1 or not 0 < float(scaling.flat[0]) < math.inf:
        raise MongeError(
            f"'{path}' has smpl_scaling {scaling.tolist()}, not one positive number: copy it again"
        )
    root = trans / float(scaling.flat[0]) + trans.new_tensor(_PELVIS)
    positions = forward_kinematics(bone_rotations(exp(poses), SMPL), root, SMPL, rest=_rest())
    return _at(rate, positions, SMPL)


def read_keypoints(path: str | Path, rate: float = 25.0, *, optimized: bool = True) -> Tensor:
    """Return positions (T, 17, 3) of the `COCO` keypoints from a file of ``keypoints3d``.

    Positions are in meters at ``rate`` Hz, as in `read_motion`. ``optimized`` chooses the keypoints
    that AIST++ smoothed. Keypoints are points on the surface of the body, not a tree of joints: for
    a skeleton, use `read_motion`.
    """
    key = "keypoints3d_optim" if optimized else "keypoints3d"
    points = _array(path, read_arrays(path), key, len(COCO), 3)
    return _at(rate, points / 100, None)


def _dance(path: Path, rate: float) -> AistDance:
    match = _NAME.fullmatch(path.stem)
    genre, music = (match["genre"], f"m{match['music']}") if match else ("", "")
    return AistDance(path.stem, GENRES.get(genre, "dance"), music, read_motion(path, rate), rate)


def _array(path: str | Path, arrays: dict[str, NDArray[Any]], key: str, *shape: int) -> Tensor:
    """Return the array of a key, (T, *shape) or (T, prod(shape)), as float64 (T, *shape)."""
    array = _value(path, arrays, key)
    if not len(array) or array.shape[1:] not in (shape, (math.prod(shape),)):
        expected = ", ".join(map(str, ("T", *shape)))
        raise MongeError(
            f"'{path}' has '{key}' of shape {array.shape}, not ({expected}): choose a file of "
            "AIST++, with its skeleton"
        )
    values = torch.from_numpy(array.astype(np.float64)).reshape(len(array), *shape)
    bad = (~values.isfinite()).flatten(1).any(1).nonzero()
    if len(bad):
        raise MongeError(
            f"'{path}' has nan or inf in '{key}', frame {bad[0].item()}: list the file in "
            "ignore_list.txt"
        )
    return values


def _value(path: str | Path, arrays: dict[str, NDArray[Any]], key: str) -> NDArray[Any]:
    if key not in arrays:
        raise MongeError(
            f"'{path}' has no '{key}', but {', '.join(arrays) or 'nothing'}: choose a file of "
            "AIST++'s other folder"
        )
    return np.atleast_1d(arrays[key])


def _at(rate: float, positions: Tensor, skeleton: Skeleton | None) -> Tensor:
    """Put positions on the floor and resample them to ``rate`` frames per second."""
    if not 0 < rate < math.inf:
        raise MongeError(
            f"rate must be a positive number of frames per second, got {rate}: 25 is the rate of "
            "the other dances"
        )
    return resample(_on_floor(positions), RATE, rate, skeleton).float()


def _on_floor(positions: Tensor) -> Tensor:
    """Put positions (T, J, 3) on the floor: in 99 % of the frames all joints are at height ≥ 0."""
    lowest = positions[..., 1].min(1).values.quantile(_FLOOR)
    return positions - lowest * positions.new_tensor([0.0, 1.0, 0.0])


def _rest() -> Tensor:
    """Return directions (23, 3) of SMPL's bones at rest; on the right side x is mirrored."""
    names = [SMPL.joints[j] for j in SMPL.bones]
    signs = [[-1.0 if "right" in name else 1.0, 1.0, 1.0] for name in names]
    offsets = [_OFFSETS[name.split()[-1]] for name in names]
    mirror = torch.tensor(signs, dtype=torch.float64)
    return mirror * torch.tensor(offsets, dtype=torch.float64)
