"""Toy distributions have the shapes that their names say."""

from __future__ import annotations

import pytest
import torch

from monge.data import Mixture
from monge.data.sets.toy import TOYS, draw_toy


@pytest.mark.parametrize(
    ("name", "modes", "sigma"),
    [
        ("8gaussians", 8, 1 / 6),
        ("25gaussians", 25, 0.05),
        ("49gaussians", 49, 1 / 9),
        ("100gaussians", 100, 1 / 9),
    ],
)
def test_mixtures_have_the_number_of_modes_and_the_spread_of_their_name(
    name: str, modes: int, sigma: float
) -> None:
    toy = TOYS[name]
    assert isinstance(toy, Mixture)
    assert len(toy.centers) == modes
    data = draw_toy(name, 20_000, torch.Generator().manual_seed(0))
    nearest = torch.cdist(data, toy.centers)
    spread = (data - toy.centers[nearest.argmin(1)]).square().mean().sqrt().item()
    assert spread == pytest.approx(sigma, rel=0.03)
    if name == "8gaussians":
        torch.testing.assert_close(toy.centers.norm(dim=1), torch.full((8,), 2.0))


@pytest.mark.parametrize("name", ["moons", "swiss_roll", "checkerboard", "rings"])
def test_other_toys_are_bounded_and_spread_out(name: str) -> None:
    data = draw_toy(name, 1000, torch.Generator().manual_seed(0))
    assert data.shape == (1000, 2)
    assert data.abs().max() < 5
    assert data.std(0).min() > 0.3
