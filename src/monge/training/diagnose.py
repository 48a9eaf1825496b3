"""The numbers of a log line: how far the samples are at this step, cheaply, and whether the game
still goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import torch

from monge.data import Dataset, Subject
from monge.methods.protocols import CriticEstimate
from monge.metrics import EvalConfig, Evaluator
from monge.metrics.spec import finite

_CLOUD = 1000
_FEW = 200
_LARGE = 4096
_PICTURES = 2000  # samples for the Fréchet distance
_PAIRS = 512  # data and samples for a method's own estimate

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
    """Measure a method in training: numbers by name, from the evaluators for "log", which are cheap
    enough, and its own estimate.

    With an ``estimate``, see `monge.methods.protocols.CriticEstimate`, what it returns is added. A
    number that is not finite is left out, since JSON has no word for it.
    """
    n = _CLOUD if prod(data.shape) <= _LARGE else _FEW
    subject = Subject(method, data, EvalConfig(samples=n, lenet_samples=_PICTURES))
    found: dict[str, Any] = {}
    for one in evaluators:
        if "log" in one.when:
            found |= {metric.key: measured.value for metric, measured in one(subject).items()}
    if isinstance(method, CriticEstimate):
        made = subject.sample_from(n)
        real = data.held_out(_PAIRS).to(made)
        found |= {
            name: float(value) for name, value in method.estimate(real, made[:_PAIRS]).items()
        }
    return finite(found)


def alarms(means: Mapping[str, float]) -> list[str]:
    """What is wrong with the game, from the means of a method's scalars since the last log line.

    >>> alarms({"critic_spread": 0.0, "generator_grad": 0.3})
    ["the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower the critic's learning rate"]
    """
    bounds = (("critic_spread", _NO_SPREAD, _COLLAPSED), ("generator_grad", _NO_GRADIENT, _STALLED))
    return [sentence for name, bound, sentence in bounds if name in means and means[name] < bound]


def raised(history: Iterable[Mapping[str, Any]]) -> dict[str, list[int]]:
    """The steps at which each alarm stands in a log.

    >>> raised([{"step": 5}, {"step": 10, "warning": _STALLED}])
    {"the critic gives the generator no gradient (generator_grad below 1e-7): lower the critic's learning rate": [10]}
    """
    lines = list(history)
    found = {
        s: [line["step"] for line in lines if s.split(": ")[0] in line.get("warning", "")]
        for s in (_COLLAPSED, _STALLED)
    }
    return {sentence: steps for sentence, steps in found.items() if steps}
