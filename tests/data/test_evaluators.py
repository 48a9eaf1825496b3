"""Evaluators of pictures."""

from __future__ import annotations

import torch

from monge.data.evaluators import random_pairs


def test_random_pairs_are_permutations_without_fixed_points() -> None:
    a, b = random_pairs(50, seed=1)
    assert (a != b).all()
    assert sorted(a.tolist()) == sorted(b.tolist()) == list(range(50))
    assert not torch.equal(a, random_pairs(50, seed=2)[0])
