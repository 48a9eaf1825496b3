"""The figures of a log line: how far the samples are at this step, cheaply, and whether the game still goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from monge import metrics
from monge.data import TOYS, EndlessSource, FiniteSource, Mixture, Source
from monge.methods.protocols import CriticEstimate, Matching, Method

from .dances import holds_dances
from .maps import drawn
from .scores import holds_scores

_CLOUD = 1000  # samples for the energy distance and the modes
_SCORES = 200  # the same of scores and dances, each of which is thousands of numbers
_PICTURES = 2000  # samples for the Fréchet distance
_PAIRS = 512  # data and samples for a method's own estimate

_NO_SPREAD, _NO_GRADIENT = 1e-5, 1e-7
_COLLAPSED = "the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower the critic's learning rate"
_STALLED = "the critic gives the generator no gradient (generator_grad below 1e-7): lower the critic's learning rate"


@torch.no_grad()
def diagnose(method: Method, source: Source, frechet: Callable[[Tensor], float] | None = None) -> dict[str, float]:
    """Measure a method in training: energy distance, modes of a mixture, masses of cells, the method's own estimate.

    Parameters
    ----------
    method : Method
        With an ``estimate``, see `CriticEstimate`, what it returns is added.
    source : Source
    frechet : callable, optional
        Maps pictures to their Fréchet distance to the data, see `frechet_of`; adds ``frechet_lenet``.

    Returns
    -------
    dict
        Numbers by name; one that is not finite is left out, since JSON has no word for it.

    Examples
    --------
    >>> from monge.data import load
    >>> from monge.methods.ot_gan import TINY, build
    >>> sorted(diagnose(build(TINY, (2,)), load("8gaussians")))
    ['energy_distance', 'modes', 'share_within_3_sigma']
    """
    n = _SCORES if holds_scores(source) or holds_dances(source) else _CLOUD
    samples = drawn(method, source, n)
    cloud = samples.float().cpu()
    found: dict[str, float] = {"energy_distance": metrics.energy_distance(cloud, source.held_out(n))}
    if (toy := mixture_of(source)) is not None:
        reached = metrics.coverage(cloud, toy.centres, toy.sigma)
        found |= {"modes": reached.modes, "share_within_3_sigma": reached.share}
    if frechet is not None:
        found["frechet_lenet"] = frechet(drawn(method, source, _PICTURES).float().cpu())
    if isinstance(method, Matching):
        found["cell_mass_error"] = method.cell_mass_error(source)
    if isinstance(method, CriticEstimate):
        data = source.held_out(_PAIRS).to(samples)
        found |= {name: float(value) for name, value in method.estimate(data, samples[:_PAIRS]).items()}
    return finite(found)


def mixture_of(source: Source) -> Mixture | None:
    """The mixture that a toy source draws from, or None; a file named like a toy is not one."""
    toy = TOYS.get(source.name) if isinstance(source, EndlessSource) else None
    return toy if isinstance(toy, Mixture) else None


def frechet_of(source: Source) -> Callable[[Tensor], float] | None:
    """The Fréchet-LeNet to the data's held-out pictures, or None for data that the LeNet does not fit."""
    return metrics.FrechetLeNet(source) if isinstance(source, FiniteSource) and metrics.has_lenet(source) else None


def finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out NaN and infinity.

    >>> finite({"ratio": float("inf"), "value": 0.0, "name": "x"})
    {'value': 0.0, 'name': 'x'}
    """
    return {name: value for name, value in figures.items() if not isinstance(value, float) or isfinite(value)}


def alarms(means: Mapping[str, float]) -> list[str]:
    """What is wrong with the game, from the means of a method's scalars since the last log line.

    >>> alarms({"critic_spread": 0.0, "generator_grad": 0.3})
    ["the critic has collapsed, its outputs are all equal (critic_spread below 1e-5): lower the critic's learning rate"]
    """
    bounds = (("critic_spread", _NO_SPREAD, _COLLAPSED), ("generator_grad", _NO_GRADIENT, _STALLED))
    return [sentence for name, bound, sentence in bounds if name in means and means[name] < bound]


def raised(history: Iterable[Mapping[str, Any]]) -> dict[str, list[int]]:
    """The steps at which each alarm stands in a log; what to do about it may be in the words of an earlier version.

    >>> raised([{"step": 5}, {"step": 10, "warning": _STALLED}])
    {"the critic gives the generator no gradient (generator_grad below 1e-7): lower the critic's learning rate": [10]}
    """
    lines = list(history)
    found = {s: [line["step"] for line in lines if s.split(": ")[0] in line.get("warning", "")] for s in (_COLLAPSED, _STALLED)}
    return {sentence: steps for sentence, steps in found.items() if steps}
