"""Unpaired translation from white noise to tinted and smoothed noise, with a known optimal map."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from monge.data import InfiniteDataset, SourceTarget, StepInputs, load, sample_from
from monge.errors import MongeError
from monge.methods import w2_cycle

SHAPE, TINT = (3, 8, 8), torch.tensor([0.5, -0.3, 0.1])[:, None, None]


def noise(n: int, rng: torch.Generator) -> torch.Tensor:
    return 0.5 * torch.randn(n, *SHAPE, generator=rng)


def truth(x: torch.Tensor) -> torch.Tensor:
    """Return 0.8 x + 1.2 P x + tint, where P averages over 2×2 squares.

    The map is optimal, because its linear part is symmetric and positive.
    """
    return 0.8 * x + 1.2 * interpolate(avg_pool2d(x, 2), scale_factor=2.0) + TINT


PAIR = SourceTarget(
    "noise",
    InfiniteDataset("A", SHAPE, noise),
    InfiniteDataset("B", SHAPE, lambda n, rng: truth(noise(n, rng))),
)


def trained(start: str, steps: int) -> w2_cycle.W2Cycle:
    torch.manual_seed(0)
    config = w2_cycle.Config(
        batch=32,
        adam={"lr": 0.01},
        nets={"widths": (4, 8), "strides": (1, 2), "head": (8,), "grid": 2},
        ema=0.9,
        start=start,
    )
    method = w2_cycle.build(config, SHAPE)
    for step in range(steps):
        method.step(StepInputs(PAIR, 0, step, position=32 * step, steps=max(steps, 2)))
    return method


def relative_errors(method: w2_cycle.W2Cycle) -> tuple[float, float, float]:
    """Return mean squared errors of the map, of its inverse and of the inverse network.

    They are divided by that of the identity.
    """
    x = PAIR.source_held_out(200)
    y = truth(x)
    guess = method.inverse_map.net.gradient(y)
    errors = (method.transform(x) - y, method.inverse_transform(y) - x, guess - x)
    unit = (x - y).square().mean()
    there, back, network = ((error.square().mean() / unit).item() for error in errors)
    return there, back, network


def test_training_finds_a_tint_and_a_smoothing_and_their_inverses() -> None:
    there, back, network = relative_errors(trained("identity", 100))
    assert there < 0.02
    assert back < 0.02
    assert network < 0.05


def test_start_is_the_optimal_map_of_colors() -> None:
    method = trained("colours", 1)
    x = PAIR.source_held_out(2000)
    y = truth(PAIR.source_held_out(2000, seed=1))
    for mapped, target in ((method.transform(x), y), (method.inverse_map.net.gradient(y), x)):
        mean, std = mapped.mean((0, 2, 3)), mapped.std((0, 2, 3))
        torch.testing.assert_close(mean, target.mean((0, 2, 3)), atol=0.08, rtol=0)
        torch.testing.assert_close(std, target.std((0, 2, 3)), atol=0.05, rtol=0)


def test_cycle_terms_train_the_conjugate_only() -> None:
    config = w2_cycle.Config(
        batch=16, nets={"widths": (4, 4), "strides": (1, 2), "head": (4,), "grid": 2}
    )
    potential, conjugate = [], []  # gradients without and with the cycle term
    for cycle in (0.0, 100.0):
        torch.manual_seed(0)
        method = w2_cycle.build(config.model_copy(update={"cycle": cycle}), SHAPE)
        method.step(StepInputs(PAIR, 0, 1))
        potential.append([p.grad for p in method.potential.parameters() if p.grad is not None])
        conjugate.append([p.grad for p in method.conjugate.parameters() if p.grad is not None])
    torch.testing.assert_close(*potential)
    without, with_cycle = conjugate
    gap = sum(g.square().sum() for g in torch._foreach_sub(with_cycle, without))
    assert gap > 10 * sum(g.square().sum() for g in without)


def test_wrong_shapes_and_settings_are_errors() -> None:
    with pytest.raises(
        ValueError, match=r"square pictures \(c, s, s\), got samples of shape \(2,\)"
    ):
        w2_cycle.build(w2_cycle.Config(), (2,))
    with pytest.raises(ValueError, match="5 widths need as many strides, got 1"):
        w2_cycle.Config(nets={"strides": (1,)})
    with pytest.raises(
        MongeError,
        match=r"'w2_cycle' moves given samples .* data '8gaussians' has no source",
    ):
        sample_from(trained("identity", 0), load("8gaussians"), 4)
