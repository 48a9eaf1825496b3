"""W₂ by amortized conjugates, for a known map and on a pair of the benchmark."""

from __future__ import annotations

import pytest
import torch

from monge import metrics, ot
from monge.data import StepInputs, data_root, load
from monge.methods import amortised_w2
from monge.metrics import EvalConfig
from monge.training.maps import optimality
from tests.helpers.known_maps import MEAN, ROOT, bend, bent_pair
from tests.helpers.measured import measured

PAIR = bent_pair()


@pytest.mark.parametrize("start", ["gaussian", "identity"])
def test_training_finds_a_known_map_its_inverse_and_w2(start: str) -> None:
    torch.manual_seed(0)
    config = amortised_w2.Config(
        batch=256, adam={"lr": 0.01}, nets={"widths": (32, 16)}, ema=0.95, start=start
    )
    method = amortised_w2.build(config, PAIR.shape)
    steps = 300 if start == "gaussian" else 600
    for step in range(steps):
        scalars = method.step(StepInputs(PAIR, 0, step, position=256 * step, steps=steps))
    x = PAIR.source_held_out(5000)
    y = bend(x)
    linear = ot.gaussian_map(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert metrics.l2_uvp(method.transform(x), y) < 1 < metrics.l2_uvp(linear(x), y) / 4
    assert metrics.l2_uvp(method.inverse_transform(y), x) < 2
    expected = (x - y).square().sum(1).mean().item()
    assert method.w2_squared(x, y).item() == pytest.approx(expected, rel=0.02)
    assert scalars["residual"] < 0.05
    other = PAIR.held_out(5000)
    assert method.w2_squared(x, other).item() == pytest.approx(expected, rel=0.05)


def test_gaussian_start_is_the_map_between_gaussians() -> None:
    method = amortised_w2.build(
        amortised_w2.Config(batch=4096, adam={"lr": 1e-9}, nets={"widths": (8, 4)}), PAIR.shape
    )
    method.step(StepInputs(PAIR, 0, 0))
    x = PAIR.source_held_out(4000)
    y = bend(x)
    linear = y.mean(0) + (x - x.mean(0)) @ torch.linalg.lstsq(x - x.mean(0), y - y.mean(0)).solution
    assert metrics.l2_uvp(method.transform(x), linear) < 1


def test_start_at_sets_the_averaged_map_and_its_inverse() -> None:
    method = amortised_w2.build(amortised_w2.Config(nets={"widths": (8, 4)}), (2,))
    method.pair.start_at(ot.AffineMap(ROOT, MEAN), ot.AffineMap(ROOT, MEAN).inverse())
    x = torch.randn(100, 2)
    torch.testing.assert_close(method.transform(x), x @ ROOT + MEAN, atol=0.05, rtol=0)
    torch.testing.assert_close(method.inverse_transform(x @ ROOT + MEAN), x, atol=0.1, rtol=0)


def test_pictures_raise_value_error() -> None:
    with pytest.raises(ValueError, match=r"move points \(d,\), got samples of shape \(1, 8, 8\)"):
        amortised_w2.build(amortised_w2.Config(), (1, 8, 8))


def test_first_step_on_the_benchmark_equals_the_linear_map() -> None:
    if not (data_root() / "w2benchmark").is_dir():
        pytest.skip("w2benchmark is not on this machine: set MONGE_DATA")
    pair = load("w2benchmark-2")
    method = amortised_w2.build(
        amortised_w2.Config(batch=1024, adam={"lr": 1e-9}, nets={"widths": (8, 4)}), (2,)
    )
    method.step(StepInputs(pair, 0, 0))
    values = measured(optimality, method, pair, EvalConfig(samples=500))
    assert values["l2_uvp_linear"] == pytest.approx(14.09, abs=0.3)
    assert values["l2_uvp"] == pytest.approx(values["l2_uvp_linear"], abs=1)
