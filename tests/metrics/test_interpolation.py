"""Metrics of interpolations have known values."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi

import pytest
import torch

from monge import metrics
from monge.data import FiniteDataset
from monge.data.evaluators import random_pairs
from monge.metrics.spec import flat
from tests.helpers.subjects import labeled_bars


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FiniteDataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGE_CACHE", str(tmp_path_factory.mktemp("lenet")))
        yield labeled_bars()


def test_path_length_of_lines_and_circles() -> None:
    t = torch.linspace(0, 1, 200)
    straight, half_circle = torch.stack([t, t], 1), torch.stack([(pi * t).cos(), (pi * t).sin()], 1)
    loop = torch.stack([(2 * pi * t).cos(), (2 * pi * t).sin()], 1)
    loop[-1] = loop[0]
    assert metrics.path_length(straight[None]) == pytest.approx(1)
    assert metrics.path_length(half_circle[None]) == pytest.approx(pi / 2, rel=1e-4)
    assert metrics.path_length(torch.stack([straight, half_circle, loop])) == pytest.approx(
        (1 + pi / 2) / 2, rel=1e-4
    )


def test_midpoints_that_are_data_have_distance_zero(pictures: FiniteDataset) -> None:
    x = pictures.held_out(80)
    a, b = random_pairs(80, 0)
    faded = metrics.cross_fade(x[a[:3]], x[b[:3]], 4)
    quality = flat(metrics.midpoint_quality(pictures, x, x[a], x[b], faded))
    assert quality["frechet_lenet_midpoint"] == pytest.approx(0, abs=1e-3)
    assert quality["confidence_midpoint"] == pytest.approx(quality["confidence_data"])
    assert quality["frechet_lenet_crossfade"] > 1
