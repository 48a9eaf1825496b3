"""Wasserstein-2 generative networks between Gaussians, with known map, inverse and distance."""

from __future__ import annotations

import pytest
import torch

from monge import ot
from monge.data import StepInputs
from monge.methods import w2gn
from tests.helpers.known_maps import MEAN, ROOT


class Ellipse:
    """Data from N(m, R²), to which the optimal map from normal noise is x ↦ R x + m."""

    name, shape = "ellipse", (2,)

    def batch(self, seed: int, position: int, n: int, _: tuple[int, int] = (0, 1)) -> torch.Tensor:
        rng = torch.Generator().manual_seed(seed * 1_000_003 + position)
        return torch.randn(n, 2, generator=rng) @ ROOT + MEAN


def test_training_finds_the_map_between_gaussians_its_inverse_and_w2() -> None:
    torch.manual_seed(0)
    method = w2gn.build(
        w2gn.Config(batch=256, adam={"lr": 0.01}, nets={"widths": (16, 8)}, ema=0.95), (2,)
    )
    for step in range(300):
        method.step(StepInputs(Ellipse(), 0, step, position=256 * step, steps=300))
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    y = x @ ROOT + MEAN
    truth = (MEAN.square().sum() + (ROOT - torch.eye(2)).square().sum()).item()  # |m|² + ‖R − 1‖²
    assert (method.transform(x) - y).square().sum(1).mean() < 0.02 * truth
    assert (method.inverse_transform(y) - x).square().sum(1).mean() < 0.02 * truth
    assert method.w2_squared(x, y).item() == pytest.approx(truth, rel=0.05)


def test_sharpened_inverse_inverts_the_map() -> None:
    torch.manual_seed(0)
    plain, sharp = (
        w2gn.build(w2gn.Config(nets={"widths": (16, 8)}, sharpen=n), (2,)) for n in (0, 50)
    )
    x = torch.randn(500, 2)
    plain.pair.start_at(ot.AffineMap(ROOT, MEAN), ot.AffineMap(torch.eye(2), MEAN))  # a wrong guess
    sharp.load_state_dict(plain.state_dict())
    y = plain.transform(x)
    assert (plain.inverse_transform(y) - x).norm() > 1
    torch.testing.assert_close(sharp.inverse_transform(y), x, atol=1e-3, rtol=0)


def test_pictures_raise_value_error() -> None:
    with pytest.raises(ValueError, match=r"move points \(d,\), got samples of shape \(1, 8, 8\)"):
        w2gn.build(w2gn.Config(), (1, 8, 8))
