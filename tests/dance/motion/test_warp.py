"""Tests of retiming dances to the beats of the music."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.dance.metrics import beat_alignment, motion_beats
from monge.dance.motion import MELODY, at_times, beat_warp, place, rest
from monge.dance.motion.skeleton import directions
from monge.dance.motion.warp import source_times

RATE = 25.0


def swinging_dance(frames: int, period: float) -> Tensor:
    """Return a dance with an arm that stands still every ``period`` frames, first at frame 0."""
    u = directions(rest(MELODY), MELODY).expand(frames, -1, 3).clone()
    angle = torch.cos(torch.pi * torch.arange(frames) / period)
    u[:, MELODY.bones.index(13)] = torch.stack([angle.cos(), angle.sin(), torch.zeros(frames)], -1)
    return place(u, torch.zeros(frames, 3), MELODY)


def test_warp_aligns_a_dance_with_the_beats() -> None:
    dance, music = swinging_dance(400, 15.0), torch.arange(6.0, 400, 15.0)
    before = beat_alignment(music, motion_beats(dance, RATE))
    warped = beat_warp(dance, motion_beats(dance, RATE), music, MELODY)
    assert before < 0.3
    assert beat_alignment(music, motion_beats(warped, RATE)) > 0.9


def test_warp_to_another_tempo_keeps_the_stretch_bound() -> None:
    """At a tempo 13 % slower some beats of the body have no match: the duration is constant."""
    music = np.arange(0.0, 300, 17.0)
    times = source_times(np.arange(0.0, 300, 15.0), music, 300, 1.25)
    shown = np.interp(music, np.arange(300), times)
    assert (np.abs(shown - 15 * np.round(shown / 15)) < 0.2).mean() > 0.7
    slope = np.diff(times)
    assert slope.min() > 0.7
    # the smooth curve through the anchors may be a little steeper than the lines between them
    assert slope.max() < 1.4


def test_warp_keeps_bone_lengths_duration_and_ends() -> None:
    dance = swinging_dance(200, 12.0)
    warped = beat_warp(dance, motion_beats(dance, RATE), torch.arange(5.0, 200, 13.0), MELODY)
    assert warped.shape == dance.shape
    assert torch.allclose(warped[[0, -1]], dance[[0, -1]], atol=1e-5)
    for j in MELODY.bones:
        length = (warped[:, j] - warped[:, MELODY.parents[j]]).norm(dim=-1)
        assert length.sub(MELODY.lengths[j]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("own", "music"),
    [([], [5.0, 10.0]), ([5.0], []), ([], []), ([5.0], [6.0])],
    ids=["no own", "none", "neither", "one"],
)
def test_warp_with_few_beats_changes_little(own: list[float], music: list[float]) -> None:
    dance = swinging_dance(40, 12.0)
    warped = beat_warp(dance, torch.tensor(own), torch.tensor(music), MELODY)
    assert (warped - dance).abs().max() < 0.1
    assert warped.isfinite().all()


def test_distant_beats_are_not_matched() -> None:
    times = source_times(np.array([50.0]), np.array([10.0, 90.0]), 100, 1.25)
    assert np.allclose(times, np.arange(100))


def test_invalid_arguments_raise() -> None:
    dance = swinging_dance(20, 10.0)
    with pytest.raises(ValueError, match=r"stretch must be above 1, got 1\.0"):
        beat_warp(dance, torch.tensor([5.0]), torch.tensor([5.0]), MELODY, stretch=1.0)
    with pytest.raises(ValueError, match="one dance"):
        beat_warp(dance[None], torch.tensor([5.0]), torch.tensor([5.0]), MELODY)
    with pytest.raises(ValueError, match=r"\(\.\.\., 23, 3\)"):
        beat_warp(dance[:, :5], torch.tensor([5.0]), torch.tensor([5.0]), MELODY)


def test_single_frame_and_times_outside_are_clamped() -> None:
    still = rest(MELODY)[None]
    assert torch.allclose(
        at_times(still, torch.tensor([-1.0, 0.0, 3.0]), MELODY), still.expand(3, -1, -1), atol=1e-6
    )
