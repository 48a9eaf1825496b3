"""A synthesizer in the manner of the NES's sound chip: two pulse waves, a triangle wave and noise.

    Välimäki & Huovilainen, "Antialiasing oscillators in subtractive synthesis", IEEE Signal
        Processing Magazine, 2007   [valimaki2007]

A pulse wave of frequency f and duty δ is naive except within one sample of its two edges, where a
polynomial of second order replaces the step and removes most of its aliasing. All waves are
computed at twice the sample rate and filtered. Noise is the chip's 15-bit shift register, clocked
by one of sixteen periods and averaged over each sample.

Phases continue through note changes and rests, and every loudness is smoothed over 5 ms, so that
there are no clicks.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.io import wavfile
from scipy.signal import max_len_seq, resample_poly

from monge.errors import MongeError

from .rolls import LOWEST, NOISES, RATE, VOICES

SAMPLE_RATE = 44_100
DUTIES = (0.125, 0.25, 0.5)

_CLOCK = 1_789_773  # of the chip, Hz
# of the shift register, in clocks
_PERIODS = (4, 8, 16, 32, 64, 96, 128, 160, 202, 254, 380, 508, 762, 1016, 2034, 4068)
_SHARES = (0.2, 0.2, 0.25, 0.16)  # of the voices; their sum is below 1, as the filter overshoots
_FINER = 2  # oversampling of the waves
_SMOOTH = 0.005  # seconds
# sustained loudness of the voices, and seconds in which the rest falls to 1/e
_DECAY = ((0.35, 0.2), (0.35, 0.2), (0.8, 0.2), (0.0, 0.08))
_LOUDEST = 15  # velocity

Audio = NDArray[np.float32]
_Row = NDArray[np.float64]


def render(
    piano_roll: ArrayLike, rate: float = RATE, sample_rate: int = SAMPLE_RATE,
    velocity: ArrayLike | None = None, duty: tuple[float, float] = (0.5, 0.25),
) -> Audio:  # fmt: skip
    """Synthesize a piano roll: mono audio of round(frames · sample_rate / rate) values in [−1, 1].

    The piano roll (frames, 4) has the classes of P1, P2, TR and NO as in `monge.music.rolls`, 0 for
    silence, k for the MIDI pitch k + 20 or the noise type, at ``rate`` frames per second.
    ``sample_rate`` is that of the audio in Hz, at least 8,000. ``velocity`` (frames, 4) is the
    loudness 0…15 of each frame, except of the triangle wave, which has none; by default each note
    begins at full loudness and decays. ``duty`` has the duties of the two pulse waves, 0.125, 0.25
    or 0.5.

    >>> audio = render(np.full((24, 4), [49, 0, 0, 0]))  # A4 for one second
    >>> audio.shape, int(np.abs(np.fft.rfft(audio)).argmax())
    ((44100,), 440)
    """
    classes, loud = _check(piano_roll, rate, sample_rate, velocity, duty)
    fine = _FINER * sample_rate
    n = round(len(classes) * sample_rate / rate) * _FINER
    frame = np.minimum((np.arange(n) * (rate / fine)).astype(int), len(classes) - 1)
    audio = np.zeros(n)
    for voice, share in enumerate(_SHARES):
        notes = classes[:, voice]
        if not notes.any():
            continue
        level = _level(notes, None if loud is None else loud[:, voice], voice, frame, rate, fine)
        held = _hold(notes)[frame]
        if VOICES[voice] == "NO":
            wave = _noise(_CLOCK / np.array(_PERIODS)[NOISES - held] / fine)
        else:
            step = 440 * 2 ** ((held + LOWEST - 1 - 69) / 12) / fine
            wave = _triangle(step) if VOICES[voice] == "TR" else _pulse(step, duty[voice])
        audio += share * level * wave
    return resample_poly(audio, 1, _FINER).clip(-1, 1).astype(np.float32)


def write_wav(path: str | Path, audio: ArrayLike, sample_rate: int = SAMPLE_RATE) -> None:
    """Write audio in [−1, 1] as a 16-bit WAV file; values outside are clipped."""
    _check_sample_rate(sample_rate)
    samples = np.asarray(audio, np.float64)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise MongeError(f"audio must be a row of finite numbers, got shape {samples.shape}")
    wavfile.write(str(path), sample_rate, (samples.clip(-1, 1) * 32767).round().astype(np.int16))


def _check_sample_rate(sample_rate: int) -> None:
    if not 8000 <= sample_rate <= 384_000:
        raise MongeError(
            f"sample_rate must be from 8000 to 384000 Hz, got {sample_rate}: 44100 is usual"
        )


def _check(
    piano_roll: ArrayLike,
    rate: float,
    sample_rate: int,
    velocity: ArrayLike | None,
    duty: tuple[float, float],
) -> tuple[NDArray[np.int64], _Row | None]:
    """Return classes and, in [0, 1], velocity after checking all arguments of `render`."""
    _check_sample_rate(sample_rate)
    if not 0 < rate <= sample_rate:
        raise MongeError(
            f"rate must be a positive number of frames per second, at most {sample_rate}, got "
            f"{rate}"
        )
    if any(d not in DUTIES for d in duty):
        raise MongeError(f"duty must hold two of {', '.join(map(str, DUTIES))}, got {duty}")
    classes = np.asarray(piano_roll)
    if classes.ndim != 2 or classes.shape[1] != len(VOICES) or not len(classes):
        raise MongeError(
            f"piano_roll must be (frames, {len(VOICES)}) with at least one frame, got "
            f"{classes.shape}"
        )
    if classes.min() < 0 or classes[:, :3].max() > 88 or classes[:, 3].max() > NOISES:
        raise MongeError(
            f"piano_roll must have classes from 0 to 88, and to {NOISES} in the noise voice, got "
            f"{classes.min()} to {classes.max()}"
        )
    if velocity is None:
        return classes.astype(np.int64), None
    loud = np.asarray(velocity, np.float64)
    if loud.shape != classes.shape or loud.min() < 0 or loud.max() > _LOUDEST:
        raise MongeError(
            f"velocity must be {classes.shape} like the piano roll and from 0 to {_LOUDEST}, got "
            f"{loud.shape}"
        )
    return classes.astype(np.int64), loud / _LOUDEST


def _hold(notes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fill rests with the class before them, so that a fading note keeps its pitch.

    A rest before the first note gets the class of that note.
    """
    at = np.maximum.accumulate(np.where(notes > 0, np.arange(len(notes)), -1))
    return notes[np.where(at < 0, np.flatnonzero(notes)[0], at)]


