"""Tests of spectra against closed forms, and against librosa if it is installed."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from monge.dance.audio import chroma, mel, onset, spectral
from tests.helpers.songs import song


def sine(frequency: float, seconds: float = 1.0, volume: float = 1.0) -> torch.Tensor:
    """Return samples of a sine at 22,050 Hz."""
    time = torch.arange(int(seconds * 22050), dtype=torch.float64)
    return volume * torch.sin(2 * torch.pi * frequency * time / 22050).float()


@pytest.mark.parametrize("n", [1, 881, 882, 883, 22050])
def test_number_of_frames_is_one_more_than_whole_hops(n: int) -> None:
    assert len(mel(torch.ones(n))) == len(chroma(torch.ones(n))) == 1 + n // 882


def test_frames_are_centered_at_their_time() -> None:
    click = torch.zeros(22050)
    click[10 * 882] = 1
    power = 10 ** mel(click).double()
    assert power.mean(1).argmax() == 10
    torch.testing.assert_close(power[9], power[11], rtol=1e-3, atol=1e-7)
    assert (mel(click)[[8, 12]] == -8).all()


def test_mel_level_of_sine_has_closed_form() -> None:
    """In the middle of a wide band at 8 kHz it is the window's energy times the triangle's height.

    The area of the triangle is 1.
    """
    ends = 2595 * np.log10(1 + np.array([40, 11025]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, 66) / 2595) - 1)
    expected = 0.5 * 2048 * (3 / 8) * 2048 * 0.25 / 2 * 2 / (edges[57] - edges[55])
    level = mel(sine(edges[56], volume=0.5))[12]
    assert level.argmax() == 55
    assert level[55].item() == pytest.approx(math.log10(expected), abs=0.02)


def test_mel_has_a_floor_and_scales_with_volume() -> None:
    x = torch.from_numpy(song(2, 100, 22050)).float()
    assert mel(torch.zeros(3000)).unique().tolist() == [-8]
    torch.testing.assert_close(mel(0.1 * x)[5:], mel(x)[5:] - 2, atol=1e-4, rtol=0)
    assert mel(x, bands=20, low=0, high=8000).shape == (51, 20)


def test_chroma_has_maximum_at_the_note() -> None:
    for note in range(64, 96):
        power = chroma(sine(440 * 2 ** ((note - 69) / 12)))[12]
        assert power.argmax() == note % 12
        assert power.max() == pytest.approx(1, abs=1e-5)
    assert chroma(torch.zeros(3000)).abs().max() == 0
    x = torch.from_numpy(song(2, 100, 22050)).float()
    torch.testing.assert_close(chroma(0.1 * x), chroma(x), atol=1e-4, rtol=0)


def test_onset_is_mean_increase() -> None:
    level = torch.randn(30, 64, generator=torch.Generator().manual_seed(0))
    expected = [0.0]
    for before, after in pairwise(level):
        gains = [max(0.0, float(b - a)) for a, b in zip(before, after, strict=True)]
        expected.append(sum(gains) / 64)
    torch.testing.assert_close(onset(level), torch.tensor(expected))
    assert onset(level[:0]).shape == (0,)


def test_batches_of_frames_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(song(2, 100, 22050)).float()
    whole = mel(x)
    monkeypatch.setattr(spectral, "_BATCH", 7)
    torch.testing.assert_close(mel(x), whole, atol=1e-5, rtol=0)


def test_invalid_arguments_raise() -> None:
    for x in (torch.zeros(2, 5000), torch.zeros(0)):
        with pytest.raises(ValueError, match="x must be samples"):
            mel(x)
    with pytest.raises(ValueError, match="hop and window"):
        mel(torch.zeros(5000), hop=0)
    with pytest.raises(ValueError, match="low and high"):
        mel(torch.zeros(5000), rate=16000)


def test_mel_equals_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    x = song(4, 100, 22050).astype(np.float32)
    theirs = librosa.feature.melspectrogram(
        y=x,
        sr=22050,
        n_fft=2048,
        hop_length=882,
        n_mels=64,
        fmin=40,
        fmax=11025,
        htk=True,
        norm="slaney",
        pad_mode="constant",
    )
    ours = mel(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours, np.log10(np.maximum(theirs, 1e-8)).T, atol=1e-3)
