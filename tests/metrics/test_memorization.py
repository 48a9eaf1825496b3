"""Nearest training samples, and the metrics of copies."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from monge import metrics
from monge.metrics.memorization import COPIES, NEAREST
from tests.helpers.clouds import cloud


def test_nearest_agrees_with_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cloud(0, 37, 12).reshape(37, 3, 2, 2).float() + 100
    y = cloud(1, 53, 12).reshape(53, 3, 2, 2).float() + 100
    y[40] = x[5]
    pairs = (x.flatten(1).double()[:, None] - y.flatten(1).double()).norm(dim=2)
    for block in (2**23, 40, 1):  # one block, blocks over both, single points
        monkeypatch.setattr(sys.modules["monge.metrics.memorization"], "_BLOCK", block)
        distance, index = metrics.nearest(x, y)
        torch.testing.assert_close(distance, pairs.min(1).values, rtol=1e-12, atol=0)
        assert torch.equal(index, pairs.argmin(1))
        assert distance[5] == 0  # exactly, though the points are far from the origin
    with pytest.raises(ValueError, match="one size"):
        metrics.nearest(x, y[:, :2])


def test_nearest_allocates_at_most_64_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []
    addmm = torch.addmm

    def spy(bias: Tensor, x: Tensor, y: Tensor, **options: int) -> Tensor:
        sizes.append((x.numel(), y.numel(), len(x) * y.shape[1]))
        return addmm(bias, x, y, **options)

    monkeypatch.setattr(torch, "addmm", spy)
    metrics.nearest(torch.zeros(3000, 2), torch.zeros(9000, 2))
    assert sum(size[2] for size in sizes) == 3000 * 9000
    metrics.nearest(torch.zeros(8, 600), torch.zeros(20_000, 600))
    assert max(max(size) for size in sizes) * 8 <= 64 * 2**20


def test_memorization_distinguishes_copies_from_new_data() -> None:
    train, held_out = cloud(0, 2000, 4), cloud(1, 1000, 4)

    def measure(samples: Tensor, train: Tensor, held_out: Tensor) -> tuple[float, float]:
        measures = metrics.memorization(samples, train, held_out)
        return measures[NEAREST].value, measures[COPIES].value

    ratio, copies = measure(cloud(2, 1000, 4), train, held_out)
    assert ratio == pytest.approx(1, abs=0.1)
    assert copies == pytest.approx(0.01, abs=0.012)
    _, copies = measure(torch.cat([train[:500], cloud(2, 500, 4)]), train, held_out)
    assert copies == pytest.approx(0.5, abs=0.02)
    ratio, copies = measure(train[:500] + 1e-6, train, held_out)
    assert ratio < 1e-4
    assert copies == 1
    equal = torch.zeros(5, 2)
    assert measure(equal, equal, equal) == (1.0, 1.0)
    assert measure(equal + 1, equal, equal) == (float("inf"), 0.0)
