"""Random numbers as a function of integers, without global state."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def rng(*key: int) -> torch.Generator:
    """Return a CPU generator whose seed is a hash of a tuple of integers."""
    # with the length, because (1,) and (1, 0) would otherwise give the same stream
    words = [len(key), *(k & 0xFFFFFFFFFFFFFFFF for k in key)]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def noise(n: int, dim: int, seed: int, like: Tensor) -> Tensor:
    """Return standard normal noise (n, dim) of a seed, with the dtype and device of ``like``.

    >>> noise(3, 2, seed=0, like=torch.zeros(1, dtype=torch.float64)).dtype
    torch.float64
    """
    return torch.randn(n, dim, generator=rng(seed)).to(like)
