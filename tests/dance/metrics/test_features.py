"""Tests of kinetic and geometric features: loops as an oracle, analytic motions, invariances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge.dance.metrics import geometric_features, kinetic_features, windows
from monge.dance.motion import MELODY, SMPL, Skeleton
from tests.helpers.bodies import (
    BOTH,
    RATE,
    displace,
    geometric_loop,
    kinetic_loop,
    motions,
    reflect,
    still,
    turn,
)


class TestOracle:
    @BOTH
    def test_features_equal_loops(self, skeleton: Skeleton) -> None:
        for frames in (3, 4, 5, 6, 24):
            x = motions(skeleton, 2, frames, seed=frames)
            kinetic = torch.tensor([kinetic_loop(p) for p in x.numpy()], dtype=torch.float64)
            torch.testing.assert_close(kinetic_features(x, RATE), kinetic, rtol=0, atol=1e-9)
            rows = [geometric_loop(p, skeleton) for p in x.numpy()]
            geometric = geometric_features(x, skeleton, RATE)
            loop = torch.tensor(rows, dtype=torch.float64)
            torch.testing.assert_close(geometric, loop, rtol=0, atol=1e-9)

    def test_windows_are_slices(self) -> None:
        x = torch.randn(2, 50, 4, 3)
        cut = windows(x, 20, 15)
        assert cut.shape == (2, 3, 20, 4, 3)
        for k in range(3):
            assert torch.equal(cut[:, k], x[:, 15 * k : 15 * k + 20])
        assert torch.equal(windows(x, 20), cut[:, ::2]) is False
        assert windows(x, 50).shape == (2, 1, 50, 4, 3)


class TestKinetic:
    def test_straight_walk_has_energy_and_no_expenditure(self) -> None:
        t = torch.arange(30, dtype=torch.float64)[:, None, None] / RATE
        walk = still(30) + t * torch.tensor([3.0, 2.0, 4.0]).double()
        expected = torch.tensor([25.0, 4.0, 0.0]).double().expand(23, 3)
        f = kinetic_features(walk, RATE).view(23, 3)
        torch.testing.assert_close(f, expected, rtol=0, atol=1e-9)

    def test_free_fall_has_its_acceleration(self) -> None:
        t = torch.arange(30, dtype=torch.float64) / RATE
        fall = displace("left hand", torch.stack([0 * t, -4.905 * t**2, 0 * t], -1))
        f = kinetic_features(fall, RATE).view(23, 3)
        assert f[21, 2].item() == pytest.approx(9.81)
        assert f[21, 0] == 0
        assert not f[:21].any()

    @BOTH
    def test_features_are_invariant(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 3, 20)
        f = kinetic_features(x, RATE)
        for same in (
            x + torch.tensor([5.0, -2.0, 7.0]),
            turn(x, 0.7),
            reflect(x, skeleton)[..., list(skeleton.mirrored), :],
        ):
            torch.testing.assert_close(kinetic_features(same, RATE), f)

    def test_features_scale_with_size_and_rate(self) -> None:
        x = motions(MELODY, 2, 20)
        f, larger = (kinetic_features(y, RATE).view(2, 23, 3) for y in (x, 3 * x))
        torch.testing.assert_close(larger, f * torch.tensor([9.0, 9.0, 3.0]))
        torch.testing.assert_close(kinetic_features(x, 2 * RATE), 4 * kinetic_features(x, RATE))

    def test_time_reversal_keeps_energies(self) -> None:
        x = motions(MELODY, 2, 20)
        f, g = (kinetic_features(p, RATE).view(2, 23, 3) for p in (x, x.flip(1)))
        torch.testing.assert_close(f[..., :2], g[..., :2])

    def test_published_acceleration_has_misplaced_bracket(self) -> None:
        p, last = motions(MELODY, 1, 8)[0], 7
        features = kinetic_features(p, RATE, published=True).view(23, 3)
        assert torch.equal(features[:, :2], kinetic_features(p, RATE).view(23, 3)[:, :2])
        expected = torch.zeros(23).double()
        for t in range(1, last + 1):
            terms = [
                ((p[s + 1] - p[s]) * RATE - (p[s] - p[s - 1] * RATE)) * RATE
                for s in range(t - 2, t + 3)
                if 1 <= s < last
            ]
            expected += torch.stack(terms).mean(0).norm(dim=-1) / last
        torch.testing.assert_close(features[:, 2], expected)

    def test_features_are_equivariant_to_joint_order(self) -> None:
        x, order = motions(MELODY, 2, 20), torch.randperm(23)
        f, g = (kinetic_features(p, RATE).view(2, 23, 3) for p in (x, x[..., order, :]))
        torch.testing.assert_close(f[:, order], g)


class TestGeometric:
    @BOTH
    def test_features_are_invariant(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 3, 20)
        f = geometric_features(x, skeleton, RATE)
        for same in (x + torch.tensor([5.0, -2.0, 7.0]), turn(x, 0.7), 1.7 * x):
            torch.testing.assert_close(geometric_features(same, skeleton, RATE), f)

    @BOTH
    def test_mirror_exchanges_right_and_left(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 3, 40)
        both = x, reflect(x, skeleton)
        f, g = (geometric_features(p, skeleton, RATE) for p in both)
        alone = {8, 9, 18, 27, 28, 31}
        first = [k for k in range(32) if k not in alone][::2]
        swap = {k: k for k in alone} | {k: k + 1 for k in first} | {k + 1: k for k in first}
        torch.testing.assert_close(g, f[:, [swap[k] for k in range(32)]])
        p, q = (geometric_features(y, skeleton, RATE, published=True) for y in both)
        # published: one hand forward, the other backward
        assert not torch.allclose(q[:, :2], p[:, [1, 0]])

    @pytest.mark.parametrize(
        ("joint", "velocity", "features"),
        [
            ("right wrist", (0.0, 0.0, 1.0), {0, 12}),  # the body faces along z: forward, fast
            ("left wrist", (0.0, 0.0, 1.0), {1, 13}),
            ("right wrist", (0.0, 1.0, 0.0), {4, 10, 12}),  # up, and so away from the root
            ("left wrist", (0.0, 1.0, 0.0), {5, 11, 13}),
            ("right wrist", (1.0, 0.0, 0.0), {9, 12}),  # toward the left hand
            ("right wrist", (-1.0, 0.0, 0.0), {10, 12}),  # away from the root
            ("left wrist", (1.0, 0.0, 0.0), {11, 13}),
            ("right ankle", (0.0, 0.0, -1.0), {21}),
            ("left ankle", (0.0, 0.0, -1.0), {22}),
            ("pelvis", (0.0, 0.0, 1.0), {31}),
        ],
    )
    def test_moving_joint_sets_its_speed_features(
        self, joint: str, velocity: tuple[float, float, float], features: set[int]
    ) -> None:
        speeds = {0, 1, 4, 5, 9, 10, 11, 12, 13, 21, 22, 31}
        path = torch.tensor(velocity).double() * torch.arange(5)[:, None] / RATE
        f = geometric_features(displace(joint, path), MELODY, RATE)
        assert {k for k in speeds if f[k]} == features
        assert f[list(features)].eq(1).all()
        slow = geometric_features(displace(joint, path / 4), MELODY, RATE)
        assert not {k for k in speeds if slow[k]}

    @pytest.mark.parametrize(
        ("joint", "feature", "threshold"),
        [  # the threshold is above the neck for hands, above the floor for feet
            ("right wrist", 2, 0.295 * 0.2),
            ("left wrist", 3, 0.295 * 0.2),
            ("right ankle", 16, 1.2 * 0.295),
            ("left ankle", 17, 1.2 * 0.295),
        ],
    )
    def test_raised_joint_sets_its_height_feature(
        self, joint: str, feature: int, threshold: float
    ) -> None:
        p = still(4).clone()
        origin = p[0, MELODY.joints.index("neck"), 1] if feature < 4 else p[0, :, 1].min()
        for above, expected in ((-0.01, 0), (0.01, 1)):
            p[:, MELODY.joints.index(joint), 1] = origin + threshold + above
            assert geometric_features(p, MELODY, RATE)[feature] == expected

    def test_published_ignores_rising_hands_and_rate(self) -> None:
        x = motions(SMPL, 4, 40) * 1.0
        f = geometric_features(x, SMPL, RATE, published=True)
        assert torch.equal(f, geometric_features(x, SMPL, 60.0, published=True))
        rise = torch.tensor([0.0, 1.0, 0.0]).double() * torch.arange(5)[:, None] / RATE
        for published, expected in ((True, 0), (False, 1)):
            body = displace("left wrist", rise, SMPL)
            features = geometric_features(body, SMPL, RATE, published=published)
            assert features[5] == expected
            assert features[4] == 0

    def test_published_thresholds_are_those_of_average_body(self) -> None:
        def published(p: Tensor) -> Tensor:
            return geometric_features(p, SMPL, RATE, published=True)

        step = 2.3 * 0.256838 / 120  # meters per frame at which a root counts as fast
        time, forward = torch.arange(5)[:, None, None], torch.tensor([0.0, 0.0, 1.0])
        for factor, expected in ((0.99, 0), (1.01, 1)):
            walk = still(5, SMPL) + factor * step * time * forward
            assert published(walk)[31] == expected
            astride = still(5, SMPL).clone()
            astride[:, [7, 8], 0] = torch.tensor([1.0, -1.0]).double() * factor * 2.1 * 0.119247 / 2
            assert published(astride)[18] == expected

    def test_unknown_joint_names_raise(self) -> None:
        body = Skeleton("worm", ("head", "tail"), (-1, 0), (0.0, 1.0), (1,), (0, 1), (0, 1))
        with pytest.raises(ValueError, match="'worm' lacks: neck, pelvis, left shoulder"):
            geometric_features(torch.zeros(5, 2, 3), body, RATE)
