"""What is measured of takes beside `monge.dance.metrics.measure_dances`."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.common.results import mean_and_deviation
from benchmarks.dance.makers import RATE, SHUFFLED, WINDOW, Songs, Take, beats_of
from monge.dance import audio, motion
from monge.dance.dancer import Dancer
from monge.dance.data import CONTEXT, context
from monge.dance.metrics import (
    beat_alignment,
    measure_dances,
    motion_beats,
    multi_modality,
    windows,
)
from monge.dance.metrics.music import relation
from monge.dance.motion import MELODY, TRAVEL

FRAMES = 100  # of the windows of which features are compared
DANCES = 8  # to a song, for the multi-modality


def measure_takes(name: str, takes: list[Take], songs: Songs) -> dict[str, Any]:
    """Return the metrics of each take, their means, and what dances gain from their own music."""
    held, train = ([song.positions for song in part] for part in (songs.held, songs.train))
    rows = []
    for dances, music in takes:
        row = measure_dances(dances, held, train, beats_of(music), MELODY, RATE, frames=FRAMES)
        rows.append(row | correlations(dances, music))
    result: dict[str, Any] = {"takes": rows, "summary": summarize(rows)}
    return result if name.endswith(SHUFFLED) else result | {"beats": measure_beats(takes)}


def summarize(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation and standard error of what all rows have."""
    summary = {}
    for name in rows[0]:
        values = mean_and_deviation([row[name] for row in rows])
        summary[name] = values | {"se": values["sd"] / sqrt(len(rows))}
    return summary


def measure_beats(takes: Sequence[Take]) -> dict[str, Any]:
    """Return beat alignment with a dance's own music, minus the mean over the other songs' music.

    There are two standard errors: ``se`` counts every dance, ``se_songs`` every song once, which is
    right where takes of a song are alike.
    """
    own: list[list[float]] = []
    other: list[list[float]] = []
    for dances, music in takes:
        beats = beats_of(music)
        scores = [[align(b, motion_beats(d, RATE), len(d)) for b in beats] for d in dances]
        own.append([row[k] for k, row in enumerate(scores)])
        other.append([mean(row[:k] + row[k + 1 :]) for k, row in enumerate(scores)])
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


def align(music: Tensor, dance: Tensor, frames: int) -> float:
    """Return the alignment of beats of a dance with those of the music while it lasts."""
    return beat_alignment(music[music <= frames - 1], dance)


def correlations(dances: Sequence[Tensor], music: Sequence[Tensor]) -> dict[str, float]:
    """Return Pearson's correlation between the distances of windows of music and of dance.

    It is taken over all pairs of windows, and over those of two songs. Windows follow each other,
    with the context that a generator gets. The distance of dances is the root mean square angle of
    bones relative to the body, so that its heading does not matter. A dance that never moves has
    no correlation.
    """
    sounds, poses, song = [], [], []
    for k, (dance, sound) in enumerate(zip(dances, music, strict=True)):
        steps, around = motion.encode(dance, MELODY), context(sound)
        for start in range(0, min(len(dance), len(sound)) - WINDOW + 1, WINDOW):
            sounds.append(around[start : start + WINDOW + 2 * CONTEXT])
            poses.append(steps[start : start + WINDOW, TRAVEL:].reshape(-1, 3))
            song.append(k)
    D = audio.music_distance(torch.stack(sounds), torch.stack(sounds)).double()
    C = motion.squared_angles(torch.stack(poses), torch.stack(poses)).clamp_min(0).sqrt().double()
    i, j = torch.triu_indices(len(song), len(song), 1)
    apart = torch.tensor(song)[i] != torch.tensor(song)[j]
    if C[i, j].std() < 1e-6:
        return {}
    return {
        "correlation": relation(D[i, j], C[i, j]),
        "correlation_songs": relation(D[i, j][apart], C[i, j][apart]),
    }


def learned_relation(method: Any, songs: Songs) -> dict[str, float]:
    """Return the same correlation in the distance of the training, and that of real dances.

    That distance also counts movement. Each window is danced by itself, with a style of its own, as
    in training.
    """
    sounds, real = [], []
    for song in songs.held:
        steps, around = motion.encode(song.positions, song.skeleton), context(song.music)
        starts = range(0, len(steps) - WINDOW + 1, WINDOW)
        sounds += [around[start : start + WINDOW + 2 * CONTEXT] for start in starts]
        real += [steps[start : start + WINDOW] for start in starts]
    music = torch.stack(sounds)
    D = audio.music_distance(music, music).double()
    i, j = torch.triu_indices(len(music), len(music), 1)
    relations = {}
    for name, dances in (("made", method.transform(music)), ("real", torch.stack(real))):
        C = method.cost(dances, dances).double()
        relations[f"learnt_relation_{name}"] = relation(D[i, j], C[i, j])
    return relations


def measure_modes(dancer: Dancer, songs: Songs) -> dict[str, float]:
    """Return multi-modality: how far dances to the same passage are from each other."""
    dances = [
        torch.stack([windows(dancer.dance(music, seed=k).double(), FRAMES) for k in range(DANCES)])
        for music in songs.music
    ]
    passages = torch.cat(dances, 1).transpose(0, 1)  # (passages, dances, frames, joints, 3)
    train = torch.cat([windows(song.positions.double(), FRAMES) for song in songs.train])

    kinds: tuple[Literal["kinetic", "geometric"], ...] = ("kinetic", "geometric")
    return {
        f"multi_modality_{kind}": multi_modality(
            passages, train, kind=kind, skeleton=MELODY, rate=RATE
        )
        for kind in kinds
    }
