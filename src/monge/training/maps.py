"""What is measured of a method that moves one distribution onto another: its inverse, and how far
it is from optimal.
"""

from __future__ import annotations

from monge import metrics, ot
from monge.data import SourceTarget, Subject, sample_source
from monge.data.subject import apply_batched, on_cpu, to_model
from monge.methods.protocols import DualPotential, InvertibleMap
from monge.metrics import Measured, Measures, evaluator
from monge.metrics.spec import mean
from monge.metrics.transport import CYCLE, DUAL, EXACT, INVERSE, INVERSE_CYCLE, L2_UVP

_DUAL = 10_000  # points on either side for the dual value
_JUDGED = 65_536  # points on which a map is compared with the true one


@evaluator(INVERSE, CYCLE, INVERSE_CYCLE)
def inverse(subject: Subject) -> Measures:
    """W₂² of the inverse's samples with its floor, and cycle errors in per cent of the variance, in
    the mean over the draws.
    """
    if not isinstance(subject.method, InvertibleMap):
        return {}
    draws = [_there_and_back(subject, seed) for seed in subject.seeds]
    return {metric: mean(draw[metric] for draw in draws) for metric in draws[0]}


def _there_and_back(subject: Subject, seed: int) -> Measures:
    method, data, n = subject.method, subject.data, subject.config.samples
    x, y = sample_source(data, n, seed), data.held_out(n, seed)
    there, back = (
        apply_batched(f, to_model(t, method))
        for f, t in ((method.transform, x), (method.inverse_transform, y))
    )
    apart = metrics.w2_squared(on_cpu(back), x, sample_source(data, n, seed, train=True))
    return {
        INVERSE: Measured(apart.value, apart.floor, {"ratio": apart.ratio}),
        CYCLE: Measured(metrics.l2_uvp(on_cpu(apply_batched(method.inverse_transform, there)), x)),
        INVERSE_CYCLE: Measured(metrics.l2_uvp(on_cpu(apply_batched(method.transform, back)), y)),
    }


@evaluator(L2_UVP, DUAL, EXACT)
def optimality(subject: Subject) -> Measures:
    """The dual's W₂² beside the exact one of as many points; L2-UVP, ours and a linear map's, where
    the truth is known.
    """
    method = subject.method
    data = subject.data
    n = subject.config.samples
    seed = subject.config.seed
    found: Measures = {}
    if isinstance(method, DualPotential):
        x, y = sample_source(data, n, seed), data.held_out(n, seed)
        found[EXACT] = Measured(
            (ot.wasserstein(x.flatten(1).double(), y.flatten(1).double()) ** 2).item()
        )
        x, y = (
            to_model(t, method)
            for t in (sample_source(data, _DUAL, seed), data.held_out(_DUAL, seed))
        )
        found[DUAL] = Measured(float(method.w2_squared(x, y)))
    if isinstance(data, SourceTarget) and data.truth is not None:
        x = data.source_held_out(_JUDGED, seed)
        truth = data.truth(x)
        beside = {"linear": metrics.l2_uvp(linear_map(data)(x), truth)}
        if isinstance(method, InvertibleMap):
            beside["inverse"] = metrics.l2_uvp(
                on_cpu(apply_batched(method.inverse_transform, to_model(truth, method))), x
            )
        found[L2_UVP] = Measured(
            metrics.l2_uvp(on_cpu(apply_batched(method.transform, to_model(x, method))), truth),
            beside=beside,
        )
    return found


def linear_map(data: SourceTarget, n: int = _JUDGED) -> ot.AffineMap:
    """The optimal map between Gaussians with the moments of P and Q, the best linear one."""
    x, y = data.source_train(n), data.train(n)
    return ot.gaussian_map(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
