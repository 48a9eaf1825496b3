"""Tests of foot contact, smoothing and resampling: closed forms, scipy and invariances."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from monge.dance.motion import (
    MELODY,
    Skeleton,
    directions,
    exp,
    foot_contact,
    place,
    resample,
    rest,
    slerp,
    smooth,
    smooth_directions,
    speeds,
)
from monge.data import rng
from tests.helpers.skeletons import BOTH, bone_lengths


def random_dance(skeleton: Skeleton, *shape: int) -> Tensor:
    """Return bodies with independent random directions and roots in every frame."""
    u = torch.randn(*shape, skeleton.size - 1, 3, generator=rng(0))
    u = torch.nn.functional.normalize(u, dim=-1)
    return place(u, torch.randn(*shape, 3, generator=rng(1)), skeleton)


def turn_and_shift(dance: Tensor) -> Tensor:
    """Turn a dance about the vertical and shift it along the floor."""
    return dance @ exp(torch.tensor([0.0, 1.1, 0.0])).T + torch.tensor([3.0, 0.0, -2.0])


@BOTH
def test_feet_are_in_contact_if_low_and_slow(skeleton: Skeleton) -> None:
    still = rest(skeleton).expand(8, skeleton.size, 3)
    time = torch.arange(8.0)[:, None, None]
    assert foot_contact(still, skeleton, 25.0).all()
    assert foot_contact(still + 0.04 * torch.tensor([0.0, 1.0, 0.0]), skeleton, 25.0).all()
    assert not foot_contact(still + 0.06 * torch.tensor([0.0, 1.0, 0.0]), skeleton, 25.0).any()
    for speed, stands in ((0.45, True), (0.55, False)):
        slides = still + speed / 25 * time * torch.tensor([1.0, 0.0, 0.0])
        assert (foot_contact(slides, skeleton, 25.0) == stands).all()
    assert foot_contact(slides, skeleton, 25.0, speed=0.6).all()
    assert foot_contact(slides, skeleton, 20.0).all()


def test_contact_is_per_foot() -> None:
    dance = rest(MELODY).repeat(10, 1, 1)
    left_toe = MELODY.joints.index("left toe")
    dance[4:, left_toe, 1] += 0.3
    contact = foot_contact(dance, MELODY, 25.0)
    at = MELODY.feet.index(left_toe)
    assert contact[:, [k for k in range(4) if k != at]].all()
    assert contact[:, at].tolist() == [True] * 3 + [False] * 7


def test_contact_is_invariant_to_place_and_direction() -> None:
    dance = rest(MELODY) + 0.07 * torch.randn(2, 30, 23, 3, generator=rng(3))
    contact = foot_contact(dance, MELODY, 5.0)
    assert contact.shape == (2, 30, 4)
    assert 0.05 < contact.float().mean() < 0.95
    assert torch.equal(foot_contact(turn_and_shift(dance), MELODY, 5.0), contact)
    assert torch.equal(foot_contact(dance[1], MELODY, 5.0), contact[1])


def test_speeds_of_circle_have_closed_form() -> None:
    time = torch.arange(200, dtype=torch.float64) / 100
    circle = torch.stack([time.cos(), time * 0, time.sin()], -1)[:, None]
    expected = torch.full((198, 1), 100 * math.sin(0.01), dtype=torch.float64)
    torch.testing.assert_close(speeds(circle, 100.0)[1:-1], expected)
    assert speeds(circle[:1], 100.0).item() == 0


def test_contact_with_invalid_arguments_raises() -> None:
    with pytest.raises(ValueError, match=r"must be \(\.\.\., 23, 3\)"):
        foot_contact(torch.zeros(5, 24, 3), MELODY, 25.0)
    with pytest.raises(ValueError, match="at least 1 frames"):
        foot_contact(torch.zeros(0, 23, 3), MELODY, 25.0)
    message = "rate must be a positive number of frames per second, got 0"
    with pytest.raises(ValueError, match=message):
        foot_contact(torch.zeros(5, 23, 3), MELODY, 0)
    with pytest.raises(ValueError, match=r"height and speed must be positive, got -1"):
        foot_contact(torch.zeros(5, 23, 3), MELODY, 25.0, height=-1)


def test_smooth_equals_scipy() -> None:
    x = torch.randn(2, 50, 3, 3, generator=rng(2), dtype=torch.float64)
    oracle = gaussian_filter1d(x.numpy(), 2.5, axis=1, mode="nearest", truncate=4.0)
    torch.testing.assert_close(smooth(x, rate=25.0, seconds=0.1), torch.from_numpy(oracle))
    tiny = x[:, :2]
    oracle = gaussian_filter1d(tiny.numpy(), 2.5, axis=1, mode="nearest", truncate=4.0)
    torch.testing.assert_close(smooth(tiny, rate=25.0, seconds=0.1), torch.from_numpy(oracle))


def test_smooth_damps_a_wave_by_closed_form() -> None:
    time = torch.arange(400, dtype=torch.float64) / 50
    wave = torch.sin(2 * math.pi * 1.5 * time)[:, None, None].expand(-1, 1, 3)
    smoothed = smooth(wave, rate=50.0, seconds=0.08)
    gain = math.exp(-((2 * math.pi * 1.5 * 0.08) ** 2) / 2)
    torch.testing.assert_close(smoothed[50:-50], gain * wave[50:-50], atol=1e-3, rtol=0)


@BOTH
def test_smooth_keeps_lengths_and_is_equivariant(skeleton: Skeleton) -> None:
    dance = random_dance(skeleton, 3, 40)
    smoothed = smooth(dance, 25.0, 0.08, skeleton)
    length = bone_lengths(dance, skeleton)
    torch.testing.assert_close(bone_lengths(smoothed, skeleton), length, atol=1e-5, rtol=0)
    other = smooth(turn_and_shift(dance), 25.0, 0.08, skeleton)
    torch.testing.assert_close(other, turn_and_shift(smoothed), atol=1e-4, rtol=0)
    assert speeds(smoothed, 25.0).mean() < 0.5 * speeds(dance, 25.0).mean()
    assert torch.equal(smooth(dance, 25.0, 0.0, skeleton), dance)
    u = directions(dance, skeleton)
    expected = smooth_directions(u, 25.0, 0.08)
    torch.testing.assert_close(directions(smoothed, skeleton), expected, atol=1e-4, rtol=0)
    assert torch.equal(smooth_directions(u, 25.0, 0), u)


def test_smooth_keeps_directions_that_cancel() -> None:
    u = torch.tensor([[[1.0, 0, 0]], [[-1.0, 0, 0]]]).repeat(50, 1, 1)
    smoothed = smooth_directions(u.double(), 25.0, 1.0)
    torch.testing.assert_close(smoothed.norm(dim=-1), torch.ones(100, 1, dtype=torch.float64))


@BOTH
def test_resample_interpolates_root_linearly_and_bones_on_circles(skeleton: Skeleton) -> None:
    dance = random_dance(skeleton, 61)
    resampled = resample(dance, 60.0, 25.0, skeleton)
    assert resampled.shape == (26, skeleton.size, 3)
    torch.testing.assert_close(resampled[5], dance[12], atol=1e-6, rtol=0)  # 0.2 s
    length = bone_lengths(dance[:26], skeleton)
    torch.testing.assert_close(bone_lengths(resampled, skeleton), length, atol=1e-5, rtol=0)
    u = directions(dance, skeleton)
    between = slerp(u[2], u[3], 0.4)
    torch.testing.assert_close(directions(resampled[1], skeleton), between, atol=1e-4, rtol=0)
    root = dance[:, skeleton.root]
    torch.testing.assert_close(resampled[1, skeleton.root], 0.6 * root[2] + 0.4 * root[3])
    other = resample(turn_and_shift(dance), 60.0, 25.0, skeleton)
    torch.testing.assert_close(other, turn_and_shift(resampled), atol=1e-4, rtol=0)
    torch.testing.assert_close(resample(dance, 25.0, 25.0, skeleton), dance, atol=1e-5, rtol=0)


def test_resample_of_line_is_the_line() -> None:
    line = torch.arange(31, dtype=torch.float64)[:, None, None].expand(2, 31, 4, 3) / 30
    for rate in (7.0, 25.0, 30.0, 120.0):
        resampled = resample(line, 30.0, rate)
        expected = torch.arange(resampled.shape[1], dtype=torch.float64) / rate
        torch.testing.assert_close(resampled[0, :, 0, 0], expected)
        assert resampled.shape[1] == math.floor(rate) + 1
    # 55 frames at 59.94 Hz last as long as 22 at 23.976 Hz
    assert resample(torch.zeros(56, 1, 3), 59.94, 23.976).shape == (23, 1, 3)
    assert resample(line[:, :1], 30.0, 25.0).shape == (2, 1, 4, 3)


def test_smooth_and_resample_with_invalid_arguments_raise() -> None:
    dance = rest(MELODY).expand(5, 23, 3)
    for seconds in (-0.1, math.nan, 1e9):
        with pytest.raises(ValueError, match="seconds must be from 0 to 60, got"):
            smooth(dance, 25.0, seconds)
    with pytest.raises(ValueError, match="rate_out must be a positive"):
        resample(dance, 25.0, math.nan)
    with pytest.raises(ValueError, match="rate_in must be a positive"):
        resample(dance, -25.0, 5.0)
    with pytest.raises(ValueError, match="at least 1 frames"):
        smooth(dance[:0], 25.0, 0.1)
    with pytest.raises(ValueError, match=r"\(\.\.\., frames, joints, 3\)"):
        smooth_directions(torch.zeros(4, 2), 25.0, 0.1)
