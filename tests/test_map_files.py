"""`OTMap` as a scikit-learn object: parameters, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from monge import ColorTransfer, MongeError, OTMap


def samples() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 2))
    return x, y @ [[2, 1], [1, 1]] + 3


def test_a_saved_map_is_the_same_map(tmp_path: Path) -> None:
    x, y = samples()
    fitted = OTMap(steps=3, batch=64, widths=(16, 8), seed=4).fit(x, y)
    loaded = OTMap.load(fitted.save(tmp_path / "map.safetensors"))
    np.testing.assert_array_equal(loaded.transform(x), fitted.transform(x))
    np.testing.assert_array_equal(loaded.inverse_transform(y), fitted.inverse_transform(y))
    assert loaded.certificate() == fitted.certificate()
    assert loaded.get_params() == {**fitted.get_params(), "widths": [16, 8]}


def test_files_that_hold_no_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="not fitted: call fit"):
        OTMap().save(tmp_path / "a.safetensors")
    fitted = OTMap(steps=0).fit(*samples())
    with pytest.raises(MongeError, match=r"written as \.safetensors, got"):
        fitted.save(tmp_path / "a.pkl")
    (tmp_path / "b.safetensors").write_bytes(b"something else")
    for name in ("b.safetensors", "none.safetensors"):
        with pytest.raises(MongeError, match=r"holds no map that OTMap\.save wrote"):
            OTMap.load(tmp_path / name)


def test_parameters_can_be_read_set_and_cloned() -> None:
    map_ = clone(OTMap(steps=7)).set_params(seed=3)
    assert map_.get_params() == OTMap(steps=7, seed=3).get_params()
    with pytest.raises(MongeError, match="steps must be at least 0, got -1"):
        OTMap(steps=-1)
    with pytest.raises(MongeError, match="batch = 0"):
        map_.set_params(batch=0).fit(*samples())
    color = clone(ColorTransfer(method="gaussian")).set_params(strength=2)
    with pytest.raises(MongeError, match="strength must be between 0 and 1, got 2"):
        color.fit(np.zeros((4, 3), np.uint8), np.ones((4, 3), np.uint8))


def test_fitting_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    OTMap(steps=1, batch=16).fit(*samples())
    assert torch.equal(torch.get_rng_state(), before)
