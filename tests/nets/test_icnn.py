"""Convexity of input-convex networks, and their gradient against autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monge.nets import DenseICNN

SHAPES = [(1, [4], 1), (2, [16, 16, 8], 3), (5, [8, 4], 2)]


def net(dim: int, widths: list[int], rank: int, seed: int = 0) -> DenseICNN:
    torch.manual_seed(seed)
    psi = DenseICNN(dim, widths, rank, strong=0.01, spread=0.5).double()
    with torch.no_grad():
        psi.w.uniform_(0, 1)
        psi.L.normal_()
        psi.c.normal_()
    return psi


@pytest.mark.parametrize(("dim", "widths", "rank"), SHAPES)
def test_gradient_equals_autograd(dim: int, widths: list[int], rank: int) -> None:
    psi, x = net(dim, widths, rank), torch.randn(20, dim, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(psi(x).sum(), x, create_graph=True)
    value, gradient = psi.value_and_gradient(x)
    torch.testing.assert_close(value, psi(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)
    inputs = [x, *psi.parameters()]
    second = torch.autograd.grad(gradient.cos().sum(), inputs, materialize_grads=True)
    reference = torch.autograd.grad(expected.cos().sum(), inputs, materialize_grads=True)
    for ours, theirs in zip(second, reference, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.sampled_from(SHAPES), t=st.floats(0, 1))
def test_convex_along_segments(seed: int, shape: tuple[int, list[int], int], t: float) -> None:
    psi = net(*shape, seed=seed)
    x, y = (3 * torch.randn(2, 50, shape[0], dtype=torch.float64)).unbind()
    assert (psi(t * x + (1 - t) * y) <= t * psi(x) + (1 - t) * psi(y) + 1e-9).all()


def test_hessian_is_at_least_the_modulus() -> None:
    psi = net(5, [8, 4], 2)
    for x in torch.randn(10, 5, dtype=torch.float64):
        hessian = torch.autograd.functional.hessian(lambda t: psi(t[None])[0], x)
        assert torch.linalg.eigvalsh(hessian).min() >= 0.01 - 1e-9


def test_start_at_initializes_an_affine_map() -> None:
    torch.manual_seed(0)
    psi, x = DenseICNN(3, [16, 8]), torch.randn(50, 3)
    torch.testing.assert_close(psi.gradient(x), x, atol=0.05, rtol=0)
    root = torch.randn(3, 3)
    A, b = root @ root.T, torch.randn(3)
    psi.start_at(A, b)
    torch.testing.assert_close(psi.gradient(x), x @ A + b, atol=0.05, rtol=0)
    with pytest.raises(ValueError, match="positive semi-definite, its smallest eigenvalue is -1"):
        psi.start_at(-torch.eye(3), b)


def test_project_restores_convexity() -> None:
    psi = net(2, [16, 16, 8], 3)
    with torch.no_grad():
        for W in [*psi.W, psi.w]:
            W -= 3
    x, y = (3 * torch.randn(2, 200, 2, dtype=torch.float64)).unbind()
    assert (psi((x + y) / 2) > (psi(x) + psi(y)) / 2 + 1e-9).any()
    psi.project()
    assert (psi((x + y) / 2) <= (psi(x) + psi(y)) / 2 + 1e-9).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "must be positive, got 0"),
        ({"dim": 2, "rank": 0}, "positive"),
        ({"dim": 2, "strong": -1.0}, "at least 0, got -1"),
    ],
)
def test_wrong_arguments_raise_value_error(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenseICNN(**options)
