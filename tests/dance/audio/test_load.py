"""Songs from files of every format, rate and number of channels; what is wrong with a file is said
with its mend.
"""

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
from tests.dance.audio.songs import song, write_song

soundfile = pytest.importorskip("soundfile")


@pytest.mark.parametrize(
    ("ending", "rate", "channels"),
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
def test_formats_rates_and_channels(tmp_path: Path, ending: str, rate: int, channels: int) -> None:
    path = write_song(tmp_path / f"song.{ending}", 3, 100, rate, channels)
    x = read(path)
    assert x.dtype == torch.float32
    assert x.shape == (3 * 22050,)
    assert 0.5 < x.abs().max() <= 1.05
    assert song_features(path).shape == (76, 80)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 44099])
def test_a_sine_stays_a_sine(tmp_path: Path, rate: int) -> None:
    """Resampling keeps a tone of 1 kHz and its time; the channels are averaged."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    soundfile.write(
        tmp_path / "sine.wav", np.stack([0.8 * tone, 0.2 * tone], 1), rate, subtype="FLOAT"
    )
    found = read(tmp_path / "sine.wav")
    expected = 0.5 * torch.sin(
        2 * torch.pi * 1000 * torch.arange(22050, dtype=torch.float64) / 22050
    )
    assert abs(len(found) - 22050) <= 1
    torch.testing.assert_close(found[500:21500], expected[500:21500].float(), atol=3e-3, rtol=0)


def test_what_is_too_high_for_the_rate_is_removed(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 13000 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "high.wav", tone, 48000, subtype="FLOAT")
    assert read(tmp_path / "high.wav")[500:21500].abs().max() < 0.01
    assert read(tmp_path / "high.wav", rate=48000).abs().max() > 0.99


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_integers_and_floats_are_in_the_same_units(tmp_path: Path, subtype: str) -> None:
    x = song(1, 120, 22050)
    soundfile.write(tmp_path / "song.wav", x, 22050, subtype=subtype)
    torch.testing.assert_close(
        read(tmp_path / "song.wav"), torch.from_numpy(x).float(), atol=0.01, rtol=0
    )


def test_long_files_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_song(tmp_path / "song.wav", 2, 120, 22050)
    whole = read(path)
    monkeypatch.setattr("monge.dance.audio.load._BLOCK", 1000)
    assert torch.equal(read(path), whole)


def test_formats_agree_about_a_song(tmp_path: Path) -> None:
    """An mp3 has nearly the features of the wav; its beats are the same to a fraction of a frame."""
    wav, mp3 = (
        song_features(write_song(tmp_path / name, 12, 96, 48000)) for name in ("a.wav", "a.mp3")
    )
    assert (wav - mp3)[:, :64].abs().mean() < 0.15
    torch.testing.assert_close(beats_of(wav), beats_of(mp3), atol=0.3, rtol=0)


def test_silence_is_read_and_known(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros((44100, 2)), 44100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_silent(read(tmp_path / "silence.wav"))
        assert song_features(tmp_path / "silence.wav").isfinite().all()
    assert not is_silent(read(write_song(tmp_path / "song.wav", 1)))


def _bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    files = {
        name: folder / name
        for name in (
            "text.mp3",
            "nothing.wav",
            "empty.wav",
            "short.wav",
            "nan.wav",
            "film.mp4",
            "raw.raw",
        )
    }
    files["text.mp3"].write_text("This is not a song.\n" * 100)
    files["nothing.wav"].write_bytes(b"")
    soundfile.write(files["empty.wav"], np.zeros((0, 2)), 44100)
    soundfile.write(files["short.wav"], np.ones(2000), 44100)
    soundfile.write(files["nan.wav"], np.full(44100, np.nan), 44100, subtype="FLOAT")
    files["film.mp4"].write_bytes(
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(range(256)) * 40
    )
    files["raw.raw"].write_bytes(bytes(10000))
    return {
        "text.mp3": (files["text.mp3"], "cannot be read .*ffmpeg"),
        "nothing.wav": (files["nothing.wav"], "cannot be read"),
        "empty.wav": (files["empty.wav"], "holds no samples"),
        "short.wav": (
            files["short.wav"],
            "has 2000 samples at 44100 Hz, 0.045 seconds: bring one of at least 0.093",
        ),
        "nan.wav": (files["nan.wav"], "not finite"),
        "film.mp4": (files["film.mp4"], "cannot be read .*ffmpeg"),
        "raw.raw": (files["raw.raw"], "cannot be read"),
        "folder": (folder, "is a folder"),
        "missing": (folder / "missing.wav", "does not exist"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "text.mp3",
        "nothing.wav",
        "empty.wav",
        "short.wav",
        "nan.wav",
        "film.mp4",
        "raw.raw",
        "folder",
        "missing",
    ],
)
def test_bad_files_are_named_with_their_mend(tmp_path: Path, name: str) -> None:
    path, message = _bad_files(tmp_path)[name]
    with pytest.raises(MongeError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_rate_is_named(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="rate must be at least 1 Hz, got 0"):
        read(write_song(tmp_path / "song.wav", 1), rate=0)


def test_without_soundfile_the_command_is_said(
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
