"""Distances between features agree with reference implementations and known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from monge import metrics
from tests.helpers.clouds import cloud


def test_frechet_agrees_with_scipy() -> None:
    x, y = cloud(0, 200, 6), cloud(1, 300, 6, 0.3) * 1.7
    C_x, C_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    trace = np.trace(C_x + C_y - 2 * sqrtm(C_x @ C_y).real)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum().item() + trace
    assert metrics.frechet(x, y) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-8)
    assert metrics.frechet(cloud(0, 3, 50), cloud(1, 3, 50)) > 0  # fewer samples than dimensions


def test_kid_agrees_with_brute_force_and_is_unbiased() -> None:
    x, y = cloud(0, 7, 3), cloud(1, 9, 3)
    k = lambda s, t: float((s @ t / 3 + 1) ** 3)
    pairs = lambda z: [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
    within = lambda z: np.mean([k(z[i], z[j]) for i, j in pairs(z)])
    expected = within(x) + within(y) - 2 * np.mean([k(s, t) for s in x for t in y])
    assert metrics.kid(x, y) == pytest.approx(expected, rel=1e-10)
    draws = torch.tensor([metrics.kid(cloud(s, 30, 3), cloud(s + 500, 30, 3)) for s in range(200)])
    assert abs(draws.mean()) < 4 * draws.std() / 200**0.5


def test_precision_and_recall_of_narrow_and_wide_samples() -> None:
    data = cloud(0, 300, 2)
    narrow = metrics.precision_recall(0.1 * cloud(1, 300, 2), data)
    wide = metrics.precision_recall(10 * cloud(1, 300, 2), data)
    assert narrow.precision > 0.95
    assert narrow.recall < 0.3
    assert wide.precision < 0.3


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_relative_spread_agrees_with_its_definition_and_is_scale_invariant(
    shape: tuple[int, ...],
) -> None:
    v = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 0.5
    rows = v.reshape(50, -1).double()
    spread = (rows - rows.mean(0)).square().sum(1).mean()
    expected = (spread / rows.square().sum(1).mean()).sqrt().item()
    assert metrics.relative_spread(v).item() == pytest.approx(expected, rel=1e-10)
    assert metrics.relative_spread(1e-30 * v).item() == pytest.approx(expected, rel=1e-6)
    assert metrics.relative_spread(v - v.mean(0)).item() == pytest.approx(1)
    assert metrics.relative_spread(v - v.mean(0)) <= 1
    for value in (0.0, 0.1, -1e-20, 1 / 3):
        assert metrics.relative_spread(torch.full(shape, value)) == 0
        assert metrics.relative_spread(torch.full(shape, value, dtype=torch.float64)) == 0
    assert not metrics.relative_spread(v.requires_grad_()).requires_grad
