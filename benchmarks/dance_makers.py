"""What makes dances to the held-out songs, learnt or not, and what is measured beside
`monge.dance.metrics.measure_dances`.

A maker gives takes: for each held-out song, in order, a dance (T, J, 3) and the music (T, 80) it is
judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from monge.dance import audio, motion
from monge.dance.data import CONTEXT, Dance, context
from monge.dance.metrics import (
    beat_alignment,
    measure_dances,
    motion_beats,
    multi_modality,
    windows,
)
from monge.dance.metrics.music import relation
from monge.dance.motion import MELODY, TRAVEL

RATE = 25.0
WINDOW, STRIDE = 96, 8  # frames: what is retrieved, and from one candidate to the next
FRAMES = 100  # of the windows whose features are compared
MODES = 8  # dances to a song
CUT = "-shuffled"
WARPED = "-retimed"

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


def rolled(rows: Sequence[Any], shift: int) -> list[Any]:
    """What belongs to song k + shift, in the place of song k."""
    return [rows[(k + shift) % len(rows)] for k in range(len(rows))]


def real(songs: Songs) -> list[Take]:
    return [([song.positions for song in songs.held], songs.music)]


def real_shuffled(songs: Songs) -> list[Take]:
    dances, music = real(songs)[0]
    return [(dances, rolled(music, shift)) for shift in songs.shifts]


def mean_pose(songs: Songs) -> list[Take]:
    """The mean direction of every bone at the mean height, standing still."""
    frame = torch.cat([motion.encode(song.positions, MELODY) for song in songs.train]).mean(0)
    frame[: TRAVEL - 1] = 0
    return [
        (
            [motion.decode(frame.expand(len(music), -1), MELODY) for music in songs.music],
            songs.music,
        )
    ]


class Nearest:
    """Windows of the dances learnt from whose music is nearest, one after the other; the path goes
    on where it was.
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
        found = [
            self.steps[k]
            for k in audio.music_distance(torch.stack(queries), self.music).argmin(1).tolist()
        ]
        if rest:
            found[-1] = found[-1][-rest:]
        return motion.decode(torch.cat(found), MELODY)


def retrieval(songs: Songs) -> list[Take]:
    nearest = Nearest(songs)
    return [([nearest(music) for music in songs.music], songs.music)]


def retrieval_shuffled(songs: Songs) -> list[Take]:
    """Dances to another song's music, which is cut to the length of this one where it is longer."""
    nearest, music = Nearest(songs), songs.music
    return [
        (
            [
                nearest(other[: len(own)])
                for other, own in zip(rolled(music, shift), music, strict=True)
            ],
            music,
        )
        for shift in songs.shifts
    ]


def retimed(takes: list[Take]) -> list[Take]:
    """The same dances with their beats moved onto those of the music."""
    return [
        (
            [
                motion.beat_warp(d, motion_beats(d, RATE), b, MELODY)
                for d, b in zip(dances, beats_of(music), strict=True)
            ],
            music,
        )
        for dances, music in takes
    ]


UNTRAINED: dict[str, Callable[[Songs], list[Take]]] = {
    "real": real,
    "real" + CUT: real_shuffled,
    "retrieval": retrieval,
    "retrieval" + CUT: retrieval_shuffled,
    "mean": mean_pose,
    "real" + WARPED: lambda songs: retimed(real(songs)),
    "retrieval" + WARPED: lambda songs: retimed(retrieval(songs)),
}


def measured(name: str, takes: list[Take], songs: Songs) -> dict[str, Any]:
    """The figures of each take, their means, and what the dances gain from their own music."""
    held, train = ([song.positions for song in part] for part in (songs.held, songs.train))
    rows = []
    for dances, music in takes:
        row = measure_dances(dances, held, train, beats_of(music), MELODY, RATE, frames=FRAMES)
        rows.append(row | correlations(dances, music))
    found: dict[str, Any] = {"takes": rows, "summary": summary(rows)}
    return found if name.endswith(CUT) else found | {"beats": keeping(takes)}


