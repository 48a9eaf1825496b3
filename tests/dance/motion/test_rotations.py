"""Tests of rotations against scipy, and of kinematics against loops over joints."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    SMPL,
    Skeleton,
    between,
    bone_rotations,
    directions,
    exp,
    forward_kinematics,
    from_6d,
    from_quaternion,
    inverse_kinematics,
    log,
    place,
    rest,
    rest_directions,
    rotation_angle,
    slerp,
    to_6d,
    to_quaternion,
)
from monge.data import rng
from tests.helpers.skeletons import BOTH, bone_lengths


def vectors(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def units(seed: int, *shape: int) -> Tensor:
    return torch.nn.functional.normalize(vectors(seed, *shape), dim=-1)


def turns(seed: int, *shape: int) -> Tensor:
    return from_quaternion(vectors(seed, *shape, 4))


def random_dance(skeleton: Skeleton, *shape: int) -> Tensor:
    return place(units(1, *shape, skeleton.size - 1, 3), vectors(2, *shape, 3), skeleton)


def test_exp_and_log_equal_scipy() -> None:
    angles = torch.tensor(
        [0.0, 1e-9, 1e-4, 0.3, 2.0, math.pi - 1e-4, math.pi - 1e-9], dtype=torch.float64
    )
    v = units(0, 7, 3) * angles[:, None]
    oracle = Rotation.from_rotvec(v.numpy())
    torch.testing.assert_close(exp(v), torch.from_numpy(oracle.as_matrix()), atol=1e-12, rtol=0)
    torch.testing.assert_close(log(torch.from_numpy(oracle.as_matrix())), v, atol=1e-7, rtol=0)
    half = log(torch.diag(torch.tensor([-1.0, 1.0, -1.0])))
    torch.testing.assert_close(half.abs(), torch.tensor([0.0, math.pi, 0.0]))


def test_quaternions_equal_scipy() -> None:
    identity = torch.eye(3, dtype=torch.float64)
    R = torch.cat([turns(3, 200), exp(identity * math.pi), identity[None]])
    q = to_quaternion(R)
    oracle = torch.from_numpy(Rotation.from_matrix(R.numpy()).as_quat())[:, [3, 0, 1, 2]]
    torch.testing.assert_close((q * oracle).sum(-1).abs(), torch.ones(len(q), dtype=torch.float64))
    assert (q[:, 0] >= 0).all()
    torch.testing.assert_close(from_quaternion(-3 * q), R)


def test_any_six_numbers_give_a_rotation() -> None:
    R = turns(4, 5, 6)
    torch.testing.assert_close(from_6d(to_6d(R)), R)
    rotations = from_6d(vectors(5, 50, 6))
    identity = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, identity)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50, dtype=torch.float64))
    six = vectors(6, 6)
    torch.testing.assert_close(from_6d(torch.cat([4 * six[:3], six[3:] + six[:3]])), from_6d(six))


def test_rotation_angle_is_a_bi_invariant_metric() -> None:
    Q, R, S = turns(7, 3, 40)
    d = rotation_angle(R, S)
    torch.testing.assert_close(d, log(R.mT @ S).norm(dim=-1))
    torch.testing.assert_close(d, rotation_angle(Q @ S, Q @ R))
    torch.testing.assert_close(d, rotation_angle(R @ Q, S @ Q))
    assert (d <= rotation_angle(R, Q) + rotation_angle(Q, S) + 1e-12).all()
    small = exp(torch.tensor([[1e-4, 0.0, 0.0], [0.0, math.pi, 0.0]]))
    expected = torch.tensor([1e-4, math.pi])
    torch.testing.assert_close(rotation_angle(small, torch.eye(3)), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    "f", [lambda v: exp(v), lambda v: log(exp(v)), lambda v: rotation_angle(exp(v), exp(v + 0.1))]
)
def test_gradients_are_correct_also_at_zero(f) -> None:  # type: ignore[no-untyped-def]
    for v in (torch.zeros(3), torch.tensor([0.4, -1.0, 0.3])):
        assert torch.autograd.gradcheck(f, v.double().requires_grad_(), atol=1e-6)


def test_slerp_equals_scipy_and_handles_opposite_points() -> None:
    q = to_quaternion(turns(8, 2, 20))
    q[1] *= torch.sign((q[0] * q[1]).sum(-1, keepdim=True))
    for k in range(20):
        ends = Rotation.from_quat(q[:, k][:, [1, 2, 3, 0]].numpy())
        oracle = torch.from_numpy(Slerp([0.0, 1.0], ends)(0.3).as_matrix())
        torch.testing.assert_close(from_quaternion(slerp(q[0, k], q[1, k], 0.3)), oracle)
    u = units(9, 2, 3)
    assert torch.equal(slerp(u[0], u[0], 0.7), u[0]) or slerp(u[0], u[0], 0.7).allclose(u[0])
    ends = slerp(u[0], -u[0], torch.tensor([0.2, 0.5, 0.9]))
    torch.testing.assert_close(ends, torch.stack([u[0], -u[0], -u[0]]))


def test_between_is_exact_and_minimal() -> None:
    u, v = units(10, 2, 300, 3)
    v = torch.cat([v[:298], u[298:299], -u[299:]])
    v[0] = torch.nn.functional.normalize(-u[0] + 1e-6, dim=-1)
    R = between(u, v)
    torch.testing.assert_close((R @ u[..., None]).squeeze(-1), v, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(300, dtype=torch.float64))
    angle = 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(rotation_angle(R, identity), angle, atol=1e-6, rtol=0)
    u, v = u.float(), v.float()
    turned = (between(u, v) @ u[..., None]).squeeze(-1)
    torch.testing.assert_close(turned, v, atol=1e-6, rtol=0)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_kinematics_inverts_inverse_kinematics(
    skeleton: Skeleton, dtype: torch.dtype
) -> None:
    dance = random_dance(skeleton, 2, 100).to(dtype)
    R, root = inverse_kinematics(dance, skeleton)
    assert R.shape == (2, 100, skeleton.size, 3, 3)
    assert R.dtype == root.dtype == dtype
    identity = torch.eye(3, dtype=dtype).expand_as(R)
    torch.testing.assert_close(R @ R.mT, identity, atol=1e-5, rtol=0)
    assert (torch.linalg.det(R) > 0.999).all()
    torch.testing.assert_close(forward_kinematics(R, root, skeleton), dance, atol=1e-5, rtol=0)
    other = units(11, skeleton.size - 1, 3)
    R, root = inverse_kinematics(dance, skeleton, other)
    positions = forward_kinematics(R, root, skeleton, other)
    torch.testing.assert_close(positions, dance, atol=1e-5, rtol=0)


@BOTH
def test_forward_kinematics_equals_loop(skeleton: Skeleton) -> None:
    R, root, r = turns(12, 4, skeleton.size), vectors(13, 4, 3), rest_directions(skeleton).double()
    positions = forward_kinematics(R, root, skeleton)
    for t in range(4):
        G, p = {skeleton.root: R[t, skeleton.root]}, {skeleton.root: root[t]}
        for b, j in enumerate(skeleton.bones):
            G[j] = G[skeleton.parents[j]] @ R[t, j]
            p[j] = p[skeleton.parents[j]] + skeleton.lengths[j] * G[j] @ r[b]
        expected = torch.stack([p[j] for j in range(skeleton.size)])
        torch.testing.assert_close(positions[t], expected, atol=1e-6, rtol=0)
    identity = torch.eye(3).expand(skeleton.size, 3, 3)
    still = rest(skeleton)
    torch.testing.assert_close(forward_kinematics(identity, still[skeleton.root], skeleton), still)


@BOTH
def test_bone_rotations_equal_loop_with_joint_rotations(skeleton: Skeleton) -> None:
    R, root, r = turns(14, 3, skeleton.size), vectors(15, 3, 3), rest_directions(skeleton).double()
    positions = forward_kinematics(bone_rotations(R, skeleton), root, skeleton)
    for t in range(3):
        G, p = {skeleton.root: R[t, skeleton.root]}, {skeleton.root: root[t]}
        for b, j in enumerate(skeleton.bones):
            above = skeleton.parents[j]
            p[j] = p[above] + skeleton.lengths[j] * G[above] @ r[b]
            G[j] = G[above] @ R[t, j]
        expected = torch.stack([p[j] for j in range(skeleton.size)])
        torch.testing.assert_close(positions[t], expected, atol=1e-6, rtol=0)


@BOTH
def test_turning_a_dance_changes_only_the_root_rotation(skeleton: Skeleton) -> None:
    dance, Q, shift = random_dance(skeleton, 10), turns(16), vectors(17, 3)
    R, root = inverse_kinematics(dance, skeleton)
    R2, root2 = inverse_kinematics(dance @ Q.T + shift, skeleton)
    others = [j for j in range(skeleton.size) if j != skeleton.root]
    torch.testing.assert_close(R2[:, others], R[:, others], atol=1e-6, rtol=0)
    torch.testing.assert_close(R2[:, skeleton.root], Q @ R[:, skeleton.root], atol=1e-6, rtol=0)
    torch.testing.assert_close(root2, root @ Q.T + shift)


@BOTH
def test_rest_pose_has_identity_rotations(skeleton: Skeleton) -> None:
    Q = exp(torch.tensor([0.0, 2.0, 0.0]))
    R, _ = inverse_kinematics(rest(skeleton) @ Q.T, skeleton)
    expected = torch.eye(3).repeat(skeleton.size, 1, 1)
    expected[skeleton.root] = Q
    torch.testing.assert_close(R, expected, atol=1e-5, rtol=0)


def test_turned_shoulders_twist_the_spine() -> None:
    still, turn = rest(MELODY), exp(torch.tensor([0.0, 0.5, 0.0]))
    legs = ("pelvis", "hip", "knee", "ankle", "heel", "toe")
    upper = [j for j, name in enumerate(MELODY.joints) if name.split()[-1] not in legs]
    twisted = still.clone()
    twisted[upper] = still[upper] @ turn.T
    R, _ = inverse_kinematics(twisted, MELODY)
    torch.testing.assert_close(R[MELODY.joints.index("neck")], turn, atol=1e-6, rtol=0)
    for name in ("left shoulder", "right shoulder", "head", "left hip"):
        torch.testing.assert_close(R[MELODY.joints.index(name)], torch.eye(3), atol=1e-6, rtol=0)


def test_root_rotation_is_the_least_squares_fit() -> None:
    u = units(18, 1, MELODY.size - 1, 3)
    dance = place(u, torch.zeros(1, 3, dtype=torch.float64), MELODY)
    (R, *_), _ = inverse_kinematics(dance, MELODY)
    at = [b for b, j in enumerate(MELODY.bones) if MELODY.parents[j] == MELODY.root]
    oracle, _ = Rotation.align_vectors(u[0, at].numpy(), rest_directions(MELODY)[at].numpy())
    expected = torch.from_numpy(oracle.as_matrix())
    torch.testing.assert_close(R[MELODY.root], expected, atol=1e-6, rtol=0)


def test_kinematics_of_a_chain() -> None:
    rope = Skeleton("rope", ("a", "b", "c"), (-1, 0, 1), (0.0, 1.0, 2.0), (2,), (0, 1), (0, 1))
    dance = random_dance(rope, 20)
    positions = forward_kinematics(*inverse_kinematics(dance, rope), rope)
    torch.testing.assert_close(positions, dance, atol=1e-6, rtol=0)


def test_forward_kinematics_is_differentiable() -> None:
    six, root = to_6d(turns(19, MELODY.size)).requires_grad_(), torch.zeros(3, dtype=torch.float64)
    forward_kinematics(from_6d(six), root, MELODY).square().sum().backward()
    assert six.grad is not None
    assert six.grad.isfinite().all()
    assert six.grad.abs().sum() > 0


def test_invalid_arguments_raise() -> None:
    with pytest.raises(ValueError, match=r"rotations must be \(\.\.\., 3, 3\), got \(3,\)"):
        to_6d(torch.zeros(3))
    with pytest.raises(ValueError, match=r"six must be \(\.\.\., 6\), got \(5,\)"):
        from_6d(torch.zeros(5))
    with pytest.raises(ValueError, match=r"axis_angle must be \(\.\.\., 3\)"):
        exp(torch.zeros(4))
    with pytest.raises(ValueError, match=r"quaternion must be \(\.\.\., 4\)"):
        from_quaternion(torch.zeros(3))
    message = r"rotations must be \(\.\.\., 23, 3, 3\) for 'melody', got \(24, 3, 3\)"
    with pytest.raises(ValueError, match=message):
        forward_kinematics(torch.zeros(24, 3, 3), torch.zeros(3), MELODY)
    with pytest.raises(ValueError, match="rest must be"):
        inverse_kinematics(rest(MELODY), MELODY, rest=torch.zeros(3, 3))
    with pytest.raises(ValueError, match=r"must be \(\.\.\., 23, 3\)"):
        inverse_kinematics(rest(SMPL), MELODY)
    with pytest.raises(ValueError, match="must be finite"):
        inverse_kinematics(rest(MELODY) * np.nan, MELODY)


def test_bone_lengths_do_not_depend_on_rotations() -> None:
    dance = forward_kinematics(turns(20, 30, SMPL.size).float(), torch.zeros(30, 3), SMPL)
    expected = torch.tensor([SMPL.lengths[j] for j in SMPL.bones]).expand(30, -1)
    torch.testing.assert_close(bone_lengths(dance, SMPL), expected, atol=1e-5, rtol=0)
    assert directions(dance, SMPL).shape == (30, 23, 3)
