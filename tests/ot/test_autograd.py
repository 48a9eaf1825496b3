"""Tests of the functions that attach known gradients, and of second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monge import ot
from monge.ot._autograd import first_order, non_negative, root, with_gradient, with_rule, with_slope
from tests.helpers.clouds import F64, cloud


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64, requires_grad=True)


def test_with_rule_computes_only_wanted_gradients_and_second_derivatives() -> None:
    x, y, requests = leaf(3.0), torch.ones(1, dtype=F64), []

    def rule(
        grad: Tensor, wanted: tuple[bool, ...], inputs: tuple[Tensor, ...]
    ) -> list[Tensor | None]:
        requests.append(wanted)
        return [grad * 3 * inputs[0] ** 2, None]

    cube = with_rule(x.detach() ** 3, rule, rule, x, y)
    (slope,) = torch.autograd.grad(cube, x, create_graph=True)
    assert slope.item() == 27
    assert torch.autograd.grad(slope, x)[0].item() == 18
    assert requests == [(True, False)]
    assert not with_rule(x.detach() ** 3, rule, rule, y).requires_grad


@pytest.mark.parametrize("attach", ["gradient", "rule", "first order"])
def test_second_derivative_raises_even_with_allow_unused(attach: str) -> None:
    x = leaf(1.0, 2.0)
    value = {
        "gradient": lambda: with_gradient(x.detach().square().sum(), (x, 2 * x.detach())),
        "rule": lambda: with_rule(
            x.detach().sum(), lambda grad, *_: [grad.expand(2)], "can be differentiated once", x
        ),
        "first order": lambda: first_order(x).square().sum(),
    }[attach]()
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(slope.sum(), x, allow_unused=True)


def test_with_slope_keeps_the_value_and_takes_both_derivatives() -> None:
    x = leaf(2.0)
    for value, expected in ((with_slope(leaf(5.0), x**3), 5), (non_negative(x**3 - 9), 0)):
        assert value.item() == expected
        (slope,) = torch.autograd.grad(value, x, create_graph=True)
        assert (slope.item(), torch.autograd.grad(slope, x)[0].item()) == (12, 12)


def test_root_has_gradient_zero_at_zero() -> None:
    x = leaf(0.0, 4.0)
    (slope,) = torch.autograd.grad(root(x, 2).sum(), x)
    assert slope.tolist() == [0, 0.25]


@pytest.mark.parametrize("memory", ["dense", "linear"])
def test_parameters_of_a_callable_cost_receive_the_gradient_of_the_value(memory: str) -> None:
    x, y, scale = cloud(0, 6, 2), cloud(1, 5, 2), leaf(1.3)
    options = {"epsilon": 1.0, "tol": 1e-11, "max_iter": 20_000, "memory": memory}

    def value(scale: Tensor) -> Tensor:
        def cost(s: Tensor, t: Tensor) -> Tensor:
            return scale * (s[..., :, None, :] - t[..., None, :, :]).abs().sum(-1)

        return ot.sinkhorn(x, y, cost=cost, **options).value

    assert torch.autograd.gradcheck(value, (scale,), atol=1e-6)
