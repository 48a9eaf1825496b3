"""Evaluators of transport maps: the inverse, and the distance to the optimal map."""

from __future__ import annotations

from monge import metrics, ot
from monge.data import SourceTarget, Subject, sample_source
from monge.data.subject import apply_batched, on_cpu, to_model
from monge.methods.protocols import DualPotential, InvertibleMap
from monge.metrics import Measured, Measures, evaluator
from monge.metrics.spec import mean
from monge.metrics.transport import CYCLE, DUAL, EXACT, INVERSE, INVERSE_CYCLE, L2_UVP

_DUAL = 10_000  # points of source and target for the dual value
_COMPARED = 65_536  # points on which a map is compared with the optimal one


@evaluator(INVERSE, CYCLE, INVERSE_CYCLE)
def inverse(subject: Subject) -> Measures:
    """Measure W₂² of the inverse map's samples and the cycle errors, averaged over the draws.

    Cycle errors are in per cent of the variance.
    """
    if not isinstance(subject.method, InvertibleMap):
        return {}
    draws = [_inverse_of_draw(subject, seed) for seed in subject.seeds]
    return {metric: mean(draw[metric] for draw in draws) for metric in draws[0]}


def _inverse_of_draw(subject: Subject, seed: int) -> Measures:
    method, data, n = subject.method, subject.data, subject.config.samples
    x, y = sample_source(data, n, seed), data.held_out(n, seed)
    forward = apply_batched(method.transform, to_model(x, method))
    backward = apply_batched(method.inverse_transform, to_model(y, method))
    reference = sample_source(data, n, seed, train=True)
    distance = metrics.w2_squared(on_cpu(backward), x, reference)
    x_again = on_cpu(apply_batched(method.inverse_transform, forward))
    y_again = on_cpu(apply_batched(method.transform, backward))
    return {
        INVERSE: Measured(distance.value, distance.floor, {"ratio": distance.ratio}),
        CYCLE: Measured(metrics.l2_uvp(x_again, x)),
        INVERSE_CYCLE: Measured(metrics.l2_uvp(y_again, y)),
    }


@evaluator(L2_UVP, DUAL, EXACT)
def optimality(subject: Subject) -> Measures:
    """Measure how close a map is to the optimal one.

    A `DualPotential` gives the dual value of W₂², to compare with the exact W₂² of a sample. If
    the optimal map is known, L2-UVP is measured for the method and for the best linear map.
    """
    method, data = subject.method, subject.data
    n, seed = subject.config.samples, subject.config.seed
    measures: Measures = {}
    if isinstance(method, DualPotential):
        x, y = sample_source(data, n, seed), data.held_out(n, seed)
        exact = ot.wasserstein(x.flatten(1).double(), y.flatten(1).double())
        measures[EXACT] = Measured((exact**2).item())
        x = to_model(sample_source(data, _DUAL, seed), method)
        y = to_model(data.held_out(_DUAL, seed), method)
        measures[DUAL] = Measured(float(method.w2_squared(x, y)))
    if isinstance(data, SourceTarget) and data.truth is not None:
        x = data.source_held_out(_COMPARED, seed)
        truth = data.truth(x)
        beside = {"linear": metrics.l2_uvp(linear_map(data)(x), truth)}
        if isinstance(method, InvertibleMap):
            preimages = apply_batched(method.inverse_transform, to_model(truth, method))
            beside["inverse"] = metrics.l2_uvp(on_cpu(preimages), x)
        images = on_cpu(apply_batched(method.transform, to_model(x, method)))
        measures[L2_UVP] = Measured(metrics.l2_uvp(images, truth), beside=beside)
    return measures


def linear_map(data: SourceTarget, n: int = _COMPARED) -> ot.AffineMap:
    """Return the optimal map between Gaussians with the moments of P and Q."""
    x, y = data.source_train(n), data.train(n)
    return ot.gaussian_map(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
