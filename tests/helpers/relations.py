"""Random relations within a space, for tests of Gromov-Wasserstein transport."""

from __future__ import annotations

import torch
from torch import Tensor

from monge import ot
from tests.helpers.clouds import cloud


def distances(seed: int, n: int, d: int = 2) -> Tensor:
    """Return the squared distances (n, n) between random points."""
    x = cloud(seed, n, d)
    return ot.as_cost("sqeuclidean").matrix(x, x)


def relation(seed: int, n: int) -> Tensor:
    """Return a matrix (n, n) that is not symmetric, but positive, as the kl loss requires."""
    return cloud(seed, n, n).abs() + 0.1


def entropy_term(P: Tensor, a: Tensor, b: Tensor, epsilon: float) -> Tensor:
    """Return ε Σ P log(P / a⊗b), summed over the batch."""
    reference = (a[..., :, None] * b[..., None, :]).clamp_min(1e-300)
    return epsilon * torch.special.xlogy(P, P / reference).sum()
