"""Convexity, gradient and compilation of the convolutional input-convex network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from monge.nets import ConvICNN, DenseICNN

SHAPES: list[dict[str, Any]] = [
    {"channels": 1, "size": 4, "widths": [4], "strides": [1], "head": [3], "grid": 1},
    {
        "channels": 3,
        "size": 8,
        "widths": [4, 6, 5],
        "strides": [1, 1, 2],
        "rank": 2,
        "head": [6, 4],
        "grid": 2,
    },
    {"channels": 2, "size": 16, "widths": [3, 4, 5], "strides": [2, 4, 2], "head": [4], "grid": 4},
]


def net(seed: int = 0, **shape: Any) -> ConvICNN:
    torch.manual_seed(seed)
    psi = ConvICNN(**shape, strong=0.01).double()
    with torch.no_grad():
        for w in [*psi.w, psi.head.w]:
            w.uniform_(0, 1)
        psi.L.normal_()
        psi.c.normal_()
        psi.head.L.normal_()
    return psi


def pictures(n: int, psi: ConvICNN) -> torch.Tensor:
    return torch.randn(n, psi.channels, psi.size, psi.size, dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_autograd(shape: dict[str, Any]) -> None:
    psi = net(**shape)
    x = pictures(5, psi).requires_grad_()
    (expected,) = torch.autograd.grad(psi(x).sum(), x, create_graph=True)
    value, gradient = psi.value_and_gradient(x)
    torch.testing.assert_close(value, psi(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)
    inputs = [x, *psi.parameters()]
    options: dict[str, Any] = {"materialize_grads": True, "allow_unused": True}
    second = torch.autograd.grad(gradient.cos().sum(), inputs, **options)
    reference = torch.autograd.grad(expected.cos().sum(), inputs, **options)
    for ours, theirs in zip(second, reference, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), shape=st.sampled_from(SHAPES), t=st.floats(0, 1))
def test_convex_along_segments(seed: int, shape: dict[str, Any], t: float) -> None:
    psi = net(seed, **shape)
    x, y = 3 * pictures(20, psi), 3 * pictures(20, psi)
    bound = t * psi(x) + (1 - t) * psi(y)
    assert (psi(t * x + (1 - t) * y) <= bound + 1e-12 * bound.abs() + 1e-9).all()


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_hessian_is_at_least_the_modulus(shape: dict[str, Any]) -> None:
    psi = net(**shape)
    with torch.no_grad():
        psi.L.zero_()  # its curvature would hide that of the other terms
    for x in pictures(2, psi):
        hessian = torch.autograd.functional.hessian(lambda t: psi(t[None])[0], x)
        assert torch.linalg.eigvalsh(hessian.view(x.numel(), -1)).min() >= 0.01 - 1e-9


def test_start_at_initializes_a_map_of_colors() -> None:
    torch.manual_seed(0)
    psi = ConvICNN(3, 16, [8, 8], [1, 2])
    x = 2 * torch.rand(20, 3, 16, 16) - 1
    torch.testing.assert_close(psi.gradient(x), x, atol=0.05, rtol=0)
    root = torch.randn(3, 3)
    A, b = root @ root.T, torch.randn(3)
    psi.start_at(A, b)
    expected = torch.einsum("ij,njhw->nihw", A, x) + b[:, None, None]
    torch.testing.assert_close(psi.gradient(x), expected, atol=0.05, rtol=0)
    with pytest.raises(ValueError, match="positive semi-definite, its smallest eigenvalue is -1"):
        psi.start_at(-torch.eye(3), b)


@pytest.mark.parametrize("part", ["W", "w", "head"])
def test_project_restores_convexity(part: str) -> None:
    psi = net(**SHAPES[1])
    with torch.no_grad():
        for weights in [*psi.head.W, psi.head.w] if part == "head" else getattr(psi, part):
            weights -= 3
        for convex in [psi.L, psi.head.L, *(psi.w if part == "head" else [])]:
            convex.zero_()
    x, y = 3 * pictures(50, psi), 3 * pictures(50, psi)
    assert (psi((x + y) / 2) > (psi(x) + psi(y)) / 2 + 1e-6).any()
    psi.project()
    assert (psi((x + y) / 2) <= (psi(x) + psi(y)) / 2 + 1e-6).all()


def test_every_parameter_receives_a_gradient() -> None:
    psi = net(**SHAPES[1])
    psi.gradient(pictures(4, psi)).square().sum().backward()
    unused = [name for name, p in psi.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == []


@pytest.mark.parametrize(
    ("psi", "shape"),
    [(ConvICNN(3, 8, [4, 4], [1, 2], head=[4], grid=2), (3, 8, 8)), (DenseICNN(3, [8, 4]), (3,))],
)
def test_gradient_compiles_in_one_graph_with_its_second_derivatives(
    psi: nn.Module, shape: tuple[int, ...]
) -> None:
    x = torch.randn(4, *shape)
    compiled = torch.compile(psi.value_and_gradient, backend="aot_eager", fullgraph=True)
    results = []
    for f in (compiled, psi.value_and_gradient):
        psi.zero_grad()
        value, gradient = f(x)
        (value.sum() + gradient.square().sum()).backward()
        results.append([value, gradient, *(p.grad for p in psi.parameters())])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "must be positive, got 0"),
        ({"widths": []}, "must be positive"),
        ({"widths": [4, 4], "strides": [1]}, "each of the 2 widths needs a stride"),
        ({"widths": [4, 4], "strides": [1, 3]}, r"1 or even, got strides \[1, 3\]"),
        (
            {"size": 12, "widths": [4], "strides": [8]},
            "size 12 must be a multiple of the product of the strides, 8",
        ),
        ({"size": 16, "grid": 5}, "must be a multiple of grid, 5"),
        ({"strong": -1.0}, "at least 0, got -1"),
    ],
)
def test_wrong_arguments_raise_value_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvICNN(**{"channels": 3, "size": 16, **options})


def test_pictures_of_another_shape_raise_value_error() -> None:
    with pytest.raises(ValueError, match=r"expected pictures \(n, 3, 16, 16\), got \(2, 3, 8, 8\)"):
        ConvICNN(3, 16, [4], [1]).gradient(torch.zeros(2, 3, 8, 8))
