"""Random points."""

from __future__ import annotations

import torch
from torch import Tensor


def cloud(seed: int, n: int, d: int, shift: float = 0.0) -> Tensor:
    """Return points (n, d) of N(shift, I) in float64."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64) + shift
