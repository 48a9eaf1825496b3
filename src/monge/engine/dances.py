"""Measuring and picturing a method on dances: how far from real ones, on the beat or off, and whether they follow their music."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import isnan, nan
from typing import TypeGuard

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from monge import audio, metrics, viz
from monge.data import FiniteSource, Pair, Source, generator
from monge.data.dance import CONTEXT
from monge.methods.protocols import ConditionalMap, Method
from monge.metrics.dance import Kind
from monge.metrics.dance_music import dance_distance, relation
from monge.motion import MELODY, channels, decode

from .maps import moved
from .recipe import EvalConfig

_KINDS: tuple[Kind, ...] = ("kinetic", "geometric")
_MOST = 512  # windows
_RELATED = 128  # windows on either side of a matrix of distances
_CHOICE = 7  # stream of randomness
_ROWS, _POSES, _WIDTH, _HEIGHT = 4, 8, 140, 240
_SHOWN = 96  # pixels of a picture of one pose


def holds_dances(source: Source) -> TypeGuard[Pair]:
    """Whether a pair is of music and of the dances to it, whose held-out windows follow each other in one order.

    >>> from monge.data import load
    >>> holds_dances(load("8gaussians"))
    False
    """
    if not isinstance(source, Pair) or len(source.shape) != 2 or len(source.origin.shape) != 2:
        return False
    return source.shape[1] == channels(MELODY) and source.origin.shape[1] == audio.MUSIC


@torch.no_grad()
def dance_figures(method: Method, source: Source, config: EvalConfig) -> dict[str, float]:
    """Figures of `monge.metrics.dance` for windows of dance to held-out music; nothing for other data.

    ``dance_frechet_KIND`` with its ``…_floor`` and ``dance_diversity_KIND``, for KIND kinetic and geometric; beside the figure of
    the dances to that music, ``…_real``, also ``dance_diversity_KIND``, ``dance_beat_alignment`` (``…_shuffled`` is that with
    other windows' music), ``dance_jerk`` (m/s³), ``dance_skating`` (m/s) and ``dance_music_correlation`` (see
    `monge.metrics.dance_music`); ``dance_bone_length_error``, the largest.
    """
    if not holds_dances(source) or not isinstance(method, ConditionalMap):
        return {}
    rate = _rate(source)
    music, real = pieces(source, min(_MOST, config.samples), config.seed)
    made = _positions(moved(method, music, config.seed))
    learnt = _positions(source.train(len(made), config.seed))
    if min(len(made), len(learnt)) < 2:
        return {}
    found: dict[str, float] = {}
    for kind in _KINDS:
        distance = metrics.frechet_dance(made, real, learnt, kind=kind, skeleton=MELODY, rate=rate)
        found[f"dance_frechet_{kind}"], found[f"dance_frechet_{kind}_floor"] = distance.value, distance.floor
        found[f"dance_diversity_{kind}"], found[f"dance_diversity_{kind}_real"] = (
            metrics.diversity(x, learnt, kind=kind, skeleton=MELODY, rate=rate) for x in (made, real)
        )
    beats = [beats_of(window) for window in music]
    found["dance_beat_alignment"] = _alignment(made, beats, rate)
    found["dance_beat_alignment_shuffled"] = _alignment(made, [*beats[1:], *beats[:1]], rate)
    found["dance_bone_length_error"] = metrics.bone_length_error(made, MELODY).max().item()
    found["dance_jerk"] = metrics.jerk(made, rate).mean().item()
    found["dance_skating"] = metrics.skating(made, MELODY, rate).mean().item()
    found["dance_music_correlation"] = _correlation(music, made)
    return found | {
        "dance_beat_alignment_real": _alignment(real, beats, rate),
        "dance_jerk_real": metrics.jerk(real, rate).mean().item(),
        "dance_skating_real": metrics.skating(real, MELODY, rate).mean().item(),
        "dance_music_correlation_real": _correlation(music, real),
    }


def pieces(source: Pair, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Held-out windows of music (≤ n, T + 96, 80) and the real dances (≤ n, T, J, 3) to them."""
    origin, target = source.origin, source.target
    assert isinstance(origin, FiniteSource)
    assert isinstance(target, FiniteSource)
    count = len(origin.held_out_indices)
    at = torch.randperm(count, generator=generator(seed, _CHOICE))[:n].numpy()
    return origin.fetch(origin.held_out_indices[at]), _positions(target.fetch(target.held_out_indices[at]))


def beats_of(window: Tensor) -> Tensor:
    """Beats of a window of music with its context (T + 96, 80), frames of the dance, those outside of it as well."""
    return audio.beats_of(window) - CONTEXT


@torch.no_grad()
def danced(method: Method, source: Pair) -> bytes:
    """PNG of dances to held-out music, a row of poses each above the beats; the first one is real, and to the second's music."""
    music, real = pieces(source, _ROWS - 1, 0)
    made = _positions(moved(method, music, 0))
    beats = [beats_of(window) for window in music]
    return strips(torch.cat([real[:1], made]), _rate(source), [beats[0], *beats])


def strips(positions: Tensor, rate: float, beats: Sequence[Tensor] = ()) -> bytes:
    """PNG of dances (n, T, J, 3), the first rows; beats in frames, of each, are the music's."""
    rows = []
    for k, dance in enumerate(positions[:_ROWS]):
        heard = beats[k][(beats[k] >= 0) & (beats[k] < len(dance))] if k < len(beats) else torch.zeros(0)
        seen = metrics.motion_beats(dance, rate)
        rows.append(
            viz.dance_strip(dance, MELODY, rate, beats=heard, motion_beats=seen, poses=_POSES, width=_WIDTH, height=_HEIGHT)
        )
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "png")
    return buffer.getvalue()


def picture_of_dances(samples: Tensor, source: Pair) -> bytes:
    """PNG of encoded dances (n, T, 70)."""
    return strips(_positions(samples), _rate(source))


def poses(samples: Tensor) -> Tensor:
    """Encoded dances (n, T, 70) as pictures (n, 3, 96, 96) in [−1, 1], of the pose half-way."""
    middle = _positions(samples)[:, samples.shape[1] // 2]
    pictures = np.stack([viz.dance_frame(pose, MELODY, width=_SHOWN, height=_SHOWN) for pose in middle])
    return torch.from_numpy(pictures).movedim(3, 1).float() / 127.5 - 1


def _rate(source: Pair) -> float:
    return (source.target.rate if isinstance(source.target, FiniteSource) else None) or 1.0


def _positions(features: Tensor) -> Tensor:
    return decode(features.detach().double().cpu(), MELODY)


def _alignment(dances: Tensor, beats: Sequence[Tensor], rate: float) -> float:
    """Mean of the beat alignments, windows of music without a beat left out."""
    scores = [metrics.beat_alignment_of(x, music, rate) for x, music in zip(dances, beats, strict=True)]
    scores = [score for score in scores if not isnan(score)]
    return sum(scores) / len(scores) if scores else nan


def _correlation(music: Tensor, dances: Tensor) -> float:
    n = min(_RELATED, len(music) // 2)
    D = audio.music_distance(music[:n], music[n : 2 * n])
    return relation(D, dance_distance(dances[:n], dances[n : 2 * n], MELODY))
