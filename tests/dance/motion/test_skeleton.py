"""Tests of skeletons: their trees, rest poses, directions, mirroring and retargeting."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    SMPL,
    Skeleton,
    directions,
    mirror,
    place,
    rest,
    retarget,
)
from tests.helpers.skeletons import BOTH, bone_lengths


def motion(skeleton: Skeleton, *batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return random positions (*batch, J, 3)."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(*batch, skeleton.size, 3, generator=rng, dtype=dtype)


@BOTH
def test_skeleton_is_a_valid_tree(skeleton: Skeleton) -> None:
    assert sorted(skeleton.order) == list(range(skeleton.size))
    roots = [j for j, parent in enumerate(skeleton.parents) if parent == -1]
    assert roots == [skeleton.root] == [skeleton.order[0]]
    index = {j: k for k, j in enumerate(skeleton.order)}
    assert all(index[skeleton.parents[j]] < index[j] for j in skeleton.bones)
    count = len(set(skeleton.joints))
    assert len(skeleton.joints) == len(skeleton.parents) == len(skeleton.lengths) == count
    assert all((length > 0) == (j != skeleton.root) for j, length in enumerate(skeleton.lengths))
    assert {skeleton.joints[j].split()[-1] for j in skeleton.feet} <= {"heel", "toe", "ankle"}
    for left, right in (skeleton.hips, skeleton.shoulders):
        assert skeleton.joints[left].startswith("left")
        assert skeleton.mirrored[left] == right


@BOTH
def test_sides_are_mirror_images(skeleton: Skeleton) -> None:
    swap = skeleton.mirrored
    assert [swap[j] for j in swap] == list(range(skeleton.size))
    for j, parent in enumerate(skeleton.parents):
        assert skeleton.lengths[swap[j]] == skeleton.lengths[j]
        if parent >= 0:
            assert skeleton.parents[swap[j]] == swap[parent]
        side = {"left", "right"} & set(skeleton.joints[j].split())
        assert (swap[j] == j) == (not side)
    still = rest(skeleton)
    torch.testing.assert_close(mirror(still, skeleton), still)


@BOTH
def test_rest_pose_stands_upright_with_left_at_positive_x(skeleton: Skeleton) -> None:
    still = rest(skeleton)
    assert still[:, 1].min().item() == pytest.approx(0, abs=1e-6)
    assert int(still[:, 1].argmin()) in skeleton.feet
    assert 1.4 < still[:, 1].max() < 2.0
    left, right = skeleton.hips
    # y is up and the body faces along z, so x is positive on the left
    assert still[left, 0] > still[right, 0]
    expected = torch.tensor([skeleton.lengths[j] for j in skeleton.bones])
    torch.testing.assert_close(bone_lengths(still, skeleton), expected)


@BOTH
def test_place_is_the_inverse_of_directions(skeleton: Skeleton) -> None:
    x = motion(skeleton, 2, 5)
    u = directions(x, skeleton)
    assert u.shape == (2, 5, skeleton.size - 1, 3)
    for b, j in enumerate(skeleton.bones):
        bone = x[..., j, :] - x[..., skeleton.parents[j], :]
        torch.testing.assert_close(u[..., b, :], bone / bone.norm(dim=-1, keepdim=True))
    root = motion(skeleton, 2, 5)[..., 0, :]
    y = place(u, root, skeleton)
    torch.testing.assert_close(directions(y, skeleton), u)
    torch.testing.assert_close(y[..., skeleton.root, :], root)
    for b, j in enumerate(skeleton.bones):
        expected = y[..., skeleton.parents[j], :] + skeleton.lengths[j] * u[..., b, :]
        torch.testing.assert_close(y[..., j, :], expected)


@BOTH
def test_retarget_keeps_directions_and_root_and_sets_lengths(skeleton: Skeleton) -> None:
    x = motion(skeleton, 7)
    y = retarget(x, skeleton)
    torch.testing.assert_close(directions(y, skeleton), directions(x, skeleton))
    torch.testing.assert_close(y[:, skeleton.root], x[:, skeleton.root])
    own = torch.tensor([skeleton.lengths[j] for j in skeleton.bones], dtype=x.dtype)
    torch.testing.assert_close(bone_lengths(y, skeleton), own.expand(7, -1))
    torch.testing.assert_close(retarget(y, skeleton), y)


@BOTH
def test_mirror_is_an_involution_and_keeps_bone_lengths(skeleton: Skeleton) -> None:
    x = retarget(motion(skeleton, 4), skeleton)
    y = mirror(x, skeleton)
    torch.testing.assert_close(mirror(y, skeleton), x)
    left, right = skeleton.hips
    image = x[:, right] * torch.tensor([-1.0, 1.0, 1.0], dtype=x.dtype)
    torch.testing.assert_close(y[:, left], image)
    torch.testing.assert_close(retarget(y, skeleton), y)
    for joint in skeleton.lopsided:
        before, after = (p[:, joint] - p[:, skeleton.parents[joint]] for p in (x, y))
        torch.testing.assert_close(after[:, 0], before[:, 0])


def test_bone_of_length_zero_points_up() -> None:
    x = rest(MELODY)
    neck, head = (MELODY.joints.index(name) for name in ("neck", "head"))
    x[head] = x[neck]
    u = directions(x, MELODY)
    assert u.isfinite().all()
    assert u[MELODY.bones.index(head)].tolist() == [0, 1, 0]


def test_bone_lengths_are_accurate_in_float32_over_five_minutes() -> None:
    x = retarget(motion(MELODY, 7500, dtype=torch.float32), MELODY)
    x = x + torch.tensor([0.9, 0.0, -0.9])  # meters from the origin
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    assert (bone_lengths(x, MELODY) / own - 1).abs().max() < 1e-5


def test_wrong_shapes_raise_with_skeleton_and_shape() -> None:
    for wrong in (torch.zeros(5, 24, 3), torch.zeros(23), torch.zeros(5, 23, 2)):
        message = r"positions must be \(\.\.\., 23, 3\) for the skeleton 'melody', got"
        with pytest.raises(ValueError, match=message):
            directions(wrong, MELODY)
        with pytest.raises(ValueError, match="'melody'"):
            mirror(wrong, MELODY)
    message = r"u must be \(\.\.\., 23, 3\) for the skeleton 'smpl', got \(22, 3\)"
    with pytest.raises(ValueError, match=message):
        place(torch.zeros(22, 3), torch.zeros(3), SMPL)
