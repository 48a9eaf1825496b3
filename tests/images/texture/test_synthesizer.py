"""TextureSynthesizer: the same pictures as the functions of `synthesis`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from monge import MongeError, TextureSynthesizer
from monge.images.io import read_picture, write_picture
from monge.images.texture.synthesis import inpaint, mix, synthesize
from monge.methods.texture import Config

QUICK: dict[str, Any] = {"seed": 3, "config": Config(scales=2, targets=50, steps=2)}


def exemplar(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)


def test_make_equals_synthesize() -> None:
    made = TextureSynthesizer(tile=True, **QUICK).fit(exemplar()).make((16, 32))
    expected = synthesize(exemplar(), (16, 32), tile=True, **QUICK)
    np.testing.assert_array_equal(made.colors, expected.colors)


def test_several_exemplars_are_mixed_by_weight() -> None:
    pictures = [exemplar(0), exemplar(1)]
    made = TextureSynthesizer(**QUICK).fit(pictures, [3, 1]).make()
    np.testing.assert_array_equal(made.colors, mix(pictures, [3, 1], **QUICK).colors)


def test_inpaint_needs_no_fit() -> None:
    hole = np.zeros((24, 24), bool)
    hole[8:14, 8:14] = True
    made = TextureSynthesizer(**QUICK).inpaint(exemplar(), hole)
    np.testing.assert_array_equal(made.colors, inpaint(exemplar(), hole, **QUICK).colors)


def test_pictures_are_read_and_saved(tmp_path: Path) -> None:
    write_picture(TextureSynthesizer(**QUICK).fit(exemplar()).make(), tmp_path / "a.png")
    made = TextureSynthesizer(**QUICK).fit(tmp_path / "a.png").make(16)
    assert made.save(tmp_path / "b.png") == tmp_path / "b.png"
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png").colors, made.colors)


def test_parameters_can_be_read_and_cloned() -> None:
    copy = clone(TextureSynthesizer(tile=True, seed=5)).set_params(seed=6)
    assert copy.get_params() == TextureSynthesizer(tile=True, seed=6).get_params()


def test_wrong_calls_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="the synthesizer is not fitted: call fit"):
        TextureSynthesizer().make()
    with pytest.raises(MongeError, match="exemplar is empty: give at least one picture"):
        TextureSynthesizer().fit([])
    with pytest.raises(MongeError, match="no picture at"):
        TextureSynthesizer().fit(tmp_path / "none.png")
    with pytest.raises(MongeError, match="time_budget must be a number of seconds above 0"):
        TextureSynthesizer(time_budget=-1).fit(exemplar()).make()
