"""Normal points, a function of the seed."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.data import rng


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return n points from N(0, I) in d dimensions."""
    return torch.randn(n, d, generator=rng(seed), dtype=dtype)
