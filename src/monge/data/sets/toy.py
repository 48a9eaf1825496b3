"""Two-dimensional toy distributions, after those of [gulrajani2017] and [korotin2021]."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi

import torch
from torch import Generator, Tensor

from monge.data.datasets import InfiniteDataset
from monge.data.kinds import Mixture


def _circle(k: int, radius: float, sigma: float) -> Mixture:
    angle = 2 * pi * torch.arange(k) / k
    return Mixture(radius * torch.stack([angle.cos(), angle.sin()], 1), sigma)


def _grid(side: int, sigma: float) -> Mixture:
    at = torch.arange(side, dtype=torch.get_default_dtype()) - (side - 1) / 2
    return Mixture(torch.cartesian_prod(at, at), sigma)


def _uniform(n: int, rng: Generator) -> Tensor:
    return torch.rand(n, generator=rng)


def _moons(n: int, rng: Generator) -> Tensor:
    angle, upper = pi * _uniform(n, rng), _uniform(n, rng) < 0.5
    side = torch.where(upper, 1.0, -1.0)
    center = torch.where(upper, -0.5, 0.5)
    curve = torch.stack([center + side * angle.cos(), side * (angle.sin() - 0.25)], 1)
    return curve + 0.05 * torch.randn(n, 2, generator=rng)


def _swiss_roll(n: int, rng: Generator) -> Tensor:
    t = 1.5 * pi * (1 + 2 * _uniform(n, rng))
    roll = torch.stack([t * t.cos(), t * t.sin()], 1) / (1.5 * pi * 1.5)
    return roll + 0.05 * torch.randn(n, 2, generator=rng)


def _checkerboard(n: int, rng: Generator) -> Tensor:
    x, y = 4 * _uniform(n, rng) - 2, _uniform(n, rng)
    row = 2 * (_uniform(n, rng) < 0.5) + x.floor() % 2
    return torch.stack([x, y + row - 2], 1)


def _rings(n: int, rng: Generator) -> Tensor:
    angle = 2 * pi * _uniform(n, rng)
    radius = 0.5 * torch.randint(1, 5, (n,), generator=rng)
    ring = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    return ring + 0.04 * torch.randn(n, 2, generator=rng)


TOYS: dict[str, Mixture | Callable[[int, Generator], Tensor]] = {
    "8gaussians": _circle(8, 2.0, 1 / 6),
    "25gaussians": _grid(5, 0.05),
    "49gaussians": _grid(7, 1 / 9),
    "100gaussians": _grid(10, 1 / 9),
    "moons": _moons,
    "swiss_roll": _swiss_roll,
    "checkerboard": _checkerboard,
    "rings": _rings,
}


def draw_toy(name: str, n: int, rng: Generator) -> Tensor:
    """Draw points (n, 2) of a toy distribution.

    >>> draw_toy("8gaussians", 3, Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    """
    toy = TOYS[name]
    if not isinstance(toy, Mixture):
        return toy(n, rng)
    k = torch.randint(len(toy.centers), (n,), generator=rng)
    return toy.centers[k] + toy.sigma * torch.randn(n, 2, generator=rng)


def toy(name: str) -> InfiniteDataset:
    """Return the data set of a name in `TOYS`."""
    kind = TOYS[name]
    return InfiniteDataset(
        name, (2,), partial(draw_toy, name), kind if isinstance(kind, Mixture) else None
    )
