"""Synthetic songs with known beats: drums, a chord for each bar, a bass and a melody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))  # A minor, F, C, G


def song(
    seconds: float, bpm: float, rate: int, *, offset: float = 0.3, seed: int = 0
) -> NDArray[np.float64]:
    """Return samples (n,) in [−0.9, 0.9].

    Beats are at offset + k · 60 / bpm seconds, four to a bar.
    """
    random = np.random.default_rng(seed)
    period = 60 / bpm
    mixed = 0.01 * random.standard_normal(round(seconds * rate))  # the noise of a room
    for beat in range(int((seconds - offset) / period) + 1):
        at = offset + beat * period
        chord = _CHORDS[beat // 4 % 4]
        _add(mixed, at, rate, _kick(rate), 0.9)
        # a snare, louder on two and four, and a hat between
        for half, volume in ((0.0, 0.1 + 0.15 * (beat % 2)), (0.5, 0.03)):
            noise = random.standard_normal(int(0.1 * rate)) * _decay(0.1, rate, 0.02)
            _add(mixed, at + half * period, rate, noise, volume)
        _add(mixed, at, rate, _tone(chord[0] - 12, 0.9 * period, rate), 0.25)
        melody = _tone(chord[random.integers(3)] + 12, 0.9 * period, rate)
        _add(mixed, at + (beat % 2) * period / 2, rate, melody, 0.2)
        if beat % 4 == 0:
            for note in chord:
                _add(mixed, at, rate, _tone(note, 3.8 * period, rate), 0.12)
    return 0.9 * mixed / np.abs(mixed).max()


def write_song(
    path: Path,
    seconds: float = 10,
    bpm: float = 120,
    rate: int = 44100,
    channels: int = 2,
    *,
    seed: int = 0,
) -> Path:
    """Write a song in the format of the file's suffix; the channels differ in volume."""
    import soundfile

    samples = song(seconds, bpm, rate, seed=seed)
    soundfile.write(path, samples[:, None] * np.linspace(1, 0.7, channels), rate)
    return path


def _add(
    mixed: NDArray[np.float64], at: float, rate: int, sound: NDArray[np.float64], volume: float
) -> None:
    begin = round(at * rate)
    part = sound[: max(0, len(mixed) - begin)]
    mixed[begin : begin + len(part)] += volume * part


def _decay(seconds: float, rate: int, half: float) -> NDArray[np.float64]:
    return np.exp(-np.arange(int(seconds * rate)) / (rate * half))


def _kick(rate: int) -> NDArray[np.float64]:
    fall = 45 + 90 * _decay(0.25, rate, 0.03)
    return np.sin(2 * np.pi * np.cumsum(fall) / rate) * _decay(0.25, rate, 0.08)


def _tone(note: int, seconds: float, rate: int) -> NDArray[np.float64]:
    time = np.arange(int(seconds * rate)) / rate
    frequency = 440 * 2 ** ((note - 69) / 12)
    rise = np.minimum(1, time / 0.02) * np.minimum(1, (seconds - time) / 0.02)
    partials = sum(np.sin(2 * np.pi * k * frequency * time) / k**2 for k in (1, 2, 3))
    return partials * rise * np.exp(-1.5 * time)
