"""Distances between dances, the table of figures, and input that is no dance."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import isnan

import pytest
import torch
from torch import Tensor

from monge.dance.metrics import (
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
from monge.dance.metrics import score as dance
from monge.dance.motion import MELODY, SMPL, Skeleton
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
    def test_same_dances_have_distance_zero_and_others_more_than_the_floor(
        self, kind: dance.Kind
    ) -> None:
        of = {"kind": kind, "skeleton": MELODY, "rate": RATE}
        real, reference, made = motions(MELODY, 90, 20).split(30)
        assert frechet_dance(real, real, reference, **of).value == pytest.approx(0, abs=1e-4)  # type: ignore[arg-type]
        near, far = (
            frechet_dance(y, real, reference, **of) for y in (made, 3 * made - 2 * still(20))
        )  # type: ignore[arg-type]
        assert near.floor == far.floor
        assert near.value < 2 * near.floor
        assert far.value > near.value
        alone = frechet_dance(made, real, **of)  # type: ignore[arg-type]
        assert 0 < alone.floor < 100 * near.floor

    def test_z_scores_are_those_of_the_reference(self) -> None:
        real, reference, made = motions(MELODY, 60, 20).split(20)
        of = {"kind": "kinetic", "skeleton": MELODY, "rate": RATE}
        raw = [kinetic_features(x, RATE) for x in (made, real, reference)]
        z = [(f - raw[2].mean(0)) / raw[2].std(0) for f in raw]
        found = frechet_dance(made, real, reference, **of)  # type: ignore[arg-type]
        assert found.value == pytest.approx(dance.frechet(z[0], z[1]))
        assert found.floor == pytest.approx(dance.frechet(z[2], z[1]))
        fewer = frechet_dance(made[:10], real, reference, **of)  # type: ignore[arg-type]
        assert fewer.floor == pytest.approx(dance.frechet(z[2][::2], z[1]))
        pairs = [(z[0][i] - z[0][j]).norm() for i in range(20) for j in range(i)]
        found_diversity = diversity(made, reference, **of)  # type: ignore[arg-type]
        assert found_diversity == pytest.approx(torch.stack(pairs).mean().item())

    def test_multi_modality_is_a_mean_over_songs(self) -> None:
        x = motions(MELODY, 12, 20)
        of = {"kind": "geometric", "skeleton": MELODY, "rate": RATE}
        songs = x.view(3, 4, *x.shape[1:])
        each = [diversity(song, x, **of) for song in songs]  # type: ignore[arg-type]
        assert multi_modality(songs, x, **of) == pytest.approx(sum(each) / 3)  # type: ignore[arg-type]
        same = songs[:, :1].expand_as(songs)
        assert multi_modality(same, x, **of) == 0  # type: ignore[arg-type]

    def test_a_feature_that_never_varies_stays_finite(self) -> None:
        for kind in ("kinetic", "geometric"):
            found = frechet_dance(
                motions(MELODY, 5, 20),
                still(20).expand(5, 20, 23, 3),
                kind=kind,
                skeleton=MELODY,
                rate=RATE,
            )
            assert 0 < found.value < torch.inf
            assert found.floor == 0

    def test_refuses_too_few_windows_and_other_kinds(self) -> None:
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


class TestFigures:
    @BOTH
    def test_gathers_what_the_parts_say(self, skeleton: Skeleton) -> None:
        x = motions(skeleton, 9, 85)
        made, held, train = list(x[:3]), list(x[3:6]), list(x[6:])
        beats = [torch.arange(0, 200, 12), torch.empty(0), torch.arange(5, 80, 10)]
        found = measure_dances(made, held, train, beats, skeleton, RATE, frames=20)
        cut, real, learnt = (windows(x[k : k + 3], 20).flatten(0, 1) for k in (0, 3, 6))
        for kind in ("kinetic", "geometric"):
            expected = frechet_dance(cut, real, learnt, kind=kind, skeleton=skeleton, rate=RATE)
            assert found[f"frechet_{kind}"] == pytest.approx(expected.value)
            assert found[f"frechet_{kind}_floor"] == pytest.approx(expected.floor)
            assert found[f"diversity_{kind}"] == pytest.approx(
                diversity(cut, learnt, kind=kind, skeleton=skeleton, rate=RATE)
            )
        scores = [beat_alignment_of(made[k], beats[k], RATE) for k in (0, 2)]  # silence is left out
        assert found["beat_alignment"] == pytest.approx(sum(scores) / 2)
        assert found["motion_beats_per_second"] == pytest.approx(
            sum(len(motion_beats(p, RATE)) for p in made) / (255 / RATE)
        )
        assert found["foot_contact"] == pytest.approx(
            physical_foot_contact(cut, skeleton, RATE).mean().item()
        )
        assert found["bone_length_error"] == pytest.approx(
            bone_length_error(x[:3], skeleton).max().item()
        )
        assert found["jerk"] == pytest.approx(jerk(cut, RATE).mean().item())
        assert found["skating"] == pytest.approx(skating(x[:3], skeleton, RATE).mean().item())

    def test_dances_of_different_lengths_and_precisions(self) -> None:
        x = motions(MELODY, 4, 70).float()
        made, real = [x[0], x[1, :41]], [x[2].double(), x[3, :55]]
        found = measure_dances(
            made, real, real, [torch.arange(0.0, 70.0, 10.0)] * 2, MELODY, RATE, frames=20
        )
        assert all(value == value for value in found.values())

    def test_silence_has_no_beat_alignment(self) -> None:
        x = list(motions(MELODY, 3, 40))
        found = measure_dances(x, x, x, [torch.empty(0)] * 3, MELODY, RATE, frames=20)
        assert isnan(found.pop("beat_alignment"))
        assert not any(isnan(value) for value in found.values())

    def test_refuses_what_does_not_fit(self) -> None:
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
    def test_nan_and_infinity(self, name: str) -> None:
        for value in (torch.nan, torch.inf):
            p = still(20).clone()
            p[3, 4, 1] = value
            with pytest.raises(ValueError, match="finite, got 1 value"):
                ALL[name](p)

    @pytest.mark.parametrize("name", sorted(set(ALL) - {"bone_length_error"}))
    def test_one_frame(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"at least [234] frames"):
            ALL[name](still(1))

    @pytest.mark.parametrize("name", ALL)
    def test_no_motion_at_all(self, name: str) -> None:
        for shape in ((20, 23, 2), (20, 23), (0, 23, 3)):
            with pytest.raises(ValueError, match=r"positions|motion"):
                ALL[name](torch.zeros(shape))
        with pytest.raises(ValueError, match="floats"):
            ALL[name](torch.zeros(20, 23, 3, dtype=torch.int64))

    @pytest.mark.parametrize(
        "name", ["geometric_features", "physical_foot_contact", "bone_length_error", "skating"]
    )
    def test_other_joint_counts(self, name: str) -> None:
        with pytest.raises(ValueError, match="skeleton 'melody'"):
            ALL[name](torch.zeros(20, 24, 3))

    @pytest.mark.parametrize("name", ALL)
    def test_a_constant_pose_is_finite_and_warns_of_nothing(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for pose in (still(20), torch.zeros(20, 23, 3)):
                found = ALL[name](pose)
                assert isinstance(found, Tensor)
                assert found.isfinite().all()
                if name != "geometric_features":
                    assert (found < 1e-12).all()

    @pytest.mark.parametrize("rate", [0.0, -1.0, torch.nan, torch.inf])
    def test_rate(self, rate: float) -> None:
        p = still(9)
        for metric in (kinetic_features, jerk, motion_beats):
            with pytest.raises(ValueError, match="rate"):
                metric(p, rate)  # type: ignore[operator]
        for of_skeleton in (geometric_features, skating, physical_foot_contact):
            with pytest.raises(ValueError, match="rate"):
                of_skeleton(p, MELODY, rate)  # type: ignore[operator]

    def test_windows(self) -> None:
        with pytest.raises(ValueError, match="no window of 30 frames"):
            windows(still(20), 30)
        with pytest.raises(ValueError, match="hop=0"):
            windows(still(20), 10, 0)

    def test_batch_dimensions_and_single_precision(self) -> None:
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
