r"""Skeletons: trees of joints, with bones of constant length and varying direction.

    Tang, Jia & Mao, "Dance with melody: an LSTM-autoencoder approach to music-oriented dance
        synthesis", ACM MM 2018   [tang2018]
    Loper et al., "SMPL: a skinned multi-person linear model", ACM ToG 2015   [loper2015]

======  ==========================================================================
symbol  meaning
======  ==========================================================================
J, B    joints, and bones: one for each joint but the root, B = J − 1
p_j     position of a joint (..., J, 3), meters; y is up, and x, y, z right-handed
u_b     direction of a bone on the sphere S², from the parent to the joint
ℓ_b     length of a bone
======  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch
from torch import Tensor


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Parameters
    ----------
    name : str
    joints : tuple of str
        Names; those of the two sides differ by "left" and "right".
    parents : tuple of int
        Parent of each joint, −1 for the root.
    lengths : tuple of float
        Length of the bone from the parent to each joint, meters; 0 for the root.
    feet : tuple of int
        Joints that touch the floor.
    hips, shoulders : tuple of int
        The left and the right one. They determine the direction that the body faces.
    lopsided : tuple of int
        Joints of the middle that lie to the right of their parent: markers without a partner on the
        left.

    Examples
    --------
    >>> MELODY.joints[MELODY.root], MELODY.size, MELODY.joints[MELODY.mirrored[8]]
    ('pelvis', 23, 'left knee')
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    lengths: tuple[float, ...]
    feet: tuple[int, ...]
    hips: tuple[int, int]
    shoulders: tuple[int, int]
    lopsided: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of joints J."""
        return len(self.joints)

    @cached_property
    def root(self) -> int:
        """The joint without a parent."""
        return self.parents.index(-1)

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Joints by their distance from the root, the root first."""
        levels: list[tuple[int, ...]] = [(self.root,)]
        while below := tuple(j for j, parent in enumerate(self.parents) if parent in levels[-1]):
            levels.append(below)
        return tuple(levels)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Joints, each after its parent."""
        return tuple(j for level in self.levels for j in level)

    @property
    def bones(self) -> tuple[int, ...]:
        """The joints at the ends of the bones, in the order of `directions`."""
        return self.order[1:]

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint the one on the other side."""
        swap = {"left": "right", "right": "left"}
        names = (" ".join(swap.get(word, word) for word in joint.split()) for joint in self.joints)
        return tuple(self.joints.index(name) for name in names)

    def check(self, positions: Tensor, name: str = "positions") -> None:
        """Raise ValueError if positions are not (..., J, 3)."""
        if positions.ndim < 2 or tuple(positions.shape[-2:]) != (self.size, 3):
            raise ValueError(
                f"{name} must be (..., {self.size}, 3) for the skeleton '{self.name}', got "
                f"{tuple(positions.shape)}: choose the skeleton that the motion was made for, of "
                f"{', '.join(SKELETONS)}"
            )


def check_rate(rate: float, name: str = "rate") -> None:
    """Raise ValueError if a rate is not positive and finite."""
    if not 0 < rate < inf:
        raise ValueError(
            f"{name} must be a positive number of frames per second, got {rate}: dances have 25 or "
            "60"
        )


def check_motion(
    positions: Tensor,
    *,
    rate: float = 1.0,
    least: int = 1,
    skeleton: Skeleton | None = None,
    single: bool = False,
) -> Tensor:
    """Return the positions if they are valid, and raise ValueError otherwise.

    Valid positions are finite floats (..., T, J, 3), or (T, J, 3) if ``single``, with T at least
    ``least``, for a ``skeleton`` with J joints.
    """
    if positions.ndim < 3 or positions.shape[-1] != 3 or not positions.is_floating_point():
        raise ValueError(
            f"positions must be floats (..., frames, joints, 3), got {tuple(positions.shape)} of "
            f"{positions.dtype}"
        )
    if single and positions.ndim != 3:
        raise ValueError(
            f"positions must be one dance (frames, joints, 3), got {tuple(positions.shape)}"
        )
    if skeleton is not None:
        skeleton.check(positions)
    if positions.shape[-3] < least or 0 in positions.shape:
        raise ValueError(
            f"positions must have at least {least} frames and no empty dimension, got "
            f"{tuple(positions.shape)}"
        )
    check_rate(rate)
    bad = ~positions.isfinite()
    if bad.any():
        count, first = int(bad.sum()), int(bad.nonzero()[0, -3])
        raise ValueError(
            f"positions must be finite, got {count} values that are NaN or infinite, first in "
            f"frame {first}"
        )
    return positions


def directions(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute unit vectors u (..., B, 3) along the bones of positions (..., J, 3).

    A bone of length 0 points up.

    >>> directions(rest(MELODY), MELODY).norm(dim=-1).allclose(torch.ones(22))
    True
    """
    skeleton.check(positions)
    ends, starts = _ends(skeleton)
    bones = positions[..., ends, :] - positions[..., starts, :]
    length = bones.norm(dim=-1, keepdim=True)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=positions.dtype, device=positions.device)
    return torch.where(length > 1e-8, bones / length.clamp_min(1e-8), up)


