"""Tests of barycenters against closed forms, invariances and POT."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot.barycenter import barycenter
from tests.helpers.clouds import cloud, rng, seeds, weights

LINE = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]


def bump(center: float, width: float) -> Tensor:
    h = torch.exp(-(((LINE[:, 0] - center) / width) ** 2) / 2)
    return h / h.sum()


@given(seeds, st.integers(1, 12))
def test_barycenter_of_one_measure_is_the_measure(seed: int, n: int) -> None:
    y, b = cloud(seed, n, 3), weights(seed, n)
    result = barycenter([(y, b)], epsilon=0)
    torch.testing.assert_close(result.points, y)
    torch.testing.assert_close(result.weights, b)
    assert result.converged
    assert result.value.item() == pytest.approx(0, abs=1e-12)


@given(seeds, st.floats(0, 1), st.sampled_from([0.0, 0.1]))
def test_barycenter_of_diracs_is_their_weighted_mean(seed: int, t: float, epsilon: float) -> None:
    x, y = cloud(seed, 1, 4), cloud(seed + 1, 1, 4)
    result = barycenter([x, y], [1 - t, t], epsilon=epsilon)
    torch.testing.assert_close(result.points, (1 - t) * x + t * y)
    distance = (x - y).square().sum().item()
    assert result.value.item() == pytest.approx(t * (1 - t) * distance, rel=1e-6, abs=1e-9)


@given(seeds, st.floats(-20, 20), st.sampled_from([0.0, 0.5]))
def test_barycenter_translates_with_the_measures(seed: int, shift: float, epsilon: float) -> None:
    x, y = cloud(seed, 8, 2), cloud(seed + 1, 6, 2)
    plain = barycenter([x, y], [0.6, 0.4], epsilon=epsilon, tol=1e-2)
    moved = barycenter([x + shift, y + 2 * shift], [0.6, 0.4], epsilon=epsilon, tol=1e-2)
    torch.testing.assert_close(
        moved.points, plain.points + 1.4 * shift, atol=2e-2 if epsilon else 1e-8, rtol=0
    )


@given(seeds)
def test_barycenter_with_share_one_is_that_measure(seed: int) -> None:
    x, y = cloud(seed, 9, 2), cloud(seed + 1, 5, 2, 3.0)
    torch.testing.assert_close(barycenter([x, y], [1.0, 0.0], epsilon=0).points, x)
    torch.testing.assert_close(barycenter([x, y], [0.0, 1.0], epsilon=0).points, y)


@given(seeds)
def test_barycenter_on_a_line_averages_quantiles(seed: int) -> None:
    x, y, z = (cloud(seed + k, 20, 1, 2.0 * k) for k in range(3))
    result = barycenter([x, y, z], [0.2, 0.3, 0.5], epsilon=0)
    expected = 0.2 * x.sort(0).values + 0.3 * y.sort(0).values + 0.5 * z.sort(0).values
    torch.testing.assert_close(result.points.sort(0).values, expected)


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_barycenter_of_gaussian_samples_averages_standard_deviations(epsilon: float) -> None:
    """The covariances commute; with ε > 0 each coordinate loses ε/2 of its variance."""
    x = cloud(0, 400, 2) * torch.tensor([1.0, 0.4])
    y = cloud(1, 400, 2) * torch.tensor([0.4, 1.2]) + 3
    result = barycenter([x, y], epsilon=epsilon)
    mean = (x.mean(0) + y.mean(0)) / 2
    torch.testing.assert_close(result.points.mean(0), mean, atol=5e-3, rtol=0)
    std = (result.points.var(0) + epsilon / 2).sqrt()
    torch.testing.assert_close(std, (x.std(0) + y.std(0)) / 2, atol=0.03, rtol=0)


def test_free_support_has_the_requested_size_and_weights() -> None:
    x, y, a = cloud(0, 30, 2), cloud(1, 20, 2), weights(2, 7)
    generator = rng(0)
    result = barycenter([x, y], epsilon=0, n_support=7, masses=a, generator=generator)
    assert result.points.shape == (7, 2)
    assert (result.weights == a).all()
    torch.testing.assert_close(result.weights @ result.points, (x.mean(0) + y.mean(0)) / 2)
    assert barycenter([x, y], [0.1, 0.9], epsilon=0.5).points.shape == (20, 2)
    assert barycenter([x, y], epsilon=0.5, masses=a, generator=generator).points.shape == (7, 2)
    larger = barycenter([x, y], epsilon=0.5, n_support=50, generator=generator)
    assert larger.points.shape == (50, 2)


def test_free_support_starts_at_points_drawn_by_weight() -> None:
    y, b = cloud(0, 40, 2), torch.zeros(40, dtype=torch.float64)
    b[[3, 17, 30]] = 1 / 3
    result = barycenter([(y, b)], epsilon=0, n_support=3, generator=rng(0))
    assert result.n_iter == 1, "the initial points are the solution"


def test_free_support_plans_are_warm_started(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def record(*args: Any, init: ot.Plan | None, **options: Any) -> ot.Plan:
        starts.append(init)
        return ot.sinkhorn(*args, init=init, **options)

    # `monge.ot.barycenter` is the function, so the module is taken from `sys.modules`
    monkeypatch.setattr(sys.modules["monge.ot.barycenter"], "sinkhorn", record)
    barycenter([cloud(0, 8, 2), cloud(1, 9, 2)], epsilon=0.5, tol=0.1)
    assert [start is None for start in starts[:4]] == [True, True, False, False]


def test_fixed_support_interpolates_between_the_measures() -> None:
    measures = [(LINE, bump(0.3, 0.05)), (LINE, bump(0.7, 0.08))]
    for t, mean in ((0.0, 0.3), (0.25, 0.4), (1.0, 0.7)):
        result = barycenter(measures, [1 - t, t], support=LINE, epsilon=1e-3)
        assert (result.weights @ LINE).item() == pytest.approx(mean, abs=2e-3)


def test_debiasing_removes_the_blur() -> None:
    h = bump(0.4, 0.05)
    blurred = barycenter([(LINE, h)], support=LINE, epsilon=5e-3).weights
    sharp = barycenter([(LINE, h)], support=LINE, epsilon=5e-3, debias=True, tol=1e-4).weights
    assert (sharp - h).abs().sum() < 0.05 * (blurred - h).abs().sum()


def test_fixed_support_value_is_the_mean_transport_cost() -> None:
    """For Diracs at distance D the value is t (1 − t) D², since the mean is in the support."""
    x, y = torch.tensor([[0.0]]), torch.tensor([[4.0]])
    support = torch.tensor([[0.0], [1.0], [4.0]])
    result = barycenter([x, y], [0.75, 0.25], support=support, epsilon=0.05)
    torch.testing.assert_close(result.weights, torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)
    assert result.value.item() == pytest.approx(0.75 + 0.25 * 9, rel=1e-4)


def test_barycenter_of_unequal_sizes_keeps_float32() -> None:
    x, y, b = (t.float() for t in (cloud(0, 30, 5), cloud(1, 20, 5), weights(1, 20)))
    result = barycenter([x, (y, b)], epsilon=0.5)
    assert result.points.dtype == torch.float32
    assert result.points.shape == (30, 5)


def test_barycenter_warns_if_not_converged() -> None:
    x, y = cloud(0, 10, 2), cloud(1, 12, 2)
    with pytest.warns(RuntimeWarning, match="barycenter did not reach tol=1e-09"):
        result = barycenter([x, y], epsilon=0.5, tol=1e-9, max_iter=2)
    assert not result.converged
    assert result.n_iter == 2


@pytest.mark.parametrize("epsilon", [1e-2, 1e-3])
def test_fixed_support_agrees_with_pot(epsilon: float) -> None:
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    h, k = bump(0.25, 0.05), bump(0.7, 0.1)
    measures, options = [(LINE, h), (LINE, k)], {"tol": 1e-10, "max_iter": 20_000}
    result = barycenter(measures, [0.3, 0.7], support=LINE, epsilon=epsilon, **options)
    histograms, C = torch.stack([h, k], 1).numpy(), (LINE - LINE.T).square().numpy()
    shares, options = np.array([0.3, 0.7]), {"stopThr": 1e-13, "numItermax": 5000}
    theirs = pot.bregman.barycenter(
        histograms, C, epsilon, weights=shares, method="sinkhorn_log", **options
    )
    np.testing.assert_allclose(result.weights.numpy(), theirs, atol=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_debiased_barycenter_agrees_with_pot() -> None:
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    h, k = bump(0.25, 0.05), bump(0.7, 0.1)
    result = barycenter([(LINE, h), (LINE, k)], support=LINE, epsilon=1e-2, debias=True, tol=1e-5)
    histograms, C = torch.stack([h, k], 1).numpy(), (LINE - LINE.T).square().numpy()
    theirs = pot.bregman.barycenter_debiased(histograms, C, 1e-2, numItermax=3000, stopThr=1e-12)
    np.testing.assert_allclose(result.weights.numpy(), theirs, atol=1e-3)


def test_free_support_agrees_with_pot() -> None:
    pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")
    x, y, b = cloud(0, 25, 2), cloud(1, 30, 2, 2.0), weights(1, 30)
    uniform = np.full(25, 1 / 25)
    result = barycenter([x, (y, b)], epsilon=0, tol=1e-6)
    theirs = pot.lp.free_support_barycenter(
        [x.numpy(), y.numpy()], [uniform, b.numpy()], x.numpy(), b=uniform, numItermax=100
    )
    np.testing.assert_allclose(result.points.numpy(), theirs, atol=1e-6)


def test_barycenter_rejects_invalid_arguments() -> None:
    x = torch.zeros(3, 2)
    for arguments, message in [
        ({"measures": []}, "measures is empty"),
        ({"measures": [x[0]]}, r"measures\[0\] must have shape"),
        (
            {"measures": [x, torch.zeros(3, 4)]},
            r"measures\[1\] has dimension 4 and measures\[0\] 2",
        ),
        ({"measures": [x, x], "weights": [0.5, 0.6]}, "weights sums to 1.1"),
        ({"measures": [x, x], "weights": [1.0]}, "weights has 1 weights for 2"),
        ({"measures": [x], "epsilon": -1.0}, r"epsilon must be >= 0, got -1\.0"),
        (
            {"measures": [x], "support": x, "epsilon": 0.0},
            "epsilon must be > 0 with a fixed support",
        ),
        ({"measures": [x], "support": x, "n_support": 3}, "support fixes the points"),
        ({"measures": [x], "cost": "euclidean"}, "pass support=points"),
        ({"measures": [x], "n_support": 0}, "n_support must be > 0"),
        ({"measures": [(x, torch.ones(3))]}, r"the weights of measures\[0\] sums to 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            barycenter(**{"epsilon": 1.0, **arguments})  # type: ignore[arg-type]
