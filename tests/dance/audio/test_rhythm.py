"""Tests of tempo and beats, on pulses with known times and songs with known tempi."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.dance import audio
from monge.dance.audio import rhythm
from monge.data import data_root
from tests.helpers.songs import song


def pulses(
    times: NDArray[np.float64],
    seconds: float,
    rate: float,
    *,
    noise: float = 0.3,
    between: float = 0.0,
) -> Tensor:
    """Return onset strengths with a bump at each time.

    There is a smaller bump after the fraction ``between`` of each interval.
    """
    at = np.arange(int(seconds * rate)) / rate
    events = np.concatenate([times, times[:-1] + between * np.diff(times)]) if between else times
    volume = np.r_[np.ones(len(times)), np.full(len(events) - len(times), 0.5)]
    strength = (volume * np.exp(-0.5 * ((at[:, None] - events) * rate / 0.6) ** 2)).sum(1)
    return torch.from_numpy(strength + noise * np.random.default_rng(0).random(len(at)))


def f_measure(beats: NDArray[np.float64], true: NDArray[np.float64], within: float) -> float:
    """Return the F-measure of estimated beats, with a tolerance in seconds."""
    near = np.abs(beats[:, None] - true) < within
    return float((near.any(0).sum() + near.any(1).sum()) / (len(beats) + len(true)))


@pytest.mark.parametrize("rate", [25.0, 50.0, 100.0])
@pytest.mark.parametrize(("noise", "between"), [(0.0, 0.0), (1.0, 0.0), (0.3, 0.62)])
def test_beats_of_pulses_are_located_to_a_fraction_of_a_frame(
    rate: float, noise: float, between: float
) -> None:
    for bpm in (61.0, 77.3, 87.0, 104.1, 121.7, 139.0, 163.0, 180.0):
        true = np.arange(0.37, 40, 60 / bpm)
        onset = pulses(true, 40, rate, noise=noise, between=between)
        around = 105 if bpm < 145 else 160
        assert audio.tempo(onset, rate, around=around) == pytest.approx(bpm, rel=2e-3)
        beats = audio.beats(onset, rate, around=around).numpy() / rate
        assert f_measure(beats, true, 0.035) > 0.99, bpm  # one beat more, before the first


def test_beats_do_not_drift_over_three_minutes() -> None:
    true = np.arange(0.11, 180, 60 / 87.3)
    beats = audio.beats(pulses(true, 180, 25.0), 25.0).numpy() / 25
    assert len(beats) == len(true)
    assert np.abs(beats - true).max() < 0.01


def test_beats_follow_a_changing_tempo() -> None:
    true = np.cumsum(60 / np.linspace(96, 112, 100))
    beats = audio.beats(pulses(true, true[-1] + 0.3, 25.0), 25.0).numpy() / 25
    assert f_measure(beats, true, 0.05) > 0.98


def test_fast_pulse_is_halved_unless_around_is_set() -> None:
    onset = pulses(np.arange(0.2, 30, 1 / 3), 30, 25.0)
    assert audio.tempo(onset, 25.0) == pytest.approx(90, rel=5e-3)
    assert audio.tempo(onset, 25.0, around=170) == pytest.approx(180, rel=5e-3)


def test_music_without_beat_gives_no_beats_and_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        broken = pulses(np.arange(0, 20, 0.5), 20, 25.0)
        broken[7] = torch.nan
        endless = broken.nan_to_num(nan=torch.inf)
        once = torch.zeros(500)
        once[100] = 3
        flat = torch.zeros(500), torch.ones(500), torch.full((500,), 1e-30)
        for onset in (*flat, broken, endless, once, torch.ones(9).cumsum(0), torch.zeros(0)):
            assert audio.beats(onset, 25.0).shape == (0,)
            assert audio.tempo(onset, 25.0) == 0
    with pytest.raises(ValueError, match="onset must have shape"):
        audio.beats(torch.zeros(3, 4), 25.0)
    with pytest.raises(ValueError, match="rate must be positive"):
        audio.beats(torch.zeros(4), 0.0)


def test_beats_are_invariant_to_volume_and_dtype() -> None:
    onset = pulses(np.arange(0.2, 20, 0.6), 20, 25.0)
    beats = audio.beats(onset, 25.0)
    assert beats.dtype == torch.float64
    torch.testing.assert_close(audio.beats(1e-3 * onset, 25.0), beats)
    torch.testing.assert_close(audio.beats(onset.half(), 25.0), beats, atol=0.1, rtol=0)


def test_beats_cover_the_music_but_not_the_silence() -> None:
    true = np.arange(10, 30, 0.5)
    onset = torch.zeros(1000)
    onset[250:751] = pulses(true - 10, 20.04, 25.0, noise=0.05)
    beats = audio.beats(onset, 25.0).numpy() / 25
    assert 9.4 < beats[0] < 10.1
    assert 29.4 < beats[-1] < 30.3
    assert np.diff(beats).max() < 0.52


def test_beats_are_extended_at_the_tempo_of_their_ends() -> None:
    beats = rhythm._extend(np.array([10.0, 12.0, 15.0]), 3.0, 20.0)
    assert beats.tolist() == [4, 6, 8, 10, 12, 15, 18]
    assert rhythm._extend(np.array([10.0, 12.0, 14.0]), 11.0, 13.0).tolist() == [12]


def test_chain_equals_exhaustive_dynamic_program() -> None:
    random = np.random.default_rng(0)
    for period in (7.3, 12.0, 20.5):
        strength = random.random(120)
        best, chains = np.zeros(120), []
        for t in range(120):
            near = range(max(0, t - int(2 * period)), t - int(period / 2) + 1)
            options = [(best[s] - 100 * np.log((t - s) / period) ** 2, chains[s]) for s in near]
            gain, chain = max([(0.0, []), *options], key=lambda option: option[0])
            best[t] = strength[t] + gain
            chains.append([*chain, t])
        last = 120 - int(period)
        assert rhythm._chain(strength, period).tolist() == chains[last + int(best[last:].argmax())]


@pytest.mark.parametrize("bpm", [72, 87, 100, 128])
def test_beats_and_tempo_of_synthetic_songs(bpm: int) -> None:
    onset = audio.onset(audio.mel(torch.from_numpy(song(20, bpm, 22050)).float()))
    true = np.arange(0.3, 20, 60 / bpm)
    beats = audio.beats(onset, 25.0).numpy() / 25
    assert f_measure(beats, true, 0.05) > 0.95
    assert audio.tempo(onset, 25.0) == pytest.approx(bpm, rel=3e-3)


def test_tempi_of_dance_melody_match_their_styles() -> None:
    folder = data_root() / "dance_melody"
    if not folder.is_dir():
        pytest.skip(
            "dance_melody is not on this machine: set MONGE_DATA to the folder that holds it"
        )
    expected = {"W": (82, 89), "C": (110, 128), "T": (124, 132), "R": (78, 132)}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            onset = torch.from_numpy(stored["onset"]).float()
        low, high = expected[path.stem.split("_")[1]]
        assert low <= audio.tempo(onset, 25.0) <= high, path.stem
        steps = audio.beats(onset, 25.0).diff()
        assert steps.std() < 0.3, path.stem
        assert 1500 / steps.mean() == pytest.approx(audio.tempo(onset, 25.0), rel=0.006), path.stem
