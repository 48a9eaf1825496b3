"""Dances with their music: which windows there are, what is held out, and what happens to files
that are broken.
"""

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

STILL = rest(MELODY)


def songs(count: int = 10, frames: int = 40, styles: tuple[str, ...] = ("waltz",)) -> list[Dance]:
    """Song k holds k everywhere in its music, and walks k millimeters a frame."""
    time = torch.arange(frames)[:, None, None]
    return [
        Dance(
            f"song {k}",
            styles[k % len(styles)],
            STILL
            + 0.001 * k * time * torch.tensor([0.0, 0.0, 1.0])
            + 0.01 * (time / 3).sin() * torch.tensor([1.0, 0.0, 0.0]),
            torch.full((frames, audio.MUSIC), float(k)),
        )
        for k in range(count)
    ]


def everything(source: Any, split: str) -> torch.Tensor:
    return source.fetch(source.train_indices if split == "train" else source.held_out_indices)


def step(windows: torch.Tensor) -> torch.Tensor:
    """The song that a window of dance is of, by how fast it walks."""
    return (windows[:, 1:, 2].mean(1) * 1000).round()


def test_no_song_is_on_both_sides_and_windows_never_cross_songs() -> None:
    pair = from_dances(songs(), size=16)
    for part in ("train", "held_out"):
        music, dance = everything(pair.source, part), everything(pair.target, part)
        # of one song from the first frame to the last
        assert torch.equal(music, music[:, :1, :1].expand_as(music))
        torch.testing.assert_close(
            dance[:, 1:, 2] * 1000, step(dance)[:, None].expand(-1, 15), atol=1e-2, rtol=0
        )
    heard, seen = ({part: set(f(part).tolist()) for part in ("train", "held_out")} for f in (
        lambda part: everything(pair.source, part)[:, 0, 0], lambda part: step(everything(pair.target, part))))  # fmt: skip
    assert heard == seen
    assert not heard["train"] & heard["held_out"]
    assert heard["train"] | heard["held_out"] == set(range(10))


def test_mirrored_dances_are_in_training_alone() -> None:
    pair = from_dances(songs(), size=16)
    train, held = (everything(pair.target, part) for part in ("train", "held_out"))
    windows = (40 - 16) // STRIDE + 1
    assert len(train) == 2 * 8 * windows
    assert len(held) == 2 * windows
    assert len(everything(pair.source, "train")) == 8 * windows
    first = songs()[0].positions
    for k, dance in enumerate((first, mirror(first, MELODY))):
        own = next(s for s in (0, 1, 2) if s in set(step(train).tolist()))
        if own == 0:
            torch.testing.assert_close(train[k], encode(dance, MELODY)[:16])
    # steps to the other side
    torch.testing.assert_close(train[1::2, 1:, 1], -train[::2, 1:, 1], atol=1e-6, rtol=0)
    assert train[::2, 1:, 1].abs().max() > 1e-3


def test_windows_of_music_belong_to_those_of_dance_with_context_around_them() -> None:
    dances = songs()
    for dance in dances:
        dance.music[:, 0] = torch.arange(40)
    pair = from_dances(dances, size=16)
    assert isinstance(pair.source, FiniteDataset)
    assert isinstance(pair.target, FiniteDataset)
    assert pair.source.shape == (16 + 2 * CONTEXT, 80)
    assert pair.shape == (16, 70)
    assert pair.kind.rate == 25
    music = everything(pair.source, "held_out")
    starts = music[:, CONTEXT, 0]
    assert starts.tolist() == [*range(0, 25, 4), *range(0, 25, 4)]
    expected = (starts[:, None] + torch.arange(-CONTEXT, 16 + CONTEXT)).clamp(0, 39)
    torch.testing.assert_close(music[..., 0], expected)
    # in one order
    assert music[:, 0, 1].tolist() == step(everything(pair.target, "held_out")).tolist()


def test_each_style_gives_a_fifth_and_small_ones_none() -> None:
    styles = ("waltz", "tango", "tango", "rumba")
    kept, held = split(songs(28, styles=styles))
    assert len(kept) + len(held) == 28
    assert [sum(d.style == s for d in held) for s in ("waltz", "tango", "rumba")] == [1, 3, 1]
    assert not split(songs(3))[1]
    again = split(list(reversed(songs(28, styles=styles))))
    assert len(again[1]) == len(held)
    assert split(songs(28, styles=styles))[1][0].name == held[0].name


