"""Optimal maps between arrays: values, parameters and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from monge import ColorTransfer, MongeError, OTMap, metrics
from tests.helpers.known_maps import bend, bent_pair


@pytest.fixture(scope="module")
def fitted() -> tuple[OTMap, np.ndarray, np.ndarray]:
    pair = bent_pair()
    x = pair.source_train(20_000).numpy() * 100 - 20
    y = 7 * pair.train(20_000).numpy() + 1000
    return OTMap(steps=250, batch=256, lr=0.01, widths=(16, 8)).fit(x, y), x, y


def test_transform_of_arrays_far_from_the_origin(
    fitted: tuple[OTMap, np.ndarray, np.ndarray],
) -> None:
    otmap, x, _ = fitted
    y = 7 * bend(torch.from_numpy((x + 20) / 100)).numpy() + 1000
    mapped = otmap.transform(x)
    assert isinstance(mapped, np.ndarray)
    assert mapped.dtype == x.dtype
    assert metrics.l2_uvp(torch.from_numpy(mapped), torch.from_numpy(y)) < 2
    assert metrics.l2_uvp(torch.from_numpy(otmap.inverse_transform(y)), torch.from_numpy(x)) < 2.5
    np.testing.assert_array_equal(otmap.transform(x, batch_size=777), mapped)
    tensor = otmap.transform(torch.from_numpy(x).double())
    assert tensor.dtype == torch.float64


def test_certificate_agrees_with_the_exact_distance(
    fitted: tuple[OTMap, np.ndarray, np.ndarray],
) -> None:
    otmap, x, y = fitted
    certificate = otmap.certificate()
    exact = metrics.w2_squared(
        torch.from_numpy(x[:1500]), torch.from_numpy(y[:1500]), torch.from_numpy(y[1500:3000])
    ).value
    assert certificate.primal == pytest.approx(exact, rel=0.05)
    assert otmap.w2_squared() == certificate.dual == pytest.approx(exact, rel=0.05)
    assert 0 <= certificate.cycle < 0.1
    assert 0 <= certificate.inverse_cycle < 0.1


def test_transform_is_the_gradient_of_the_potential(
    fitted: tuple[OTMap, np.ndarray, np.ndarray],
) -> None:
    otmap, x, _ = fitted
    points, step = x[:200].astype(np.float64), 0.5
    slopes = [
        (otmap.potential(points + step * e) - otmap.potential(points - step * e)) / (2 * step)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(np.stack(slopes, 1), otmap.transform(points), rtol=1e-2)


def test_certificate_is_accurate_far_from_the_origin() -> None:
    """Squares of 10⁴ would leave nothing of a distance of 1 in single precision."""
    x = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    certificate = OTMap(steps=0).fit(x + 1e4, 2 * x[::-1] + 1e4).certificate()
    assert certificate.primal == pytest.approx(2, rel=0.1)
    assert certificate.dual == pytest.approx(2, rel=0.1)


def test_fit_is_a_function_of_the_seed() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    first, same, other = (
        OTMap(steps=3, batch=32, seed=s).fit(x, y).transform(x) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("rows", [3, 40])
def test_fit_with_few_samples_and_constant_features(rows: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, rows, 5)).astype(np.float32)
    x[:, 2], y[:, 2], y[:, 4] = 3, 8, -1
    mapped = OTMap(steps=20, batch=32).fit(x, y).transform(x)
    assert np.isfinite(mapped).all()
    assert abs(mapped[:, 2] - 8).max() < 0.3


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            np.zeros((5, 2)),
            np.zeros((5, 3)),
            "x has 2 features and y 3: distances between them need one space",
        ),
        (
            np.zeros(5),
            np.zeros((5, 1)),
            r"x must have shape \(n, d\), one row a sample, got \(5,\)",
        ),
        (np.zeros((5, 2)), np.array([[0, 1], [np.nan, 0]]), "y has NaN or infinity in row 1"),
        (np.zeros((0, 2)), np.zeros((5, 2)), r"x must have shape \(n, d\)"),
    ],
)
def test_wrong_arrays_are_errors(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(MongeError, match=message):
        OTMap(steps=1).fit(x, y)


def test_unfitted_map_other_features_and_wrong_settings_are_errors(
    fitted: tuple[OTMap, np.ndarray, np.ndarray],
) -> None:
    with pytest.raises(MongeError, match="call fit"):
        OTMap().transform(np.zeros((1, 2)))
    with pytest.raises(MongeError, match="the points have 3 features, the map was fitted to 2"):
        fitted[0].transform(np.zeros((1, 3)))
    with pytest.raises(MongeError, match="steps must be at least 0"):
        OTMap(steps=-1)
    with pytest.raises(MongeError, match="lr = 0: input should be greater than 0"):
        OTMap(lr=0)


def test_divergence_is_an_error_or_a_warning() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 20)).astype(np.float32)
    with pytest.raises(MongeError, match="the map diverged at step"):
        OTMap(steps=60, batch=64, lr=10.0).fit(x, y)
    with pytest.warns(RuntimeWarning, match="the map may have diverged: its inverse misses by"):
        OTMap(steps=60, batch=64, lr=1.0).fit(x, y)


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
