"""Random numbers as a function of integers."""

from __future__ import annotations

import torch

from monge.rng import rng


def test_rng_of_different_keys_gives_different_numbers() -> None:
    keys = [(0,), (0, 0), (0, 0, 0), (1,), (1, 0), (0, 1), (0, 3, 0, 0), (-1,)]
    assert len({torch.rand(1, generator=rng(*key)).item() for key in keys}) == len(keys)
