"""Metrics of a method during training, and warnings if an adversarial game has collapsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import torch

from monge.data import Dataset, Subject
from monge.methods.protocols import CriticEstimate
from monge.metrics import EvalConfig, Evaluator
from monge.metrics.spec import finite

_SAMPLES = 1000
_FEW_SAMPLES = 200  # if a sample has more than `_LARGE` entries
_LARGE = 4096
_PICTURES = 2000  # samples for the Fréchet distance
_ESTIMATE = 512  # data and samples for a method's own estimate

_NO_SPREAD, _NO_GRADIENT = 1e-5, 1e-7
_COLLAPSED = (
    "the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower the "
    "critic's learning rate"
)
_STALLED = (
    "the critic gives the generator no gradient (generator_grad below 1e-7): lower the critic's "
    "learning rate"
)


@torch.no_grad()
def diagnose(method: Any, data: Dataset, evaluators: Iterable[Evaluator]) -> dict[str, float]:
    """Measure a method during training; returns finite numbers by name.

    They are the values of the evaluators with "log" in ``when``, and the numbers that a
    `monge.methods.protocols.CriticEstimate` returns.
    """
    n = _SAMPLES if prod(data.shape) <= _LARGE else _FEW_SAMPLES
    subject = Subject(method, data, EvalConfig(samples=n, lenet_samples=_PICTURES))
    numbers: dict[str, Any] = {}
    for one in evaluators:
        if "log" in one.when:
            numbers |= {metric.key: measured.value for metric, measured in one(subject).items()}
    if isinstance(method, CriticEstimate):
        samples = subject.sample_from(n)
        real = data.held_out(_ESTIMATE).to(samples)
        estimates = method.estimate(real, samples[:_ESTIMATE])
        numbers |= {name: float(value) for name, value in estimates.items()}
    return finite(numbers)


def find_warnings(means: Mapping[str, float]) -> list[str]:
    """Return warnings about the game, from the means of a method's scalars.

    >>> [warning.split(":")[0] for warning in find_warnings({"critic_spread": 0.0})]
    ['the critic has collapsed, its outputs are all equal (critic_spread below 1e-5)']
    >>> find_warnings({"critic_spread": 0.2, "generator_grad": 0.3})
    []
    """
    bounds = (("critic_spread", _NO_SPREAD, _COLLAPSED), ("generator_grad", _NO_GRADIENT, _STALLED))
    return [warning for name, bound, warning in bounds if name in means and means[name] < bound]


def logged_warnings(history: Iterable[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return the steps at which each warning is in a log.

    >>> list(logged_warnings([{"step": 5}, {"step": 10, "warning": _STALLED}]).values())
    [[10]]
    """
    lines = list(history)
    steps = {
        # advice after the colon may differ in logs of earlier versions
        warning: [line["step"] for line in lines if _cause(warning) in line.get("warning", "")]
        for warning in (_COLLAPSED, _STALLED)
    }
    return {warning: at for warning, at in steps.items() if at}


def _cause(warning: str) -> str:
    return warning.split(": ")[0]