def summary(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and standard error of what all rows have."""
    found = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        sd = stdev(values) if len(values) > 1 else 0.0
        found[name] = {"mean": mean(values), "sd": sd, "se": sd / sqrt(len(values))}
    return found


def keeping(takes: Sequence[Take]) -> dict[str, Any]:
    """Beat alignment of each dance with its own music, minus the mean with the beats of the other
    songs.

    Two standard errors: ``se`` counts every dance, ``se_songs`` every song once, which is right
    where takes of a song are alike.
    """
    own: list[list[float]] = []
    other: list[list[float]] = []
    for dances, music in takes:
        beats = beats_of(music)
        found = [motion_beats(dance, RATE) for dance in dances]
        score = [
            [aligned(b, mine, len(dance)) for b in beats]
            for mine, dance in zip(found, dances, strict=True)
        ]
        own.append([row[k] for k, row in enumerate(score)])
        other.append([mean(row[:k] + row[k + 1 :]) for k, row in enumerate(score)])
    excess = [[a - b for a, b in zip(x, y, strict=True)] for x, y in zip(own, other, strict=True)]
    each = [value for row in excess for value in row]
    songs = [mean(row[k] for row in excess) for k in range(len(excess[0]))]
    return {
        "own": mean(map(mean, own)),
        "other": mean(map(mean, other)),
        "excess": mean(each),
        "se": stdev(each) / sqrt(len(each)),
        "se_songs": stdev(songs) / sqrt(len(songs)),
        "by_song": {"own": own, "other": other},
    }


def beats_of(music: Sequence[Tensor]) -> list[Tensor]:
    return [audio.beats_of(song) for song in music]


def aligned(music: Tensor, mine: Tensor, frames: int) -> float:
    return beat_alignment(music[music <= frames - 1], mine)


def correlations(dances: Sequence[Tensor], music: Sequence[Tensor]) -> dict[str, float]:
    """Pearson's correlation between the distances of windows of music and of dance, over all pairs
    and over those of two songs.

    Windows follow each other, with the context in which a generator hears them; the distance of
    dances is the root mean square angle of bones, seen by the body, so that it does not matter
    which way it looks. A dance that never moves has no correlation and gets none.
    """
    heard, poses, song = [], [], []
    for k, (dance, sound) in enumerate(zip(dances, music, strict=True)):
        steps, around = motion.encode(dance, MELODY), context(sound)
        for start in range(0, min(len(dance), len(sound)) - WINDOW + 1, WINDOW):
            heard.append(around[start : start + WINDOW + 2 * CONTEXT])
            poses.append(steps[start : start + WINDOW, TRAVEL:].reshape(-1, 3))
            song.append(k)
    D = audio.music_distance(torch.stack(heard), torch.stack(heard)).double()
    C = motion.squared_angles(torch.stack(poses), torch.stack(poses)).clamp_min(0).sqrt().double()
    i, j = torch.triu_indices(len(song), len(song), 1)
    apart = torch.tensor(song)[i] != torch.tensor(song)[j]
    if C[i, j].std() < 1e-6:
        return {}
    return {
        "correlation": relation(D[i, j], C[i, j]),
        "correlation_songs": relation(D[i, j][apart], C[i, j][apart]),
    }


def learnt_relation(method: Any, songs: Songs) -> dict[str, float]:
    """The same correlation in the distance that a method was trained with, which also counts
    movement; and that of real dances.

    Each window is danced by itself, with a style of its own, as in training.
    """
    heard, real = [], []
    for song in songs.held:
        steps, around = motion.encode(song.positions, song.skeleton), context(song.music)
        starts = range(0, len(steps) - WINDOW + 1, WINDOW)
        heard += [around[start : start + WINDOW + 2 * CONTEXT] for start in starts]
        real += [steps[start : start + WINDOW] for start in starts]
    music = torch.stack(heard)
    D = audio.music_distance(music, music).double()
    i, j = torch.triu_indices(len(music), len(music), 1)
    found = {}
    for name, dances in (("made", method.transform(music)), ("real", torch.stack(real))):
        found[f"learnt_relation_{name}"] = relation(
            D[i, j], method.cost(dances, dances).double()[i, j]
        )
    return found


def modes(dance: Callable[[Tensor, int], Tensor], songs: Songs) -> dict[str, float]:
    """Multi-modality: how far dances to the same passage are from each other, over the passages of
    all songs.
    """
    made = [
        torch.stack([windows(dance(music, seed).double(), FRAMES) for seed in range(MODES)])
        for music in songs.music
    ]
    passages = torch.cat(made, 1).transpose(0, 1)  # (passages, dances, frames, joints, 3)
    learnt = torch.cat([windows(song.positions.double(), FRAMES) for song in songs.train])
    return {
        f"multi_modality_{kind}": multi_modality(
            passages, learnt, kind=kind, skeleton=MELODY, rate=RATE
        )
        for kind in ("kinetic", "geometric")
    }
