r"""Kinematics: from rotations to the pose of a skeleton, and from a pose to rotations.

    Kabsch, "A solution for the best rotation to relate two sets of vectors", Acta Crystallographica
        A, 1976   [kabsch1976]

======  ========================================================================================
symbol  meaning
======  ========================================================================================
R_j     local rotation of the bone that ends at joint j, relative to the bone before; at the
        root, the rotation of the body
G_j     rotation of that bone relative to the floor, G_j = G_parent(j) R_j
r_j     direction of that bone at rest; it points along G_j r_j
ℓ_j     its length
φ       twist of a bone about its own axis, which moves only the bones that follow it
======  ========================================================================================

A rotation belongs to a *bone*, not to a joint: the bones that leave one joint turn independently,
so that rotations reproduce every pose of a skeleton exactly. `bone_rotations` converts from
rotations of joints, which SMPL and its successors use.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .rotations import between, exp
from .skeleton import Skeleton, directions, place
from .skeleton import rest as rest_positions


def rest_directions(skeleton: Skeleton) -> Tensor:
    """Return directions r (B, 3) of the bones of a body at rest.

    The body stands, its arms held out, and faces along z.

    >>> from monge.dance.motion import SMPL
    >>> rest_directions(SMPL).shape
    torch.Size([23, 3])
    """
    return directions(rest_positions(skeleton), skeleton)


def global_rotations(rotations: Tensor, skeleton: Skeleton) -> Tensor:
    """Compute rotations G (..., J, 3, 3) relative to the floor from local ones R (..., J, 3, 3)."""
    _check_poses(rotations, skeleton)
    levels = [rotations[..., [skeleton.root], :, :]]
    for above, level in _steps(skeleton):
        levels.append(levels[-1][..., above, :, :] @ rotations[..., level, :, :])
    return _in_order(levels, skeleton)


def forward_kinematics(
    rotations: Tensor, root: Tensor, skeleton: Skeleton, rest: Tensor | None = None
) -> Tensor:
    r"""Compute positions (..., J, 3) from local rotations (..., J, 3, 3) and the root (..., 3).

    .. math:: p_j = p_{\mathrm{parent}(j)} + \ell_j G_j r_j, \qquad G_j = G_{\mathrm{parent}(j)} R_j

    If all rotations are identities, the body stands in its rest pose. ``rest`` (B, 3) replaces
    `rest_directions`. Differentiable.

    >>> from monge.dance.motion import MELODY
    >>> still = torch.eye(3).expand(5, 23, 3, 3)
    >>> forward_kinematics(still, torch.zeros(5, 3), MELODY).shape
    torch.Size([5, 23, 3])
    """
    r = _rest(skeleton, rest, rotations)
    G = global_rotations(rotations, skeleton)[..., list(skeleton.bones), :, :]
    return place((G @ r[..., None]).squeeze(-1), root, skeleton)


def inverse_kinematics(
    positions: Tensor, skeleton: Skeleton, rest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Compute local rotations R (..., J, 3, 3) and the root (..., 3) of a body (..., J, 3).

    `forward_kinematics` is the inverse: it reproduces the directions of the bones exactly, and the
    positions if bones have the skeleton's lengths. The root's rotation is the least-squares fit to
    its bones [kabsch1976]: hips and spine determine the direction of the pelvis. A bone turns by
    the minimal rotation. If several bones leave its end, it is also twisted about its axis, so
    that those turn least:

    .. math:: \varphi = \mathrm{atan2}\Big(\sum_c \langle r_j \times r_c, w_c\rangle,
              \sum_c \langle r_c, w_c\rangle - \langle r_j, r_c\rangle\langle r_j, w_c\rangle\Big)

    with w_c the directions of those bones in the axes of bone j before the twist. So the shoulders
    twist the spine. Computed in float64.

    >>> from monge.dance.motion import MELODY, rest
    >>> dance = rest(MELODY).expand(5, 23, 3)
    >>> forward_kinematics(*inverse_kinematics(dance, MELODY), MELODY).allclose(dance, atol=1e-6)
    True
    """
    skeleton.check(positions)
    if not positions.isfinite().all():
        raise ValueError("positions must be finite, got nan or inf: leave those frames out")
    exact = positions.double()
    r = _of_joints(_rest(skeleton, rest, exact), skeleton)
    u = _of_joints(directions(exact, skeleton), skeleton)
    frame = _best_fit(r, u, [j for j in skeleton.bones if skeleton.parents[j] == skeleton.root])
    local, frames = [frame[..., None, :, :]], [frame[..., None, :, :]]
    for above, level in _steps(skeleton):
        before = frames[-1][..., above, :, :]
        R = between(r[level], _in_axes(before, u[..., level, :]))
        R = R @ _twist(before @ R, r, u, level, skeleton)
        local.append(R)
        frames.append(before @ R)
    return _in_order(local, skeleton).to(positions), positions[..., skeleton.root, :]


