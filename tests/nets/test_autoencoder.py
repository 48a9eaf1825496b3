"""Autoencoders: moments of the codes, and shapes of the networks."""

from __future__ import annotations

import pytest
import torch

from monge.data import rng
from monge.nets import Autoencoder, build_autoencoder, build_encoder
from tests.helpers.normal_points import normal


def test_observed_moments_are_those_of_the_codes() -> None:
    autoencoder = Autoencoder(torch.nn.Identity(), torch.nn.Identity(), 2)
    matrix, shift = torch.tensor([[2.0, 0.0], [1.0, 0.5]]), torch.tensor([3.0, -1.0])
    codes = normal(200 * 500, 2, dtype=torch.float32) @ matrix.T + shift
    for batch in codes.split(500):
        autoencoder.observe(batch)
    assert torch.allclose(autoencoder.mean, shift, atol=0.1)
    assert torch.allclose(autoencoder.covariance, matrix @ matrix.T, atol=0.2)
    fitted = autoencoder.fitted(20_000)
    assert torch.allclose(fitted.mean(0), shift, atol=0.1)
    assert torch.allclose(fitted.T.cov(), matrix @ matrix.T, atol=0.2)
    assert torch.equal(fitted, autoencoder.fitted(20_000))


@pytest.mark.parametrize("size", [8, 20, 28, 32, 33])
def test_acai_blocks_fit_squares_of_any_size(size: int) -> None:
    autoencoder = build_autoencoder("acai", (3, size, size), 6, 4)
    x = torch.randn(2, 3, size, size, generator=rng(0))
    z = autoencoder.encode(x)
    assert z.shape == (2, 6)
    assert autoencoder.decode(z).shape == x.shape


def test_wrong_shapes_for_a_network_name_net_mlp() -> None:
    for build in (
        lambda: build_autoencoder("acai", (1, 8, 9), 2, 4),
        lambda: build_encoder("conv", (5,), 4, 1),
    ):
        with pytest.raises(ValueError, match="choose net 'mlp'"):
            build()
