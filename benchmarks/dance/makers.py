"""Makers of dances to the held-out songs that need no training.

A maker returns takes: for each held-out song, in order, a dance (T, J, 3) and the music (T, 80) by
which it is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from monge.dance import audio, motion
from monge.dance.data import Dance
from monge.dance.metrics import motion_beats
from monge.dance.motion import MELODY, TRAVEL

RATE = 25.0
WINDOW, STRIDE = 96, 8  # frames: of a window that is retrieved, and from one to the next
SHUFFLED = "-shuffled"
RETIMED = "-retimed"

Take = tuple[list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Songs:
    """Dances to learn from, and those held out."""

    train: Sequence[Dance]
    held: Sequence[Dance]

    @property
    def music(self) -> list[Tensor]:
        return [song.music for song in self.held]

    @property
    def shifts(self) -> range:
        return range(1, len(self.held))


def beats_of(music: Sequence[Tensor]) -> list[Tensor]:
    return [audio.beats_of(song) for song in music]


def roll(rows: Sequence[Any], shift: int) -> list[Any]:
    """Return the row of song k + shift in the place of song k."""
    return [rows[(k + shift) % len(rows)] for k in range(len(rows))]


def real(songs: Songs) -> list[Take]:
    return [([song.positions for song in songs.held], songs.music)]


def real_shuffled(songs: Songs) -> list[Take]:
    dances, music = real(songs)[0]
    return [(dances, roll(music, shift)) for shift in songs.shifts]


def mean_pose(songs: Songs) -> list[Take]:
    """Stand still, with the mean direction of every bone, at the mean height."""
    frame = torch.cat([motion.encode(song.positions, MELODY) for song in songs.train]).mean(0)
    frame[: TRAVEL - 1] = 0
    dances = [motion.decode(frame.expand(len(music), -1), MELODY) for music in songs.music]
    return [(dances, songs.music)]


class Nearest:
    """Retrieval: the windows with the nearest music, of the dances learnt from, in sequence.

    The path on the floor continues from window to window.
    """

    def __init__(self, songs: Songs) -> None:
        starts = [
            (k, s)
            for k, song in enumerate(songs.train)
            for s in range(0, len(song.music) - WINDOW + 1, STRIDE)
        ]
        steps = [motion.encode(song.positions, MELODY) for song in songs.train]
        self.music = torch.stack([songs.train[k].music[s : s + WINDOW] for k, s in starts])
        self.steps = [steps[k][s : s + WINDOW] for k, s in starts]

    def __call__(self, music: Tensor) -> Tensor:
        frames = len(music)
        queries = list(music[: frames // WINDOW * WINDOW].split(WINDOW))
        rest = frames % WINDOW
        if rest:  # the end of the window that ends with the song
            queries.append(music[-WINDOW:])
        nearest = audio.music_distance(torch.stack(queries), self.music).argmin(1).tolist()
        steps = [self.steps[k] for k in nearest]
        if rest:
            steps[-1] = steps[-1][-rest:]
        return motion.decode(torch.cat(steps), MELODY)


def retrieval(songs: Songs) -> list[Take]:
    nearest = Nearest(songs)
    return [([nearest(music) for music in songs.music], songs.music)]


def retrieval_shuffled(songs: Songs) -> list[Take]:
    """Retrieve by another song's music, cut to the length of this one where it is longer."""
    nearest, music = Nearest(songs), songs.music
    takes = []
    for shift in songs.shifts:
        pairs = zip(roll(music, shift), music, strict=True)
        takes.append(([nearest(other[: len(own)]) for other, own in pairs], music))
    return takes


def retime(takes: list[Take]) -> list[Take]:
    """Move the beats of dances onto those of the music."""

    def warp(dance: Tensor, beats: Tensor) -> Tensor:
        return motion.beat_warp(dance, motion_beats(dance, RATE), beats, MELODY)

    return [(list(map(warp, dances, beats_of(music))), music) for dances, music in takes]


UNTRAINED: dict[str, Callable[[Songs], list[Take]]] = {
    "real": real,
    "real" + SHUFFLED: real_shuffled,
    "retrieval": retrieval,
    "retrieval" + SHUFFLED: retrieval_shuffled,
    "mean": mean_pose,
    "real" + RETIMED: lambda songs: retime(real(songs)),
    "retrieval" + RETIMED: lambda songs: retime(retrieval(songs)),
}
