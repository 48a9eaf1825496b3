"""The squared W₂ distance of the Gaussian fitted to codes to N(0, I)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge import ot
from tests.helpers.normal_points import normal


@pytest.mark.parametrize(("n", "d"), [(200, 5), (50, 1), (64, 32)])
def test_normal_w2_squared_equals_the_closed_form(n: int, d: int) -> None:
    z = normal(n, d) @ normal(d, d, 1) + 3 * normal(1, d, 2)
    m, C = z.numpy().mean(0), np.cov(z.numpy().T, bias=True).reshape(d, d)
    expected = (m**2).sum() + ((np.sqrt(np.linalg.eigvalsh(C).clip(0)) - 1) ** 2).sum()
    assert ot.normal_w2_squared(z).item() == pytest.approx(expected, rel=1e-10)
    zero, eye = torch.zeros(d, dtype=z.dtype), torch.eye(d, dtype=z.dtype)
    between = ot.bures_wasserstein(torch.from_numpy(m), torch.from_numpy(C), zero, eye)
    assert ot.normal_w2_squared(z).item() == pytest.approx(between.item(), rel=1e-6)


def test_normal_w2_squared_gradient_equals_finite_differences() -> None:
    z = normal(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(ot.normal_w2_squared, (z,))
    batch = normal(24, 3).reshape(2, 12, 3).requires_grad_()
    assert torch.autograd.gradcheck(ot.normal_w2_squared, (batch,))


def test_normal_w2_squared_of_prior_codes_is_the_sampling_error() -> None:
    """For codes from N(0, I), E = d/n + d(d+1)/4n to first order.

    The mean of 200 draws is within three standard errors of it.
    """
    n, d = 2000, 8
    values = ot.normal_w2_squared(normal(200 * n, d).reshape(200, n, d))
    expected = d / n + d * (d + 1) / (4 * n)
    assert abs(values.mean().item() - expected) < 3 * values.std().item() / 200**0.5


@pytest.mark.parametrize(
    "z",
    [torch.zeros(16, 4), torch.ones(16, 4), normal(3, 8), torch.eye(16)[:, :4] * 1e-20],
    ids=str,
)
def test_normal_w2_squared_of_degenerate_codes_is_finite(z: Tensor) -> None:
    z = z.float().requires_grad_()
    value = ot.normal_w2_squared(z)
    value.backward()
    assert z.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(z.grad).all()


def test_normal_w2_squared_pushes_collapsed_codes_apart() -> None:
    assert ot.normal_w2_squared(torch.zeros(16, 8)).item() == pytest.approx(8)
    z = (1e-6 * normal(64, 3, dtype=torch.float32)).requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(ot.normal_w2_squared(z), z)
        z = (z - 10 * gradient).detach().requires_grad_()
    assert ot.normal_w2_squared(z).item() < 1e-6


def test_normal_w2_squared_of_few_codes_counts_missing_eigenvalues_as_zero() -> None:
    z = normal(3, 8)
    C = np.cov(z.numpy().T, bias=True)
    roots = np.sqrt(np.linalg.eigvalsh(C).clip(0))
    expected = z.mean(0).square().sum().item() + ((roots - 1) ** 2).sum()
    assert ot.normal_w2_squared(z).item() == pytest.approx(expected, abs=1e-6)


def test_normal_w2_squared_mean_gradient_depends_on_the_mean_alone() -> None:
    """The mean's part of the gradient is 2m/n for each code, and null directions do not add to it.

    There are null directions if there are fewer codes than dimensions.
    """
    for n, d in ((3, 8), (40, 4)):
        z = (normal(n, d) + 1).requires_grad_()
        (gradient,) = torch.autograd.grad(ot.normal_w2_squared(z), z)
        assert torch.allclose(gradient.mean(0), 2 * z.mean(0) / n)
