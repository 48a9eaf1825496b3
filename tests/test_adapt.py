"""DomainAdapter: a scikit-learn estimator that moves one domain onto another, and the USPS data it
is measured on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from monge import ot
from monge.adapt import DomainAdapter
from monge.data import FiniteDataset, data_root, load
from monge.data.sets.usps import like_mnist
from monge.errors import MongeError


class OntoItself(DomainAdapter):
    """The checks of scikit-learn pass labels for y, which is a domain here: X takes their place,
    and all else is tested.
    """

    def fit(self, X: Any, y: Any = None) -> DomainAdapter:
        return super().fit(X, None if y is None else X)


# compares to 1e-7; the map is float32, and blocks of other sizes may round otherwise
ROUNDED = "check_methods_subset_invariance"


def name_of(check: Any) -> str:
    return getattr(check, "func", check).__name__


CHECKS = list(estimator_checks_generator(OntoItself(steps=2, batch=32)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    CHECKS,
    ids=[f"{i}-{name_of(check)}" for i, (_, check) in enumerate(CHECKS)],
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    try:
        check(estimator)
    except AssertionError as error:
        if name_of(check) != ROUNDED or "not invariant when applied to a subset" not in str(error):
            raise


def test_subsets_move_as_the_whole_but_for_rounding() -> None:
    Xs, Xt = halves()
    adapter = DomainAdapter(steps=2, batch=32).fit(Xs, Xt)
    for move in (adapter.transform, adapter.inverse_transform):
        rows = np.concatenate([move(Xs[k : k + 1]) for k in range(20)])
        np.testing.assert_allclose(rows, move(Xs)[:20], rtol=1e-5, atol=1e-5)


def halves(n: int = 600, d: int = 2) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).normal(size=(2, n, d))
    return x, y @ np.diag(np.linspace(0.5, 2, d)) + np.arange(1, d + 1) * 5


def test_moves_the_source_onto_the_target_and_back() -> None:
    Xs, Xt = halves()
    Xt[:, 1] += 3 * np.sign(Xt[:, 1] - 10)  # two clusters: no affine map will do
    gaussian, adapter = (DomainAdapter(steps=s, batch=256, lr=3e-3).fit(Xs, Xt) for s in (0, 120))
    y = torch.from_numpy(Xt)
    far, near = (
        ot.wasserstein(torch.from_numpy(a.transform(Xs)), y) ** 2 for a in (gaussian, adapter)
    )
    assert near < 0.5 * far
    back = adapter.inverse_transform(adapter.transform(Xs))
    assert np.square(back - Xs).mean() < 1e-4
    assert np.abs(adapter.inverse_transform(Xt).mean(0)).max() < 0.2


def test_without_steps_it_is_the_map_between_gaussians() -> None:
    Xs, Xt = halves(5000)
    Xt = Xt @ np.array([[1.0, 0.8], [0.0, 1.0]])
    moved = DomainAdapter(steps=0).fit(Xs, Xt).transform(Xs)
    m1, C1, m2, C2 = (torch.from_numpy(a) for x in (Xs, Xt) for a in (x.mean(0), np.cov(x.T)))
    expected = ot.gaussian_map(m1, C1, m2, C2)(torch.from_numpy(Xs)).numpy()
    # the network's initial weights are small, not nought
    assert np.sqrt(np.square(moved - expected).mean()) < 0.05


def test_settings_survive_cloning_and_pipelines() -> None:
    Xs, Xt = halves()
    adapter = DomainAdapter(steps=3, batch=64, widths=(8, 4)).set_params(seed=5)
    other = clone(adapter)
    assert other.get_params() == adapter.get_params()
    np.testing.assert_array_equal(adapter.fit(Xs, Xt).transform(Xs), other.fit_transform(Xs, Xt))
    assert (adapter.n_features_in_, list(adapter.get_feature_names_out())) == (2, ["x0", "x1"])
    moved = make_pipeline(StandardScaler(), DomainAdapter(steps=0)).fit(Xs, Xt).transform(Xs)
    np.testing.assert_allclose(moved.mean(0), Xt.mean(0), atol=0.03)


def test_constant_features_are_shifted() -> None:
    Xs, Xt = halves()
    Xs, Xt = np.insert(Xs, 1, 0.1, axis=1), np.insert(Xt, 1, 7.7, axis=1)
    adapter = DomainAdapter(steps=5, batch=64).fit(Xs, Xt)
    moved = adapter.transform(Xs)
    np.testing.assert_array_equal(adapter.varying_, [True, False, True])
    np.testing.assert_allclose(moved[:, 1], 7.7)
    np.testing.assert_allclose(adapter.inverse_transform(Xt)[:, 1], 0.1)
    without = DomainAdapter(steps=5, batch=64).fit(Xs[:, ::2], Xt[:, ::2]).transform(Xs[:, ::2])
    np.testing.assert_array_equal(moved[:, ::2], without)


def test_domains_that_do_not_vary_are_shifted() -> None:
    adapter = DomainAdapter().fit(np.full((4, 3), 2.0), np.full((5, 3), -1.0))
    np.testing.assert_array_equal(adapter.transform(np.full((2, 3), 2.5)), np.full((2, 3), -0.5))


@pytest.mark.parametrize("side", [0, 1])
def test_a_feature_constant_in_one_domain_stays_finite(side: int) -> None:
    domains = halves()
    domains[side][:, 0] = 1.0
    adapter = DomainAdapter(steps=20, batch=64).fit(*domains)
    assert np.isfinite(adapter.transform(domains[0])).all()
    assert np.isfinite(adapter.inverse_transform(domains[1])).all()


def test_fewer_samples_than_features_warn_and_stay_finite() -> None:
    Xs, Xt = halves(12, 30)
    with pytest.warns(UserWarning, match="12 samples of 30 features"):
        adapter = DomainAdapter(steps=10, batch=12).fit(Xs, Xt)
    moved = adapter.transform(halves(200, 30)[0])
    assert np.isfinite(moved).all()
    assert np.abs(moved.mean(0) - Xt.mean(0)).max() < 3


@pytest.mark.parametrize(
    ("Xs", "Xt", "message"),
    [
        (
            np.ones((5, 3)),
            np.ones((5, 4)),
            "the source has 3 features and the target 4: .* Embed both in the same features",
        ),
        (np.ones((5, 3)), np.ones(5), "Expected 2D array, got 1D array"),
        (np.ones(5), np.ones((5, 1)), "Expected 2D array, got 1D array"),
        (np.ones((0, 3)), np.ones((5, 3)), "0 sample"),
        (np.ones((5, 3)), np.ones((1, 3)), "1 sample"),
        (np.ones((5, 3)), np.full((5, 3), np.nan), "y, the target domain, contains NaN"),
        (np.full((5, 3), np.inf), np.ones((5, 3)), "X contains infinity"),
        (np.ones((5, 3)), None, "requires y to be passed"),
    ],
)
def test_bad_domains_are_named(Xs: Any, Xt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DomainAdapter(steps=1).fit(Xs, Xt)


@pytest.fixture(scope="session")
def usps() -> FiniteDataset:
    pytest.importorskip("h5py", reason="USPS is an HDF5 file: pip install monge[hdf5]")
    if not (data_root() / "usps").is_dir():
        pytest.skip("USPS is not on this machine: set MONGE_DATA")
    source = load("usps")
    assert isinstance(source, FiniteDataset)
    return source


def test_usps_has_the_published_split(usps: FiniteDataset) -> None:
    assert usps.shape == (1, 16, 16)
    (x, y), (_, test) = usps.labeled("train"), usps.labeled("held_out")
    assert (len(y), len(test)) == (7291, 2007)
    assert (int((y == 0).sum()), int((test == 0).sum())) == (1194, 359)
    assert (x.min(), x.max()) == (-1, 1)
    # a nought is hollow, a one is not
    assert x[y == 0].mean(0)[0, 7:9, 7:9].max() < x[y == 1].mean(0)[0, 7:9, 7:9].min()


def test_usps_enlarged_is_laid_out_like_mnist(usps: FiniteDataset) -> None:
    large = load("usps", size=28)
    assert isinstance(large, FiniteDataset)
    assert large.shape == (1, 28, 28)
    assert torch.equal(large.labels, usps.labels)
    ink = (large.held_out(500)[:, 0] + 1) / 2
    place = torch.arange(28) + 0.5
    for axis in (1, 2):
        center = (ink.sum(axis) * place).sum(1) / ink.sum((1, 2))
        assert (center - 14).abs().quantile(0.95) < 0.6
    with pytest.raises(MongeError, match="size must be at least 16"):
        load("usps", size=8)


def test_an_empty_picture_is_centered_without_nan() -> None:
    assert np.array_equal(like_mnist(np.zeros((16, 16), np.float32), 28), np.zeros((28, 28)))


def test_usps_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MongeError, match="set MONGE_DATA to the folder that holds usps/"):
        load("usps", tmp_path)
    (tmp_path / "usps").mkdir()
    (tmp_path / "usps" / "usps.h5").write_bytes(b"not hdf5")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "h5py", None)
        with pytest.raises(MongeError, match=r"pip install monge\[hdf5\]"):
            load("usps", tmp_path)
    pytest.importorskip("h5py")
    with pytest.raises(MongeError, match="is corrupt"):
        load("usps", tmp_path)
