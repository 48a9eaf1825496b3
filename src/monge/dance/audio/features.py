"""Music as features of frames, and a distance between windows of them.

==========  ==========  ==========================================================================
columns     name        meaning
==========  ==========  ==========================================================================
0…63        ``MEL``     log₁₀ mel power minus the song's mean in each band, divided by the song's
                        standard deviation, clamped to [−4, 4]
64…75       ``CHROMA``  the 12 pitch classes; the strongest is 1
76          ``ONSET``   log(1 + onset strength / the song's mean)
77          ``PULSE``   exp(−½ d²) with d the distance in frames to the nearest beat
78, 79      ``PHASE``   cos and sin of 2π · phase; the phase rises from 0 at a beat to 1 at the
                        next one
==========  ==========  ==========================================================================

None of them changes with the volume of a song. Where there are no beats, pulse and phase are 0.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from monge.errors import MongeError

from . import rhythm, spectral
from .load import read

MUSIC = 80
MEL, CHROMA, ONSET, PULSE, PHASE = slice(0, 64), slice(64, 76), 76, 77, slice(78, 80)

_RANGE = 8.0  # log₁₀: power 80 dB below the loudest of a song counts as silence
_FLAT = 1e-3  # standard deviation at or below which a song has no sound
_LAGS = 60  # frames
# median distances between windows of different songs, for each part of a summary
_MEDIANS = (1.47, 16.5, 0.73, 0.027)
_SHARES = (1.0, 1.0, 0.5, 0.1)
_OVERALL = 1.88  # the median of their sum
_SCALES = tuple(
    share**0.5 / (median * _OVERALL) for share, median in zip(_SHARES, _MEDIANS, strict=True)
)


def music_features(mel: Tensor, chroma: Tensor, onset: Tensor, rate: float) -> Tensor:
    """Compute features (T, 80), float32, from a song's spectra at ``rate`` Hz.

    The spectra are log₁₀ mel power (T, 64), chroma (T, 12) and onset strength (T,). The table above
    lists the columns of the features. Raises ValueError for other shapes and for values that are
    not finite.

    >>> music_features(torch.zeros(50, 64), torch.zeros(50, 12), torch.zeros(50), 25.0).shape
    torch.Size([50, 80])
    """
    frames = len(onset)
    spectra = {"mel": (mel, [frames, 64]), "chroma": (chroma, [frames, 12])}
    for name, (value, sizes) in {**spectra, "onset": (onset, [frames])}.items():
        shape = tuple(sizes)
        if tuple(value.shape) != shape or not frames:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, expected {shape}: pass mel (T, 64), "
                "chroma (T, 12) and onset (T,)"
            )
        if not value.isfinite().all():
            raise ValueError(f"{name} holds values that are not finite: leave those frames out")
    mel, chroma, onset = mel.double(), chroma.double(), onset.double()
    mel = mel.clamp_min(mel.max() - _RANGE)
    level = mel - mel.mean(0)
    spread = level.square().mean().sqrt()
    level = (level / spread).clamp(-4, 4) if spread > _FLAT else torch.zeros_like(level)
    strength = (onset / onset.mean().clamp_min(1e-9)).log1p()[:, None]
    beats = beat_columns(rhythm.beats(onset, rate), frames)
    return torch.cat([level, chroma, strength, beats], 1).float()


def song_features(path: str | Path, rate: int = 25) -> Tensor:
    """Compute features (T, 80) of a song in a file at ``rate`` frames per second.

    ``rate`` must divide 22,050. Raises MongeError for files that cannot be read, see
    `monge.dance.audio.read`.
    """
    return sound_features(read(path), rate)


def sound_features(x: Tensor, rate: int = 25) -> Tensor:
    """Compute features (T, 80) of samples (n,) at 22,050 Hz, ``rate`` frames per second.

    T is 1 + n · rate // 22,050.

    >>> sound_features(torch.zeros(22050)).shape
    torch.Size([26, 80])
    """
    if rate < 1 or spectral.RATE % rate:
        raise MongeError(
            f"rate must divide {spectral.RATE}, got {rate}: use 25, the rate of the dances, 30 or "
            "50"
        )
    hop = spectral.RATE // rate
    mel = spectral.mel(x, hop=hop)
    # clamp before the onsets: otherwise the range depends on the volume of the song
    mel = mel.clamp_min(mel.max() - _RANGE)
    return music_features(mel, spectral.chroma(x, hop=hop), spectral.onset(mel), rate)


def beat_columns(beats: Tensor, frames: int) -> Tensor:
    """Compute columns 77 to 79 of features (frames, 3), float64: pulse, cos and sin of the phase.

    ``beats`` are times in frames. The phase continues for one period before the first beat and
    after the last one.

    >>> beat_columns(torch.tensor([1.0, 5.0]), 4)[1:3].add(1).round(decimals=3).tolist()
    [[2.0, 2.0, 1.0], [1.607, 1.0, 2.0]]
    """
    at = beats.double().cpu().numpy()
    if len(at) < 2:
        return torch.zeros(frames, 3, dtype=torch.float64)
    at = np.concatenate([[2 * at[0] - at[1]], at, [2 * at[-1] - at[-2]]])
    time = np.arange(frames)
    phase = torch.from_numpy(np.interp(time, at, np.arange(len(at))) * 2 * math.pi)
    inside = torch.from_numpy((time > at[0]) & (time < at[-1]))
    after = np.searchsorted(at[1:-1], time).clip(1, len(at) - 3) + 1
    nearest = torch.from_numpy(np.minimum(np.abs(time - at[after - 1]), np.abs(time - at[after])))
    return torch.stack([(-0.5 * nearest**2).exp(), phase.cos() * inside, phase.sin() * inside], 1)


def beats_of(features: Tensor) -> Tensor:
    """Return times (n,) of the beats in features (T, 80) of a song or a window.

    Times are in frames, float64; a beat is where the phase restarts at 0.

    >>> columns = beat_columns(torch.tensor([3.25, 9.5, 16.0]), 24)
    >>> beats_of(torch.cat([torch.zeros(24, 77), columns], 1)).round(decimals=3)
    tensor([ 3.2500,  9.5000, 16.0000], dtype=torch.float64)
    """
    if features.ndim != 2 or features.shape[1] != MUSIC:
        raise ValueError(
            f"features must have shape (T, {MUSIC}), got {tuple(features.shape)}: pass one song or "
            "one window"
        )
    cos, sin = features[:, PHASE].detach().cpu().double().unbind(1)
    known = (cos.square() + sin.square() > 0.25).numpy()
    phase = (torch.atan2(sin, cos) / (2 * math.pi)).remainder(1).numpy()
    phase[phase > 1 - 1e-6] = 0
    restarts = known[1:] & known[:-1] & (phase[1:] < phase[:-1])
    beats = [_crossing(phase, known, t) for t in np.flatnonzero(restarts).tolist()]
    first = int(known.argmax())
    if known.any() and phase[first] < 1e-6:
        beats.insert(0, float(first))
    return torch.tensor(beats, dtype=torch.float64)


def _crossing(phase: NDArray[np.float64], known: NDArray[np.bool_], t: int) -> float:
    """Return the time between frames t and t + 1 at which the phase is 1.

    It follows from the slope before frame t, or else after t + 1, or else between the two.
    """
    slope = phase[t] - phase[t - 1] if t and known[t - 1] else 0.0
    if slope > 0:
        return float(t + (1 - phase[t]) / slope)
    slope = phase[t + 2] - phase[t + 1] if t + 2 < len(phase) and known[t + 2] else 0.0
    if slope > 0:
        return float(t + 1 - phase[t + 1] / slope)
    return float(t + (1 - phase[t]) / (1 - phase[t] + phase[t + 1]))


def music_summary(music: Tensor) -> Tensor:
    """Summarize windows of music (n, T, 80) as vectors (n, 201), float32.

    A summary hardly depends on where in the bar a window begins. It has four parts, each divided by
    its median distance between windows of different songs and multiplied by the square root of its
    share:

    - rhythm, share 1: the autocorrelation of the onsets at lags of 1 to 60 frames
    - movement, share 1: the logarithm of the power of 8 bands of the mel spectrum in 16 bands of
      modulation frequency up to 8 Hz (at 25 Hz)
    - harmony, share ½: the mean chroma
    - tempo, share ⅒: the advance of the beat's phase in a frame

    Coefficients of the cosine transform over time, which keep the phase, distinguish songs no
    better than chance.

    >>> music_summary(torch.zeros(3, 96, 80)).shape
    torch.Size([3, 201])
    """
    if music.ndim != 3 or music.shape[2] != MUSIC or music.shape[1] < 2:
        raise ValueError(
            f"music must have shape (n, at least 2, {MUSIC}), got {tuple(music.shape)}: pass "
            "windows of music"
        )
    music = music.float()
    phase = torch.view_as_complex(music[..., PHASE].contiguous())
    tempo = (phase[:, 1:] * phase[:, :-1].conj()).mean(1).angle()[:, None]
    parts = (
        _autocorrelation(music[..., ONSET]),
        _modulation(music[..., MEL]),
        music[..., CHROMA].mean(1),
        tempo,
    )
    return torch.cat([part * scale for part, scale in zip(parts, _SCALES, strict=True)], 1)


def music_distance(music: Tensor, other: Tensor) -> Tensor:
    """Compute distances (n, m) between windows of music (n, T, 80) and (m, T, 80).

    The distance is the Euclidean distance of their summaries, a pseudo-metric. Its median between
    windows of 96 frames of different songs of the dance data is 1.

    >>> music_distance(torch.zeros(2, 96, 80), torch.zeros(3, 96, 80)).shape
    torch.Size([2, 3])
    """
    return torch.cdist(
        music_summary(music), music_summary(other), compute_mode="donot_use_mm_for_euclid_dist"
    )


def _autocorrelation(onset: Tensor) -> Tensor:
    """Compute the autocorrelation (n, 60) of onsets (n, T), 0 at lags of T and more."""
    frames = onset.shape[1]
    onset = onset - onset.mean(1, keepdim=True)
    spectrum = torch.fft.rfft(onset, 2 * frames)
    correlation = torch.fft.irfft(spectrum.abs().square())[:, : _LAGS + 1]
    correlation = correlation / correlation[:, :1].clamp_min(1e-6)
    return pad(correlation[:, 1:frames], (0, max(0, _LAGS + 1 - frames)))


def _modulation(mel: Tensor) -> Tensor:
    """Compute log power (n, 128) of levels (n, T, 64): 8 bands at 16 modulation frequencies."""
    bands = mel.unflatten(2, (8, 8)).mean(3)
    bands = bands - bands.mean(1, keepdim=True)
    time = torch.arange(bands.shape[1], device=mel.device)
    turns = torch.outer(torch.arange(1, 33, device=mel.device) / 96, time) * 2 * math.pi
    window = torch.hann_window(len(time), device=mel.device)
    waves = torch.polar(window.expand_as(turns).contiguous(), turns)
    power = torch.einsum("ft,ntb->nfb", waves, bands.to(waves.dtype)).abs().square() / len(time)
    return (power.unflatten(1, (16, 2)).mean(2) + 0.01).log().flatten(1)
