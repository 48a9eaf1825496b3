"""The tree of nodes that files of animation hold: each turns about its own place, which hangs on
the node above.

Joints are nodes by their names. Where several bones leave a joint, and at the root, each has a node
of its own there, which turns it: rotations alone could not give these bones independent directions
otherwise. A joint that one bone leaves turns it itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from monge.errors import MongeError

from .kinematics import inverse_kinematics, rest_directions
from .skeleton import Skeleton, check_motion

_TOLERANCE = 1e-4  # meters by which a bone's length may differ from the skeleton's


@dataclass(frozen=True)
class Node:
    """A node: ``parent`` is its position in the list, −1 for the root, and ``offset`` where it is,
    seen from there, at rest.

    ``turned`` is the joint whose rotation turns it, the end of the bone that begins here; None for
    a node that never turns.
    """

    name: str
    parent: int
    offset: tuple[float, float, float]
    turned: int | None


def nodes(skeleton: Skeleton) -> list[Node]:
    """The nodes of a skeleton, each right after its parent or the parent's earlier branches (depth
    first).

    >>> from monge.dance.motion import MELODY
    >>> [node.name for node in nodes(MELODY)[:4]]
    ['pelvis', 'pelvis_to_neck', 'neck', 'neck_to_head']
    """
    unit = torch.cat([torch.zeros(1, 3), rest_directions(skeleton)])
    offset = {
        j: tuple((unit[k].double() * skeleton.lengths[j]).tolist())
        for k, j in enumerate(skeleton.order)
    }
    found: list[Node] = []

    def visit(joint: int, parent: int) -> None:
        below = [c for c in skeleton.order if skeleton.parents[c] == joint]
        is_root = joint == skeleton.root
        turned = joint if is_root else below[0] if len(below) == 1 else None
        found.append(Node(_name(skeleton, joint), parent, offset[joint], turned))
        own = len(found) - 1
        for child in below:
            at = own
            if is_root or len(below) > 1:
                at = len(found)
                found.append(
                    Node(
                        f"{_name(skeleton, joint)}_to_{_name(skeleton, child)}",
                        own,
                        (0.0, 0.0, 0.0),
                        child,
                    )
                )
            visit(child, at)

    visit(skeleton.root, -1)
    return found


def solve(
    path: str | Path, positions: Tensor, skeleton: Skeleton, rate: float
) -> tuple[Tensor, Tensor]:
    """Local rotations (T, J, 3, 3) and root (T, 3), float64, of a dance (T, J, 3) that is to be
    written to ``path``.
    """
    try:
        x = (
            check_motion(positions, rate=rate, skeleton=skeleton, single=True)
            .detach()
            .cpu()
            .double()
        )
    except ValueError as error:
        raise MongeError(f"'{path}' not written: {error}") from error
    bones = list(skeleton.bones)
    length = (x[:, bones] - x[:, [skeleton.parents[j] for j in bones]]).norm(dim=-1)
    wanted = torch.tensor([skeleton.lengths[j] for j in bones], dtype=torch.float64)
    off = (length - wanted).abs()
    if off.max() > _TOLERANCE:
        frame, bone = divmod(int(off.argmax()), len(bones))
        raise MongeError(
            f"'{path}' not written: the bone to '{skeleton.joints[bones[bone]]}' is "
            f"{length[frame, bone]:.4f} m long in frame "
            f"{frame}, not {wanted[bone]:.4f} m as in the skeleton '{skeleton.name}': call "
            "retarget(positions, skeleton) first"
        )
    return inverse_kinematics(x, skeleton)


def save(path: str | Path, content: bytes) -> None:
    """Write a file; where that cannot be done, a `MongeError` says why."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise MongeError(
            f"cannot write '{path}' ({error.strerror}): choose a folder that exists and is yours"
        ) from error


def _name(skeleton: Skeleton, joint: int) -> str:
    """Without spaces, which end names in files."""
    return skeleton.joints[joint].replace(" ", "_")
