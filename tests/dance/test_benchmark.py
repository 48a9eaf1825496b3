"""Tests of the comparison of dances: methods without training, metrics, and tables."""

import math
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from monge.dance import audio, motion
from monge.dance.audio.features import beat_columns
from monge.dance.data import Dance
from monge.dance.metrics import beat_alignment_of
from monge.dance.motion import MELODY

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import dance
import dance_makers
import dance_tables

FRAMES = 240


def song(k: int, period: float, frames: int = FRAMES) -> Dance:
    """Return a body that bends to and fro, to music with beats where it turns."""
    t = torch.arange(frames)
    angle = 0.6 * (math.pi * t / period).cos()
    bend = motion.exp(torch.stack([angle, 0 * angle, 0 * angle], -1))
    positions = motion.rest(MELODY) @ bend.mT
    rng = torch.Generator().manual_seed(k)
    constant = torch.randn(1, 77, generator=rng).expand(frames, -1)
    music = torch.cat([constant, torch.zeros(frames, 3)], 1)
    music[:, 76:77] = torch.rand(frames, 1, generator=rng)
    music[:, 77:] = beat_columns(torch.arange(0, frames, period), frames)
    return Dance(f"song {k}", "waltz", motion.retarget(positions, MELODY), music)


@pytest.fixture(scope="module")
def songs() -> dance_makers.Songs:
    return dance_makers.Songs(
        [song(k, 15.0 + k) for k in range(3)], [song(k + 9, 14.0 + 3 * k) for k in range(3)]
    )


@pytest.fixture(scope="module")
def measured(songs: dance_makers.Songs) -> dict[str, dict]:
    names = ("real", "real-shuffled", "retrieval-shuffled", "mean")
    return {
        name: dance_makers.measured(name, dance_makers.UNTRAINED[name](songs), songs)
        for name in names
    }


def test_retrieval_of_known_music_returns_its_dance(songs: dance_makers.Songs) -> None:
    nearest, known = dance_makers.Nearest(songs), songs.train[1]
    made = nearest(known.music[:200])
    assert made.shape == (200, 23, 3)
    expected = motion.encode(known.positions, MELODY)[:, motion.TRAVEL :]
    features = motion.encode(made, MELODY)[:, motion.TRAVEL :]
    assert torch.allclose(features[:192], expected[:192], atol=1e-4)
    assert torch.allclose(features[192:], expected[192:200], atol=1e-4)


def test_shuffled_takes_use_the_music_of_other_songs(songs: dance_makers.Songs) -> None:
    assert dance_makers.rolled("abc", 1) == ["b", "c", "a"]
    takes = dance_makers.real_shuffled(songs)
    assert len(takes) == 2
    assert takes[0][1][0] is songs.held[1].music
    assert takes[0][0][0] is songs.held[0].positions
    assert all(
        own is judged
        for _, music in dance_makers.retrieval_shuffled(songs)
        for own, judged in zip(songs.music, music, strict=True)
    )


def test_dance_on_the_beat_has_excess_alignment_with_its_music(songs: dance_makers.Songs) -> None:
    b = dance_makers.keeping(dance_makers.real(songs))
    assert b["own"] > 0.85  # the first beat of a song has no turn before it
    dance, beats = songs.held[0].positions, dance_makers.beats_of(songs.music)
    expected = sum(beat_alignment_of(dance, other, 25.0) for other in beats[1:]) / 2
    assert b["by_song"]["other"][0][0] == pytest.approx(expected)
    assert b["excess"] == pytest.approx(b["own"] - b["other"])
    assert b["excess"] > 3 * b["se"] > 0
    assert b["se"] == pytest.approx(b["se_songs"])  # one take: a dance for each song
    swapped = dance_makers.keeping(dance_makers.real_shuffled(songs)[:1])
    assert swapped["excess"] < 0


