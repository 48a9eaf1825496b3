"""Weight normalization and its data-dependent initialization."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from monge.nets import MLP, CReLUCritic, GLUGenerator, data_dependent_init, weight_normalized


@pytest.mark.parametrize(
    "make", [lambda: CReLUCritic(1, 8, 4, 16), lambda: MLP([64, 8, 16])], ids=["conv", "mlp"]
)
def test_data_dependent_init_gives_outputs_mean_0_and_variance_1(
    make: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(0)
    net = weight_normalized(make())
    x = 3 + 2 * torch.randn(200, 1, 8, 8)
    data_dependent_init(net, x)
    outputs = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(
                lambda _, __, out: outputs.append(out.transpose(0, 1).flatten(1))
            )
    assert net(x).shape == (200, 16)
    assert len(outputs) == (3 if isinstance(net, CReLUCritic) else 2)
    for t in outputs:
        torch.testing.assert_close(t.mean(1), torch.zeros(len(t)), atol=1e-4, rtol=0)
        torch.testing.assert_close(t.std(1, correction=0), torch.ones(len(t)), atol=1e-3, rtol=0)


def test_transposed_convolutions_have_one_g_for_each_output() -> None:
    torch.manual_seed(0)
    net = weight_normalized(GLUGenerator(4, 3, 8, 4))
    assert net.picture.parametrizations.weight.original0.shape == (1, 3, 1, 1)
    data_dependent_init(net, torch.randn(100, 4))
    z = torch.randn(500, 4, generator=torch.Generator().manual_seed(1))
    pixels = torch.atanh(net(z).clamp(-0.9999, 0.9999))
    assert 0.7 < pixels.std() < 1.3


def test_constant_outputs_keep_their_g() -> None:
    net = weight_normalized(nn.Linear(2, 3))
    data_dependent_init(net, torch.ones(5, 2))
    assert torch.isfinite(net(torch.ones(5, 2))).all()
    assert torch.isfinite(net.parametrizations.weight.original0).all()
