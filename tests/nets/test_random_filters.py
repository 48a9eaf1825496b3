"""Random filters for features of textures."""

from __future__ import annotations

import pytest
import torch

from monge.nets import RandomFilters
from tests.helpers.images import texture


def test_random_filters_have_mean_zero_and_norm_one_and_may_be_periodic() -> None:
    net = RandomFilters(3, scales=3, filters=8, size=5, seed=1)
    torch.testing.assert_close(net.weight.flatten(1).norm(dim=1), torch.ones(8))
    assert net.weight.mean((2, 3)).abs().max() < 1e-7
    assert torch.equal(net.weight, RandomFilters(3, filters=8, size=5, seed=1).weight)
    assert not torch.equal(net.weight, RandomFilters(3, filters=8, size=5, seed=2).weight)
    x = texture()[None]
    plain, around = net(x), RandomFilters(3, scales=3, filters=8, size=5, seed=1, torus=True)(x)
    for scale, (f, g) in enumerate(zip(plain, around, strict=True)):
        assert f.shape[1:] == (11, (96 >> scale) - 4, (96 >> scale) - 4)
        assert g.shape[1:] == (11, 96 >> scale, 96 >> scale)
    torch.testing.assert_close(plain[0], around[0][..., 2:-2, 2:-2])
    torch.testing.assert_close(plain[0][:, 8:], x[..., 2:-2, 2:-2])
    bright = net(x + 0.5)[0]
    # brightness does not change the responses
    torch.testing.assert_close(bright[:, :8], plain[0][:, :8], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="take fewer scales"):
        net(x[..., :16, :16])
    with pytest.raises(ValueError, match="size must be at least 2"):
        RandomFilters(3, size=1)
