"""Scores: songs of four voices as classes over frames, cut into windows; the NES Music Database, and songs of one's own.

    Donahue, Mao, McAuley, "The NES music database: a multi-instrumental dataset with expressive performance attributes",
    ISMIR 2018    [donahue2018]

==========  ============================================================
voice       class 0 is silence; class k ≥ 1 is
==========  ============================================================
0, 1: P1 P2 pitch k + 20 of the pulse waves, in MIDI's numbers 21…108
2: TR       pitch k + 20 of the triangle wave
3: NO       noise of type k, 1…16, from rumble to hiss
==========  ============================================================

A *song* is an array (frames, 4) of these classes, uint8, at ``rate`` frames a second, 24 in the database. A *sample* is a window
of a song as a one-hot tensor (4, 89, frames). Pitches beyond a piano's keys are moved by octaves until they are on it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.data.sources import FiniteSource, Indices, generator
from monge.errors import MongeError

NESMDB = "nesmdb"
VOICES = ("P1", "P2", "TR", "NO")
CLASSES = 89
LOWEST, HIGHEST = 21, 108  # MIDI pitches of the classes 1 and 88
NOISES = 16
RATE = 24.0
FRAMES = 48  # two seconds
STRIDE = 8  # a window is a multiple of this many frames, for networks that halve time thrice

_SPLIT = 3  # the stream of randomness that chooses the songs held out
_FEWEST = 8  # a window has sound in at least one frame of so many

Song = NDArray[np.uint8]


def read_nesmdb(root: Path, size: int | None = None) -> FiniteSource:
    """Return windows of the NES Music Database; those of its validation songs, which are from other games, are held out.

    ``size`` is the number of frames of a window, 48 when None: two seconds. Windows begin every half window.
    """
    songs = [_read(root / "nesmdb" / f"nesmdb24_exprsco_{split}.npz") for split in ("train", "valid")]
    return from_songs([*songs[0], *songs[1]], NESMDB, size=size, n_held_out=len(songs[1]), ordered_split=True)


def from_songs(
    songs: Sequence[Song],
    name: str = "songs",
    *,
    size: int | None = None,
    n_held_out: int | None = None,
    ordered_split: bool = False,
    rate: float = RATE,
) -> FiniteSource:
    """Make a source of the windows of songs (frames, 4), one beginning every half window.

    Songs shorter than a window and windows that are nearly silent, with sound in fewer than one frame of eight, are left out.
    ``n_held_out`` songs (a fifth, at least one, when None) are kept from training: the last ones with ``ordered_split``,
    otherwise a fixed random choice. Of a single song the end is kept, and no window reaches into both parts.

    >>> melody = np.repeat(np.arange(40, 60, dtype=np.uint8), 24)[:, None].repeat(4, 1).clip(0, [88, 88, 88, 16])
    >>> source = from_songs([melody], size=24)
    >>> source.shape, source.rate, len(source.train_indices), len(source.held_out_indices)
    ((4, 89, 24), 24.0, 31, 7)
    """
    frames = _window(size)
    whole = [song for song in songs if len(song) >= frames]
    if len(whole) == 1:
        cut = len(whole[0]) * 4 // 5
        whole, n_held_out, ordered_split = [whole[0][:cut], whole[0][cut:]], 1, True
    starts = _starts([len(song) for song in whole], frames)
    score = np.concatenate(whole) if whole else np.zeros((0, len(VOICES)), np.uint8)
    sounding = np.concatenate([[0], (score > 0).any(1).cumsum()])
    starts = [s[sounding[s + frames] - sounding[s] >= frames / _FEWEST] for s in starts]
    if not sum(map(len, starts)):
        raise MongeError(
            f"empty windows: none of the {len(songs)} songs of data '{name}' has {frames} frames ({frames / rate:.3g} seconds) "
            "with sound in them: bring longer songs, or choose a smaller data.size"
        )
    held = max(1, len(whole) // 5) if n_held_out is None else n_held_out
    order = np.arange(len(whole)) if ordered_split else torch.randperm(len(whole), generator=generator(0, _SPLIT)).numpy()
    kept = np.isin(np.arange(len(whole)), order[len(whole) - held :])
    last = np.concatenate([np.full(len(s), k) for s, k in zip(starts, kept, strict=True)])
    at = np.concatenate(starts)
    stored = torch.from_numpy(score)

    def fetch(indices: Indices) -> Tensor:
        return one_hot(stored[torch.from_numpy(at[indices])[:, None] + torch.arange(frames)])

    return FiniteSource(name, (len(VOICES), CLASSES, frames), fetch, np.flatnonzero(~last), np.flatnonzero(last), rate=rate)


def one_hot(scores: Tensor) -> Tensor:
    """Samples (n, 4, 89, frames) of classes (n, frames, 4).

    >>> score = torch.tensor([[[40, 0, 30, 3], [40, 0, 30, 0]]])
    >>> one_hot(score).shape, torch.equal(one_hot(score).argmax(2).movedim(1, 2), score)
    (torch.Size([1, 4, 89, 2]), True)
    """
    at = scores.movedim(2, 1).long().unsqueeze(2)  # (n, 4, 1, frames)
    return torch.zeros(*at.shape[:2], CLASSES, at.shape[3]).scatter_(2, at, 1.0)


def to_song(sample: Tensor) -> Song:
    """The song (frames, 4) of one sample's most likely classes, (4, 89, frames).

    A noise voice has no more than 16 types: less likely ones are not looked at.

    >>> to_song(one_hot(torch.tensor([[[40, 0, 30, 3]]]))[0]).tolist()
    [[40, 0, 30, 3]]
    """
    return most_likely(sample[None])[0].T.contiguous().numpy()


def most_likely(samples: Tensor) -> Tensor:
    """Classes (n, 4, frames), uint8, of samples or probabilities (n, 4, 89, frames).

    >>> most_likely(torch.rand(2, 4, 89, 8)).shape
    torch.Size([2, 4, 8])
    """
    pitched, noise = samples[:, :3].argmax(2), samples[:, 3:, : NOISES + 1].argmax(2)
    return torch.cat([pitched, noise], 1).byte().cpu()


def to_classes(notes: NDArray[np.integer]) -> Song:
    """Classes (frames, 4) of MIDI pitches and noise types (frames, 4), 0 for silence; pitches off the keys move by octaves.

    >>> to_classes(np.array([[69, 110, 12, 3]])).tolist()
    [[49, 78, 4, 3]]
    """
    pitch = np.arange(256)
    pitch = np.where(pitch > HIGHEST, HIGHEST - 11 + (pitch - HIGHEST - 1) % 12, pitch)
    pitch = np.where((pitch < LOWEST) & (pitch > 0), LOWEST + (pitch - LOWEST) % 12, pitch)
    table = np.where(pitch > 0, pitch - LOWEST + 1, 0).astype(np.uint8)
    return np.concatenate([table[notes[:, :3]], notes[:, 3:].clip(0, NOISES).astype(np.uint8)], 1)


def runs(voice: NDArray[np.integer]) -> list[tuple[int, int, int]]:
    """First frame, frame after the last, and class of each note of a voice (frames,).

    >>> runs(np.array([0, 5, 5, 6, 0]))
    [(1, 3, 5), (3, 4, 6)]
    """
    edges = np.flatnonzero(np.diff(voice.astype(np.int64), prepend=-1, append=-1))
    return [(int(a), int(b), int(voice[a])) for a, b in pairwise(edges) if voice[a]]


def _window(size: int | None) -> int:
    frames = FRAMES if size is None else size
    if frames % STRIDE:
        near = max(STRIDE, round(frames / STRIDE) * STRIDE)
        raise MongeError(f"data.size must be a multiple of {STRIDE} frames for scores, got {frames}: choose {near}")
    return frames


def _starts(lengths: list[int], frames: int) -> list[Indices]:
    """Where the windows of each song begin in all songs put together."""
    begins = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    return [begin + np.arange(0, n - frames + 1, frames // 2) for begin, n in zip(begins, lengths, strict=True)]


def _read(path: Path) -> list[Song]:
    if not path.is_file():
        raise MongeError(f"data set 'nesmdb' is not at {path}: set MONGE_DATA to the folder that holds nesmdb/{path.name}")
    try:
        with np.load(path, allow_pickle=False) as content:
            scores, lengths = content["scores"], content["lengths"]
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise MongeError(f"'{path}' is corrupt ({error}): replace it") from error
    if scores.ndim != 3 or scores.shape[1:] != (len(VOICES), 3) or lengths.sum() != len(scores):
        raise MongeError(f"'{path}' holds scores {scores.shape} of {lengths.sum()} frames, not (frames, 4, 3)")
    return np.split(to_classes(scores[:, :, 0]), np.cumsum(lengths)[:-1])
