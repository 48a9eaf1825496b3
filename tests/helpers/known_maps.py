"""Measures with known optimal maps."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.data import InfiniteDataset, SourceTarget

#: x ↦ R x + m is the optimal map from N(0, I) to N(m, R²).
ROOT = torch.tensor([[1.5, 0.4], [0.4, 0.6]])
MEAN = torch.tensor([1.0, -2.0])


def bend(x: Tensor) -> Tensor:
    """Apply the gradient of the convex ½ xᵀ R x + ⟨m, x⟩ + Σ ¾ log cosh 2x."""
    return x @ ROOT + MEAN + 1.5 * (2 * x).tanh()


def bent_pair() -> SourceTarget:
    """Return normal points and, independently, normal points mapped by `bend`."""

    def normal(n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 2, generator=rng)

    target = InfiniteDataset("bent", (2,), lambda n, rng: bend(normal(n, rng)))
    return SourceTarget("bent", InfiniteDataset("normal", (2,), normal), target, bend)
