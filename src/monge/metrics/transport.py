r"""How far a map is from the optimal one.

Korotin et al., "Do neural optimal transport solvers work?", NeurIPS 2021    [korotin2021b], section
                                                                             4.1
"""

from __future__ import annotations

from torch import Tensor

from .spec import Metric

L2_UVP = Metric("l2_uvp", "L2-UVP to the optimal map", 2, "low", unit="%")
DUAL = Metric("w2_dual", "W2² from the origin to the data, by the dual")
EXACT = Metric("w2_exact", "W2² from the origin to the data, exact")
INVERSE = Metric("w2_inverse", "W2² of the inverse map", better="low")
CYCLE = Metric("cycle_error", "there and back", None, "low", unit="% of the variance")
INVERSE_CYCLE = Metric(
    "inverse_cycle_error", "back and there", None, "low", unit="% of the variance"
)


def l2_uvp(moved: Tensor, truth: Tensor) -> float:
    r"""Unexplained variance in per cent, :math:`100\, E\|\hat T(x) - T(x)\|^2 / \mathrm{Var}\,
    T(x)`.

    ``moved`` and ``truth`` (n, d) are images of the same points under the map to judge and under
    the optimal one; n > 1. 0 is the optimal map, 100 what the map of everything to the mean of Q
    has. Also the cycle error, in per cent, of points that went there and back, with the points
    themselves as the truth. ValueError for different shapes or a single point.

    >>> import torch
    >>> truth = torch.tensor([[0.0], [2.0]])
    >>> l2_uvp(truth, truth), l2_uvp(torch.ones(2, 1), truth)
    (0.0, 100.0)
    """
    if moved.shape != truth.shape or len(truth) < 2:
        shapes = f"{tuple(moved.shape)} and {tuple(truth.shape)}"
        raise ValueError(
            "moved and truth must be the images of the same points, at least 2, got shapes "
            f"{shapes}"
        )
    x, t = moved.flatten(1).double(), truth.flatten(1).double()
    return (100 * (x - t).square().sum(1).mean() / t.var(0, correction=0).sum()).item()
