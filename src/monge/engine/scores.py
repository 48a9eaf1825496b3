"""Measuring a method on scores: how much comes back, and how far from music its samples and interpolations are."""

from __future__ import annotations

from math import isfinite
from typing import TypeGuard

import torch
from torch import Tensor

from monge import metrics
from monge.data import FiniteSource, Source, most_likely, one_hot
from monge.methods.protocols import Autoencoding, Method

from .codes import decoded, encoded
from .dances import holds_dances, poses
from .maps import drawn
from .recipe import EvalConfig

_MOST = 1000  # windows of each kind


def holds_scores(source: Source) -> TypeGuard[FiniteSource]:
    """Whether samples are scores and not pictures.

    >>> from monge.data import load
    >>> holds_scores(load("digits"))
    False
    """
    return isinstance(source, FiniteSource) and source.rate is not None


@torch.no_grad()
def score_figures(method: Method, source: Source, config: EvalConfig) -> dict[str, float]:
    """Figures of `monge.metrics.scores` for data that are scores; nothing for other data.

    ``score_FIGURE_KIND`` is the distance of a kind of scores to held-out windows. The kinds are ``sample``, and ``floor``: other
    held-out windows A. For a method with an autoencoder also those between pairs of held-out windows (A, B): ``midpoint``,
    decoded from (z_A + z_B)/2, ``transported``, decoded from a point as far from the mean of the codes as codes are,
    m + ((z_A + z_B)/2 − m)·√2, and the cross-fades of the two rolls, ``crossfade`` (a coin for each cell) and
    ``crossfade_latest`` (the note struck last). ``note_accuracy`` and ``note_accuracy_sounding`` are of held-out
    reconstructions.
    """
    if not holds_scores(source) or source.rate is None:
        return {}
    n = min(_MOST, config.samples)
    held_out = most_likely(source.held_out(3 * n, config.seed))
    third = len(held_out) // 3
    if not third:
        return {}
    truth, a, b = held_out.split(third)[:3]
    kinds = {"floor": a, "sample": most_likely(drawn(method, source, third, config.seed))}
    found = {}
    if isinstance(method, Autoencoding):
        rebuilt = most_likely(decoded(method.autoencoder, encoded(method.autoencoder, _samples(truth))))
        found["note_accuracy"], found["note_accuracy_sounding"] = metrics.note_accuracy(rebuilt, truth)
        kinds |= _between(method, a, b, config.seed)
    for kind, scores in kinds.items():
        for name, value in metrics.score_distances(scores, truth, source.rate).items():
            found |= {f"score_{name}_{kind}": value} if isfinite(value) else {}
    return found


def pictures(samples: Tensor, source: Source) -> Tensor:
    """Scores (n, 4, 89, frames) as pictures (n, 1, 88, frames) in ±1, high pitches above; dances as poses; others as they are.

    >>> from monge.data import load
    >>> pictures(torch.zeros(2, 1, 8, 8), load("digits")).shape
    torch.Size([2, 1, 8, 8])
    """
    if holds_dances(source):
        return poses(samples)
    if not holds_scores(source):
        return samples
    rolls = one_hot(most_likely(samples).movedim(1, 2))[:, :, 1:]
    return 2 * rolls.amax(1, keepdim=True).flip(2) - 1


def _between(method: Autoencoding, a: Tensor, b: Tensor, seed: int) -> dict[str, Tensor]:
    ends = [encoded(method.autoencoder, _samples(end)) for end in (a, b)]
    mean = method.autoencoder.mean.float().cpu()
    middle = (ends[0] + ends[1]) / 2
    return {
        "midpoint": most_likely(decoded(method.autoencoder, middle)),
        "transported": most_likely(decoded(method.autoencoder, mean + (middle - mean) * 2**0.5)),
        "crossfade": metrics.coin_fade(a, b, seed),
        "crossfade_latest": metrics.latest_fade(a, b, seed),
    }


def _samples(scores: Tensor) -> Tensor:
    return one_hot(scores.movedim(1, 2))
