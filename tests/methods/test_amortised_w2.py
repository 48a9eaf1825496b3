"""W₂ by amortized conjugates, between Gaussians and on the benchmark's pairs; OTMap, which is built
on it.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monge import metrics, ot
from monge.data import InfiniteDataset, SourceTarget, StepInputs, data_root, load
from monge.errors import MongeError
from monge.maps import OTMap
from monge.methods import amortised_w2
from monge.metrics import EvalConfig
from monge.training.maps import optimality
from tests.helpers.measured import measured

ROOT = torch.tensor([[1.5, 0.4], [0.4, 0.6]])
MEAN = torch.tensor([1.0, -2.0])


def normal(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(n, 2, generator=generator)


def bent(n: int, generator: torch.Generator) -> torch.Tensor:
    return truth(normal(n, generator))


def truth(x: torch.Tensor) -> torch.Tensor:
    """∇ of the convex ½ xᵀ R x + ⟨m, x⟩ + Σ ¾ log cosh 2x."""
    return x @ ROOT + MEAN + 1.5 * (2 * x).tanh()


PAIR = SourceTarget(
    "bent", InfiniteDataset("normal", (2,), normal), InfiniteDataset("bent", (2,), bent), truth
)


@pytest.mark.parametrize("start", ["gaussian", "identity"])
def test_finds_a_known_map_its_inverse_and_the_distance(start: str) -> None:
    torch.manual_seed(0)
    config = amortised_w2.Config(
        batch=256, adam={"lr": 0.01}, nets={"widths": (32, 16)}, ema=0.95, start=start
    )
    method = amortised_w2.build(config, PAIR.shape)
    steps = 300 if start == "gaussian" else 600
    for step in range(steps):
        scalars = method.step(StepInputs(PAIR, 0, step, position=256 * step, steps=steps))
    x = PAIR.source_held_out(5000)
    y = truth(x)
    linear = ot.gaussian_map(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert metrics.l2_uvp(method.transform(x), y) < 1 < metrics.l2_uvp(linear(x), y) / 4
    assert metrics.l2_uvp(method.inverse_transform(y), x) < 2
    assert method.w2_squared(x, y).item() == pytest.approx(
        (x - y).square().sum(1).mean().item(), rel=0.02
    )
    assert scalars["residual"] < 0.05
    other = PAIR.held_out(5000)
    assert method.w2_squared(x, other).item() == pytest.approx(
        (x - y).square().sum(1).mean().item(), rel=0.05
    )


def test_the_start_is_the_map_between_gaussians() -> None:
    method = amortised_w2.build(
        amortised_w2.Config(batch=4096, adam={"lr": 1e-9}, nets={"widths": (8, 4)}), PAIR.shape
    )
    method.step(StepInputs(PAIR, 0, 0))
    x = PAIR.source_held_out(4000)
    y = truth(x)
    linear = y.mean(0) + (x - x.mean(0)) @ torch.linalg.lstsq(x - x.mean(0), y - y.mean(0)).solution
    assert metrics.l2_uvp(method.transform(x), linear) < 1


def test_an_affine_start_is_seen_at_once() -> None:
    method = amortised_w2.build(amortised_w2.Config(nets={"widths": (8, 4)}), (2,))
    method.pair.start_at(ot.AffineMap(ROOT, MEAN), ot.AffineMap(ROOT, MEAN).inverse())
    x = torch.randn(100, 2)
    torch.testing.assert_close(method.transform(x), x @ ROOT + MEAN, atol=0.05, rtol=0)
    torch.testing.assert_close(method.inverse_transform(x @ ROOT + MEAN), x, atol=0.1, rtol=0)


def test_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"move points \(d,\), got samples of shape \(1, 8, 8\)"):
        amortised_w2.build(amortised_w2.Config(), (1, 8, 8))


@pytest.fixture(scope="module")
def fitted() -> tuple[OTMap, np.ndarray, np.ndarray]:
    x = PAIR.source_train(20_000).numpy() * 100 - 20
    y = 7 * PAIR.train(20_000).numpy() + 1000
    return OTMap(steps=250, batch=256, lr=0.01, widths=(16, 8)).fit(x, y), x, y


def test_map_of_arrays_far_from_the_origin(fitted: tuple[OTMap, np.ndarray, np.ndarray]) -> None:
    found, x, _ = fitted
    y = 7 * truth(torch.from_numpy((x + 20) / 100)).numpy() + 1000
    moved = found.transform(x)
    assert isinstance(moved, np.ndarray)
    assert moved.dtype == x.dtype
    assert metrics.l2_uvp(torch.from_numpy(moved), torch.from_numpy(y)) < 2
    assert metrics.l2_uvp(torch.from_numpy(found.inverse_transform(y)), torch.from_numpy(x)) < 2.5
    np.testing.assert_array_equal(found.transform(x, batch_size=777), moved)
    tensor = found.transform(torch.from_numpy(x).double())
    assert tensor.dtype == torch.float64


def test_certificate(fitted: tuple[OTMap, np.ndarray, np.ndarray]) -> None:
    found, x, y = fitted
    certificate = found.certificate()
    exact = metrics.w2_squared(
        torch.from_numpy(x[:1500]), torch.from_numpy(y[:1500]), torch.from_numpy(y[1500:3000])
    ).value
    assert certificate.primal == pytest.approx(exact, rel=0.05)
    assert found.w2_squared() == certificate.dual == pytest.approx(exact, rel=0.05)
    assert 0 <= certificate.cycle < 0.1
    assert 0 <= certificate.inverse_cycle < 0.1


def test_the_map_is_the_gradient_of_the_potential(
    fitted: tuple[OTMap, np.ndarray, np.ndarray],
) -> None:
    found, x, _ = fitted
    points, step = x[:200].astype(np.float64), 0.5
    slopes = [
        (found.potential(points + step * e) - found.potential(points - step * e)) / (2 * step)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(np.stack(slopes, 1), found.transform(points), rtol=1e-2)


def test_the_certificate_holds_far_from_the_origin() -> None:
    """Squares of 10⁴ would leave nothing of a distance of 1 in single precision."""
    x = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    certificate = OTMap(steps=0).fit(x + 1e4, 2 * x[::-1] + 1e4).certificate()
    assert certificate.primal == pytest.approx(2, rel=0.1)
    assert certificate.dual == pytest.approx(2, rel=0.1)


def test_same_seed_same_map() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    first, same, other = (
        OTMap(steps=3, batch=32, seed=s).fit(x, y).transform(x) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("rows", [3, 40])
def test_few_samples_and_constant_features(rows: int) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, rows, 5)).astype(np.float32)
    x[:, 2], y[:, 2], y[:, 4] = 3, 8, -1
    moved = OTMap(steps=20, batch=32).fit(x, y).transform(x)
    assert np.isfinite(moved).all()
    assert abs(moved[:, 2] - 8).max() < 0.3


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
def test_the_door(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(MongeError, match=message):
        OTMap(steps=1).fit(x, y)


def test_before_fit_and_other_features(fitted: tuple[OTMap, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(MongeError, match="call fit"):
        OTMap().transform(np.zeros((1, 2)))
    with pytest.raises(MongeError, match="the points have 3 features, the map was fitted to 2"):
        fitted[0].transform(np.zeros((1, 3)))
    with pytest.raises(MongeError, match="steps must be at least 0"):
        OTMap(steps=-1)
    with pytest.raises(MongeError, match="lr = 0: input should be greater than 0"):
        OTMap(lr=0)


def test_a_learning_rate_that_diverges_is_said() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300, 20)).astype(np.float32)
    with pytest.raises(MongeError, match="the map diverged at step"):
        OTMap(steps=60, batch=64, lr=10.0).fit(x, y)
    with pytest.warns(RuntimeWarning, match="the map may have diverged: its inverse misses by"):
        OTMap(steps=60, batch=64, lr=1.0).fit(x, y)


def test_one_iteration_on_the_benchmark_begins_at_the_linear_map() -> None:
    if not (data_root() / "w2benchmark").is_dir():
        pytest.skip("w2benchmark is not on this machine: set MONGE_DATA")
    pair = load("w2benchmark-2")
    method = amortised_w2.build(
        amortised_w2.Config(batch=1024, adam={"lr": 1e-9}, nets={"widths": (8, 4)}), (2,)
    )
    method.step(StepInputs(pair, 0, 0))
    figures = measured(optimality, method, pair, EvalConfig(samples=500))
    assert figures["l2_uvp_linear"] == pytest.approx(14.09, abs=0.3)
    assert figures["l2_uvp"] == pytest.approx(figures["l2_uvp_linear"], abs=1)
