"""Windows of songs as a data set: the NES Music Database, and other songs.

    Donahue, Mao & McAuley, "The NES music database: a multi-instrumental dataset with expressive
        performance attributes", ISMIR 2018   [donahue2018]

Songs are arrays as in `monge.music.rolls`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from monge.data.datasets import FiniteDataset, Indices
from monge.errors import MongeError
from monge.rng import rng

from .kind import PianoRoll
from .rolls import CLASSES, RATE, VOICES, Song, one_hot, to_classes

NESMDB = "nesmdb"
FRAMES = 48  # two seconds
STRIDE = 8  # divides the frames of a window, for networks that halve time three times

_SPLIT = 3  # random stream of the choice of held-out songs
_FEWEST = 8  # a window has sound in at least one of so many frames


def read_nesmdb(root: Path, size: int | None = None) -> FiniteDataset:
    """Read windows of the NES Music Database; those of its validation songs are held out.

    The validation songs are from other games. ``size`` is the number of frames of a window, by
    default 48: two seconds. Windows begin every half window.
    """
    folder = root / "nesmdb"
    train, valid = (_read(folder / f"nesmdb24_exprsco_{split}.npz") for split in ("train", "valid"))
    songs = [*train, *valid]
    return from_songs(songs, NESMDB, size=size, n_held_out=len(valid), ordered_split=True)


def from_songs(
    songs: Sequence[Song], name: str = "songs", *, size: int | None = None,
    n_held_out: int | None = None, ordered_split: bool = False, rate: float = RATE,
) -> FiniteDataset:  # fmt: skip
    """Make a data set of the windows of songs (frames, 4), one beginning every half window.

    Songs shorter than a window are left out, and so are windows with sound in fewer than one frame
    of eight. ``n_held_out`` songs (by default a fifth, at least one) are held out from training:
    the last ones with ``ordered_split``, otherwise a fixed random choice. The end of a single song
    is held out, and no window reaches into both parts.

    >>> pitches = np.repeat(np.arange(40, 60, dtype=np.uint8), 24)
    >>> melody = pitches[:, None].repeat(4, 1).clip(0, [88, 88, 88, 16])
    >>> data = from_songs([melody], size=24)
    >>> data.shape, data.kind.rate, len(data.train_indices), len(data.held_out_indices)
    ((4, 89, 24), 24.0, 31, 7)
    """
    frames = _window(size)
    whole = [song for song in songs if len(song) >= frames]
    if len(whole) == 1:
        cut = len(whole[0]) * 4 // 5
        whole, n_held_out, ordered_split = [whole[0][:cut], whole[0][cut:]], 1, True
    lengths = [len(song) for song in whole]
    begins = np.cumsum(lengths) - lengths
    piano_roll = np.concatenate(whole) if whole else np.zeros((0, len(VOICES)), np.uint8)
    sounding = np.concatenate([[0], (piano_roll > 0).any(1).cumsum()])
    starts = []  # of the windows of each song
    for begin, n in zip(begins, lengths, strict=True):
        start = begin + np.arange(0, n - frames + 1, frames // 2)
        starts.append(start[sounding[start + frames] - sounding[start] >= frames / _FEWEST])
    if not sum(map(len, starts)):
        raise MongeError(
            f"empty windows: none of the {len(songs)} songs of data '{name}' has {frames} frames "
            f"({frames / rate:.3g} seconds) with sound in them: bring longer songs, or choose a "
            "smaller data.size"
        )
    count = max(1, len(whole) // 5) if n_held_out is None else n_held_out
    order = np.arange(len(whole))
    if not ordered_split:
        order = torch.randperm(len(whole), generator=rng(0, _SPLIT)).numpy()
    chosen = np.isin(np.arange(len(whole)), order[len(whole) - count :])
    held_out = np.repeat(chosen, [len(start) for start in starts])
    at = np.concatenate(starts)
    stored = torch.from_numpy(piano_roll)

    def fetch(indices: Indices) -> Tensor:
        return one_hot(stored[torch.from_numpy(at[indices])[:, None] + torch.arange(frames)])

    shape, kind = (len(VOICES), CLASSES, frames), PianoRoll(rate)
    train_indices, held_out_indices = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return FiniteDataset(name, shape, fetch, train_indices, held_out_indices, kind=kind)


def _window(size: int | None) -> int:
    """Return the number of frames of a window, checked."""
    frames = FRAMES if size is None else size
    if frames % STRIDE:
        near = max(STRIDE, round(frames / STRIDE) * STRIDE)
        raise MongeError(
            f"data.size must be a multiple of {STRIDE} frames for piano rolls, got {frames}: "
            f"choose {near}"
        )
    return frames


def _read(path: Path) -> list[Song]:
    """Read the songs of one file of the database."""
    if not path.is_file():
        raise MongeError(
            f"data set 'nesmdb' is not at {path}: set MONGE_DATA to the folder that holds "
            f"nesmdb/{path.name}"
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            piano_rolls, lengths = content["scores"], content["lengths"]
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise MongeError(f"'{path}' is corrupt ({error}): replace it") from error
    if piano_rolls.shape != (lengths.sum(), len(VOICES), 3):
        raise MongeError(
            f"'{path}' holds piano rolls {piano_rolls.shape} of {lengths.sum()} frames, not "
            "(frames, 4, 3): replace it"
        )
    return np.split(to_classes(piano_rolls[:, :, 0]), np.cumsum(lengths)[:-1])
