"""Measuring a method on pictures of lines, where every real picture is known."""

from __future__ import annotations

import torch
from torch import Tensor

from monge import metrics
from monge.data import LINES, EndlessSource, Source
from monge.methods.protocols import Autoencoding, Method
from monge.nets import Autoencoder

from .recipe import EvalConfig

_WAYS, _STEPS = 256, 16  # as many as in the reference implementation


@torch.no_grad()
def line_figures(method: Method, source: Source, config: EvalConfig) -> dict[str, float]:
    """ACAI's mean distance and smoothness of interpolations, linear in code space, between held-out lines; empty for other data.

    >>> from monge.data import load
    >>> from monge.methods.acai import TINY, build
    >>> method = build(TINY, (1, 32, 32))
    >>> sorted(line_figures(method, load("lines32"), EvalConfig()))
    ['lines_mean_distance', 'lines_smoothness']
    """
    if not isinstance(method, Autoencoding) or not isinstance(source, EndlessSource) or source.name not in LINES:
        return {}
    found = metrics.line_figures(ways(method.autoencoder, source.held_out(2 * _WAYS, config.seed)))
    return {"lines_mean_distance": found.mean_distance, "lines_smoothness": found.smoothness}


def ways(autoencoder: Autoencoder, ends: Tensor, steps: int = _STEPS) -> Tensor:
    """Decoded straight ways (m, steps, ...) from the codes of the first m of 2m samples to those of the others."""
    like = next(autoencoder.parameters())
    start, end = autoencoder.encode(ends.to(like)).chunk(2)
    at = torch.linspace(0, 1, steps).to(start)[:, None, None]
    return torch.stack([autoencoder.decode(torch.lerp(start, end, t)) for t in at], 1)
