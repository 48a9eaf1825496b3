"""Unpaired picture translation where the optimal map is known: white noise, brightened, tinted and
smoothed.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from monge.data import InfiniteDataset, SourceTarget, StepInputs, load, sample_from
from monge.errors import MongeError
from monge.methods import w2_cycle

SHAPE, TINT = (3, 8, 8), torch.tensor([0.5, -0.3, 0.1])[:, None, None]


def noise(n: int, generator: torch.Generator) -> torch.Tensor:
    return 0.5 * torch.randn(n, *SHAPE, generator=generator)


def truth(x: torch.Tensor) -> torch.Tensor:
    """Symmetric and positive, hence optimal: 0.8 x + 1.2 P x + tint, P the average over squares of
    2×2.
    """
    return 0.8 * x + 1.2 * interpolate(avg_pool2d(x, 2), scale_factor=2.0) + TINT


PAIR = SourceTarget(
    "noise",
    InfiniteDataset("A", SHAPE, noise),
    InfiniteDataset("B", SHAPE, lambda n, g: truth(noise(n, g))),
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
    """Mean squared error of the map, the inverse, and the network of the inverse, over that of the
    identity.
    """
    x = PAIR.source_held_out(200)
    y = truth(x)
    guess = method.inverse_map.net.gradient(y)
    found = (method.transform(x) - y, method.inverse_transform(y) - x, guess - x)
    there, back, network = (
        (error.square().mean() / (x - y).square().mean()).item() for error in found
    )
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
    for moved, target in ((method.transform(x), y), (method.inverse_map.net.gradient(y), x)):
        torch.testing.assert_close(moved.mean((0, 2, 3)), target.mean((0, 2, 3)), atol=0.08, rtol=0)
        torch.testing.assert_close(moved.std((0, 2, 3)), target.std((0, 2, 3)), atol=0.05, rtol=0)


def test_cycle_terms_train_the_conjugate_only() -> None:
    config = w2_cycle.Config(
        batch=16, nets={"widths": (4, 4), "strides": (1, 2), "head": (4,), "grid": 2}
    )
    gradients = []
    for cycle in (0.0, 100.0):
        torch.manual_seed(0)
        method = w2_cycle.build(config.model_copy(update={"cycle": cycle}), SHAPE)
        method.step(StepInputs(PAIR, 0, 1))
        gradients.append(
            [
                [p.grad for p in net.parameters() if p.grad is not None]
                for net in (method.potential, method.conjugate)
            ]
        )
    without, with_cycle = gradients
    torch.testing.assert_close(without[0], with_cycle[0])
    gap, size = (
        sum(g.square().sum() for g in grads)
        for grads in (torch._foreach_sub(with_cycle[1], without[1]), without[1])
    )
    assert gap > 10 * size


def test_wrong_shapes_and_settings_are_errors() -> None:
    with pytest.raises(
        ValueError, match=r"square pictures \(c, s, s\), got samples of shape \(2,\)"
    ):
        w2_cycle.build(w2_cycle.Config(), (2,))
    with pytest.raises(ValueError, match="5 widths need as many strides, got 1"):
        w2_cycle.Config(nets={"strides": (1,)})
    with pytest.raises(
        MongeError,
        match="'w2_cycle' moves given samples and generates none, and data '8gaussians' is no pair",
    ):
        sample_from(trained("identity", 0), load("8gaussians"), 4)
