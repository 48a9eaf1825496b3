"""The texture network: normalization, and equivariance to shifts."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from monge.nets import TextureNet
from tests.helpers.textures import net_with_running_means


@pytest.fixture(scope="module")
def net() -> TextureNet:
    return net_with_running_means()


@torch.no_grad()
def test_evaluation_normalizes_by_running_means(net: TextureNet) -> None:
    layer, x = cast(Any, net.blocks[0])[0], torch.randn(2, 4, 8, 8)
    y = layer.convolution(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"))
    y = torch.nn.functional.batch_norm(y, layer.mean, layer.var, layer.scale, layer.shift)
    assert torch.allclose(layer(x), torch.nn.functional.leaky_relu(y, 0.2), atol=1e-5)
    assert (layer.var - 1).abs().max() > 0.1


@torch.no_grad()
def test_network_commutes_with_shifts_of_its_coarsest_noise(net: TextureNet) -> None:
    noise = [torch.randn(1, *shape) for shape in net.noise_shapes((16, 24))]
    rolled = [z.roll((1 << k, 2 << k), (2, 3)) for k, z in enumerate(noise)]
    assert torch.allclose(net(rolled), net(noise).roll((4, 8), (2, 3)), atol=1e-5)
    assert not torch.allclose(net(rolled), net(noise), atol=0.1)


def test_distant_noise_does_not_change_a_pixel(net: TextureNet) -> None:
    """Features are not normalized over the picture, so that pixels depend on nearby noise alone."""
    noise = [torch.randn(1, *shape) for shape in net.noise_shapes((64, 64))]
    other = [z.clone() for z in noise]
    for k, z in enumerate(other):
        z[..., : 2 << k, :] = 5.0
    with torch.no_grad():
        a, b = net(noise), net(other)
    assert torch.equal(a[..., 32:40, :], b[..., 32:40, :])
    assert not torch.allclose(a[..., :8, :], b[..., :8, :])
