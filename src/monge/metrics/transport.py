r"""Metrics of transport maps.

Korotin et al., "Do neural optimal transport solvers work? A continuous Wasserstein-2
    benchmark", NeurIPS 2021, section 4.1   [korotin2021b]
"""

from __future__ import annotations

from torch import Tensor

from .spec import Metric

L2_UVP = Metric("l2_uvp", "L2-UVP to the optimal map", 2, "low", unit="%")
DUAL = Metric("w2_dual", "W2² from source to target, by the dual")
EXACT = Metric("w2_exact", "W2² from source to target, exact")
INVERSE = Metric("w2_inverse", "W2² of the inverse map", better="low")
CYCLE = Metric("cycle_error", "there and back", None, "low", unit="% of the variance")
INVERSE_CYCLE = Metric(
    "inverse_cycle_error", "back and there", None, "low", unit="% of the variance"
)


def l2_uvp(moved: Tensor, truth: Tensor) -> float:
    r"""Return the unexplained variance percentage of a map.

    .. math:: 100\, E\|\hat T(x) - T(x)\|^2 / \mathrm{Var}\, T(x)

    ``moved`` and ``truth`` (n, d), n > 1, are the images of the same points under a map and under
    the optimal map. The value is 0 for the optimal map, and 100 for the constant map to the mean of
    Q. With points as ``truth`` and their images under a map and its inverse as ``moved``, it is the
    cycle error in per cent. ValueError for different shapes or a single point.

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
