"""Evaluators for points of a mixture and for pictures."""

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

_COMPARED, _TRAINING = 1000, 60_000  # samples, and training pictures searched for copies
_PATHS, _STEPS = 500, 11  # interpolation paths to measure, and pictures on each
_TRANSLATED = 1000  # pictures, at most, of source and target


def coverage_of(centers: Tensor, sigma: float) -> Evaluator:
    """Make the evaluator of mode coverage for a mixture of equal Gaussians.

    Over several draws, it reports the smallest number of modes and the mean share.
    """

    @evaluator(samples.MODES, samples.ON_MODES, when=("end", "log"))
    def coverage(subject: Subject) -> Measures:
        n = subject.config.samples
        draws = [subject.samples(n, seed) for seed in subject.seeds]
        coverages = [metrics.coverage(draw, centers, sigma) for draw in draws]
        modes, total = min(c.modes for c in coverages), coverages[0].total
        return {
            samples.MODES: Measured(modes, beside={"total": total}),
            samples.ON_MODES: Measured(average(c.share for c in coverages)),
        }

    return coverage


@evaluator(lenet.FRECHET, when=("log",))
def frechet_over_time(subject: Subject) -> Measures:
    """Measure the Fréchet-LeNet during training.

    It uses fewer pictures than at the end of a run, so its values compare with each other only.
    """
    if not metrics.has_lenet(subject.data):
        return {}
    pictures = subject.samples(subject.config.lenet_samples, subject.config.seed)
    return {lenet.FRECHET: Measured(lenet.frechet_lenet(subject.data)(pictures))}


@evaluator(*lenet.QUALITY)
def lenet_quality(subject: Subject) -> Measures:
    """Measure `monge.metrics.lenet_quality` of generated pictures."""
    data, config = subject.data, subject.config
    if not (isinstance(data, FiniteDataset) and metrics.has_lenet(data)):
        return {}
    return metrics.lenet_quality(subject.samples(config.lenet_samples, config.seed), data)


@evaluator(lenet.OF_FITTED, lenet.OF_RECONSTRUCTIONS)
def decoder_quality(subject: Subject) -> Measures:
    """Measure reconstructions, and decoded samples of a Gaussian fitted to the codes."""
    method, data, config = subject.method, subject.data, subject.config
    if not (isinstance(method, Decoding) and metrics.has_lenet(data)):
        return {}
    frechet = lenet.frechet_lenet(data)
    held_out = to_model(data.held_out(config.lenet_samples), method)
    baseline = on_cpu(method.sample_baseline(config.lenet_samples, config.seed))
    return {
        lenet.OF_FITTED: Measured(frechet(baseline)),
        lenet.OF_RECONSTRUCTIONS: Measured(frechet(on_cpu(method.reconstruct(held_out)))),
    }


@evaluator(
    lenet.OF_RECONSTRUCTIONS,
    lenet.CONFIDENCE_OF_RECONSTRUCTIONS,
    lenet.OF_FITTED,
    *interpolation.MIDPOINTS,
)
def code_quality(subject: Subject) -> Measures:
    """Measure reconstructions, a decoded fitted Gaussian, and interpolations of an autoencoder.

    Interpolations are linear in code space, between random pairs of held-out pictures.
    """
    method, data, config = subject.method, subject.data, subject.config
    if not isinstance(method, Autoencoding) or not isinstance(data, FiniteDataset):
        return {}
    if not metrics.has_lenet(data):
        return {}
    autoencoder, frechet = method.autoencoder, lenet.frechet_lenet(data)
    held_out = data.held_out(config.lenet_samples, config.seed)
    codes = autoencoder.encode_all(held_out)
    rebuilt = autoencoder.decode_all(codes)
    baseline = autoencoder.decode_all(autoencoder.fitted(config.lenet_samples, config.seed))
    confidence = frechet.lenet(rebuilt)[1].amax(1).mean().item()
    a, b = random_pairs(len(codes), config.seed)
    steps = metrics.cross_fade(codes[a[:_PATHS]], codes[b[:_PATHS]], _STEPS)
    paths = autoencoder.decode_all(steps.flatten(0, 1)).unflatten(0, steps.shape[:2])
    middle = autoencoder.decode_all((codes[a] + codes[b]) / 2)
    return {
        lenet.OF_RECONSTRUCTIONS: Measured(frechet(rebuilt)),
        lenet.CONFIDENCE_OF_RECONSTRUCTIONS: Measured(confidence),
        lenet.OF_FITTED: Measured(frechet(baseline)),
        **metrics.midpoint_quality(data, middle, held_out[a], held_out[b], paths),
    }


@evaluator(NEAREST, COPIES)
def memorized(subject: Subject) -> Measures:
    """Measure how close samples are to training pictures."""
    data, config = subject.data, subject.config
    if not isinstance(data, FiniteDataset):
        return {}
    pictures = subject.samples(min(_COMPARED, config.samples), config.seed)
    return metrics.memorization(pictures, data.train(_TRAINING), data.held_out(_COMPARED))


@evaluator(filters.FORWARD, filters.INVERSE)
def translated(subject: Subject) -> Measures:
    """Measure the Fréchet distance of filter features after the map and after its inverse.

    Only for a `SourceTarget` of color pictures and an invertible map. Beside each distance is that
    of the pictures before the map.
    """
    method, data = subject.method, subject.data
    if not isinstance(data, SourceTarget) or not isinstance(method, InvertibleMap):
        return {}
    if data.shape[0] != 3:
        return {}
    x, y = data.source_held_out(_TRANSLATED, 0), data.held_out(_TRANSLATED, 0)
    forward = on_cpu(apply_batched(method.transform, to_model(x, method)))
    inverse = on_cpu(apply_batched(method.inverse_transform, to_model(y, method)))
    measures: Measures = {}
    for metric, mapped, unmapped, target, reference in (
        (filters.FORWARD, forward, x, y, data.train(_TRANSLATED, 0)),
        (filters.INVERSE, inverse, y, x, data.source_train(_TRANSLATED, 0)),
    ):
        distance = metrics.frechet_filters(mapped, target, reference)
        unmoved = metrics.frechet_filters(unmapped, target, reference).value
        measures[metric] = Measured(distance.value, distance.floor, {"unmoved": unmoved})
    return measures


def random_pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return indices a, b (n,) of n random pairs.

    Both are permutations of 0 … n − 1, and for n > 1 no index is paired with itself.

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