def test_too_little_and_lengths_that_do_not_fit_are_named() -> None:
    with pytest.raises(
        MongeError, match=r"data\.size must be a multiple of 8 frames for dances, got 20: choose 16"
    ):
        from_dances(songs(), size=20)
    with pytest.raises(
        MongeError,
        match="data 'mine' has 0 dances of 48 frames or more: bring at least four of one style",
    ):
        from_dances(songs(), "mine", size=48)
    with pytest.raises(MongeError, match="has 3 dances of 16 frames"):
        from_dances(songs(3), size=16)


def test_context_repeats_the_ends() -> None:
    x = context(torch.arange(6.0)[:, None].expand(6, 2), 3)
    assert x[:, 0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5]


def test_level_removes_a_floor_that_wanders_and_leaves_jumps() -> None:
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
    torch.testing.assert_close(
        level(flat + 5 * up, MELODY, 25.0), level(flat, MELODY, 25.0), atol=1e-5, rtol=0
    )


def test_a_folder_of_ones_own_is_a_source(tmp_path: Path) -> None:
    folder = write_dances(tmp_path / "mine")
    pair = load(str(folder), size=8)
    assert isinstance(pair, SourceTarget)
    assert (pair.name, pair.shape, pair.source.shape) == ("mine", (8, 70), (104, 80))
    assert pair.train(10_000).isfinite().all()
    assert pair.source_train(10_000).isfinite().all()
    positions = decode(pair.train(4), MELODY)
    assert 0.5 < positions[..., 1].amax() < 2.2  # meters, of files in centimeters
    (folder / "notes.txt").write_text("not a dance")
    assert len(dance_files(folder)) == 5
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays" / "x.npz", x=np.zeros(3))
    assert dance_files(tmp_path / "arrays") == []
    assert dance_files(tmp_path) == []


BROKEN = {
    "no archive": b"this is no archive",
    "empty": b"",
    "missing": {"mel": None},
    "joints": {"pose": np.zeros((40, 24, 3))},
    "frames": {"onset": np.zeros(39)},
    "bands": {"mel": np.zeros((40, 5))},
    "planar": {"center": np.zeros((40, 2))},
    "no frames": {"pose": np.zeros((0, 23, 3)), "center": np.zeros((0, 3)), "mel": np.zeros((0, 64)),
                  "chroma": np.zeros((0, 12)), "onset": np.zeros(0)},
    "nan pose": {"pose": np.full((40, 23, 3), np.nan)},
    "nan music": {"mel": np.full((40, 64), np.nan)},
    "words": {"pose": np.full((40, 23, 3), "up")},
    "code": {"pose": np.array([{}], dtype=object)},
    "rate": {"fps": 0},
    "rates": {"fps": np.zeros(3)},
}  # fmt: skip


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_is_an_error_that_names_it(damage: str, tmp_path: Path) -> None:
    folder = write_dances(tmp_path / "mine")
    path, change = folder / "DANCE_C_2.npz", BROKEN[damage]
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        content = {**np.load(path), **change}
        np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(MongeError, match=r"DANCE_C_2\.npz"):
        load(str(folder), size=8)


def test_a_file_whose_bytes_were_flipped_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write_dances(tmp_path / "mine") / "DANCE_C_2.npz"
    np.savez_compressed(path, **np.load(path))
    content = bytearray(path.read_bytes())
    content[300 : len(content) - 2000 : 97] = bytes(len(content[300 : len(content) - 2000 : 97]))
    path.write_bytes(content)
    with pytest.raises(MongeError, match=r"DANCE_C_2\.npz"):
        load(str(path.parent), size=8)


def test_data_that_is_not_there_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="set MONGE_DATA to the folder that holds dance_melody/"):
        load("dance_melody", tmp_path)


def test_dance_melody() -> None:
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
        parents = [MELODY.parents[j] for j in MELODY.bones]
        lengths = (dance.positions[:, list(MELODY.bones)] - dance.positions[:, parents]).norm(
            dim=-1
        )
        assert (lengths / own - 1).abs().max() < 1e-4
        lowest = dance.positions[:, list(MELODY.feet), 1].min(1).values
        assert lowest.median().abs() < 0.05