def place(u: Tensor, root: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute positions (..., J, 3) from directions of bones u (..., B, 3) and the root (..., 3).

    .. math:: p_j = p_{\\mathrm{parent}(j)} + \\ell_j u_j

    >>> dance = rest(MELODY)
    >>> place(directions(dance, MELODY), dance[MELODY.root], MELODY).allclose(dance, atol=1e-6)
    True
    """
    if u.shape[-2:] != (skeleton.size - 1, 3):
        raise ValueError(
            f"u must be (..., {skeleton.size - 1}, 3) for the skeleton '{skeleton.name}', got "
            f"{tuple(u.shape)}"
        )
    lengths = [skeleton.lengths[j] for j in skeleton.bones]
    length = torch.tensor(lengths, dtype=u.dtype, device=u.device)
    chain = _chains(skeleton, u) * length  # one product for the whole tree, whatever its depth
    return root[..., None, :] + chain @ u


def retarget(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Give the bones the skeleton's lengths; keep their directions and the root."""
    return place(directions(positions, skeleton), positions[..., skeleton.root, :], skeleton)


def mirror(positions: Tensor, skeleton: Skeleton) -> Tensor:
    """Mirror a dance: x ↦ −x, and left and right are exchanged.

    >>> dance = rest(MELODY)
    >>> torch.equal(mirror(mirror(dance, MELODY), MELODY), dance)
    True
    """
    skeleton.check(positions)
    image = positions[..., list(skeleton.mirrored), :] * positions.new_tensor([-1.0, 1.0, 1.0])
    # the image of a lopsided joint is its missing partner; reflect it through the parent
    for joint in skeleton.lopsided:
        parent = image[..., skeleton.parents[joint], :]
        image[..., joint, :] = 2 * parent - image[..., joint, :]
    return image


def rest(skeleton: Skeleton) -> Tensor:
    """Return positions (J, 3) of a body that stands with its arms held out and faces along z.

    Its lowest joint has height 0.
    """
    u = torch.tensor([_rest_direction(skeleton, j) for j in skeleton.bones])
    positions = place(u / u.norm(dim=-1, keepdim=True), torch.zeros(3), skeleton)
    return positions - positions[:, 1].min() * torch.tensor([0.0, 1.0, 0.0])


def _rest_direction(skeleton: Skeleton, joint: int) -> tuple[float, float, float]:
    name = skeleton.joints[joint]
    if joint in skeleton.lopsided:
        return -1.0, 0.0, 0.0
    side = 1.0 if "left" in name else -1.0 if "right" in name else 0.0
    part = name.split()[-1]
    slope = -0.3 if skeleton.joints[skeleton.parents[joint]] == "neck" else 0.0
    return {
        "hip": (side, -0.6, 0.0),
        "knee": (0.0, -1.0, 0.0),
        "ankle": (0.0, -1.0, 0.0),
        "heel": (0.0, -0.9, -0.4),
        "toe": (0.0, -0.6, 0.8),
        "shoulder": (side, slope, 0.0),
        "collar": (side, 1.0, 0.0),
    }.get(part, (side, 0.0 if side else 1.0, 0.0))


def _ends(skeleton: Skeleton) -> tuple[list[int], list[int]]:
    return list(skeleton.bones), [skeleton.parents[j] for j in skeleton.bones]


def _chains(skeleton: Skeleton, like: Tensor) -> Tensor:
    """Return a matrix (J, B) that is 1 where a bone is between the root and a joint, else 0."""
    chain = torch.zeros(skeleton.size, skeleton.size - 1)
    for b, j in enumerate(skeleton.bones):
        chain[j] = chain[skeleton.parents[j]]
        chain[j, b] = 1.0
    return chain.to(like)


_SIDE = ("hip", "knee", "ankle", "heel", "toe")
_ARM = ("shoulder", "elbow", "forearm", "wrist")

MELODY = Skeleton(
    "melody",
    joints=(
        *("head", "neck", "pelvis"),
        *(f"right {part}" for part in _ARM),
        *(f"right {part}" for part in _SIDE),
        *(f"left {part}" for part in _ARM),
        *(f"left {part}" for part in _SIDE),
        *("left hand", "right hand"),
    ),
    parents=(1, 2, -1, 1, 3, 4, 5, 2, 7, 8, 9, 9, 1, 12, 13, 14, 2, 16, 17, 18, 18, 15, 6),
    # the means over 36 dances, of both sides together
    lengths=(
        *(0.052, 0.481, 0.0),
        *(0.223, 0.292, 0.145, 0.134),
        *(0.190, 0.476, 0.327, 0.124, 0.173),
        *(0.223, 0.292, 0.145, 0.134),
        *(0.190, 0.476, 0.327, 0.124, 0.173),
        *(0.096, 0.096),
    ),
    feet=(10, 11, 19, 20),
    hips=(16, 7),
    shoulders=(12, 3),
    lopsided=(0,),
)
"""The 23 joints of [tang2018]; joint 1 is the middle of the head, joint 0 its right side."""

SMPL = Skeleton(
    "smpl",
    joints=(
        *("pelvis", "left hip", "right hip"),
        *("spine", "left knee", "right knee"),
        *("chest", "left ankle", "right ankle"),
        *("breast", "left toe", "right toe"),
        *("neck", "left collar", "right collar"),
        *("head", "left shoulder", "right shoulder"),
        *("left elbow", "right elbow", "left wrist", "right wrist", "left hand", "right hand"),
    ),
    parents=(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
    lengths=(
        *(0.0, 0.110, 0.110, 0.115, 0.385, 0.385, 0.138, 0.405, 0.405),
        *(0.056, 0.135, 0.135, 0.213, 0.140, 0.140, 0.103, 0.105, 0.105),
        *(0.257, 0.257, 0.252, 0.252, 0.085, 0.085),
    ),
    feet=(7, 8, 10, 11),
    hips=(1, 2),
    shoulders=(16, 17),
)
"""The 24 joints of [loper2015], with the bone lengths of an average body."""

SKELETONS = {skeleton.name: skeleton for skeleton in (MELODY, SMPL)}
