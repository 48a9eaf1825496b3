"""Tests of the encoding of dances: round trips, invariances, channels and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    Skeleton,
    channels,
    decode,
    encode,
    facing,
    mirror,
    rest,
    retarget,
    velocities,
)
from tests.helpers.skeletons import BOTH, bone_lengths


def dance(
    skeleton: Skeleton, frames: int = 40, dtype: torch.dtype = torch.float64, *, seed: int = 0
) -> Tensor:
    """Return a body that turns more than once while it walks and waves."""
    rng = torch.Generator().manual_seed(seed)
    phase, size = (torch.randn(1, skeleton.size, 3, generator=rng, dtype=dtype) for _ in range(2))
    time = torch.arange(frames, dtype=dtype)[:, None, None]
    body = rest(skeleton).to(dtype) + 0.1 * (0.3 * time + phase).sin() * size
    walk = torch.cat([0.03 * time, 0.05 * (0.2 * time).sin(), -0.02 * time], -1)
    return retarget(turn(body, 0.25 * time[:, :, 0] + 1.0) + walk, skeleton)


def turn(x: Tensor, angle: Tensor | float) -> Tensor:
    """Turn positions about the vertical, from facing along z to facing along (sin, 0, cos)."""
    angle = torch.as_tensor(angle, dtype=x.dtype)
    c, s = angle.cos(), angle.sin()
    x, y, z = x.unbind(-1)
    return torch.stack([c * x + s * z, y.expand_as(c * x), c * z - s * x], -1)


@BOTH
def test_decode_inverts_encode_up_to_initial_place_and_direction(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    y = decode(encode(x, skeleton), skeleton)
    root, yaw = x[0, skeleton.root], facing(x[0], skeleton)
    expected = turn(x - root * torch.tensor([1.0, 0.0, 1.0], dtype=x.dtype), -yaw)
    torch.testing.assert_close(y, expected, atol=1e-12, rtol=0)
    assert facing(y[0], skeleton).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(encode(y, skeleton), encode(x, skeleton), atol=1e-12, rtol=0)


@BOTH
def test_features_are_invariant_to_place_and_direction(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    features = encode(x, skeleton)
    assert features.shape == (40, channels(skeleton))
    for angle in (0.7, math.pi, -3.0):
        other = turn(x, angle) + torch.tensor([5.0, 0.0, -2.0], dtype=x.dtype)
        torch.testing.assert_close(encode(other, skeleton), features, atol=1e-12, rtol=0)
    higher = encode(x + torch.tensor([0.0, 0.5, 0.0], dtype=x.dtype), skeleton)
    torch.testing.assert_close(higher[:, 3], features[:, 3] + 0.5)
    torch.testing.assert_close(higher[:, 4:], features[:, 4:])


def test_channels_match_their_definitions() -> None:
    still = rest(MELODY).double()
    time = torch.arange(6.0, dtype=torch.float64)[:, None, None]
    assert facing(turn(still, 0.4), MELODY).item() == pytest.approx(0.4)
    spin = encode(turn(still.expand(6, -1, -1), 0.3 * time[:, :, 0]), MELODY)
    assert spin[:, 0].tolist() == pytest.approx([0, *[0.3] * 5])
    root_height = still[MELODY.root, 1].item()
    assert spin[:, 3].tolist() == pytest.approx([root_height] * 6)
    # x is to the left of a body that faces along z
    walk = still + time * torch.tensor([0.02, 0.0, 0.05], dtype=torch.float64)
    assert encode(walk, MELODY)[3, :3].tolist() == pytest.approx([0, 0.02, 0.05])
    steps = time * torch.tensor([0.05, 0.0, -0.02], dtype=torch.float64)
    aside = encode(turn(still, math.pi / 2) + steps, MELODY)
    assert aside[3, :3].tolist() == pytest.approx([0, 0.02, 0.05])
    assert encode(walk, MELODY)[0, :3].tolist() == [0, 0, 0]


@BOTH
def test_mirror_changes_signs_and_sides_of_features(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    a, b = encode(x, skeleton), encode(mirror(x, skeleton), skeleton)
    travel = a[:, :4] * torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=x.dtype)
    torch.testing.assert_close(b[:, :4], travel, atol=1e-12, rtol=0)
    swap = [skeleton.bones.index(skeleton.mirrored[j]) for j in skeleton.bones]
    signs = torch.tensor([[-1.0, 1.0, 1.0]], dtype=x.dtype).repeat(len(swap), 1)
    # a lopsided joint is replaced by its partner on the other side of the parent
    signs[[skeleton.bones.index(j) for j in skeleton.lopsided]] *= -1
    expected = a[:, 4:].unflatten(-1, (-1, 3))[:, swap] * signs
    torch.testing.assert_close(b[:, 4:].unflatten(-1, (-1, 3)), expected, atol=1e-12, rtol=0)


def test_velocities_are_steps_in_body_axes() -> None:
    x = dance(MELODY)
    v = velocities(encode(x, MELODY), MELODY)
    expected = turn(x.diff(dim=0), -facing(x[1:], MELODY)[:, None])
    torch.testing.assert_close(v, expected, atol=1e-12, rtol=0)


def test_decode_ignores_turn_and_step_of_first_frame() -> None:
    features = encode(dance(MELODY), MELODY)
    window = features[10:30]
    changed = window.clone()
    changed[0, :3] = 9.0  # the turn and the step that lead to its first frame
    torch.testing.assert_close(decode(changed, MELODY), decode(window, MELODY))
    torch.testing.assert_close(velocities(changed, MELODY), velocities(window, MELODY))
    assert decode(window, MELODY)[0, MELODY.root, [0, 2]].tolist() == [0, 0]


def test_batches_equal_single_dances() -> None:
    many = torch.stack([dance(MELODY, seed=k) for k in range(3)])
    together = encode(many, MELODY)
    for k in range(3):
        torch.testing.assert_close(together[k], encode(many[k], MELODY))
        torch.testing.assert_close(decode(together, MELODY)[k], decode(together[k], MELODY))


def test_decoded_bone_lengths_are_accurate_in_float32_over_five_minutes() -> None:
    features = torch.randn(7500, channels(MELODY), generator=torch.Generator().manual_seed(0))
    features[:, :4] *= 0.02
    x = decode(features, MELODY)
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    assert (bone_lengths(x, MELODY) / own - 1).abs().max() < 1e-5


def test_decode_has_gradients_for_every_feature() -> None:
    features = encode(dance(MELODY, 6), MELODY).requires_grad_()
    weights = torch.randn(6, 23, 3, generator=torch.Generator().manual_seed(1))
    (decode(features, MELODY) * weights).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad[1:-1].abs().sum(0) > 0).all()
    few = features.detach()[:3].requires_grad_()
    assert torch.autograd.gradcheck(lambda f: decode(f, MELODY)[:, ::9], (few,))


def test_wrong_shapes_raise() -> None:
    message = r"features must be \(\.\.\., T, 70\) for 'melody', got \(5, 73\)"
    with pytest.raises(ValueError, match=message):
        decode(torch.zeros(5, 73), MELODY)
    with pytest.raises(ValueError, match="features"):
        decode(torch.zeros(70), MELODY)
    with pytest.raises(ValueError, match="'melody', got"):
        encode(torch.zeros(5, 24, 3), MELODY)
