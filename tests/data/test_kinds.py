"""Kinds of samples: every data set has one, and can be shown and converted to points."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import CATALOG, Images, Mixture, Points, from_array, kind_of, load
from monge.errors import MongeError
from monge.metrics.memorization import NEAREST
from monge.metrics.samples import MODES
from monge.training.evaluate import known_metrics


def test_kind_is_named_by_the_data_set_or_follows_from_the_shape() -> None:
    points, pictures = from_array(np.zeros((9, 5))), from_array(np.zeros((9, 8, 8), np.uint8))
    assert isinstance(kind_of(points), Points)
    assert isinstance(kind_of(pictures), Images)
    assert isinstance(kind_of(load("8gaussians")), Mixture)
    assert isinstance(kind_of(load("moons")), Points)
    assert MODES in known_metrics(load("8gaussians"))
    assert MODES not in known_metrics(load("moons"))
    assert NEAREST in known_metrics(pictures)
    assert NEAREST not in known_metrics(points)


@pytest.mark.parametrize("name", [entry.name for entry in CATALOG])
def test_every_data_set_can_be_shown_and_taken_as_points(name: str) -> None:
    try:
        data = load(name)
    except MongeError as error:
        pytest.skip(str(error))
    samples = data.held_out(6)
    kind = kind_of(data)
    assert Image.open(io.BytesIO(kind.show(samples, samples))).width > 50
    assert kind.as_points(samples).shape == (len(samples), samples[0].numel())
    metrics = known_metrics(data)
    assert len({metric.key for metric in metrics}) == len(metrics)


def test_images_of_a_map_are_shown_below_their_inputs() -> None:
    inputs, images = torch.full((24, 1, 8, 8), -1.0), torch.ones(24, 1, 8, 8)
    sheet = np.asarray(Image.open(io.BytesIO(Images().show(images, images, inputs))))[..., 0]
    # three rows of eight inputs, each above their images
    rows = [sheet[round((k + 0.5) * sheet.shape[0] / 6), 5] for k in range(6)]
    assert rows == [0, 255, 0, 255, 0, 255]
