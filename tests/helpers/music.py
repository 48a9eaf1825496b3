"""Songs of four voices for tests of music."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def melody(key: int, frames: int = 16, seed: int = 0) -> np.ndarray:
    """Return notes of a major chord, two or four frames long, over a bass and a beat."""
    random = np.random.default_rng(seed)
    lengths = random.choice([2, 4], frames)
    chord = key + np.array([0, 4, 7, 12])
    voices = [np.repeat(random.choice(chord, frames), lengths)[:frames] for _ in range(2)]
    bass, beat = np.full(frames, key - 12), np.where(np.arange(frames) % 4 == 0, 3, 0)
    return np.stack([*voices, bass, beat], 1).astype(np.uint8)


def song(frames: int, first: int = 30, seed: int = 0) -> np.ndarray:
    """Return random notes of random lengths in four voices, with rests."""
    random = np.random.default_rng(seed)
    voices = []
    for lowest, highest in ((first, first + 30), (first, first + 30), (first - 20, first), (1, 16)):
        notes = random.integers(lowest, highest + 1, frames) * (random.random(frames) < 0.8)
        voices.append(np.repeat(notes, random.integers(1, 9, frames))[:frames])
    classes = np.stack(voices, 1).astype(np.uint8)
    classes[-1] = (first, first, first - 1, 5)
    return classes


def piano_rolls(*songs: np.ndarray) -> Tensor:
    """Return the piano rolls (n, 4, frames) of songs of equal length."""
    return torch.from_numpy(np.stack(songs)).movedim(2, 1)
