"""The NES Music Database, and songs of one's own, cut into windows; see `monge.music.rolls` for
what a song is.

Donahue, Mao, McAuley, "The NES music database: a multi-instrumental dataset with expressive
performance attributes",
ISMIR 2018    [donahue2018]
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
STRIDE = 8  # a window is a multiple of this many frames, for networks that halve time thrice

_SPLIT = 3  # the stream of randomness that chooses the songs held out
_FEWEST = 8  # a window has sound in at least one frame of so many


def read_nesmdb(root: Path, size: int | None = None) -> FiniteDataset:
    """Return windows of the NES Music Database; those of its validation songs, which are from other
    games, are held out.

    ``size`` is the number of frames of a window, 48 when None: two seconds. Windows begin every
    half window.
    """
    songs = [
        _read(root / "nesmdb" / f"nesmdb24_exprsco_{split}.npz") for split in ("train", "valid")
    ]
    return from_songs(
        [*songs[0], *songs[1]], NESMDB, size=size, n_held_out=len(songs[1]), ordered_split=True
    )


def from_songs(
    songs: Sequence[Song], name: str = "songs", *, size: int | None = None, n_held_out: int | None = None,
    ordered_split: bool = False, rate: float = RATE,
) -> FiniteDataset:  # fmt: skip
    """Make a source of the windows of songs (frames, 4), one beginning every half window.

    Songs shorter than a window and windows that are nearly silent, with sound in fewer than one
    frame of eight, are left out. ``n_held_out`` songs (a fifth, at least one, when None) are kept
    from training: the last ones with ``ordered_split``, otherwise a fixed random choice. Of a
    single song the end is kept, and no window reaches into both parts.

    >>> melody = np.repeat(np.arange(40, 60, dtype=np.uint8), 24)[:, None].repeat(4, 1).clip(0, [88, 88, 88, 16])
    >>> source = from_songs([melody], size=24)
    >>> source.shape, source.kind.rate, len(source.train_indices), len(source.held_out_indices)
    ((4, 89, 24), 24.0, 31, 7)
    """
    frames = _window(size)
    whole = [song for song in songs if len(song) >= frames]
    if len(whole) == 1:
        cut = len(whole[0]) * 4 // 5
        whole, n_held_out, ordered_split = [whole[0][:cut], whole[0][cut:]], 1, True
    lengths = [len(song) for song in whole]
    begins = np.cumsum(lengths) - lengths
    starts = [
        begin + np.arange(0, n - frames + 1, frames // 2)
        for begin, n in zip(begins, lengths, strict=True)
    ]
    piano_roll = np.concatenate(whole) if whole else np.zeros((0, len(VOICES)), np.uint8)
    sounding = np.concatenate([[0], (piano_roll > 0).any(1).cumsum()])
    starts = [s[sounding[s + frames] - sounding[s] >= frames / _FEWEST] for s in starts]
    if not sum(map(len, starts)):
        raise MongeError(
            f"empty windows: none of the {len(songs)} songs of data '{name}' has {frames} frames "
            f"({frames / rate:.3g} seconds) "
            "with sound in them: bring longer songs, or choose a smaller data.size"
        )
    held = max(1, len(whole) // 5) if n_held_out is None else n_held_out
    order = (
        np.arange(len(whole))
        if ordered_split
        else torch.randperm(len(whole), generator=rng(0, _SPLIT)).numpy()
    )
    kept = np.isin(np.arange(len(whole)), order[len(whole) - held :])
    last = np.repeat(kept, [len(s) for s in starts])
    at = np.concatenate(starts)
    stored = torch.from_numpy(piano_roll)

    def fetch(indices: Indices) -> Tensor:
        return one_hot(stored[torch.from_numpy(at[indices])[:, None] + torch.arange(frames)])

    return FiniteDataset(
        name,
        (len(VOICES), CLASSES, frames),
        fetch,
        np.flatnonzero(~last),
        np.flatnonzero(last),
        kind=PianoRoll(rate),
    )


def _window(size: int | None) -> int:
    frames = FRAMES if size is None else size
    if frames % STRIDE:
        near = max(STRIDE, round(frames / STRIDE) * STRIDE)
        raise MongeError(
            f"data.size must be a multiple of {STRIDE} frames for piano rolls, got {frames}: "
            f"choose {near}"
        )
    return frames


def _read(path: Path) -> list[Song]:
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
    if (
        piano_rolls.ndim != 3
        or piano_rolls.shape[1:] != (len(VOICES), 3)
        or lengths.sum() != len(piano_rolls)
    ):
        raise MongeError(
            f"'{path}' holds piano rolls {piano_rolls.shape} of {lengths.sum()} frames, not "
            "(frames, 4, 3)"
        )
    return np.split(to_classes(piano_rolls[:, :, 0]), np.cumsum(lengths)[:-1])
