"""Tests of the features of music: their columns, invariances, and the beats read from them."""

from __future__ import annotations

import math

import pytest
import torch

from monge.dance.audio import MUSIC, beats_of, mel, music_features, onset, sound_features
from monge.dance.audio.features import CHROMA, MEL, ONSET, PHASE, PULSE, beat_columns
from monge.errors import MongeError
from tests.helpers.songs import song


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    return torch.from_numpy(song(15, 100, 22050)).float()


def test_columns_match_their_definitions(samples: torch.Tensor) -> None:
    features = sound_features(samples)
    assert features.shape == (1 + len(samples) // 882, MUSIC)
    assert features.dtype == torch.float32
    level = features[:, MEL]
    assert level.abs().max() <= 4
    assert level.mean(0).abs().max() < 0.05
    assert level.square().mean().sqrt() == pytest.approx(1, abs=0.05)
    strongest = features[:, CHROMA].amax(1)
    torch.testing.assert_close(strongest, torch.ones(len(features)), atol=1e-2, rtol=0)
    strength = features[:, ONSET].double().expm1()
    assert strength.mean() == pytest.approx(1, abs=1e-5)
    steps = beats_of(features).diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 15), atol=0.3, rtol=0)
    turned = torch.view_as_complex(features[:, PHASE].contiguous())[30:300]
    advance = (turned[1:] * turned[:-1].conj()).angle() / (2 * math.pi)
    torch.testing.assert_close(advance, torch.full_like(advance, 1 / 15), atol=3e-3, rtol=0)
    on_beat = beats_of(features)[5:15].round().long()
    assert features[on_beat, PULSE].min() > 0.8


def test_features_are_invariant_to_volume(samples: torch.Tensor) -> None:
    loud = sound_features(samples)
    torch.testing.assert_close(sound_features(0.1 * samples), loud, atol=2e-3, rtol=0)
    # the level of digital silence does not depend on the volume either
    padded = torch.cat([torch.zeros(22050), samples, torch.zeros(22050)])
    quiet = sound_features(0.1 * padded)
    torch.testing.assert_close(quiet, sound_features(padded), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    "x", [torch.zeros(44100), torch.full((44100,), 0.3), 1e-6 * torch.ones(44100)]
)
def test_features_of_silence_are_finite_without_beats(x: torch.Tensor) -> None:
    features = sound_features(x)
    assert features.isfinite().all()
    assert features[:, PHASE].abs().max() == 0
    assert len(beats_of(features)) == 0


def test_rates_that_divide_the_sample_rate(samples: torch.Tensor) -> None:
    for rate in (30, 50):
        steps = beats_of(sound_features(samples, rate)).diff()
        assert steps.mean() == pytest.approx(0.6 * rate, rel=0.01)
    with pytest.raises(MongeError, match="rate must divide 22050, got 24"):
        sound_features(samples, 24)


def test_beats_are_recovered_from_columns_and_windows() -> None:
    g = torch.Generator().manual_seed(0)
    for _ in range(20):
        beats = (10 + 8 * torch.rand(30, generator=g, dtype=torch.float64)).cumsum(0) - 9
        frames = int(beats[-1]) + 5
        features = torch.cat([torch.zeros(frames, 77), beat_columns(beats, frames).float()], 1)
        torch.testing.assert_close(beats_of(features), beats, atol=1e-3, rtol=0)
        for start in (3, 50, 101):
            here = beats[(beats >= start) & (beats <= start + 95)] - start
            window = features[start : start + 96]
            torch.testing.assert_close(beats_of(window), here, atol=1e-3, rtol=0)
        rough = features.half()
        torch.testing.assert_close(beats_of(rough), beats, atol=0.05, rtol=0)


def test_beats_at_whole_frames_and_at_the_ends_are_recovered() -> None:
    beats = torch.tensor([0.0, 12.0, 24.0, 36.0], dtype=torch.float64)
    columns = beat_columns(beats, 37).float()
    features = torch.cat([torch.zeros(37, 77), columns], 1)
    torch.testing.assert_close(beats_of(features), beats, atol=1e-4, rtol=0)
    torch.testing.assert_close(beats_of(features[12:]), beats[:3], atol=1e-4, rtol=0)
    assert columns[::12, 0].tolist() == [1, 1, 1, 1]
    assert columns[[11, 13], 0].tolist() == pytest.approx([math.exp(-0.5)] * 2)
    assert len(beats_of(torch.zeros(20, MUSIC))) == 0
    assert beat_columns(torch.tensor([4.0]), 9).abs().max() == 0
    far = beat_columns(torch.tensor([30.0, 40.0]), 80)
    assert far[:21].abs().max() < 1e-9
    assert far[50:, 1:].abs().max() == 0


def test_invalid_arguments_raise() -> None:
    good = torch.zeros(9, 64), torch.zeros(9, 12), torch.zeros(9)
    for k, name in enumerate(("mel", "chroma")):
        wrong = [value[:, :-1] if i == k else value for i, value in enumerate(good)]
        with pytest.raises(ValueError, match=f"{name} has shape"):
            music_features(*wrong, 25.0)
    with pytest.raises(ValueError, match="onset holds values that are not finite"):
        music_features(*good[:2], good[2] + torch.nan, 25.0)
    with pytest.raises(ValueError, match="expected"):
        music_features(*(value[:0] for value in good), 25.0)
    with pytest.raises(ValueError, match="features must have shape"):
        beats_of(torch.zeros(2, 9, MUSIC))


def test_half_precision_spectra_give_the_features_of_the_sound(samples: torch.Tensor) -> None:
    """Spectra in half precision, as the data set stores them, give the features of the sound."""
    from monge.dance.audio import chroma

    level = mel(samples)
    stored = music_features(level.half(), chroma(samples).half(), onset(level).half(), 25.0)
    torch.testing.assert_close(stored, sound_features(samples), atol=0.05, rtol=0)
