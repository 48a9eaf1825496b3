"""Evaluators of transport maps, on a pair with a known optimal map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monge.data import InfiniteDataset, SourceTarget, sample_from
from monge.metrics import EvalConfig
from monge.training.maps import inverse, optimality
from tests.helpers.measured import measured
from tests.helpers.subjects import moons


class Shift(nn.Module):
    """The map x + (1, 0), with an inverse that is wrong by ``error``."""

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
    InfiniteDataset("moved", (2,), lambda n, rng: moons(n, rng) + torch.tensor([1.0, 0.0])),
    lambda x: x + torch.tensor([1.0, 0.0]),
)


@torch.no_grad()
def test_metrics_of_the_optimal_map_and_of_a_wrong_inverse() -> None:
    config = EvalConfig(samples=500)
    right, wrong = (measured(inverse, Shift(error), SHIFTED, config) for error in (0.0, 0.3))
    assert right["cycle_error"] == pytest.approx(0, abs=1e-9)
    assert right["w2_inverse_ratio"] < 2 < wrong["w2_inverse_ratio"]
    variance = SHIFTED.source_held_out(500).var(0, correction=0).sum().item()
    assert wrong["cycle_error"] == pytest.approx(100 * 2 * 0.3**2 / variance, rel=0.01)
    metrics = measured(optimality, Shift(), SHIFTED, config)
    assert metrics["l2_uvp"] == pytest.approx(0, abs=1e-9)
    assert metrics["l2_uvp_linear"] == pytest.approx(0, abs=0.1)
    assert metrics["w2_dual"] == pytest.approx(1, rel=0.05)
    assert metrics["w2_exact"] == pytest.approx(1, rel=0.15)
    torch.testing.assert_close(
        sample_from(Shift(), SHIFTED, 7, seed=2),
        SHIFTED.source_held_out(7, 2) + torch.tensor([1.0, 0.0]),
    )
