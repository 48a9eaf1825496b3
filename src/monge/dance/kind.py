"""Dances as a kind of sample: rows of poses to look at, and how far from real ones, on the beat or
off, they are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from monge.data import SourceTarget, Subject, apply_map
from monge.methods.protocols import Map
from monge.metrics import Evaluator, Measured, Measures, Metric, evaluator

from . import audio
from .metrics import (
    beat_alignment_of,
    bone_length_error,
    dance_distance,
    diversity,
    frechet_dance,
    jerk,
    motion_beats,
    relation,
    skating,
)
from .motion import MELODY, decode
from .network import CONTEXT
from .plots import dance_strip

_MOST = 512  # windows
_RELATED = 128  # windows on either side of a matrix of distances
_ROWS, _POSES, _WIDTH, _HEIGHT = 4, 8, 140, 240

KINDS: tuple[Literal["kinetic", "geometric"], ...] = ("kinetic", "geometric")
FRECHET = {
    kind: Metric(
        f"dance_frechet_{kind}",
        f"Fréchet {kind}",
        2,
        "low",
        table=f"Fréchet {kind}",
        beside=(("floor", "its floor", 2),),
    )
    for kind in KINDS
}
DIVERSITY = {
    kind: Metric(f"dance_diversity_{kind}", f"diversity, {kind}", 2, brief=False) for kind in KINDS
}
BEATS = Metric(
    "dance_beat_alignment",
    "beat alignment",
    3,
    "high",
    table="beat alignment",
    beside=(("real", "real dances'", 3),),
)
BONES = Metric("dance_bone_length_error", "error of bone lengths", None, "low", brief=False)
JERK = Metric("dance_jerk", "jerk, m/s³", 1, brief=False)
SKATING = Metric("dance_skating", "skating, m/s", 3, "low", brief=False)
CORRELATION = Metric("dance_music_correlation", "music correlation", 3, table="music correlation")


@dataclass(frozen=True)
class DanceKind:
    """Dances (n, T, 70), encoded by `monge.dance.motion.encode`, at ``rate`` frames a second."""

    rate: float

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        return (dance_of(self.rate),)

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        """Rows of poses; with the music, the beats below them, and first a real dance."""
        if inputs is None:
            return strips(positions(samples), self.rate)
        beats = [window_beats(window) for window in inputs[: _ROWS - 1]]
        return strips(
            positions(torch.cat([reference[:1], samples[: _ROWS - 1]])),
            self.rate,
            [beats[0], *beats],
        )

    def as_points(self, samples: Tensor) -> Tensor:
        return samples.flatten(1)


def dance_of(rate: float) -> Evaluator:
    """The evaluator of dances to held-out music at ``rate`` frames a second."""

    @evaluator(*FRECHET.values(), BEATS, CORRELATION, *DIVERSITY.values(), BONES, JERK, SKATING)
    def dance(subject: Subject) -> Measures:
        """Metrics of `monge.dance.metrics`; "real" are of the dances to the same music, "shuffled"
        of other windows' music.
        """
        data, config = subject.data, subject.config
        if not (
            isinstance(subject.method, Map) and isinstance(data, SourceTarget) and data.examples
        ):
            return {}
        music, real = data.examples(min(_MOST, config.samples), config.seed)
        made, real = positions(apply_map(subject.method, music, config.seed)), positions(real)
        learnt = positions(data.train(len(made), config.seed))
        if min(len(made), len(learnt)) < 2:
            return {}
        found: Measures = {}
        for kind in KINDS:
            found[FRECHET[kind]] = frechet_dance(
                made, real, learnt, kind=kind, skeleton=MELODY, rate=rate
            )
            ours, theirs = (
                diversity(x, learnt, kind=kind, skeleton=MELODY, rate=rate) for x in (made, real)
            )
            found[DIVERSITY[kind]] = Measured(ours, beside={"real": theirs})
        beats = [window_beats(window) for window in music]
        shuffled = _alignment(made, [*beats[1:], *beats[:1]], rate)
        found[BEATS] = Measured(
            _alignment(made, beats, rate),
            beside={"shuffled": shuffled, "real": _alignment(real, beats, rate)},
        )
        found[BONES] = Measured(bone_length_error(made, MELODY).max().item())
        both = (made, real)
        for metric, (ours, theirs) in {
            JERK: [jerk(x, rate).mean().item() for x in both],
            SKATING: [skating(x, MELODY, rate).mean().item() for x in both],
            CORRELATION: [_correlation(music, x) for x in both],
        }.items():
            found[metric] = Measured(ours, beside={"real": theirs})
        return found

    return dance


def window_beats(window: Tensor) -> Tensor:
    """Beats of a window of music with its context (T + 96, 80), frames of the dance, those outside
    of it as well.
    """
    return audio.beats_of(window) - CONTEXT


def strips(dances: Tensor, rate: float, beats: Sequence[Tensor] = ()) -> bytes:
    """PNG of dances (n, T, J, 3), the first rows; beats in frames, of each, are the music's."""
    rows = []
    for k, dance in enumerate(dances[:_ROWS]):
        heard = (
            beats[k][(beats[k] >= 0) & (beats[k] < len(dance))]
            if k < len(beats)
            else torch.zeros(0)
        )
        seen = motion_beats(dance, rate)
        rows.append(
            dance_strip(
                dance,
                MELODY,
                rate,
                beats=heard,
                motion_beats=seen,
                poses=_POSES,
                width=_WIDTH,
                height=_HEIGHT,
            )
        )
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "png")
    return buffer.getvalue()


def positions(features: Tensor) -> Tensor:
    """Positions (n, T, J, 3), float64, of encoded dances."""
    return decode(features.detach().double().cpu(), MELODY)


def _alignment(dances: Tensor, beats: Sequence[Tensor], rate: float) -> float:
    """Mean of the beat alignments, windows of music without a beat left out."""
    scores = [beat_alignment_of(x, music, rate) for x, music in zip(dances, beats, strict=True)]
    scores = [score for score in scores if not isnan(score)]
    return sum(scores) / len(scores) if scores else nan


def _correlation(music: Tensor, dances: Tensor) -> float:
    n = min(_RELATED, len(music) // 2)
    D = audio.music_distance(music[:n], music[n : 2 * n])
    return relation(D, dance_distance(dances[:n], dances[n : 2 * n], MELODY))
