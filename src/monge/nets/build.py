"""Networks by name: ``mlp`` for points and small pictures, ``conv`` for square pictures."""

from __future__ import annotations

from math import prod
from typing import Literal, TypeAlias

from torch import nn

from .dcgan import CReLUCritic, GLUGenerator
from .mlp import MLP

Net: TypeAlias = Literal["mlp", "conv"]


def build_generator(net: Net, latent: int, shape: tuple[int, ...], width: int) -> nn.Module:
    """Return a generator of samples of ``shape``, (d,) or (channels, height, width)."""
    if net == "conv":
        return GLUGenerator(latent, *_square(shape), width)
    picture = len(shape) == 3
    return MLP([latent, width, width, width, width, prod(shape)], shape, squash=picture)


def build_critic(net: Net, shape: tuple[int, ...], width: int, features: int) -> nn.Module:
    """Return a critic from samples of ``shape`` to ``features`` numbers."""
    if net == "conv":
        return CReLUCritic(*_square(shape), width, features)
    return MLP([prod(shape), width, width, features])


def _square(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(
            f"net 'conv' takes square pictures (channels, size, size), got {shape}: choose net "
            "'mlp'"
        )
    return shape[0], shape[1]
