"""Metrics of music: values by hand, changes of music that each metric sees, cross-fades."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge.music.metrics import (
    TITLES,
    coin_fade,
    latest_fade,
    note_accuracy,
    onset_density,
    onsets,
    piano_roll_distances,
    pitch_classes,
    silence,
    steps,
)
from tests.helpers.music import melody, piano_rolls


def test_each_metric_sees_its_own_change_of_music() -> None:
    """Each change of music increases its own metric, and leaves unrelated ones as they are."""
    music = piano_rolls(*(melody(30 + seed % 12, 64, seed) for seed in range(60)))
    other = piano_rolls(*(melody(30 + seed % 12, 64, seed) for seed in range(60, 120)))
    floor = piano_roll_distances(other, music, rate=24)
    assert set(floor) == set(TITLES)
    rng = torch.Generator().manual_seed(0)
    noise = torch.where(music > 0, torch.randint(20, 60, music.shape, generator=rng), 0)
    twice = other[:, :, ::2].repeat(1, 1, 2)  # twice as fast
    octave = torch.where(torch.arange(64) % 8 < 4, other, (other.int() + 12 * (other > 0)).byte())
    octave[:, 3] = other[:, 3]
    resting = other.clone()
    resting[:, 1] = 0
    assert piano_roll_distances(noise, music, 24)["pitch_class"] > 3 * floor["pitch_class"]
    faster = piano_roll_distances(twice, music, 24)
    assert faster["onset_density"] > 5 * floor["onset_density"]
    assert faster["pitch_class"] < 1.5 * floor["pitch_class"]
    leaping = piano_roll_distances(octave, music, 24)
    assert leaping["voice_leading"] > 5 * floor["voice_leading"]
    assert leaping["pitch_class"] == pytest.approx(floor["pitch_class"])
    assert leaping["silence"] == floor["silence"] == 0
    assert piano_roll_distances(resting, music, 24)["silence"] == pytest.approx(0.25)
    assert all(value == 0 for value in piano_roll_distances(music, music, 24).values())


def test_pitch_class_distance_sees_two_keys_at_once() -> None:
    """A mixture of keys has the pooled histogram of the data, but a larger distance to music."""
    music, a, b = (
        piano_rolls(*(melody(30 + (s * 7) % 12, 64, s) for s in range(k, k + 80)))
        for k in (0, 80, 160)
    )
    b = b.roll(37, 0)
    faded = coin_fade(a, b)
    pooled = [pitch_classes(x).mean(0) for x in (music, faded)]
    assert (pooled[0] - pooled[1]).abs().sum() / 2 < 0.05
    mixed, pure = (piano_roll_distances(x, music, 24)["pitch_class"] for x in (faded, a))
    assert mixed > 1.5 * pure


def test_quantities_of_the_metrics_have_values_by_hand() -> None:
    x = torch.tensor([[[40, 40, 0, 40, 52], [0, 0, 0, 0, 0], [5, 5, 6, 6, 6], [1, 0, 1, 0, 1]]])
    assert onsets(x).sum(2).tolist() == [[3, 0, 2, 3]]
    # in four frames, half a second
    assert onset_density(x, rate=8).tolist() == [[4.0, 0.0, 2.0, 4.0]]
    assert steps(x).tolist() == [0, 12, 1]
    assert silence(x).tolist() == [[0.2, 1.0, 0.0, 0.4]]
    # C of 40 and 52, C♯ of 5, D of 6
    assert pitch_classes(x)[0].nonzero().flatten().tolist() == [0, 1, 2]
    assert len(pitch_classes(torch.zeros(2, 4, 8))) == 0
    assert np.isnan(piano_roll_distances(torch.zeros(2, 4, 8), x, 8)["pitch_class"])
    assert note_accuracy(x, x) == (1.0, 1.0)


def test_cross_fades_choose_cells_by_coin_or_by_the_latest_note() -> None:
    a, b = torch.full((200, 4, 8), 10), torch.full((200, 4, 8), 20)
    for weight in (0.25, 0.5):
        faded = coin_fade(a, b, seed=1, weight=weight)
        assert (faded == 20).float().mean().item() == pytest.approx(weight, abs=0.02)
        assert torch.equal(faded, coin_fade(a, b, seed=1, weight=weight))
        assert not torch.equal(faded, coin_fade(a, b, seed=2, weight=weight))
    both = latest_fade(a, b)
    assert (both == both[..., :1]).all()  # struck together: one coin for the whole note
    assert (both[..., 0] == 20).float().mean().item() == pytest.approx(0.5, abs=0.06)
    one, other = torch.tensor([[[5, 5, 6, 6, 0, 0]]]), torch.tensor([[[0, 7, 7, 7, 7, 0]]])
    assert latest_fade(one, other).tolist() == [[[5, 7, 6, 6, 7, 0]]]
