"""Distances between sets of feature vectors, for features of any kind.

    Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017   [heusel2017]
    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018   [binkowski2018]
    Kynkäänniemi et al., "Improved precision and recall metric", NeurIPS 2019   [kynkaanniemi2019]

They define the Fréchet distance, the kernel distance (KID), and precision and recall. Values are
comparable only if they are computed on the same features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def frechet(x: Tensor, y: Tensor) -> float:
    r"""Return the squared W₂ of the Gaussians fitted to features (n, d) and (m, d), in float64.

    .. math:: |m_x - m_y|^2 + \mathrm{tr}\bigl(C_x + C_y - 2 (C_x^{1/2} C_y C_x^{1/2})^{1/2}\bigr)

    >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> round(frechet(x, x + 1), 6)
    3.0
    """
    x, y = x.double(), y.double()
    C_x, C_y = torch.atleast_2d(torch.cov(x.T)), torch.atleast_2d(torch.cov(y.T))
    values, vectors = torch.linalg.eigh(C_x)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ C_y @ root).clamp_min(0).sqrt().sum()
    return ((x.mean(0) - y.mean(0)).square().sum() + C_x.trace() + C_y.trace() - 2 * cross).item()


def kid(x: Tensor, y: Tensor) -> float:
    """Return the unbiased squared MMD of features (n, d) and (m, d) with kernel (xᵀy/d + 1)³.

    It may be negative.

    >>> round(kid(torch.zeros(5, 2), torch.zeros(4, 2)), 6)
    0.0
    """
    x, y = x.double(), y.double()

    def kernel(s: Tensor, t: Tensor) -> Tensor:
        return (s @ t.T / s.shape[1] + 1) ** 3

    def within(s: Tensor) -> Tensor:
        k = kernel(s, s)
        return (k.sum() - k.trace()) / (len(s) * (len(s) - 1))

    return (within(x) + within(y) - 2 * kernel(x, y).mean()).item()


@dataclass(frozen=True)
class PrecisionRecall:
    """Share of samples in the manifold of the data, and share of data in that of the samples."""

    precision: float
    recall: float


def precision_recall(samples: Tensor, data: Tensor, k: int = 3) -> PrecisionRecall:
    """Compute improved precision and recall.

    The manifold of a set of points is the union of balls around them that reach to the k-th nearest
    neighbor of their center.

    >>> x = torch.arange(10.0)[:, None]
    >>> precision_recall(x + 100, x)
    PrecisionRecall(precision=0.0, recall=0.0)
    """
    if min(len(samples), len(data)) <= k:
        raise ValueError(
            f"precision_recall needs more than k={k} points, got {len(samples)} and {len(data)}"
        )
    return PrecisionRecall(_inside(samples, data, k), _inside(data, samples, k))


def _inside(points: Tensor, manifold: Tensor, k: int) -> float:
    radius = torch.cat(
        [torch.cdist(block, manifold).kthvalue(k + 1).values for block in manifold.split(1000)]
    )
    hits = [(torch.cdist(block, manifold) <= radius).any(1) for block in points.split(1000)]
    return torch.cat(hits).float().mean().item()


@torch.no_grad()
def relative_spread(features: Tensor) -> Tensor:
    r"""Return the relative variation of a critic's outputs (n,) or (n, d) over a batch, in [0, 1].

    .. math:: \sqrt{\textstyle\sum_i |v_i - \bar v|^2 / \sum_i |v_i|^2}

    It is 0 if all outputs are equal, or all zero: such a critic does not distinguish its inputs.
    Computed in float64, without gradient.

    >>> constant = torch.full((3, 2), 0.1)
    >>> relative_spread(torch.tensor([1.0, -1.0])).item(), relative_spread(constant).item()
    (1.0, 0.0)
    """
    v = features.flatten(1).double() if features.ndim > 1 else features[:, None].double()
    # exactly zero for equal outputs, unlike the differences from a rounded mean
    from_first = v - v[0]
    spread, size = (from_first - from_first.mean(0)).norm(), v.norm()
    return torch.where(size > 0, spread / size, size).clamp(max=1)
