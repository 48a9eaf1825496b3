"""Skeletons: trees whose bones keep their lengths and directions whatever is done with them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    SKELETONS,
    SMPL,
    Skeleton,
    directions,
    mirror,
    place,
    rest,
    retarget,
)

BOTH = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def motion(skeleton: Skeleton, *batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(
        *batch, skeleton.size, 3, generator=torch.Generator().manual_seed(0), dtype=dtype
    )


def lengths(positions: Tensor, skeleton: Skeleton) -> Tensor:
    return torch.stack(
        [
            (positions[..., j, :] - positions[..., skeleton.parents[j], :]).norm(dim=-1)
            for j in skeleton.bones
        ],
        -1,
    )


@BOTH
def test_the_tree_is_one(skeleton: Skeleton) -> None:
    assert sorted(skeleton.order) == list(range(skeleton.size))
    assert (
        [j for j, parent in enumerate(skeleton.parents) if parent == -1]
        == [skeleton.root]
        == [skeleton.order[0]]
    )
    place_of = {j: k for k, j in enumerate(skeleton.order)}
    assert all(place_of[skeleton.parents[j]] < place_of[j] for j in skeleton.bones)
    assert (
        len(skeleton.joints)
        == len(skeleton.parents)
        == len(skeleton.lengths)
        == len(set(skeleton.joints))
    )
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
def test_the_resting_body_stands_upright_with_its_left_on_its_left(skeleton: Skeleton) -> None:
    still = rest(skeleton)
    assert still[:, 1].min().item() == pytest.approx(0, abs=1e-6)
    assert int(still[:, 1].argmin()) in skeleton.feet
    assert 1.4 < still[:, 1].max() < 2.0
    left, right = skeleton.hips
    # y up, looking along z: the left is where x is positive
    assert still[left, 0] > still[right, 0]
    torch.testing.assert_close(
        lengths(still, skeleton), torch.tensor([skeleton.lengths[j] for j in skeleton.bones])
    )


@BOTH
def test_place_is_the_inverse_of_directions(skeleton: Skeleton) -> None:
    x = motion(skeleton, 2, 5)
    u = directions(x, skeleton)
    assert u.shape == (2, 5, skeleton.size - 1, 3)
    for b, j in enumerate(skeleton.bones):  # bone by bone, written out
        bone = x[..., j, :] - x[..., skeleton.parents[j], :]
        torch.testing.assert_close(u[..., b, :], bone / bone.norm(dim=-1, keepdim=True))
    root = motion(skeleton, 2, 5)[..., 0, :]
    placed = place(u, root, skeleton)
    torch.testing.assert_close(directions(placed, skeleton), u)
    torch.testing.assert_close(placed[..., skeleton.root, :], root)
    for j in skeleton.bones:
        p = skeleton.parents[j]
        expected = placed[..., p, :] + skeleton.lengths[j] * u[..., skeleton.bones.index(j), :]
        torch.testing.assert_close(placed[..., j, :], expected)


@BOTH
def test_retargeting_keeps_directions_and_root_and_mends_lengths(skeleton: Skeleton) -> None:
    x = motion(skeleton, 7)
    y = retarget(x, skeleton)
    torch.testing.assert_close(directions(y, skeleton), directions(x, skeleton))
    torch.testing.assert_close(y[:, skeleton.root], x[:, skeleton.root])
    own = torch.tensor([skeleton.lengths[j] for j in skeleton.bones], dtype=x.dtype)
    torch.testing.assert_close(lengths(y, skeleton), own.expand(7, -1))
    torch.testing.assert_close(retarget(y, skeleton), y)


@BOTH
def test_a_mirror_twice_is_the_dance_and_bones_stay_bones(skeleton: Skeleton) -> None:
    x = retarget(motion(skeleton, 4), skeleton)
    y = mirror(x, skeleton)
    torch.testing.assert_close(mirror(y, skeleton), x)
    left, right = skeleton.hips
    torch.testing.assert_close(
        y[:, left], x[:, right] * torch.tensor([-1.0, 1.0, 1.0], dtype=x.dtype)
    )
    torch.testing.assert_close(retarget(y, skeleton), y)
    for joint in skeleton.lopsided:
        parent = skeleton.parents[joint]
        torch.testing.assert_close(
            (y[:, joint] - y[:, parent])[:, 0], (x[:, joint] - x[:, parent])[:, 0]
        )


def test_a_bone_of_length_zero_points_up_and_others_are_as_they_are() -> None:
    x = rest(MELODY)
    neck, head = (MELODY.joints.index(name) for name in ("neck", "head"))
    x[head] = x[neck]
    u = directions(x, MELODY)
    assert u.isfinite().all()
    assert u[MELODY.bones.index(head)].tolist() == [0, 1, 0]


def test_lengths_stay_over_five_minutes_in_float32() -> None:
    x = retarget(motion(MELODY, 7500, dtype=torch.float32), MELODY)
    x = x + torch.tensor([0.9, 0.0, -0.9])  # meters off the origin
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    assert (lengths(x, MELODY) / own - 1).abs().max() < 1e-5


def test_wrong_shapes_name_the_skeleton_and_the_shape() -> None:
    for wrong in (torch.zeros(5, 24, 3), torch.zeros(23), torch.zeros(5, 23, 2)):
        with pytest.raises(
            ValueError, match=r"positions must be \(\.\.\., 23, 3\) for the skeleton 'melody', got"
        ):
            directions(wrong, MELODY)
        with pytest.raises(ValueError, match="'melody'"):
            mirror(wrong, MELODY)
    with pytest.raises(
        ValueError, match=r"u must be \(\.\.\., 23, 3\) for the skeleton 'smpl', got \(22, 3\)"
    ):
        place(torch.zeros(22, 3), torch.zeros(3), SMPL)
