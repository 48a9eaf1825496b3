"""What is measured of a method around an autoencoder: its reconstructions, what its codes tell, what lies between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge import metrics
from monge.data import FiniteSource, Source, generator
from monge.methods.protocols import Autoencoding
from monge.nets import Autoencoder

from .recipe import EvalConfig

_BLOCK, _ENTRIES = 1000, 2**21  # samples and numbers, at most, that go through a network at once
_PATHS, _STEPS = 500, 11  # interpolations whose length is measured, and pictures in each


@torch.no_grad()
def code_figures(method: Any, source: Source, config: EvalConfig) -> dict[str, float]:
    """Every figure of codes and reconstructions that fits the data; nothing for a method that is not `Autoencoding`.

    ``reconstruction_error`` is the mean squared error of an entry of held-out samples; of a voice in a frame of a score, the
    cross-entropy in nats. With a prior: ``codes_w2`` of held-out codes to it, with floor and ratio, and ``codes_mmd``. With
    labels: ``linear_probe`` and ``clustering_accuracy``. With a LeNet: Fréchet distance and confidence of reconstructions,
    Fréchet distance of a decoded Gaussian with the codes' moments, and `monge.metrics.midpoint_metrics` half-way between the
    codes of random held-out pairs, on the straight line.
    """
    if not isinstance(method, Autoencoding):
        return {}
    autoencoder, held_out = method.autoencoder, source.held_out(config.samples, config.seed)
    errors = _through(lambda x: autoencoder.errors(x, autoencoder.decode(autoencoder.encode(x))), held_out, autoencoder)
    found = {"reconstruction_error": errors.mean().item() / autoencoder.entries(held_out)}
    if method.prior is not None:
        found |= _to_prior(encoded(autoencoder, held_out), method.prior, config.seed)
    if isinstance(source, FiniteSource):
        if source.labels is not None:
            found |= _labelled(autoencoder, source, source.labels, config.seed)
        if metrics.has_lenet(source):
            found |= _seen_by_lenet(autoencoder, source, config)
    return found


def encoded(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Codes (n, d) of any number of samples, on the CPU."""
    return _through(autoencoder.encode, x, autoencoder)


def encoded_part(autoencoder: Autoencoder, source: FiniteSource, indices: NDArray[np.int64]) -> Tensor:
    """Codes (n, d) of the samples of a data set at ``indices``, few of which are in memory at a time."""
    return torch.cat(
        [encoded(autoencoder, source.fetch(some)) for some in np.split(indices, range(_BLOCK, len(indices), _BLOCK))]
    )


def decoded(autoencoder: Autoencoder, z: Tensor) -> Tensor:
    """Samples of any number of codes (n, d), on the CPU."""
    return _through(autoencoder.decode, z, autoencoder)


def random_pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Partners among n things: every one stands once on the left and once on the right, none beside itself (n > 1).

    >>> a, b = random_pairs(5, seed=0)
    >>> sorted(a.tolist()), sorted(b.tolist()), bool((a == b).any())
    ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], False)
    """
    order = torch.randperm(n, generator=generator(seed, n))
    return order, order.roll(-1)


def _to_prior(codes: Tensor, prior: Source, seed: int) -> dict[str, float]:
    drawn, other = prior.held_out(len(codes), seed), prior.train(len(codes), seed)
    n = min(len(codes), len(drawn), len(other))
    if n < 2:
        return {}
    apart = metrics.prior_distances(codes[:n], drawn[:n], other[:n])
    w2 = {"codes_w2": apart.w2.value, "codes_w2_floor": apart.w2.floor, "codes_w2_ratio": apart.w2.ratio}
    return w2 | {"codes_mmd": apart.mmd}


def _labelled(autoencoder: Autoencoder, source: FiniteSource, labels: Tensor, seed: int) -> dict[str, float]:
    parts = [source.train_indices, source.held_out_indices]
    train, held_out = (encoded_part(autoencoder, source, part) for part in parts)
    train_labels, held_out_labels = (labels[torch.from_numpy(part)] for part in parts)
    found = {"linear_probe": metrics.linear_probe(train, train_labels, held_out, held_out_labels)}
    kinds = len(torch.unique(labels))
    if len(train) >= kinds:
        found["clustering_accuracy"] = metrics.clustering_accuracy(train, held_out, held_out_labels, kinds, seed)
    return found


def _seen_by_lenet(autoencoder: Autoencoder, source: FiniteSource, config: EvalConfig) -> dict[str, float]:
    frechet = metrics.FrechetLeNet(source)
    held_out = source.held_out(config.lenet_samples, config.seed)
    codes = encoded(autoencoder, held_out)
    rebuilt, fitted = decoded(autoencoder, codes), decoded(autoencoder, autoencoder.fitted(config.lenet_samples, config.seed))
    a, b = random_pairs(len(codes), config.seed)
    middle = decoded(autoencoder, (codes[a] + codes[b]) / 2)
    steps = metrics.cross_fade(codes[a[:_PATHS]], codes[b[:_PATHS]], _STEPS)
    paths = decoded(autoencoder, steps.flatten(0, 1)).unflatten(0, steps.shape[:2])
    return {
        "frechet_lenet_reconstruction": frechet(rebuilt),
        "confidence_reconstruction": frechet.lenet(rebuilt)[1].amax(1).mean().item(),
        "frechet_lenet_baseline": frechet(fitted),
        **metrics.midpoint_metrics(source, middle, held_out[a], held_out[b], paths),
    }


def _through(f: Callable[[Tensor], Tensor], x: Tensor, autoencoder: Autoencoder) -> Tensor:
    """f by blocks, computed where the autoencoder is and in its type."""
    rows = max(1, min(_BLOCK, _ENTRIES // x[0].numel()))
    return torch.cat([f(block.to(autoencoder.mean)).float().cpu() for block in x.split(rows)])
