"""Pairs of distributions: their streams, the W₂ benchmark with its true maps, and what is measured
of a map.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from monge import metrics
from monge.data import (
    Dataset,
    InfiniteDataset,
    SourceTarget,
    StepInputs,
    data_root,
    load,
    sample_from,
    sample_source,
)
from monge.data.sets.toy import draw_toy
from monge.errors import MongeError
from monge.methods import gan
from monge.metrics import EvalConfig
from monge.training.maps import inverse, linear_map, optimality
from tests.helpers.measured import measured

# per cent, measured elsewhere on the same pairs
LINEAR_ROW = {
    2: 14.09,
    4: 14.68,
    8: 27.11,
    16: 41.57,
    32: 55.11,
    64: 63.92,
}


def moons(n: int, generator: torch.Generator) -> Tensor:
    return draw_toy("moons", n, generator)


TWICE = SourceTarget(
    "twice", InfiniteDataset("moons", (2,), moons), InfiniteDataset("moons", (2,), moons)
)


def benchmark(d: int) -> Dataset:
    if not (data_root() / "w2benchmark").is_dir():
        pytest.skip("w2benchmark is not on this machine: set MONGE_DATA")
    return load(f"w2benchmark-{d}")


def test_a_draw_has_both_streams_and_they_do_not_meet() -> None:
    draw = StepInputs(TWICE, seed=3, step=7, position=70)
    x, y = draw.source(10), draw.data(10)
    assert draw.position == 80
    assert not torch.equal(x, y)
    again = StepInputs(TWICE, seed=3, step=7, position=70)
    torch.testing.assert_close(again.data(10), y)
    torch.testing.assert_close(again.source(10), x)
    assert not torch.equal(again.source(10), x)
    assert not torch.equal(TWICE.source_held_out(10), TWICE.held_out(10))
    assert not torch.equal(TWICE.source_train(10), TWICE.source_held_out(10))


def test_two_processes_see_the_rows_of_one() -> None:
    whole = StepInputs(TWICE, seed=0, step=0).data(8)
    parts = [StepInputs(TWICE, seed=0, step=0, part=(rank, 2)).data(8) for rank in (0, 1)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_without_a_pair_the_origin_is_noise() -> None:
    data = load("8gaussians")
    x = StepInputs(data, seed=0, step=0).source(5000)
    assert abs(x.mean()) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert not torch.equal(sample_source(data, 10, 0), sample_source(data, 10, 1))
    assert not torch.equal(sample_source(data, 10, 0), sample_source(data, 10, 0, train=True))


class Shift(nn.Module):
    """Moves points by (1, 0), and back by a little too much."""

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        self.by, self.error = nn.Parameter(torch.tensor([1.0, 0.0])), error

    def transform(self, x: Tensor) -> Tensor:
        return x + self.by

    def inverse_transform(self, y: Tensor) -> Tensor:
        return y - self.by + self.error

    def w2_squared(self, x: Tensor, y: Tensor) -> Tensor:
        return (x.mean(0) - y.mean(0)).square().sum()


SHIFTED = SourceTarget(
    "shifted",
    InfiniteDataset("moons", (2,), moons),
    InfiniteDataset("moved", (2,), lambda n, g: moons(n, g) + torch.tensor([1.0, 0.0])),
    lambda x: x + torch.tensor([1.0, 0.0]),
)


@torch.no_grad()
def test_figures_of_the_true_map_and_of_a_wrong_inverse() -> None:
    right, wrong = (
        measured(inverse, method, SHIFTED, EvalConfig(samples=500))
        for method in (Shift(), Shift(0.3))
    )
    assert right["cycle_error"] == pytest.approx(0, abs=1e-9)
    assert right["w2_inverse_ratio"] < 2 < wrong["w2_inverse_ratio"]
    variance = SHIFTED.source_held_out(500).var(0, correction=0).sum().item()
    assert wrong["cycle_error"] == pytest.approx(100 * 2 * 0.3**2 / variance, rel=0.01)
    found = measured(optimality, Shift(), SHIFTED, EvalConfig(samples=500))
    assert found["l2_uvp"] == pytest.approx(0, abs=1e-9)
    assert found["l2_uvp_linear"] == pytest.approx(0, abs=0.1)
    assert found["w2_dual"] == pytest.approx(1, rel=0.05)
    assert found["w2_exact"] == pytest.approx(1, rel=0.15)
    torch.testing.assert_close(
        sample_from(Shift(), SHIFTED, 7, seed=2),
        SHIFTED.source_held_out(7, 2) + torch.tensor([1.0, 0.0]),
    )


def test_a_generator_on_a_pair_draws_its_target() -> None:
    method = gan.build(gan.Config(batch=8, nets={"width": 8}), TWICE.shape)
    torch.testing.assert_close(sample_from(method, TWICE, 5, seed=1), method.sample(5, 1))
    assert measured(inverse, method, TWICE, EvalConfig(samples=50)) == {}


def test_uvp_is_a_share_of_the_variance() -> None:
    truth = torch.randn(1000, 3)
    assert metrics.l2_uvp(truth.mean(0).expand(1000, 3), truth) == pytest.approx(100)
    with pytest.raises(ValueError, match="images of the same points"):
        metrics.l2_uvp(truth[:10], truth)


@pytest.mark.parametrize("d", LINEAR_ROW)
def test_benchmark_has_the_stored_map_and_the_published_linear_row(d: int) -> None:
    pair = benchmark(d)
    assert isinstance(pair, SourceTarget)
    assert pair.truth is not None
    stored = np.load(data_root() / "w2benchmark" / f"mix3to10_dim{d}.npz")
    x, y = torch.from_numpy(stored["X"]), torch.from_numpy(stored["Y"])
    torch.testing.assert_close(pair.truth(x), y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pair.source_train(20_000).T.cov(), x.T.cov(), atol=0.15, rtol=0.15)
    fresh = pair.source_held_out(65_536)
    assert metrics.l2_uvp(linear_map(pair)(fresh), pair.truth(fresh)) == pytest.approx(
        LINEAR_ROW[d], abs=0.3
    )


def test_a_corrupt_or_absent_benchmark(tmp_path: Path) -> None:
    with pytest.raises(MongeError, match="set MONGE_DATA to the folder that holds w2benchmark/"):
        load("w2benchmark-4", tmp_path)
    (tmp_path / "w2benchmark").mkdir()
    (tmp_path / "w2benchmark" / "mix3to10_dim4.npz").write_bytes(b"no archive")
    with pytest.raises(MongeError, match="is corrupt"):
        load("w2benchmark-4", tmp_path)