def test_standard_error_by_song_ignores_repeated_takes(songs: dance_makers.Songs) -> None:
    once, twice = (dance_makers.keeping(dance_makers.real(songs) * n) for n in (1, 2))
    assert twice["se_songs"] == pytest.approx(once["se_songs"])
    assert twice["se"] < once["se"]


def test_correlation_is_one_if_dances_differ_as_music_does() -> None:
    def held(pose: float) -> Tensor:
        tilt = motion.exp(torch.tensor([pose, 0.0, 0.0]))
        return motion.retarget((motion.rest(MELODY) @ tilt.mT).expand(100, -1, -1), MELODY)

    music = [song(k, 20.0, 100).music for k in (1, 2)]
    still = [part[:1].expand(100, -1).contiguous() for part in (music[0], music[0], music[1])]
    both = dance_makers.correlations([held(0.1), held(0.1), held(0.5)], still)
    assert both["correlation"] == pytest.approx(1, abs=1e-3)
    assert dance_makers.correlations([held(0.1)] * 3, still) == {}


def test_mean_pose_has_no_jerk_and_no_beats(measured: dict[str, dict]) -> None:
    s = measured["mean"]["summary"]
    assert s["jerk"]["mean"] == 0 == s["motion_beats_per_second"]["mean"]
    assert "correlation" not in s
    assert measured["real"]["summary"]["frechet_kinetic"]["mean"] == pytest.approx(0, abs=1e-3)
    assert len(measured["retrieval-shuffled"]["takes"]) == 2
    assert "beats" not in measured["real-shuffled"]


def test_recipes_of_the_table_differ_only_in_the_loss(tmp_path: Path) -> None:
    whole = dance.dump(dance.recipe("ot-gw", 1, tmp_path))
    for what, weights in {
        "ot": (True, False, False),
        "gw": (False, True, False),
        "gan": (False, False, True),
    }.items():
        method = dance.dump(dance.recipe(what, 1, tmp_path))["method"]
        assert tuple(method[key] > 0 for key in ("ot", "gw", "gan")) == weights
        changed = {key for key, value in method.items() if value != whole["method"][key]}
        assert changed <= {"ot", "gw", "gan"} | ({"lr"} if what == "gan" else set())
    assert whole["run"]["seed"] == 1


def test_tables_are_well_formed(measured: dict[str, dict]) -> None:
    run = {
        "seed": 0,
        "finite": True,
        "cpu_seconds": 90.0,
        "curves": {"loss": [2.0, 1.0], "transport_8": [1, 0.5], "transport_24": [1, 1]},
    }
    mode = dance_makers.summary([{"multi_modality_kinetic": 1.0, "multi_modality_geometric": 2.0}])
    ot = measured["real"] | {"training": [run, run], "modes": mode}
    result = {
        "machine": {"processor": "a processor", "threads": 1},
        "train_songs": 3,
        "songs": [{}] * 3,
        "makers": {**measured, "ot": ot},
        "speed": {
            **{
                key: {"cpu_seconds": 1.0, "wall_seconds": 2.0}
                for key in ("features_of_3_minutes", "dance_of_3_minutes")
            },
            "5_minutes_finite": True,
            "5_minutes_bone_length_error": 1e-6,
        },
    }
    for table in (
        dance_tables.makers,
        dance_tables.short,
        dance_tables.beats,
        dance_tables.ablation,
        dance_tables.speed,
    ):
        assert table(None) == dance_tables.MISSING
        lines = [line for line in table(result).splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1
        assert "nan" not in table(result)
    assert "2 → 1.5" in dance_tables.ablation(result)
    assert "1.5 CPU-min" in dance_tables.short(result)
    assert not re.search(r"-0\.0+ ", dance_tables.makers(result))
    assert dance_tables.ablation({**result, "makers": measured}) == dance_tables.MISSING


def test_beats_of_the_music_are_recovered(songs: dance_makers.Songs) -> None:
    period = audio.beats_of(songs.held[0].music).diff()
    assert period.allclose(torch.tensor(14.0, dtype=torch.float64))
