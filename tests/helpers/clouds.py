"""Random point clouds and weights, and strategies and options for tests of transport."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

F64 = torch.float64

# for ε of the order of the cost: smaller ones take millions of iterations
TIGHT = {"tol": 1e-9, "max_iter": 50_000}

seeds = st.integers(0, 10_000)
sizes = st.integers(1, 12)


def rng(seed: int = 0) -> torch.Generator:
    """Return a random number generator with a seed."""
    return torch.Generator().manual_seed(seed)


def cloud(seed: int, n: int, d: int, shift: float = 0.0) -> Tensor:
    """Draw n points (n, d) from a standard normal distribution, in float64, and shift them."""
    return torch.randn(n, d, generator=rng(seed), dtype=F64) + shift


def weights(seed: int, n: int) -> Tensor:
    """Draw n positive weights (n,) that sum to one, in float64."""
    w = torch.rand(n, generator=rng(seed), dtype=F64) + 0.05
    return w / w.sum()
