"""Kinds of samples: every data set names one or has the one that its shape suggests, and each can
be shown and measured.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monge.data import CATALOG, Images, Mixture, Points, from_array, kind_of, load
from monge.errors import MongeError
from monge.metrics.memorization import NEAREST
from monge.metrics.samples import MODES
from monge.training.evaluate import known


def test_shapes_suggest_kinds_and_data_sets_name_theirs() -> None:
    points, pictures = from_array(np.zeros((9, 5))), from_array(np.zeros((9, 8, 8), np.uint8))
    assert isinstance(kind_of(points), Points)
    assert isinstance(kind_of(pictures), Images)
    assert isinstance(kind_of(load("8gaussians")), Mixture)
    assert isinstance(kind_of(load("moons")), Points)
    assert MODES in known(load("8gaussians"))
    assert MODES not in known(load("moons"))
    assert NEAREST in known(pictures)
    assert NEAREST not in known(points)


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
    metrics = known(data)
    assert len({metric.key for metric in metrics}) == len(metrics)


def test_pictures_that_were_made_of_others_stand_below_them() -> None:
    above, below = torch.full((24, 1, 8, 8), -1.0), torch.ones(24, 1, 8, 8)
    sheet = np.asarray(Image.open(io.BytesIO(Images().show(below, below, above))))[..., 0]
    # three rows of eight, each twice
    rows = [sheet[round((k + 0.5) * sheet.shape[0] / 6), 5] for k in range(6)]
    assert rows == [0, 255, 0, 255, 0, 255]


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="did you mean 'mnist'"):
        load("minst")
    with pytest.raises(MongeError, match="holds 0 pictures"):
        load(str(tmp_path))