def _level(
    notes: NDArray[np.int64],
    loud: _Row | None,
    voice: int,
    frame: NDArray[np.int64],
    rate: float,
    sample_rate: int,
) -> _Row:
    """Return the loudness of each sample: decay or velocity of its note, smoothed.

    It is 0 at both ends of the audio.
    """
    sounding = (notes > 0)[frame]
    if loud is None or VOICES[voice] == "TR":
        changes = np.diff(notes, prepend=-1) != 0
        begins = np.maximum.accumulate(np.where(changes, np.arange(len(notes)), 0))
        since = np.arange(len(frame)) / sample_rate - begins[frame] / rate
        stays, fall = _DECAY[voice]
        level = stays + (1 - stays) * np.exp(-since.clip(0) / fall)
    else:
        level = loud[frame]
    level = np.where(sounding, level, 0.0)
    width = max(1, min(round(_SMOOTH * sample_rate), len(level) // 2))
    level[len(level) - width :] = 0
    window = np.hanning(width + 2)[1:-1]
    # a causal filter: the result begins with 0
    return np.convolve(level, window / window.sum())[: len(level)]


def _phase(step: _Row) -> _Row:
    """Return the position in the period, in [0, 1), for ``step`` periods per sample."""
    return np.mod(np.cumsum(step) - step[0], 1)


def _pulse(step: _Row, duty: float) -> _Row:
    """Return a pulse wave with mean 0 and values in [−1, 1]."""
    phase = _phase(step)
    wave = np.where(phase < duty, 1.0, -1.0)
    wave = wave + _edge(phase, step) - _edge(np.mod(phase - duty, 1), step)
    return (wave - (2 * duty - 1)) / (2 - 2 * duty)


def _edge(phase: _Row, step: _Row) -> _Row:
    """Return the correction that smooths a step from −1 to 1 at phase 0 [valimaki2007].

    It is zero except for one sample on either side.
    """
    after, before = phase / step, (phase - 1) / step
    return np.where(after < 1, -((1 - after) ** 2), 0) + np.where(before > -1, (1 + before) ** 2, 0)


def _triangle(step: _Row) -> _Row:
    return 1 - 4 * np.abs(np.mod(_phase(step) + 0.25, 1) - 0.5)


@cache
def _register() -> _Row:
    """Return the cumulative sums of the register's ±1 output over its 32,767 states, 0 first."""
    bits, _ = max_len_seq(15, state=[1, *[0] * 14], taps=[1])
    return np.concatenate([[0.0], np.cumsum(1.0 - 2 * bits)])


def _noise(step: _Row) -> _Row:
    """Return the mean of the register's output over the ``step`` states of each sample."""
    sums = _register()
    cycle, n = sums[-1], len(sums) - 1
    ends = np.concatenate([[0.0], np.cumsum(step)])
    turns, within = np.divmod(ends, n)
    at = within.astype(int)
    total = turns * cycle + sums[at] + (within - at) * (sums[np.minimum(at + 1, n)] - sums[at])
    return np.diff(total) / step
