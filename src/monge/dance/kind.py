"""Dances as a kind of samples: how they are shown, as rows of poses, and how they are measured."""

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


def _frechet(kind: str) -> Metric:
    title, floor = f"Fréchet {kind}", (("floor", "its floor", 2),)
    return Metric(f"dance_frechet_{kind}", title, 2, "low", table=title, beside=floor)


def _diversity(kind: str) -> Metric:
    return Metric(f"dance_diversity_{kind}", f"diversity, {kind}", 2, brief=False)


FRECHET = {kind: _frechet(kind) for kind in KINDS}
DIVERSITY = {kind: _diversity(kind) for kind in KINDS}
_REAL = (("real", "real dances'", 3),)
BEATS = Metric(
    "dance_beat_alignment", "beat alignment", 3, "high", table="beat alignment", beside=_REAL
)
BONES = Metric("dance_bone_length_error", "error of bone lengths", None, "low", brief=False)
JERK = Metric("dance_jerk", "jerk, m/s³", 1, brief=False)
SKATING = Metric("dance_skating", "skating, m/s", 3, "low", brief=False)
CORRELATION = Metric("dance_music_correlation", "music correlation", 3, table="music correlation")


@dataclass(frozen=True)
class DanceKind:
    """Dances (n, T, 70), encoded by `monge.dance.motion.encode`, at ``rate`` frames per second."""

    rate: float

    @property
    def evaluators(self) -> tuple[Evaluator, ...]:
        return (dance_of(self.rate),)

    def show(self, samples: Tensor, reference: Tensor, inputs: Tensor | None = None) -> bytes:
        """Draw rows of poses; with the music, draw the beats too, and a real dance first."""
        if inputs is None:
            return strips(positions(samples), self.rate)
        beats = [window_beats(window) for window in inputs[: _ROWS - 1]]
        dances = positions(torch.cat([reference[:1], samples[: _ROWS - 1]]))
        return strips(dances, self.rate, [beats[0], *beats])

    def as_points(self, samples: Tensor) -> Tensor:
        return samples.flatten(1)


def dance_of(rate: float) -> Evaluator:
    """Return the evaluator of dances to held-out music at ``rate`` frames per second."""

    @evaluator(*FRECHET.values(), BEATS, CORRELATION, *DIVERSITY.values(), BONES, JERK, SKATING)
    def dance(subject: Subject) -> Measures:
        """Metrics of `monge.dance.metrics`.

        "real" is the metric of the real dances to the same music, "shuffled" that of the generated
        dances with the music of other windows.
        """
        data, config = subject.data, subject.config
        if not isinstance(subject.method, Map):
            return {}
        if not isinstance(data, SourceTarget) or not data.examples:
            return {}
        music, real = data.examples(min(_MOST, config.samples), config.seed)
        generated, real = positions(apply_map(subject.method, music, config.seed)), positions(real)
        train = positions(data.train(len(generated), config.seed))
        if min(len(generated), len(train)) < 2:
            return {}
        measures: Measures = {}
        both = (generated, real)
        for kind in KINDS:
            measures[FRECHET[kind]] = frechet_dance(
                generated, real, train, kind=kind, skeleton=MELODY, rate=rate
            )
            ours, theirs = (
                diversity(x, train, kind=kind, skeleton=MELODY, rate=rate) for x in both
            )
            measures[DIVERSITY[kind]] = Measured(ours, beside={"real": theirs})
        beats = [window_beats(window) for window in music]
        shuffled = _alignment(generated, [*beats[1:], *beats[:1]], rate)
        beside = {"shuffled": shuffled, "real": _alignment(real, beats, rate)}
        measures[BEATS] = Measured(_alignment(generated, beats, rate), beside=beside)
        measures[BONES] = Measured(bone_length_error(generated, MELODY).max().item())
        for metric, (ours, theirs) in {
            JERK: [jerk(x, rate).mean().item() for x in both],
            SKATING: [skating(x, MELODY, rate).mean().item() for x in both],
            CORRELATION: [_correlation(music, x) for x in both],
        }.items():
            measures[metric] = Measured(ours, beside={"real": theirs})
        return measures

    return dance


def window_beats(window: Tensor) -> Tensor:
    """Return the beats of a window of music with its context (T + 96, 80), in frames of the dance.

    Beats in the context lie before the first or after the last frame of the dance.
    """
    return audio.beats_of(window) - CONTEXT


def strips(dances: Tensor, rate: float, beats: Sequence[Tensor] = ()) -> bytes:
    """Draw the first dances of (n, T, J, 3) as rows of a PNG.

    ``beats`` are those of the music of each dance, in frames.
    """
    rows = []
    size = {"poses": _POSES, "width": _WIDTH, "height": _HEIGHT}
    for k, dance in enumerate(dances[:_ROWS]):
        music = beats[k] if k < len(beats) else torch.zeros(0)
        music = music[(music >= 0) & (music < len(dance))]
        own = motion_beats(dance, rate)
        rows.append(dance_strip(dance, MELODY, rate, beats=music, motion_beats=own, **size))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "png")
    return buffer.getvalue()


def positions(features: Tensor) -> Tensor:
    """Return positions (n, T, J, 3), float64, of encoded dances."""
    return decode(features.detach().double().cpu(), MELODY)


def _alignment(dances: Tensor, beats: Sequence[Tensor], rate: float) -> float:
    """Return the mean beat alignment over the windows of music with a beat."""
    scores = [beat_alignment_of(x, music, rate) for x, music in zip(dances, beats, strict=True)]
    scores = [score for score in scores if not isnan(score)]
    return sum(scores) / len(scores) if scores else nan


def _correlation(music: Tensor, dances: Tensor) -> float:
    n = min(_RELATED, len(music) // 2)
    D = audio.music_distance(music[:n], music[n : 2 * n])
    return relation(D, dance_distance(dances[:n], dances[n : 2 * n], MELODY))
