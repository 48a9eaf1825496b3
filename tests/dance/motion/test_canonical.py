"""Encoded dances: nothing of a dance is lost but where it begins and which way it looks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    SKELETONS,
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

BOTH = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def dance(
    skeleton: Skeleton, frames: int = 40, dtype: torch.dtype = torch.float64, *, seed: int = 0
) -> Tensor:
    """A body that turns round more than once while it walks and waves."""
    g = torch.Generator().manual_seed(seed)
    time = torch.arange(frames, dtype=dtype)[:, None, None]
    wave = 0.1 * (0.3 * time + torch.randn(1, skeleton.size, 3, generator=g, dtype=dtype)).sin()
    body = rest(skeleton).to(dtype) + wave * torch.randn(
        1, skeleton.size, 3, generator=g, dtype=dtype
    )
    walk = torch.cat([0.03 * time, 0.05 * (0.2 * time).sin(), -0.02 * time], -1)
    return retarget(turned(body, 0.25 * time[:, :, 0] + 1.0) + walk, skeleton)


def turned(x: Tensor, angle: Tensor | float) -> Tensor:
    """Positions turned about the vertical, a body that looks along z to look along (sin, 0, cos)."""
    angle = torch.as_tensor(angle, dtype=x.dtype)
    c, s = angle.cos(), angle.sin()
    return torch.stack(
        [c * x[..., 0] + s * x[..., 2], x[..., 1], c * x[..., 2] - s * x[..., 0]], -1
    )


@BOTH
def test_round_trip_is_the_dance_up_to_where_it_begins(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    y = decode(encode(x, skeleton), skeleton)
    root, yaw = x[0, skeleton.root], facing(x[0], skeleton)
    moved = turned(x - root * torch.tensor([1.0, 0.0, 1.0], dtype=x.dtype), -yaw)
    torch.testing.assert_close(y, moved, atol=1e-12, rtol=0)
    assert facing(y[0], skeleton).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(encode(y, skeleton), encode(x, skeleton), atol=1e-12, rtol=0)


@BOTH
def test_place_and_facing_do_not_count(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    features = encode(x, skeleton)
    assert features.shape == (40, channels(skeleton))
    for angle in (0.7, math.pi, -3.0):
        other = turned(x, angle) + torch.tensor([5.0, 0.0, -2.0], dtype=x.dtype)
        torch.testing.assert_close(encode(other, skeleton), features, atol=1e-12, rtol=0)
    higher = encode(x + torch.tensor([0.0, 0.5, 0.0], dtype=x.dtype), skeleton)
    torch.testing.assert_close(higher[:, 3], features[:, 3] + 0.5)
    torch.testing.assert_close(higher[:, 4:], features[:, 4:])


def test_channels_mean_what_they_say() -> None:
    still = rest(MELODY).double()
    time = torch.arange(6.0, dtype=torch.float64)[:, None, None]
    assert facing(turned(still, 0.4), MELODY).item() == pytest.approx(0.4)
    spin = encode(turned(still.expand(6, -1, -1), 0.3 * time[:, :, 0]), MELODY)
    assert spin[:, 0].tolist() == pytest.approx([0, *[0.3] * 5])
    root_height = still[MELODY.root, 1].item()
    assert spin[:, 3].tolist() == pytest.approx([root_height] * 6)
    # x is to the left of one who looks along z
    walk = still + time * torch.tensor([0.02, 0.0, 0.05], dtype=torch.float64)
    assert encode(walk, MELODY)[3, :3].tolist() == pytest.approx([0, 0.02, 0.05])
    aside = encode(
        turned(still, math.pi / 2) + time * torch.tensor([0.05, 0.0, -0.02], dtype=torch.float64),
        MELODY,
    )
    assert aside[3, :3].tolist() == pytest.approx([0, 0.02, 0.05])
    assert encode(walk, MELODY)[0, :3].tolist() == [0, 0, 0]


@BOTH
def test_the_mirror_changes_signs_and_sides(skeleton: Skeleton) -> None:
    x = dance(skeleton)
    a, b = encode(x, skeleton), encode(mirror(x, skeleton), skeleton)
    torch.testing.assert_close(
        b[:, :4], a[:, :4] * torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=x.dtype), atol=1e-12, rtol=0
    )
    swap = [skeleton.bones.index(skeleton.mirrored[j]) for j in skeleton.bones]
    signs = torch.tensor([[-1.0, 1.0, 1.0]], dtype=x.dtype).repeat(len(swap), 1)
    signs[
        [skeleton.bones.index(j) for j in skeleton.lopsided]
    ] *= -1  # a partner on the other side of the parent
    expected = a[:, 4:].unflatten(-1, (-1, 3))[:, swap] * signs
    torch.testing.assert_close(b[:, 4:].unflatten(-1, (-1, 3)), expected, atol=1e-12, rtol=0)


def test_velocities_are_steps_seen_by_the_body() -> None:
    x = dance(MELODY)
    v = velocities(encode(x, MELODY), MELODY)
    expected = turned(x.diff(dim=0), -facing(x[1:], MELODY)[:, None])
    torch.testing.assert_close(v, expected, atol=1e-12, rtol=0)


def test_what_precedes_a_window_does_not_count() -> None:
    features = encode(dance(MELODY), MELODY)
    window = features[10:30]
    forgotten = window.clone()
    forgotten[0, :3] = 9.0  # the turn and the step that lead to its first frame
    torch.testing.assert_close(decode(forgotten, MELODY), decode(window, MELODY))
    torch.testing.assert_close(velocities(forgotten, MELODY), velocities(window, MELODY))
    assert decode(window, MELODY)[0, MELODY.root, [0, 2]].tolist() == [0, 0]


def test_batches_are_dances_of_their_own() -> None:
    many = torch.stack([dance(MELODY, seed=k) for k in range(3)])
    together = encode(many, MELODY)
    for k in range(3):
        torch.testing.assert_close(together[k], encode(many[k], MELODY))
        torch.testing.assert_close(decode(together, MELODY)[k], decode(together[k], MELODY))


def test_bones_keep_their_lengths_over_five_minutes_in_float32_whatever_a_network_says() -> None:
    features = torch.randn(7500, channels(MELODY), generator=torch.Generator().manual_seed(0))
    features[:, :4] *= 0.02
    x = decode(features, MELODY)
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    parents = [MELODY.parents[j] for j in MELODY.bones]
    lengths = (x[:, list(MELODY.bones)] - x[:, parents]).norm(dim=-1)
    assert (lengths / own - 1).abs().max() < 1e-5


def test_a_loss_of_the_decoded_dance_reaches_every_feature() -> None:
    features = encode(dance(MELODY, 6), MELODY).requires_grad_()
    (
        decode(features, MELODY) * torch.randn(6, 23, 3, generator=torch.Generator().manual_seed(1))
    ).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad[1:-1].abs().sum(0) > 0).all()
    assert torch.autograd.gradcheck(
        lambda f: decode(f, MELODY)[:, ::9], (features.detach()[:3].requires_grad_(),)
    )


def test_wrong_shapes_say_what_is_wanted() -> None:
    with pytest.raises(
        ValueError, match=r"features must be \(\.\.\., T, 70\) for 'melody', got \(5, 73\)"
    ):
        decode(torch.zeros(5, 73), MELODY)
    with pytest.raises(ValueError, match="features"):
        decode(torch.zeros(70), MELODY)
    with pytest.raises(ValueError, match="'melody', got"):
        encode(torch.zeros(5, 24, 3), MELODY)
