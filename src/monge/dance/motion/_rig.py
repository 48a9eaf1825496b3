"""The tree of nodes in animation files: each node has an offset from its parent and a rotation.

Each joint is a node with the joint's name. Where several bones leave a joint, and at the root, each
bone has a further node at the same place, which rotates it: one node could not give these bones
independent directions. Where one bone leaves a joint, the joint's node rotates it.
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
    """A node of the tree.

    ``parent`` is the index of the node above, −1 for the root, and ``offset`` the position relative
    to it at rest. ``turned`` is the joint at the end of the bone that the node rotates; None for a
    node that never turns.
    """

    name: str
    parent: int
    offset: tuple[float, float, float]
    turned: int | None


def nodes(skeleton: Skeleton) -> list[Node]:
    """Return the nodes of a skeleton, depth first.

    >>> from monge.dance.motion import MELODY
    >>> [node.name for node in nodes(MELODY)[:4]]
    ['pelvis', 'pelvis_to_neck', 'neck', 'neck_to_head']
    """
    unit = torch.cat([torch.zeros(1, 3), rest_directions(skeleton)]).double()
    offset = {
        j: tuple((unit[k] * skeleton.lengths[j]).tolist()) for k, j in enumerate(skeleton.order)
    }
    tree: list[Node] = []

    def visit(joint: int, parent: int) -> None:
        below = [c for c in skeleton.order if skeleton.parents[c] == joint]
        is_root = joint == skeleton.root
        turned = joint if is_root else below[0] if len(below) == 1 else None
        tree.append(Node(_name(skeleton, joint), parent, offset[joint], turned))
        own = len(tree) - 1
        for child in below:
            at = own
            if is_root or len(below) > 1:
                at = len(tree)
                name = f"{_name(skeleton, joint)}_to_{_name(skeleton, child)}"
                tree.append(Node(name, own, (0.0, 0.0, 0.0), child))
            visit(child, at)

    visit(skeleton.root, -1)
    return tree


def solve(
    path: str | Path, positions: Tensor, skeleton: Skeleton, rate: float
) -> tuple[Tensor, Tensor]:
    """Compute local rotations (T, J, 3, 3) and root (T, 3), float64, of a dance (T, J, 3).

    Raises MongeError that names ``path`` for a dance that cannot be written.
    """
    try:
        x = check_motion(positions, rate=rate, skeleton=skeleton, single=True)
    except ValueError as error:
        raise MongeError(f"'{path}' not written: {error}") from error
    x = x.detach().cpu().double()
    bones = list(skeleton.bones)
    length = (x[:, bones] - x[:, [skeleton.parents[j] for j in bones]]).norm(dim=-1)
    expected = torch.tensor([skeleton.lengths[j] for j in bones], dtype=torch.float64)
    difference = (length - expected).abs()
    if difference.max() > _TOLERANCE:
        frame, bone = divmod(int(difference.argmax()), len(bones))
        raise MongeError(
            f"'{path}' not written: the bone to '{skeleton.joints[bones[bone]]}' is "
            f"{length[frame, bone]:.4f} m long in frame {frame}, not {expected[bone]:.4f} m as in "
            f"the skeleton '{skeleton.name}': call retarget(positions, skeleton) first"
        )
    return inverse_kinematics(x, skeleton)


def save(path: str | Path, content: bytes) -> None:
    """Write a file; raise `MongeError` with the cause if that fails."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise MongeError(
            f"cannot write '{path}' ({error.strerror}): choose a folder that exists and is writable"
        ) from error


def _name(skeleton: Skeleton, joint: int) -> str:
    """Return a joint's name without spaces, which would end it in a file."""
    return skeleton.joints[joint].replace(" ", "_")
