"""Piano rolls: songs of four voices as classes over frames, and windows of them as tensors.

============  ==========================================================
voice         class 0 is silence; class k ≥ 1 is
============  ==========================================================
0, 1: P1, P2  pitch k + 20 of the pulse waves, a MIDI number 21…108
2: TR         pitch k + 20 of the triangle wave
3: NO         noise of type k, 1…16, from rumble to hiss
============  ==========================================================

A *song* is an array (frames, 4) of these classes, uint8, at ``rate`` frames per second, 24 in the
NES Music Database. A *sample* is a window of a song as a one-hot tensor (4, 89, frames). Pitches
outside the keys of a piano are shifted by octaves into their range.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VOICES = ("P1", "P2", "TR", "NO")
CLASSES = 89
LOWEST, HIGHEST = 21, 108  # MIDI pitches of the classes 1 and 88
NOISES = 16
RATE = 24.0

Song = NDArray[np.uint8]


def one_hot(piano_rolls: Tensor) -> Tensor:
    """Convert classes (n, frames, 4) to samples (n, 4, 89, frames).

    >>> piano_rolls = torch.tensor([[[40, 0, 30, 3], [40, 0, 30, 0]]])
    >>> samples = one_hot(piano_rolls)
    >>> samples.shape, torch.equal(samples.argmax(2).movedim(1, 2), piano_rolls)
    (torch.Size([1, 4, 89, 2]), True)
    """
    at = piano_rolls.movedim(2, 1).long().unsqueeze(2)  # (n, 4, 1, frames)
    return torch.zeros(*at.shape[:2], CLASSES, at.shape[3]).scatter_(2, at, 1.0)


def to_song(sample: Tensor) -> Song:
    """Convert one sample (4, 89, frames) to the song (frames, 4) of its most likely classes.

    Only the classes 0 to 16 of the noise voice are compared.

    >>> to_song(one_hot(torch.tensor([[[40, 0, 30, 3]]]))[0]).tolist()
    [[40, 0, 30, 3]]
    """
    return most_likely(sample[None])[0].T.contiguous().numpy()


def most_likely(samples: Tensor) -> Tensor:
    """Return the most likely classes (n, 4, frames), uint8, of probabilities (n, 4, 89, frames).

    >>> most_likely(torch.rand(2, 4, 89, 8)).shape
    torch.Size([2, 4, 8])
    """
    pitched, noise = samples[:, :3].argmax(2), samples[:, 3:, : NOISES + 1].argmax(2)
    return torch.cat([pitched, noise], 1).byte().cpu()


def to_classes(notes: NDArray[np.integer]) -> Song:
    """Convert MIDI pitches and noise types (frames, 4), 0 for silence, to classes (frames, 4).

    Pitches outside the keys are shifted by octaves.

    >>> to_classes(np.array([[69, 110, 12, 3]])).tolist()
    [[49, 78, 4, 3]]
    """
    pitch = np.arange(256)
    pitch = np.where(pitch > HIGHEST, HIGHEST - 11 + (pitch - HIGHEST - 1) % 12, pitch)
    pitch = np.where((pitch < LOWEST) & (pitch > 0), LOWEST + (pitch - LOWEST) % 12, pitch)
    table = np.where(pitch > 0, pitch - LOWEST + 1, 0).astype(np.uint8)
    return np.concatenate([table[notes[:, :3]], notes[:, 3:].clip(0, NOISES).astype(np.uint8)], 1)


def runs(voice: NDArray[np.integer]) -> list[tuple[int, int, int]]:
    """Return first frame, frame after the last, and class of each note of a voice (frames,).

    >>> runs(np.array([0, 5, 5, 6, 0]))
    [(1, 3, 5), (3, 4, 6)]
    """
    edges = np.flatnonzero(np.diff(voice.astype(np.int64), prepend=-1, append=-1))
    return [(int(a), int(b), int(voice[a])) for a, b in pairwise(edges) if voice[a]]
