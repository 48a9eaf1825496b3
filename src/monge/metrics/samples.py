"""Distances of samples to data, beside their floor: the distance of as many samples of the data.

The distance between two finite samples of the data is not 0. The floor is measured with the same
sizes and the same held-out sample as the distance, because on a 2-D mixture it varies by a tenth
from draw to draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monge import ot

from .spec import Measured, Metric

W2 = Metric("w2_squared", "W2²", 2, "low", ratio="w2_ratio", table="W2²/floor", headline=True)
ENERGY = Metric("energy_distance", "energy distance", better="low")
MODES = Metric("modes", "modes", 1, "high", table="modes", beside=(("total", "of", 0),))
ON_MODES = Metric("share_within_3_sigma", "within 3σ", 1, "high", "%", 100, table="within 3σ, %")


def w2_squared(samples: Tensor, held_out: Tensor, reference: Tensor) -> Measured:
    """Return the exact W₂² of samples to held-out data.

    The floor is W₂² of ``reference`` data to the same held-out data. All arguments are (n, ...) and
    flattened. ``reference`` and ``held_out`` must be disjoint draws of the data.

    >>> x = torch.zeros(4, 2)
    >>> round(w2_squared(x + 1, x, x + 0.5).ratio, 6)
    4.0
    """
    x, y, r = (t.flatten(1).double() for t in (samples, held_out, reference))
    return Measured((ot.wasserstein(x, y) ** 2).item(), (ot.wasserstein(r, y) ** 2).item())


def energy_distance(samples: Tensor, held_out: Tensor) -> float:
    """Return the unbiased energy distance of samples to held-out data, (n, ...) each.

    Its expectation is 0 if the distributions are equal. With a single sample or a single held-out
    point the unbiased estimate is undefined, and the biased one is returned.

    >>> round(energy_distance(torch.zeros(3, 2), torch.ones(4, 2)), 4)
    2.8284
    """
    x, y = samples.flatten(1).double(), held_out.flatten(1).double()
    return ot.energy_distance(x, y, unbiased=min(len(x), len(y)) > 1).item()


@dataclass(frozen=True)
class Coverage:
    """Number of modes that samples cover, and the share of samples on any mode."""

    modes: int
    total: int
    share: float


def coverage(
    samples: Tensor, centers: Tensor, sigma: float, *, radius: float = 3.0, quorum: float = 0.2
) -> Coverage:
    """Compute the mode coverage of samples for a mixture of k equal Gaussians.

    A sample is on a mode if it is within ``radius``·sigma of the nearest center; ``share`` is the
    share of these samples. A mode is covered if the number of samples on it is at least ``quorum``
    times its expected number n/k, where n counts *all* samples.

    >>> samples = torch.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]])
    >>> coverage(samples, torch.tensor([[0.0, 0.0], [9.0, 9.0]]), 0.1)
    Coverage(modes=1, total=2, share=0.6666666865348816)
    """
    distance, mode = torch.cdist(samples, centers.to(samples)).min(1)
    near = distance <= radius * sigma
    counts = torch.bincount(mode[near], minlength=len(centers))
    modes = int((counts >= quorum * len(samples) / len(centers)).sum())
    return Coverage(modes, len(centers), near.float().mean().item())
