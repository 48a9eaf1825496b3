"""What is measured of points of a mixture and of pictures, beside what is measured of every method."""

from __future__ import annotations

from statistics import mean as average

import torch
from torch import Tensor

from monge import metrics
from monge.methods.protocols import Autoencoding, Decoding, InvertibleMap
from monge.metrics import (
    Evaluator,
    Measured,
    Measures,
    evaluator,
    filters,
    interpolation,
    lenet,
    samples,
)
from monge.metrics.memorization import COPIES, NEAREST
from monge.rng import rng

from .datasets import FiniteDataset, SourceTarget
from .subject import Subject, apply_batched, on_cpu, to_model

_COMPARED, _TRAINING = 1000, 60_000  # samples, and training pictures to look for copies in
_PATHS, _STEPS = 500, 11  # interpolations whose length is measured, and pictures in each
_TRANSLATED = 1000  # pictures, at most, of either side


def coverage_of(centers: Tensor, sigma: float) -> Evaluator:
    """The evaluator of a mixture of equal Gaussians.

    Over several draws, the modes are the least and the share is the mean.
    """

    @evaluator(samples.MODES, samples.ON_MODES, when=("end", "log"))
    def coverage(subject: Subject) -> Measures:
        n = subject.config.samples
        draws = [
            metrics.coverage(subject.samples(n, seed), centers, sigma) for seed in subject.seeds
        ]
        return {
            samples.MODES: Measured(
                min(draw.modes for draw in draws), beside={"total": draws[0].total}
            ),
            samples.ON_MODES: Measured(average(draw.share for draw in draws)),
        }

    return coverage


@evaluator(lenet.FRECHET, when=("log",))
def frechet_over_time(subject: Subject) -> Measures:
    """The Fréchet-LeNet of fewer pictures than at the end: its values compare with each other only."""
    if not metrics.has_lenet(subject.data):
        return {}
    made = subject.samples(subject.config.lenet_samples, subject.config.seed)
    return {lenet.FRECHET: Measured(lenet.frechet_lenet(subject.data)(made))}


@evaluator(*lenet.QUALITY)
def lenet_quality(subject: Subject) -> Measures:
    """Everything that the LeNet says of generated pictures."""
    data, config = subject.data, subject.config
    if not (isinstance(data, FiniteDataset) and metrics.has_lenet(data)):
        return {}
    return metrics.lenet_quality(subject.samples(config.lenet_samples, config.seed), data)


@evaluator(lenet.OF_FITTED, lenet.OF_RECONSTRUCTIONS)
def decoder_quality(subject: Subject) -> Measures:
    """What a decoder makes of a Gaussian fitted to the codes, and of the codes of held-out
    pictures.
    """
    method, data, config = subject.method, subject.data, subject.config
    if not (isinstance(method, Decoding) and metrics.has_lenet(data)):
        return {}
    frechet = lenet.frechet_lenet(data)
    held_out = to_model(data.held_out(config.lenet_samples), method)
    return {
        lenet.OF_FITTED: Measured(
            frechet(on_cpu(method.sample_baseline(config.lenet_samples, config.seed)))
        ),
        lenet.OF_RECONSTRUCTIONS: Measured(frechet(on_cpu(method.reconstruct(held_out)))),
    }


@evaluator(
    lenet.OF_RECONSTRUCTIONS,
    lenet.CONFIDENCE_OF_RECONSTRUCTIONS,
    lenet.OF_FITTED,
    *interpolation.MIDPOINTS,
)
def code_quality(subject: Subject) -> Measures:
    """Reconstructions, a decoded Gaussian with the codes' moments, and straight interpolations of
    random held-out pairs.
    """
    data, config = subject.data, subject.config
    if not (
        isinstance(subject.method, Autoencoding)
        and isinstance(data, FiniteDataset)
        and metrics.has_lenet(data)
    ):
        return {}
    autoencoder, frechet = subject.method.autoencoder, lenet.frechet_lenet(data)
    held_out = data.held_out(config.lenet_samples, config.seed)
    codes = autoencoder.encode_all(held_out)
    rebuilt = autoencoder.decode_all(codes)
    a, b = random_pairs(len(codes), config.seed)
    steps = metrics.cross_fade(codes[a[:_PATHS]], codes[b[:_PATHS]], _STEPS)
    paths = autoencoder.decode_all(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])
    middle = autoencoder.decode_all((codes[a] + codes[b]) / 2)
    return {
        lenet.OF_RECONSTRUCTIONS: Measured(frechet(rebuilt)),
        lenet.CONFIDENCE_OF_RECONSTRUCTIONS: Measured(
            frechet.lenet(rebuilt)[1].amax(1).mean().item()
        ),
        lenet.OF_FITTED: Measured(
            frechet(autoencoder.decode_all(autoencoder.fitted(config.lenet_samples, config.seed)))
        ),
        **metrics.midpoint_quality(data, middle, held_out[a], held_out[b], paths),
    }


@evaluator(NEAREST, COPIES)
def memorized(subject: Subject) -> Measures:
    """How near samples are to training pictures."""
    data, config = subject.data, subject.config
    if not isinstance(data, FiniteDataset):
        return {}
    made = subject.samples(min(_COMPARED, config.samples), config.seed)
    return metrics.memorization(made, data.train(_TRAINING), data.held_out(_COMPARED))


@evaluator(filters.FORWARD, filters.INVERSE)
def translated(subject: Subject) -> Measures:
    """Fréchet distance of filter features, both ways, beside that of the pictures as they are: for
    a `SourceTarget` in color.
    """
    method, data = subject.method, subject.data
    if not (
        isinstance(data, SourceTarget) and data.shape[0] == 3 and isinstance(method, InvertibleMap)
    ):
        return {}
    A, B = data.source_held_out(_TRANSLATED, 0), data.held_out(_TRANSLATED, 0)
    there, back = (
        on_cpu(apply_batched(f, to_model(t, method)))
        for f, t in ((method.transform, A), (method.inverse_transform, B))
    )
    found: Measures = {}
    for metric, made, still, goal, reference in (
        (filters.FORWARD, there, A, B, data.train(_TRANSLATED, 0)),
        (filters.INVERSE, back, B, A, data.source_train(_TRANSLATED, 0)),
    ):
        distance = metrics.frechet_filters(made, goal, reference)
        unmoved = metrics.frechet_filters(still, goal, reference).value
        found[metric] = Measured(distance.value, distance.floor, {"unmoved": unmoved})
    return found


def random_pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Partners among n things: every one stands once on the left and once on the right, none beside
    itself (n > 1).

    >>> a, b = random_pairs(5, seed=0)
    >>> sorted(a.tolist()), sorted(b.tolist()), bool((a == b).any())
    ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], False)
    """
    order = torch.randperm(n, generator=rng(seed, n))
    return order, order.roll(-1)


IMAGE_EVALUATORS = (
    frechet_over_time,
    lenet_quality,
    decoder_quality,
    memorized,
    code_quality,
    translated,
)
