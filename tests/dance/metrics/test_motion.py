"""Tests of beats, foot contact, skating, bone lengths and jerk: closed forms and invariances."""

from __future__ import annotations

from math import exp, isnan, pi

import pytest
import torch
from torch import Tensor

from monge.dance.metrics import (
    beat_alignment,
    beat_alignment_of,
    bone_length_error,
    jerk,
    motion_beats,
    physical_foot_contact,
    skating,
)
from monge.dance.motion import MELODY, Skeleton
from tests.helpers.bodies import BOTH, RATE, motions, pendulum, reflect, still, turn


class TestBeats:
    @pytest.mark.parametrize("period", [10, 12, 15])
    def test_pendulum_on_the_beat_has_alignment_one(self, period: int) -> None:
        p = pendulum(20 * period + 1, period)
        music = torch.arange(period, 20 * period, period)
        assert motion_beats(p, RATE, smoothing=0).numpy() == pytest.approx(music.numpy(), abs=1e-6)
        assert beat_alignment_of(p, music, RATE, smoothing=0) == pytest.approx(1, abs=1e-9)
        assert beat_alignment_of(p, music, RATE, smoothing=2) == pytest.approx(1, abs=1e-9)

    def test_published_smoothing_equals_its_seconds(self) -> None:
        p, music = pendulum(601, 30), torch.arange(30, 600, 30)
        assert beat_alignment_of(p, music, 60.0) == pytest.approx(1, abs=1e-9)
        assert torch.equal(motion_beats(p, 60.0), motion_beats(p, 60.0, seconds=5 / 60))
        in_seconds = motion_beats(p, 25.0, smoothing=0, seconds=0.12)
        assert torch.equal(motion_beats(p, 25.0, smoothing=3.0), in_seconds)

    def test_half_beat_offset_has_closed_form(self) -> None:
        period = 12
        p = pendulum(20 * period + 1, period)
        music = torch.arange(period + period / 2, 19 * period, period)
        expected = exp(-((period / 2) ** 2) / (2 * 9.0))
        assert beat_alignment_of(p, music, RATE, smoothing=0) == pytest.approx(expected, abs=1e-9)
        narrow = beat_alignment_of(p, music, RATE, smoothing=0, sigma2=4.0)
        assert narrow == pytest.approx(exp(-36 / 8), abs=1e-9)

    def test_beats_between_frames_are_located(self) -> None:
        angle = (pi * (torch.arange(240, dtype=torch.float64) - 0.3) / 12).cos()
        p = torch.stack([angle.sin(), -angle.cos(), 0 * angle], -1)[:, None]
        beats = motion_beats(p, RATE, smoothing=2)[1:-1]
        assert beats.numpy() == pytest.approx((12 * (beats / 12).floor() + 0.3).numpy(), abs=0.05)

    def test_alignment_is_mean_over_music_beats(self) -> None:
        music = torch.tensor([10.0, 40.0])
        one = beat_alignment(music, torch.tensor([10.0]))
        assert one == pytest.approx((1 + exp(-900 / 18)) / 2)
        # a beat in every frame has alignment 1 with any music
        assert beat_alignment(music, torch.arange(0.0, 60.0)) == 1
        assert beat_alignment(music[:1], music) == 1

    def test_alignment_is_symmetric_in_time_and_ignores_order(self) -> None:
        music, motion = torch.tensor([30.0, 10.0]), torch.tensor([33.0, 8.0, 100.0])
        expected = (exp(-9 / 18) + exp(-4 / 18)) / 2
        assert beat_alignment(music, motion) == pytest.approx(expected)
        assert beat_alignment(music.flip(0), motion.flip(0)) == pytest.approx(expected)

    def test_alignment_without_beats(self) -> None:
        none, some = torch.empty(0), torch.tensor([3.0])
        assert beat_alignment(some, none) == 0.0
        assert isnan(beat_alignment(none, some))
        # after the last frame
        assert isnan(beat_alignment_of(still(20), torch.tensor([30.0]), RATE))
        assert len(motion_beats(still(20), RATE)) == 0

    def test_flat_minimum_counts_once_and_ends_do_not_count(self) -> None:
        path = torch.tensor([5.0, 3, 3, 1, 1, 1, 4, 4, 2]).cumsum(0)
        p = torch.stack([path, 0 * path, 0 * path], -1)[:, None]
        # speeds 3 3 1 1 1 4 4 2 at 0.5, 1.5, …
        assert motion_beats(p, RATE, smoothing=0).tolist() == [3.5]

    def test_invariances(self) -> None:
        p = motions(MELODY, 1, 200)[0]
        beats = motion_beats(p, RATE)
        for same in (turn(p, 0.7) + 3, 2 * p, reflect(p, MELODY)):
            torch.testing.assert_close(motion_beats(same, RATE), beats, rtol=0, atol=1e-6)
        reverse = 199 - motion_beats(p.flip(0), RATE).flip(0)
        torch.testing.assert_close(reverse, beats, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("bad", [torch.zeros(2, 2), torch.tensor([1.0, torch.nan])])
    def test_invalid_beats_raise(self, bad: Tensor) -> None:
        with pytest.raises(ValueError, match="music_beats"):
            beat_alignment(bad, torch.ones(2))
        with pytest.raises(ValueError, match="motion_beats"):
            beat_alignment(torch.ones(2), bad)

    def test_invalid_widths_and_batches_raise(self) -> None:
        with pytest.raises(ValueError, match="sigma2"):
            beat_alignment(torch.ones(1), torch.ones(1), 0.0)
        with pytest.raises(ValueError, match="smoothing"):
            motion_beats(still(9), RATE, smoothing=-1)
        with pytest.raises(ValueError, match="one dance"):
            motion_beats(still(9)[None], RATE)


class TestPhysics:
    def test_foot_contact_is_zero_for_planted_foot_or_constant_speed(self) -> None:
        t = torch.arange(20, dtype=torch.float64) / RATE
        way = torch.stack([t**2, 0 * t, 0 * t], -1)
        p = still(20) + way[:, None]
        assert physical_foot_contact(p, MELODY, RATE) > 0.5
        planted = p.clone()
        planted[:, MELODY.joints.index("left heel")] = p[0, MELODY.joints.index("left heel")]
        assert physical_foot_contact(planted, MELODY, RATE) == 0
        walk = still(20) + torch.stack([t, 0 * t, 0 * t], -1)[:, None]
        assert physical_foot_contact(walk, MELODY, RATE).item() < 1e-9

    def test_foot_contact_ignores_downward_acceleration(self) -> None:
        t = torch.arange(20, dtype=torch.float64)
        throw = torch.stack([t, 10 - t**2, 0 * t], -1)
        assert physical_foot_contact(still(20) + throw[:, None], MELODY, 1.0) < 1e-9
        assert physical_foot_contact(still(20) - throw[:, None], MELODY, 1.0) == pytest.approx(1.0)

    def test_foot_contact_equals_loop(self) -> None:
        g = torch.Generator().manual_seed(1)
        p = still(9) + torch.randn(9, 23, 3, generator=g).double()
        total, largest = 0.0, 0.0
        for t in range(1, 8):
            a = (p[t + 1, 2] - 2 * p[t, 2] + p[t - 1, 2]) * 625
            a[1] = max(a[1].item(), 0.0)
            speed = {j: (p[t + 1, j] - p[t, j])[[0, 2]].norm().item() * 25 for j in MELODY.feet}
            total += a.norm().item() * min(speed[10], speed[11]) * min(speed[19], speed[20])
            largest = max(largest, a.norm().item())
        assert physical_foot_contact(p, MELODY, RATE).item() == pytest.approx(total / 7 / largest)

    def test_metrics_scale_with_size_and_rate(self) -> None:
        x = motions(MELODY, 3, 30)
        contact, slide = physical_foot_contact(x, MELODY, RATE), skating(x, MELODY, RATE)
        torch.testing.assert_close(physical_foot_contact(3 * x, MELODY, RATE), 9 * contact)
        torch.testing.assert_close(physical_foot_contact(x, MELODY, 2 * RATE), 4 * contact)
        torch.testing.assert_close(jerk(3 * x, RATE), 3 * jerk(x, RATE))
        torch.testing.assert_close(jerk(x, 2 * RATE), 8 * jerk(x, RATE))
        torch.testing.assert_close(bone_length_error(3 * x, MELODY), bone_length_error(x, MELODY))
        torch.testing.assert_close(skating(3 * x, MELODY, RATE, height=0.075), 3 * slide)
        torch.testing.assert_close(skating(x, MELODY, 2 * RATE), 2 * slide)

    @BOTH
    def test_invariances(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 3, 30)
        for metric in (
            lambda p: physical_foot_contact(p, skeleton, RATE),
            lambda p: bone_length_error(p, skeleton),
            lambda p: jerk(p, RATE),
            lambda p: skating(p, skeleton, RATE),
        ):
            for same in (x + torch.tensor([5.0, -2.0, 7.0]), turn(x, 0.7), reflect(x, skeleton)):
                torch.testing.assert_close(metric(same), metric(x))
        reverse = x.flip(1)
        torch.testing.assert_close(jerk(reverse, RATE), jerk(x, RATE))
        torch.testing.assert_close(
            bone_length_error(reverse, skeleton), bone_length_error(x, skeleton)
        )
        torch.testing.assert_close(skating(reverse, skeleton, RATE), skating(x, skeleton, RATE))

    def test_bone_length_error_of_stretched_bone(self) -> None:
        p = still(10).clone()
        assert bone_length_error(p, MELODY) < 1e-12
        hand, wrist = (MELODY.joints.index(name) for name in ("left hand", "left wrist"))
        p[3, hand] = p[3, wrist] + 2 * (p[3, hand] - p[3, wrist])
        assert bone_length_error(p, MELODY).item() == pytest.approx(2 / 1.1 - 1)
        assert bone_length_error(torch.zeros(4, 23, 3), MELODY) == 0

    def test_jerk_of_sine_has_closed_form(self) -> None:
        t = torch.arange(100_001, dtype=torch.float64) / 1000
        p = torch.stack([0 * t, (2 * t).sin(), 0 * t], -1)[:, None]
        assert jerk(p, 1000.0).item() == pytest.approx(8 * 2 / pi, rel=3e-3)  # the mean of 8 |cos|

    def test_skating_ignores_feet_in_the_air(self) -> None:
        t = torch.arange(40, dtype=torch.float64)
        up = (t % 4 == 1) | (t % 4 == 2)
        # the feet move while they go up, are up, and come down
        slide = torch.where(up | (t % 4 == 3), 1.0, 0.0).cumsum(0)
        hop = torch.stack([slide, 0.1 * up, 0 * t], -1)
        assert skating(still(40) + hop[:, None], MELODY, RATE) == 0
        # at half the height, except in the first frames
        half = torch.stack([t, 0.0125 * (t > 2), 0 * t], -1)
        weight = 2 - 2**0.5
        slide = skating(still(400)[:40] + half[:, None], MELODY, 1.0).item()
        assert slide == pytest.approx((37 * weight + 2) / 39, abs=0.04)

    def test_skating_with_invalid_height_raises(self) -> None:
        with pytest.raises(ValueError, match="height"):
            skating(still(5), MELODY, RATE, height=0.0)
