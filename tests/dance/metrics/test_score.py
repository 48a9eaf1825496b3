"""Tests of distances between dances, of all metrics of a set of dances, and of invalid input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import isnan

import pytest
import torch
from torch import Tensor

from monge.dance.metrics import (
    Kind,
    beat_alignment_of,
    bone_length_error,
    diversity,
    frechet_dance,
    geometric_features,
    jerk,
    kinetic_features,
    measure_dances,
    motion_beats,
    multi_modality,
    physical_foot_contact,
    skating,
    windows,
)
from monge.dance.motion import MELODY, SMPL, Skeleton
from monge.metrics import frechet
from tests.helpers.bodies import BOTH, RATE, motions, still

ALL: dict[str, Callable[[Tensor], object]] = {
    "kinetic_features": lambda p: kinetic_features(p, RATE),
    "geometric_features": lambda p: geometric_features(p, MELODY, RATE),
    "motion_beats": lambda p: motion_beats(p, RATE),
    "physical_foot_contact": lambda p: physical_foot_contact(p, MELODY, RATE),
    "bone_length_error": lambda p: bone_length_error(p, MELODY),
    "jerk": lambda p: jerk(p, RATE),
    "skating": lambda p: skating(p, MELODY, RATE),
}


class TestDistances:
    @pytest.mark.parametrize("kind", ["kinetic", "geometric"])
    def test_frechet_distance_is_zero_for_equal_dances_and_grows(self, kind: Kind) -> None:
        of = {"kind": kind, "skeleton": MELODY, "rate": RATE}
        real, reference, generated = motions(MELODY, 90, 20).split(30)
        same = frechet_dance(real, real, reference, **of)  # type: ignore[arg-type]
        assert same.value == pytest.approx(0, abs=1e-4)
        near, far = (
            frechet_dance(y, real, reference, **of)  # type: ignore[arg-type]
            for y in (generated, 3 * generated - 2 * still(20))
        )
        assert near.floor == far.floor
        assert near.value < 2 * near.floor
        assert far.value > near.value
        alone = frechet_dance(generated, real, **of)  # type: ignore[arg-type]
        assert 0 < alone.floor < 100 * near.floor

    def test_z_scores_use_the_reference(self) -> None:
        real, reference, generated = motions(MELODY, 60, 20).split(20)
        of = {"kind": "kinetic", "skeleton": MELODY, "rate": RATE}
        raw = [kinetic_features(x, RATE) for x in (generated, real, reference)]
        z = [(f - raw[2].mean(0)) / raw[2].std(0) for f in raw]
        distance = frechet_dance(generated, real, reference, **of)  # type: ignore[arg-type]
        assert distance.value == pytest.approx(frechet(z[0], z[1]))
        assert distance.floor == pytest.approx(frechet(z[2], z[1]))
        fewer = frechet_dance(generated[:10], real, reference, **of)  # type: ignore[arg-type]
        assert fewer.floor == pytest.approx(frechet(z[2][::2], z[1]))
        pairs = [(z[0][i] - z[0][j]).norm() for i in range(20) for j in range(i)]
        spread = diversity(generated, reference, **of)  # type: ignore[arg-type]
        assert spread == pytest.approx(torch.stack(pairs).mean().item())

    def test_multi_modality_is_mean_over_songs(self) -> None:
        x = motions(MELODY, 12, 20)
        of = {"kind": "geometric", "skeleton": MELODY, "rate": RATE}
        songs = x.view(3, 4, *x.shape[1:])
        each = [diversity(song, x, **of) for song in songs]  # type: ignore[arg-type]
        assert multi_modality(songs, x, **of) == pytest.approx(sum(each) / 3)  # type: ignore[arg-type]
        same = songs[:, :1].expand_as(songs)
        assert multi_modality(same, x, **of) == 0  # type: ignore[arg-type]

    def test_distance_is_finite_if_a_feature_is_constant(self) -> None:
        for kind in ("kinetic", "geometric"):
            generated, real = motions(MELODY, 5, 20), still(20).expand(5, 20, 23, 3)
            distance = frechet_dance(generated, real, kind=kind, skeleton=MELODY, rate=RATE)
            assert 0 < distance.value < torch.inf
            assert distance.floor == 0

    def test_too_few_windows_and_unknown_kinds_raise(self) -> None:
        x = motions(MELODY, 4, 20)
        of = {"skeleton": MELODY, "rate": RATE}
        with pytest.raises(ValueError, match="at least 2 windows"):
            frechet_dance(x[:1], x, kind="kinetic", **of)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at least 4 windows"):
            frechet_dance(x, x[:3], kind="kinetic", **of)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="kind must be"):
            diversity(x, x, kind="emotional", **of)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"\(songs, dances"):
            multi_modality(x, x, kind="kinetic", **of)  # type: ignore[arg-type]


class TestMeasureDances:
    @BOTH
    def test_equals_the_single_metrics(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 9, 85)
        generated, held, train = list(x[:3]), list(x[3:6]), list(x[6:])
        beats = [torch.arange(0, 200, 12), torch.empty(0), torch.arange(5, 80, 10)]
        metrics = measure_dances(generated, held, train, beats, skeleton, RATE, frames=20)
        cut, real, reference = (windows(x[k : k + 3], 20).flatten(0, 1) for k in (0, 3, 6))
        for kind in ("kinetic", "geometric"):
            of = {"kind": kind, "skeleton": skeleton, "rate": RATE}
            expected = frechet_dance(cut, real, reference, **of)  # type: ignore[arg-type]
            assert metrics[f"frechet_{kind}"] == pytest.approx(expected.value)
            assert metrics[f"frechet_{kind}_floor"] == pytest.approx(expected.floor)
            spread = diversity(cut, reference, **of)  # type: ignore[arg-type]
            assert metrics[f"diversity_{kind}"] == pytest.approx(spread)
        # the song without beats is left out
        alignments = [beat_alignment_of(generated[k], beats[k], RATE) for k in (0, 2)]
        assert metrics["beat_alignment"] == pytest.approx(sum(alignments) / 2)
        count = sum(len(motion_beats(p, RATE)) for p in generated)
        assert metrics["motion_beats_per_second"] == pytest.approx(count / (255 / RATE))
        contact = physical_foot_contact(cut, skeleton, RATE).mean().item()
        assert metrics["foot_contact"] == pytest.approx(contact)
        largest = bone_length_error(x[:3], skeleton).max().item()
        assert metrics["bone_length_error"] == pytest.approx(largest)
        assert metrics["jerk"] == pytest.approx(jerk(cut, RATE).mean().item())
        assert metrics["skating"] == pytest.approx(skating(x[:3], skeleton, RATE).mean().item())

    def test_accepts_dances_of_different_lengths_and_dtypes(self) -> None:
        x = motions(MELODY, 4, 70).float()
        generated, real = [x[0], x[1, :41]], [x[2].double(), x[3, :55]]
        beats = [torch.arange(0.0, 70.0, 10.0)] * 2
        metrics = measure_dances(generated, real, real, beats, MELODY, RATE, frames=20)
        assert all(value == value for value in metrics.values())

    def test_beat_alignment_of_silence_is_nan(self) -> None:
        x = list(motions(MELODY, 3, 40))
        metrics = measure_dances(x, x, x, [torch.empty(0)] * 3, MELODY, RATE, frames=20)
        assert isnan(metrics.pop("beat_alignment"))
        assert not any(isnan(value) for value in metrics.values())

    def test_mismatched_arguments_raise(self) -> None:
        x = list(motions(MELODY, 3, 40))
        with pytest.raises(ValueError, match="3 dances and 2 beats"):
            measure_dances(x, x, x, [torch.zeros(1)] * 2, MELODY, RATE, frames=20)
        with pytest.raises(ValueError, match="no window of 100 frames"):
            measure_dances(x, x, x, [torch.zeros(1)] * 3, MELODY, RATE)
        with pytest.raises(ValueError, match="at least one"):
            measure_dances([], x, x, [], MELODY, RATE)
        with pytest.raises(ValueError, match=r"'smpl'"):
            measure_dances(x, x, x, [torch.zeros(1)] * 3, SMPL, RATE, frames=20)


class TestBadInput:
    @pytest.mark.parametrize("name", ALL)
    def test_nan_and_infinity_raise(self, name: str) -> None:
        for value in (torch.nan, torch.inf):
            p = still(20).clone()
            p[3, 4, 1] = value
            with pytest.raises(ValueError, match="finite, got 1 value"):
                ALL[name](p)

    @pytest.mark.parametrize("name", sorted(set(ALL) - {"bone_length_error"}))
    def test_single_frame_raises(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"at least [234] frames"):
            ALL[name](still(1))

    @pytest.mark.parametrize("name", ALL)
    def test_wrong_shapes_and_integers_raise(self, name: str) -> None:
        for shape in ((20, 23, 2), (20, 23), (0, 23, 3)):
            with pytest.raises(ValueError, match=r"positions|motion"):
                ALL[name](torch.zeros(shape))
        with pytest.raises(ValueError, match="floats"):
            ALL[name](torch.zeros(20, 23, 3, dtype=torch.int64))

    @pytest.mark.parametrize(
        "name", ["geometric_features", "physical_foot_contact", "bone_length_error", "skating"]
    )
    def test_wrong_number_of_joints_raises(self, name: str) -> None:
        with pytest.raises(ValueError, match="skeleton 'melody'"):
            ALL[name](torch.zeros(20, 24, 3))

    @pytest.mark.parametrize("name", ALL)
    def test_constant_pose_gives_zero_without_warnings(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for pose in (still(20), torch.zeros(20, 23, 3)):
                value = ALL[name](pose)
                assert isinstance(value, Tensor)
                assert value.isfinite().all()
                if name != "geometric_features":
                    assert (value < 1e-12).all()

    @pytest.mark.parametrize("rate", [0.0, -1.0, torch.nan, torch.inf])
    def test_invalid_rate_raises(self, rate: float) -> None:
        p = still(9)
        for metric in (kinetic_features, jerk, motion_beats):
            with pytest.raises(ValueError, match="rate"):
                metric(p, rate)  # type: ignore[operator]
        for of_skeleton in (geometric_features, skating, physical_foot_contact):
            with pytest.raises(ValueError, match="rate"):
                of_skeleton(p, MELODY, rate)  # type: ignore[operator]

    def test_invalid_windows_raise(self) -> None:
        with pytest.raises(ValueError, match="no window of 30 frames"):
            windows(still(20), 30)
        with pytest.raises(ValueError, match="hop=0"):
            windows(still(20), 10, 0)

    def test_batches_and_single_precision_equal_single_dances(self) -> None:
        x = motions(MELODY, 6, 20)
        for name, metric in ALL.items():
            if name == "motion_beats":
                continue
            one_by_one = torch.stack([metric(p) for p in x])  # type: ignore[arg-type]
            batched = metric(x.view(2, 3, *x.shape[1:]))
            assert isinstance(batched, Tensor)
            torch.testing.assert_close(batched.flatten(0, 1), one_by_one, rtol=1e-12, atol=1e-12)
            single = metric(x.float())
            assert isinstance(single, Tensor)
            assert single.dtype == torch.float32
            # shares of 19 frames, on the edge of a threshold
            tolerance = 0.11 if name == "geometric_features" else 2e-2
            torch.testing.assert_close(single.double(), one_by_one, rtol=tolerance, atol=tolerance)
