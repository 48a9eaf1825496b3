"""Synthetic dances in the format of dance_melody, for tests without the data set."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from monge.dance.motion import MELODY, rest


def write_dances(folder: Path, songs: int = 5, frames: int = 40, names: str = "C_{}") -> Path:
    """Write files of bodies that sway to a regular beat, in centimeters.

    Each song has another tempo and another chord.
    """
    folder.mkdir(parents=True, exist_ok=True)
    time = np.arange(frames)
    for k in range(songs):
        random = np.random.default_rng(k)
        beat = np.cos(2 * math.pi * time / (8 + k))
        pose = 100 * np.tile(rest(MELODY).numpy(), (frames, 1, 1))
        pose = pose + 15 * beat[:, None, None] * random.normal(size=(1, 23, 3))
        center = 100 * np.stack([0.1 * beat, 0 * beat, 0.02 * time], 1)
        mel = beat[:, None] * random.normal(size=(1, 64))
        np.savez(
            folder / f"DANCE_{names.format(k)}.npz",
            pose=pose - pose[:, MELODY.root, None],
            center=center + pose[:, MELODY.root],
            mel=mel + 0.1 * random.normal(size=(frames, 64)),
            chroma=np.tile(random.uniform(size=(1, 12)), (frames, 1)),
            onset=np.maximum(beat, 0) + 0.05 * random.uniform(size=frames),
            fps=25,
        )
    return folder
