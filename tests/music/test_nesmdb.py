"""Windows of songs: the NES Music Database, its split, silent windows, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from monge.data import FiniteDataset, data_root, load
from monge.errors import MongeError
from monge.music.nesmdb import from_songs
from monge.music.rolls import most_likely
from tests.helpers.music import song


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Make a data root with small arrays; the first pulse wave of each song has one pitch."""
    (tmp_path / "nesmdb").mkdir()
    for split, first, lengths in (("train", 40, (30, 7, 16, 24)), ("valid", 60, (16, 20))):
        piano_rolls = np.zeros((sum(lengths), 4, 3), np.uint8)
        piano_rolls[:, 0, 0] = np.repeat(np.arange(first, first + len(lengths)), lengths)
        piano_rolls[:, 3, 0] = 16
        piano_rolls[:, :, 1:] = 3  # velocity and timbre are not read
        path = tmp_path / "nesmdb" / f"nesmdb24_exprsco_{split}.npz"
        np.savez(
            path,
            scores=piano_rolls,
            lengths=np.array(lengths, np.int32),
            names=np.array(["x"] * len(lengths)),
        )
    return tmp_path


def test_windows_lie_within_songs_and_the_split_is_by_song(files: Path) -> None:
    data = load("nesmdb", files, size=16)
    assert isinstance(data, FiniteDataset)
    assert (data.shape, data.kind.rate) == ((4, 89, 16), 24.0)
    train, held_out = (
        most_likely(data.fetch(part))[:, 0] for part in (data.train_indices, data.held_out_indices)
    )
    assert train.float().std(1).max() == 0  # no window crosses the end of a song
    # of 30, 16 and 24 frames; the song of 7 frames is too short
    assert sorted(train[:, 0].tolist()) == [20, 20, 22, 23, 23]
    assert held_out[:, 0].tolist() == [40, 41]
    batch = data.batch(seed=0, position=3, n=7)
    assert torch.equal(batch.sum(2), torch.ones(7, 4, 16))
    assert torch.equal(batch, data.batch(seed=0, position=3, n=7))
    assert torch.equal(torch.cat([data.batch(0, 3, 4), data.batch(0, 7, 3)]), batch)


def test_silent_windows_are_left_out() -> None:
    quiet = np.zeros((64, 4), np.uint8)
    quiet[40, 0] = quiet[56:58, 1] = 50  # one frame of sixteen is too few, two are enough
    other = song(16)
    data = from_songs([quiet, other], size=16, n_held_out=1, ordered_split=True)
    windows = most_likely(data.fetch(data.train_indices))
    assert windows.flatten(1).count_nonzero(1).tolist() == [2]


def test_a_single_song_is_cut_in_two() -> None:
    data = from_songs([song(200)], size=16)
    parts = [most_likely(data.fetch(part)) for part in (data.train_indices, data.held_out_indices)]
    whole = torch.from_numpy(song(200)).T
    assert torch.equal(parts[0][-1], whole[:, 144:160])
    assert torch.equal(parts[1][0], whole[:, 160:176])


def test_wrong_sizes_empty_windows_and_bad_files_are_refused(files: Path, tmp_path: Path) -> None:
    message = "data.size must be a multiple of 8 frames for piano rolls, got 50: choose 48"
    with pytest.raises(MongeError, match=message):
        load("nesmdb", files, size=50)
    message = r"empty windows: none of the 6 songs of data 'nesmdb' has 48 frames \(2 seconds\)"
    with pytest.raises(MongeError, match=message):
        load("nesmdb", files)
    with pytest.raises(MongeError, match="empty windows: none of the 1 songs"):
        from_songs([np.zeros((99, 4), np.uint8)])
    with pytest.raises(MongeError, match=r"'nesmdb' is not at .*set MONGE_DATA"):
        load("nesmdb", tmp_path / "elsewhere")
    path = files / "nesmdb" / "nesmdb24_exprsco_valid.npz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(MongeError, match=r"exprsco_valid.npz' is corrupt"):
        load("nesmdb", files)
    np.savez(path, scores=np.zeros((5, 3, 3), np.uint8), lengths=np.array([5]))
    with pytest.raises(MongeError, match=r"holds piano rolls \(5, 3, 3\) of 5 frames"):
        load("nesmdb", files)


def test_database_has_windows_of_four_voices() -> None:
    if not (data_root() / "nesmdb").is_dir():
        pytest.skip("the NES Music Database is not on this machine: set MONGE_DATA")
    data = load("nesmdb")
    assert isinstance(data, FiniteDataset)
    assert data.shape == (4, 89, 48)
    assert len(data.train_indices) > 100_000
    piano_rolls = most_likely(data.held_out(200))
    assert (piano_rolls[:, 3] <= 16).all()
    assert (piano_rolls > 0).any(1).float().mean(1).min() >= 1 / 8
