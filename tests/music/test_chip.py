"""The synthesizer: pitches, exact lengths, no clicks, little aliasing, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from monge.errors import MongeError
from monge.music.chip import DUTIES, render, write_wav


def note(voice: int, key: int, frames: int = 48) -> np.ndarray:
    """Return a song of one long note."""
    piano_roll = np.zeros((frames, 4), np.uint8)
    piano_roll[:, voice] = key
    return piano_roll


def spectrum(audio: np.ndarray, sample_rate: int = 44100) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies and amplitudes."""
    amplitudes = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    return np.fft.rfftfreq(len(audio), 1 / sample_rate), amplitudes


@pytest.mark.parametrize(("voice", "sample_rate"), [(0, 44100), (1, 22050), (2, 44100), (2, 8000)])
def test_class_49_is_440_hertz(voice: int, sample_rate: int) -> None:
    frequencies, power = spectrum(render(note(voice, 49), sample_rate=sample_rate), sample_rate)
    assert frequencies[power.argmax()] == pytest.approx(440, abs=1)


def test_duty_shapes_the_harmonics() -> None:
    def harmonic(k: int, duty: float) -> float:
        frequencies, power = spectrum(render(note(0, 37), duty=(duty, 0.5)))  # A3, 220 Hz
        first, other = (power[np.abs(frequencies - f) < 3].max() for f in (220, 220 * k))
        return other / first

    for duty in DUTIES:  # the k-th harmonic of a pulse wave is sin(π k δ)/k
        for k in (2, 3, 4):
            expected = abs(np.sin(np.pi * k * duty) / np.sin(np.pi * duty)) / k
            assert harmonic(k, duty) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("voice", [0, 1, 2])
def test_waves_have_little_aliasing(voice: int) -> None:
    pitch = 76  # E7 and above, 2637 Hz: naive waves alias by −12 dB here
    frequencies, power = spectrum(render(note(voice, pitch)))
    ratio = frequencies / (440 * 2 ** ((pitch + 20 - 69) / 12))
    off = np.abs(ratio - ratio.round()) * 440 * 2 ** ((pitch - 49) / 12) > 6
    assert (power[off] ** 2).sum() < 1e-3 * (power**2).sum()


def test_noise_goes_from_rumble_to_hiss() -> None:
    brightness = []
    for kind in (1, 6, 11, 16):
        frequencies, power = spectrum(render(note(3, kind, 6)))
        brightness.append((frequencies * power).sum() / power.sum())
    assert brightness == sorted(brightness)
    assert brightness[-1] > 3 * brightness[0]


def test_silence_is_silent_and_lengths_are_exact() -> None:
    audio = render(np.zeros((10, 4)))
    assert audio.dtype == np.float32
    assert not audio.any()
    for frames, rate, sample_rate in ((7, 24, 44100), (48, 23.976, 22050), (1, 60, 8000)):
        piano_roll = note(0, 40, frames)
        assert len(render(piano_roll, rate, sample_rate)) == round(frames / rate * sample_rate)


def test_audio_has_no_clipping_and_no_clicks() -> None:
    random = np.random.default_rng(0)
    classes = np.column_stack([random.integers(0, 89, (40, 3)), random.integers(0, 17, 40)])
    piano_roll = np.repeat(classes, 2, 0)
    audio = render(piano_roll)
    assert 0.3 < np.abs(audio).max() <= 1
    assert np.array_equal(audio, render(piano_roll))
    assert np.abs(audio[[0, -1]]).max() < 1e-3
    bass = np.repeat(np.array([[0, 0, 20, 0], [0, 0, 0, 0], [0, 0, 20, 0], [0, 0, 32, 0]]), 3, 0)
    jumps = np.abs(np.diff(render(bass), 2))  # a triangle wave bends, but does not jump
    steady = np.abs(np.diff(render(note(2, 32)), 2))
    assert jumps.max() < 2 * steady.max()


def test_notes_decay_and_velocity_is_followed() -> None:
    def loudness(audio: np.ndarray) -> np.ndarray:
        return np.array([np.abs(part).max() for part in np.array_split(audio, 4)])

    decays = loudness(render(note(0, 40)))
    assert decays[0] > 1.3 * decays[1] > 1.3 * decays[3]
    velocity = np.full((48, 4), 15)
    velocity[24:] = 5
    followed = loudness(render(note(0, 40), velocity=velocity))
    assert followed[0] == pytest.approx(followed[1], rel=0.05)
    assert followed[3] == pytest.approx(followed[0] / 3, rel=0.1)


@pytest.mark.parametrize("sample_rate", [0, -44100, 7999, 1_000_000])
def test_wrong_sample_rates_are_refused(sample_rate: int, tmp_path: Path) -> None:
    message = f"sample_rate must be from 8000 to 384000 Hz, got {sample_rate}"
    with pytest.raises(MongeError, match=message):
        render(note(0, 40), sample_rate=sample_rate)
    with pytest.raises(MongeError, match="sample_rate must be"):
        write_wav(tmp_path / "x.wav", np.zeros(5), sample_rate)


def test_bad_arguments_are_refused() -> None:
    for piano_roll in (np.zeros((0, 4)), np.zeros((4, 5)), np.zeros(8)):
        with pytest.raises(MongeError, match=r"piano_roll must be \(frames, 4\) with at least"):
            render(piano_roll)
    for voice, key in ((0, 89), (3, 17), (2, -1)):
        piano_roll = note(0, 0).astype(int)
        piano_roll[:, voice] = key
        message = "piano_roll must have classes from 0 to 88, and to 16 in the noise voice"
        with pytest.raises(MongeError, match=message):
            render(piano_roll)
    with pytest.raises(MongeError, match="rate must be a positive number"):
        render(note(0, 40), rate=0)
    message = r"duty must hold two of 0.125, 0.25, 0.5, got \(0.3, 0.5\)"
    with pytest.raises(MongeError, match=message):
        render(note(0, 40), duty=(0.3, 0.5))
    for velocity in (np.zeros((3, 4)), np.full((48, 4), 16)):
        with pytest.raises(MongeError, match="velocity must be"):
            render(note(0, 40), velocity=velocity)


def test_wav_files_hold_16_bit_samples(tmp_path: Path) -> None:
    audio = render(note(0, 49, 12), sample_rate=22050)
    write_wav(tmp_path / "a.wav", audio, 22050)
    rate, read = wavfile.read(tmp_path / "a.wav")
    assert (rate, read.dtype) == (22050, np.int16)
    np.testing.assert_allclose(read / 32767, audio, atol=2e-5)
    write_wav(tmp_path / "loud.wav", np.array([2.0, -2.0]))
    assert wavfile.read(tmp_path / "loud.wav")[1].tolist() == [32767, -32767]
    with pytest.raises(MongeError, match="audio must be a row of finite numbers"):
        write_wav(tmp_path / "nan.wav", np.array([np.nan]))