def bone_rotations(rotations: Tensor, skeleton: Skeleton) -> Tensor:
    """Convert rotations of joints (..., J, 3, 3) to rotations of bones (..., J, 3, 3).

    The rotation of a joint turns all bones that leave it together, as in SMPL: the rotation of a
    bone is that of the joint where it begins. Rotations at the ends of the tree have no effect and
    are dropped.

    >>> from monge.dance.motion import SMPL
    >>> bone_rotations(torch.eye(3).expand(24, 3, 3), SMPL).shape
    torch.Size([24, 3, 3])
    """
    _check_poses(rotations, skeleton)
    still = torch.eye(3).to(rotations).expand_as(rotations[..., 0, :, :])
    bones = []
    for joint, parent in enumerate(skeleton.parents):
        source = joint if parent < 0 else parent
        bones.append(still if parent == skeleton.root else rotations[..., source, :, :])
    return torch.stack(bones, -3)


def _twist(frames: Tensor, r: Tensor, u: Tensor, level: list[int], skeleton: Skeleton) -> Tensor:
    """Compute the twists (..., len(level), 3, 3) of the bones that several bones follow."""
    parents = skeleton.parents
    fans = [c for c in skeleton.bones if parents[c] in level and parents.count(parents[c]) > 1]
    at = [level.index(parents[c]) for c in fans]
    w, axis = _in_axes(frames[..., at, :, :], u[..., fans, :]), r[level][at]
    sine = (torch.linalg.cross(axis, r[fans]) * w).sum(-1)
    cosine = (r[fans] * w).sum(-1) - (axis * r[fans]).sum(-1) * (axis * w).sum(-1)
    zero = frames.new_zeros(frames.shape[:-2])
    index = torch.tensor(at, dtype=torch.long, device=frames.device)
    phi = torch.atan2(zero.index_add(-1, index, sine), zero.index_add(-1, index, cosine))
    return exp(phi[..., None] * r[level])


def _best_fit(r: Tensor, u: Tensor, joints: list[int]) -> Tensor:
    """Return the rotations (..., 3, 3) that take r_j to u_j with the least squared error."""
    if len(joints) == 1:
        return between(r[joints[0]], u[..., joints[0], :])
    U, _, Vh = torch.linalg.svd(u[..., joints, :].transpose(-1, -2) @ r[joints])
    signs = torch.ones_like(u[..., 0, :])
    signs[..., 2] = torch.linalg.det(U @ Vh).sign()  # a rotation, not a reflection
    return U * signs[..., None, :] @ Vh


def _in_axes(frames: Tensor, v: Tensor) -> Tensor:
    """Express vectors (..., 3) in the axes of frames (..., 3, 3)."""
    return (frames.transpose(-1, -2) @ v[..., None]).squeeze(-1)


def _steps(skeleton: Skeleton) -> list[tuple[list[int], list[int]]]:
    """Return the indices of the parents in the level above, and the joints, for each level."""
    steps = []
    for above, level in zip(skeleton.levels, skeleton.levels[1:], strict=False):
        steps.append(([above.index(skeleton.parents[j]) for j in level], list(level)))
    return steps


def _in_order(levels: list[Tensor], skeleton: Skeleton) -> Tensor:
    """Reorder levels (..., joints of the level, 3, 3) to (..., J, 3, 3) in the skeleton's order."""
    return torch.cat(levels, -3)[..., [skeleton.order.index(j) for j in range(skeleton.size)], :, :]


def _of_joints(bones: Tensor, skeleton: Skeleton) -> Tensor:
    """Reorder vectors of bones (..., B, 3) to those of the joints at their ends (..., J, 3).

    The vector of the root is 0.
    """
    joints = torch.cat([torch.zeros_like(bones[..., :1, :]), bones], -2)
    return joints[..., [skeleton.order.index(j) for j in range(skeleton.size)], :]


def _rest(skeleton: Skeleton, rest: Tensor | None, like: Tensor) -> Tensor:
    r = rest_directions(skeleton) if rest is None else rest
    if r.shape != (skeleton.size - 1, 3):
        raise ValueError(
            f"rest must be ({skeleton.size - 1}, 3) for the skeleton '{skeleton.name}', got "
            f"{tuple(r.shape)}"
        )
    return normalize(r.to(like), dim=-1)


def _check_poses(rotations: Tensor, skeleton: Skeleton) -> None:
    if rotations.ndim < 3 or rotations.shape[-3:] != (skeleton.size, 3, 3):
        raise ValueError(
            f"rotations must be (..., {skeleton.size}, 3, 3) for '{skeleton.name}', got "
            f"{tuple(rotations.shape)}"
        )
