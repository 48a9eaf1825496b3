"""Tests of the data set of dances: its windows, its split, and broken files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from monge.dance import audio
from monge.dance.data import (
    CONTEXT,
    FRAMES,
    STRIDE,
    Dance,
    context,
    dance_files,
    from_dances,
    level,
    read_dances,
    split,
)
from monge.dance.motion import MELODY, decode, encode, mirror, rest
from monge.data import FiniteDataset, SourceTarget, data_root, load
from monge.errors import MongeError
from tests.helpers.dances import write_dances
from tests.helpers.skeletons import bone_lengths

STILL = rest(MELODY)


def songs(count: int = 10, frames: int = 40, styles: tuple[str, ...] = ("waltz",)) -> list[Dance]:
    """Return songs; the music of song k is k everywhere, its dancer walks k mm per frame."""
    time = torch.arange(frames)[:, None, None]
    sway = 0.01 * (time / 3).sin() * torch.tensor([1.0, 0.0, 0.0])
    dances = []
    for k in range(count):
        walk = 0.001 * k * time * torch.tensor([0.0, 0.0, 1.0])
        music = torch.full((frames, audio.MUSIC), float(k))
        style = styles[k % len(styles)]
        dances.append(Dance(f"song {k}", style, STILL + walk + sway, music))
    return dances


def fetch_all(data: Any, split: str) -> torch.Tensor:
    """Return all samples of a split."""
    return data.fetch(data.train_indices if split == "train" else data.held_out_indices)


def song_of(windows: torch.Tensor) -> torch.Tensor:
    """Return the numbers of the songs of windows of dance, by the walking speed."""
    return (windows[:, 1:, 2].mean(1) * 1000).round()


def test_songs_are_split_disjointly_and_windows_do_not_cross_songs() -> None:
    data = from_dances(songs(), size=16)
    for part in ("train", "held_out"):
        music, dance = fetch_all(data.source, part), fetch_all(data.target, part)
        # all frames of a window are of one song
        assert torch.equal(music, music[:, :1, :1].expand_as(music))
        expected = song_of(dance)[:, None].expand(-1, 15)
        torch.testing.assert_close(dance[:, 1:, 2] * 1000, expected, atol=1e-2, rtol=0)
    parts = ("train", "held_out")
    of_music = {part: set(fetch_all(data.source, part)[:, 0, 0].tolist()) for part in parts}
    of_dance = {part: set(song_of(fetch_all(data.target, part)).tolist()) for part in parts}
    assert of_music == of_dance
    assert not of_music["train"] & of_music["held_out"]
    assert of_music["train"] | of_music["held_out"] == set(range(10))


def test_mirrored_dances_are_only_in_training_set() -> None:
    data = from_dances(songs(), size=16)
    train, held = (fetch_all(data.target, part) for part in ("train", "held_out"))
    windows = (40 - 16) // STRIDE + 1
    assert len(train) == 2 * 8 * windows
    assert len(held) == 2 * windows
    assert len(fetch_all(data.source, "train")) == 8 * windows
    first = songs()[0].positions
    for k, dance in enumerate((first, mirror(first, MELODY))):
        own = next(s for s in (0, 1, 2) if s in set(song_of(train).tolist()))
        if own == 0:
            torch.testing.assert_close(train[k], encode(dance, MELODY)[:16])
    # mirrored dances step to the other side
    torch.testing.assert_close(train[1::2, 1:, 1], -train[::2, 1:, 1], atol=1e-6, rtol=0)
    assert train[::2, 1:, 1].abs().max() > 1e-3


def test_windows_of_music_have_context_and_match_windows_of_dance() -> None:
    dances = songs()
    for dance in dances:
        dance.music[:, 0] = torch.arange(40)
    data = from_dances(dances, size=16)
    assert isinstance(data.source, FiniteDataset)
    assert isinstance(data.target, FiniteDataset)
    assert data.source.shape == (16 + 2 * CONTEXT, 80)
    assert data.shape == (16, 70)
    assert data.kind.rate == 25
    music = fetch_all(data.source, "held_out")
    starts = music[:, CONTEXT, 0]
    assert starts.tolist() == [*range(0, 25, 4), *range(0, 25, 4)]
    expected = (starts[:, None] + torch.arange(-CONTEXT, 16 + CONTEXT)).clamp(0, 39)
    torch.testing.assert_close(music[..., 0], expected)
    # source and target have the same order
    assert music[:, 0, 1].tolist() == song_of(fetch_all(data.target, "held_out")).tolist()


def test_split_holds_out_a_fifth_of_each_large_style() -> None:
    styles = ("waltz", "tango", "tango", "rumba")
    kept, held = split(songs(28, styles=styles))
    assert len(kept) + len(held) == 28
    assert [sum(d.style == s for d in held) for s in ("waltz", "tango", "rumba")] == [1, 3, 1]
    assert not split(songs(3))[1]
    again = split(list(reversed(songs(28, styles=styles))))
    assert len(again[1]) == len(held)
    assert split(songs(28, styles=styles))[1][0].name == held[0].name


def test_too_few_dances_and_invalid_size_raise() -> None:
    message = r"data\.size must be a multiple of 8 frames for dances, got 20: choose 16"
    with pytest.raises(MongeError, match=message):
        from_dances(songs(), size=20)
    message = "data 'mine' has 0 dances of 48 frames or more: it needs at least four of one style"
    with pytest.raises(MongeError, match=message):
        from_dances(songs(), "mine", size=48)
    with pytest.raises(MongeError, match="has 3 dances of 16 frames"):
        from_dances(songs(3), size=16)


def test_context_repeats_the_ends() -> None:
    x = context(torch.arange(6.0)[:, None].expand(6, 2), 3)
    assert x[:, 0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5]


def test_level_removes_floor_drift_and_keeps_jumps() -> None:
    time = torch.arange(500.0)
    jump = 0.4 * torch.exp(-(((time - 250) / 4) ** 2))
    drift = 0.1 * (2 * math.pi * time / 500).sin()
    up = torch.tensor([0.0, 1.0, 0.0])
    dance = STILL + (jump + drift)[:, None, None] * up
    flat = level(dance, MELODY, 25.0)
    lowest = flat[:, list(MELODY.feet), 1].min(1).values
    assert lowest[:230].abs().max() < 0.12
    assert lowest[:230].abs().mean() < 0.05
    assert 0.3 < lowest[250] < 0.5
    torch.testing.assert_close(flat[..., [0, 2]], dance[..., [0, 2]])
    higher = level(flat + 5 * up, MELODY, 25.0)
    torch.testing.assert_close(higher, level(flat, MELODY, 25.0), atol=1e-5, rtol=0)


def test_folder_of_dances_is_loaded(tmp_path: Path) -> None:
    folder = write_dances(tmp_path / "mine")
    data = load(str(folder), size=8)
    assert isinstance(data, SourceTarget)
    assert (data.name, data.shape, data.source.shape) == ("mine", (8, 70), (104, 80))
    assert data.train(10_000).isfinite().all()
    assert data.source_train(10_000).isfinite().all()
    positions = decode(data.train(4), MELODY)
    assert 0.5 < positions[..., 1].amax() < 2.2  # meters, of files in centimeters
    (folder / "notes.txt").write_text("not a dance")
    assert len(dance_files(folder)) == 5
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays" / "x.npz", x=np.zeros(3))
    assert dance_files(tmp_path / "arrays") == []
    assert dance_files(tmp_path) == []


BROKEN = {
    "no archive": b"this is not an archive",
    "empty": b"",
    "missing": {"mel": None},
    "joints": {"pose": np.zeros((40, 24, 3))},
    "frames": {"onset": np.zeros(39)},
    "bands": {"mel": np.zeros((40, 5))},
    "planar": {"center": np.zeros((40, 2))},
    "no frames": {
        "pose": np.zeros((0, 23, 3)),
        "center": np.zeros((0, 3)),
        "mel": np.zeros((0, 64)),
        "chroma": np.zeros((0, 12)),
        "onset": np.zeros(0),
    },
    "nan pose": {"pose": np.full((40, 23, 3), np.nan)},
    "nan music": {"mel": np.full((40, 64), np.nan)},
    "words": {"pose": np.full((40, 23, 3), "up")},
    "code": {"pose": np.array([{}], dtype=object)},
    "rate": {"fps": 0},
    "rates": {"fps": np.zeros(3)},
}


@pytest.mark.parametrize("damage", BROKEN)
def test_broken_file_raises_with_its_name(damage: str, tmp_path: Path) -> None:
    folder = write_dances(tmp_path / "mine")
    path, change = folder / "DANCE_C_2.npz", BROKEN[damage]
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        content = {**np.load(path), **change}
        np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(MongeError, match=r"DANCE_C_2\.npz"):
        load(str(folder), size=8)


def test_corrupt_archive_raises_with_its_name(tmp_path: Path) -> None:
    path = write_dances(tmp_path / "mine") / "DANCE_C_2.npz"
    np.savez_compressed(path, **np.load(path))
    content = bytearray(path.read_bytes())
    positions = range(300, len(content) - 2000, 97)
    for k in positions:
        content[k] = 0
    path.write_bytes(content)
    with pytest.raises(MongeError, match=r"DANCE_C_2\.npz"):
        load(str(path.parent), size=8)


def test_missing_data_raises_with_the_expected_folder(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="set MONGE_DATA to the folder that holds dance_melody/"):
        load("dance_melody", tmp_path)


def test_dance_melody_has_constant_bone_lengths_and_level_floor() -> None:
    if not (data_root() / "dance_melody").is_dir():
        pytest.skip("dance_melody is not on this machine: set MONGE_DATA")
    dances = read_dances(data_root())
    kept, held = split(dances)
    assert (len(dances), len(kept) + len(held)) == (36, 36)
    assert {d.style for d in held} <= {"cha-cha", "rumba", "tango", "waltz"}
    own = torch.tensor([MELODY.lengths[j] for j in MELODY.bones])
    for dance in dances:
        assert dance.rate == 25
        assert len(dance.music) == len(dance.positions) >= FRAMES
        assert dance.positions.isfinite().all()
        lengths = bone_lengths(dance.positions, MELODY)
        assert (lengths / own - 1).abs().max() < 1e-4
        lowest = dance.positions[:, list(MELODY.feet), 1].min(1).values
        assert lowest.median().abs() < 0.05
