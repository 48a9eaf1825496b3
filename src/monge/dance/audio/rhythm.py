"""Tempo and beats of a song from the strength of its onsets.

    Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 36(1), 2007
        [ellis2007]

==========  ==================================================================
symbol      here
==========  ==================================================================
O(t)        ``strength``: onset strength, local mean removed, rectified
τ_p         ``period``, the beat's period in samples of ``strength``
TPS(τ)      ``score``: autocorrelation at τ, 2τ, 3τ, times a prior
C*(t)       ``best``: the best total of a chain of beats that ends at t
F(Δ, τ_p)   −(log Δ/τ_p)², the penalty of a beat that comes at the wrong time
α           ``_TIGHTNESS``
==========  ==================================================================

All computations run at 100 Hz or a little above, whatever the rate of the onsets, so that beats may
fall between frames. The paper's prior is a Gaussian of log₂ tempo around 120 bpm. A waltz of 84 bpm
shows its half beats as clearly as its beats, and dancers step on the slower ones. With a prior
around 105 bpm that is 0.7 octaves wide, each of the dance data's 26 waltzes is counted at 83 to 88
bpm, its cha-chas at 115 to 126 and its tango at 128, as they are danced. The tempi of all 36 songs
stay the same from 95 to 112 bpm and from 0.65 to 0.75 octaves; around 120 bpm the tempo of some
songs doubles. For the same reason a plain pulse faster than 148 bpm is counted at half its speed,
unless ``around`` is set.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import resample_poly, savgol_filter
from torch import Tensor

SLOWEST, FASTEST = 40.0, 240.0  # bpm
AROUND = 105.0  # bpm, the likeliest tempo

_OCTAVES = 0.7  # standard deviation of the prior
_FINE = 100.0  # Hz, at least
_MULTIPLES = 3  # of the period, at which the onsets of a steady song repeat
# onset in units of the mean: the jump out of digital silence must not count more than a drum
_LOUDEST = 10.0
_TIGHTNESS = 100.0
_FAINTEST = 0.02  # autocorrelation below which music has no beat
_NEIGHBORS = 17  # beats of the parabola that smooths the time of the one in their middle

Array = NDArray[np.float64]


def tempo(onset: Tensor, rate: float, *, around: float = AROUND) -> float:
    """Estimate beats per minute from onset strengths (T,) at ``rate`` Hz; 0 without a beat.

    The tempo maximizes the autocorrelation at one, two and three periods times
    exp(−½ (log₂(bpm/around)/0.7)²), as in [ellis2007].

    >>> round(tempo(torch.arange(1000).remainder(12).eq(0).float(), 25.0), 1)
    125.0
    """
    strength, fine = _strength(onset, rate)
    period = _period(strength, fine, around)
    return 60 * fine / period if period else 0.0


def beats(onset: Tensor, rate: float, *, around: float = AROUND) -> Tensor:
    """Find times (n,) of the beats in onset strengths (T,) at ``rate`` Hz.

    Times are in frames, float64, between 0 and T − 1. They are the chain t_i that maximizes
    Σ O(t_i) − α (log((t_i − t_{i−1})/τ_p))² [ellis2007]. Each beat is then moved onto a parabola
    through its neighbors, and the chain is continued to both ends of the music. The result is empty
    for silence, for onsets that are not finite, and for fewer than two beats.

    >>> beats(torch.arange(1000).remainder(12).eq(0).float(), 25.0)[:3].round(decimals=1)
    tensor([ 0., 12., 24.], dtype=torch.float64)
    """
    strength, fine = _strength(onset, rate)
    period = _period(strength, fine, around)
    if not period:
        return torch.zeros(0, dtype=torch.float64)
    times = _smooth(_chain(strength, period)) * rate / fine
    sounding = np.flatnonzero(_positive(onset) > 0)
    first = max(0.0, sounding[0] - 1)
    last = min(len(onset) - 1.0, sounding[-1] + period * rate / fine / 2)
    times = _extend(times, first, last)
    return torch.from_numpy(times if len(times) > 1 else times[:0])


def _positive(onset: Tensor) -> Array:
    if onset.ndim != 1:
        raise ValueError(
            f"onset must have shape (T,), got {tuple(onset.shape)}: pass one song at a time"
        )
    values = onset.detach().cpu().double().clamp_min(0).numpy()
    return values if np.isfinite(values).all() else np.zeros_like(values)


def _strength(onset: Tensor, rate: float) -> tuple[Array, float]:
    """Return onset strength with unit variance at a rate of at least 100 Hz, and that rate.

    The strength is empty for music without onsets.
    """
    if not rate > 0:
        raise ValueError(
            f"rate must be positive, got {rate}: pass the frames per second of the onsets"
        )
    values = _positive(onset)
    factor = max(1, int(np.ceil(_FINE / rate)))
    mean = values.mean() if len(values) else 0.0
    if len(values) < 4 or mean <= 0:
        return np.zeros(0), rate * factor
    values = np.minimum(values / mean, _LOUDEST)
    values = values - gaussian_filter1d(values, 0.5 * rate)
    fine = resample_poly(values, factor, 1)[: (len(values) - 1) * factor + 1]
    fine = np.maximum(gaussian_filter1d(fine, 0.02 * rate * factor), 0)
    spread = float(fine.std())
    return (fine / spread if spread > 1e-3 else np.zeros(0)), rate * factor


def _period(strength: Array, rate: float, around: float) -> float:
    """Return the likeliest period of the beat in samples; 0 without a beat."""
    n = len(strength)
    if n < 2 * 60 * rate / FASTEST:
        return 0.0
    spectrum = np.fft.rfft(strength - strength.mean(), 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n]
    correlation /= correlation[0]
    periods = 60 * rate / np.geomspace(SLOWEST, FASTEST, 2000)
    score = _repeats(correlation, periods, _MULTIPLES)
    prior = np.exp(-0.5 * (np.log2(60 * rate / periods / around) / _OCTAVES) ** 2)
    at = int((score * prior).argmax())
    period = float(periods[at])
    if score[at] < _FAINTEST or n < 2 * period:
        return 0.0
    for multiples in (6, 12, 24):  # more repetitions determine the period more exactly
        if (multiples + 1) * period < n:
            near = period + np.linspace(-1.5, 1.5, 61) * rate / _FINE / multiples * 2
            period = float(near[_repeats(correlation, near, multiples).argmax()])
    return period


def _repeats(correlation: Array, periods: Array, multiples: int) -> Array:
    """Return the mean autocorrelation at the first multiples of each period."""
    lags = periods[:, None] * np.arange(1, multiples + 1)
    return np.interp(lags, np.arange(len(correlation)), correlation, right=0).mean(1)


def _chain(strength: Array, period: float) -> NDArray[np.int64]:
    """Return the samples of the best chain of beats, by dynamic programming.

    No beat is nearer to its predecessor than half a period, so that half a period is solved at
    once.
    """
    n = len(strength)
    block = max(1, int(period / 2))
    lags = np.arange(block, int(2 * period) + 1)
    cost = _TIGHTNESS * np.log(lags / period) ** 2
    pad = int(lags[-1])
    best = np.concatenate([np.zeros(pad), strength])
    before = np.full(n, -1)
    for start in range(0, n, block):
        here = np.arange(start, min(start + block, n))
        totals = best[pad + here[:, None] - lags] - cost
        choice = totals.argmax(1)
        gain = totals[np.arange(len(here)), choice]
        taken = gain > 0
        best[pad + here[taken]] += gain[taken]
        before[here[taken]] = here[taken] - lags[choice[taken]]
    last = max(0, n - int(period))
    at = last + int(best[pad + last :].argmax())
    chain = []
    while at >= 0:
        chain.append(at)
        at = int(before[at])
    return np.array(chain[::-1])


def _smooth(beats: NDArray[np.int64]) -> Array:
    """Move each beat onto a parabola through its neighbors.

    Onsets may be early or late by a frame; beats are regular.
    """
    window = min(_NEIGHBORS, len(beats) - 1 + len(beats) % 2)
    if window <= 2:
        return beats.astype(float)
    return savgol_filter(beats, window, 2 if window > 3 else 1)


def _extend(beats: Array, first: float, last: float) -> Array:
    """Continue beats to the times ``first`` and ``last``, at the tempo of either end."""
    if len(beats) < 2:
        return beats
    begin, end = beats[1] - beats[0], beats[-1] - beats[-2]
    before = np.arange(beats[0] - begin, first, -begin)[::-1]
    after = np.arange(beats[-1] + end, last, end)
    beats = np.concatenate([before, beats, after])
    return beats[(beats >= first) & (beats <= last)]
