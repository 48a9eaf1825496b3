"""Coverage and distances of samples have known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge import metrics
from monge.data import Mixture, load
from monge.data.sets.toy import TOYS, draw_toy


def test_coverage_counts_modes_and_samples_on_them() -> None:
    toy = TOYS["25gaussians"]
    assert isinstance(toy, Mixture)
    data = draw_toy("25gaussians", 5000, torch.Generator().manual_seed(0))
    real = metrics.coverage(data, toy.centers, toy.sigma)
    assert real.modes == 25
    assert real.share == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    one = metrics.coverage(data[:100] * 0, toy.centers, toy.sigma)
    assert (one.modes, one.share) == (1, 1.0)


def test_energy_distance_to_a_single_point_is_biased() -> None:
    assert metrics.energy_distance(torch.zeros(3, 2), torch.ones(1, 2)) == pytest.approx(2 * 2**0.5)


def test_w2_of_data_is_its_floor_on_average() -> None:
    dataset = load("8gaussians")
    train, held_out = dataset.train, dataset.held_out
    draws = [
        metrics.w2_squared(train(200, seed + 50), held_out(200, seed), train(200, seed))
        for seed in range(20)
    ]
    floor = sum(draw.floor for draw in draws)
    assert sum(draw.value for draw in draws) == pytest.approx(floor, rel=0.25)
