"""The gradient penalty against finite differences."""

from __future__ import annotations

import pytest
import torch

from monge import ot
from monge.nets import MLP


def test_gradient_penalty_equals_finite_differences() -> None:
    torch.manual_seed(0)
    net = MLP([2, 32, 32, 1]).double()
    x = torch.randn(50, 2, dtype=torch.float64)
    h = 1e-6
    with torch.no_grad():
        slope = torch.stack(
            [
                (net(x + h * e) - net(x - h * e))[:, 0] / (2 * h)
                for e in torch.eye(2, dtype=torch.float64)
            ],
            1,
        )
    expected = slope.norm(dim=1) - 1
    torch.testing.assert_close(
        ot.gradient_penalty(net, x).detach(), expected**2, rtol=1e-5, atol=1e-7
    )
    one_sided = ot.gradient_penalty(net, x, one_sided=True).detach()
    torch.testing.assert_close(one_sided, expected.clamp_min(0) ** 2, rtol=1e-5, atol=1e-7)
    (gradient,) = torch.autograd.grad(ot.gradient_penalty(net, x).mean(), net.layers[1].weight)
    assert gradient.abs().sum() > 0


def test_gradient_penalty_of_wrong_functions_raises_value_error() -> None:
    x = torch.zeros(4, 2)
    with pytest.raises(ValueError, match="one number for each of 4 points"):
        ot.gradient_penalty(lambda t: t, x)
    with pytest.raises(ValueError, match="does not depend on x"):
        ot.gradient_penalty(lambda t: torch.ones(len(t)), x)
    bias = torch.zeros((), requires_grad=True)
    with pytest.raises(ValueError, match="does not depend on x"):
        ot.gradient_penalty(lambda t: bias.expand(len(t)), x)
