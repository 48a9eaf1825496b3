"""Tests of reading songs from files of every format, rate and number of channels."""

from __future__ import annotations

import builtins
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge.dance.audio import beats_of, is_silent, read, song_features
from monge.errors import MongeError
from tests.helpers.songs import song, write_song

soundfile = pytest.importorskip("soundfile")


@pytest.mark.parametrize(
    ("suffix", "rate", "channels"),
    [
        ("wav", 48000, 2),
        ("wav", 8000, 1),
        ("wav", 22050, 6),
        ("flac", 44100, 1),
        ("flac", 96000, 2),
        ("mp3", 44100, 2),
        ("ogg", 32000, 2),
    ],
)
def test_reads_formats_rates_and_channels(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    path = write_song(tmp_path / f"song.{suffix}", 3, 100, rate, channels)
    x = read(path)
    assert x.dtype == torch.float32
    assert x.shape == (3 * 22050,)
    assert 0.5 < x.abs().max() <= 1.05
    assert song_features(path).shape == (76, 80)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 44099])
def test_resampling_keeps_a_sine(tmp_path: Path, rate: int) -> None:
    """Resampling keeps a tone of 1 kHz and its time; the channels are averaged."""
    path = tmp_path / "sine.wav"
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(path, np.stack([0.8 * tone, 0.2 * tone], 1), rate, subtype="FLOAT")
    samples = read(path)
    time = torch.arange(22050, dtype=torch.float64) / 22050
    expected = 0.5 * torch.sin(2 * torch.pi * 1000 * time)
    assert abs(len(samples) - 22050) <= 1
    torch.testing.assert_close(samples[500:21500], expected[500:21500].float(), atol=3e-3, rtol=0)


def test_resampling_removes_frequencies_above_nyquist(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 13000 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "high.wav", tone, 48000, subtype="FLOAT")
    assert read(tmp_path / "high.wav")[500:21500].abs().max() < 0.01
    assert read(tmp_path / "high.wav", rate=48000).abs().max() > 0.99


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_subtypes_give_the_same_samples(tmp_path: Path, subtype: str) -> None:
    x = song(1, 120, 22050)
    soundfile.write(tmp_path / "song.wav", x, 22050, subtype=subtype)
    expected = torch.from_numpy(x).float()
    torch.testing.assert_close(read(tmp_path / "song.wav"), expected, atol=0.01, rtol=0)


def test_blocks_equal_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_song(tmp_path / "song.wav", 2, 120, 22050)
    whole = read(path)
    monkeypatch.setattr("monge.dance.audio.load._BLOCK", 1000)
    assert torch.equal(read(path), whole)


def test_mp3_and_wav_have_similar_features(tmp_path: Path) -> None:
    """An mp3 has similar features, and the same beats to a fraction of a frame."""
    paths = [write_song(tmp_path / name, 12, 96, 48000) for name in ("a.wav", "a.mp3")]
    wav, mp3 = map(song_features, paths)
    assert (wav - mp3)[:, :64].abs().mean() < 0.15
    torch.testing.assert_close(beats_of(wav), beats_of(mp3), atol=0.3, rtol=0)


def test_silence_is_read_and_detected(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros((44100, 2)), 44100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_silent(read(tmp_path / "silence.wav"))
        assert song_features(tmp_path / "silence.wav").isfinite().all()
    assert not is_silent(read(write_song(tmp_path / "song.wav", 1)))


INVALID = {
    "text.mp3": "cannot be read .*ffmpeg",
    "nothing.wav": "cannot be read",
    "empty.wav": "holds no samples",
    "short.wav": "has 2000 samples at 44100 Hz, 0.045 seconds: choose one of at least 0.093",
    "nan.wav": "not finite",
    "film.mp4": "cannot be read .*ffmpeg",
    "raw.raw": "cannot be read",
    "folder": "is a folder",
    "missing.wav": "does not exist",
}


def write_invalid(folder: Path) -> None:
    """Write the files of `INVALID`."""
    (folder / "text.mp3").write_text("This is not a song.\n" * 100)
    (folder / "nothing.wav").write_bytes(b"")
    soundfile.write(folder / "empty.wav", np.zeros((0, 2)), 44100)
    soundfile.write(folder / "short.wav", np.ones(2000), 44100)
    soundfile.write(folder / "nan.wav", np.full(44100, np.nan), 44100, subtype="FLOAT")
    header = b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"
    (folder / "film.mp4").write_bytes(header + bytes(range(256)) * 40)
    (folder / "raw.raw").write_bytes(bytes(10000))
    (folder / "folder").mkdir()


@pytest.mark.parametrize("name", INVALID)
def test_invalid_files_raise_with_a_remedy(tmp_path: Path, name: str) -> None:
    write_invalid(tmp_path)
    path = tmp_path / name
    with pytest.raises(MongeError, match=INVALID[name]) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_invalid_rate_raises(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="rate must be at least 1 Hz, got 0"):
        read(write_song(tmp_path / "song.wav", 1), rate=0)


def test_missing_soundfile_raises_with_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_song(tmp_path / "song.wav", 1)
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "soundfile":
            raise ModuleNotFoundError("No module named 'soundfile'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MongeError, match=r'pip install "monge\[audio\]"'):
        read(path)
