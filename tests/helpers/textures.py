"""A striped exemplar, and texture generators trained on it for a few steps."""

from __future__ import annotations

import torch
from torch import Tensor

from monge.data import InfiniteDataset, StepInputs
from monge.methods import texture_generator
from monge.methods.texture_generator import Config, TextureGenerator
from monge.nets import TextureNet


def red_and_blue_stripes(side: int = 32) -> Tensor:
    """Return a picture (3, side, side) of red and blue stripes, each 4 pixels wide."""
    x = torch.zeros(3, side, side)
    red = torch.arange(side) % 8 < 4
    x[0, :, red], x[2, :, ~red] = 0.9, 0.8
    return x


def texture_inputs(step: int, steps: int) -> StepInputs:
    """Return inputs for a step of a texture generator, which takes noise but no data."""
    data = InfiniteDataset("none", (1,), lambda n, _: torch.zeros(n, 1))
    return StepInputs(data, 0, step, steps=steps)


def trained_generator(
    config: Config, steps: int, exemplar: Tensor | None = None
) -> TextureGenerator:
    """Train a texture generator on an exemplar, by default stripes."""
    exemplar = red_and_blue_stripes() if exemplar is None else exemplar
    method = texture_generator.build(config, exemplar)
    for step in range(steps):
        method.step(texture_inputs(step, steps))
    return method


def net_with_running_means() -> TextureNet:
    """Return a network in evaluation mode with running means that differ from the initial ones."""
    torch.manual_seed(0)
    net = TextureNet(3, levels=3, width=4)
    for _ in range(20):
        net([1.5 * torch.randn(2, *shape) for shape in net.noise_shapes((32, 32))])
    return net.eval()
