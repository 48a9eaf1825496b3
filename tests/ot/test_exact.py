"""Properties and closed forms of exact transport."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monge import ot
from tests.helpers.clouds import cloud, rng, seeds, weights


@given(seeds, st.integers(1, 20), st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_wasserstein_in_one_dimension_equals_sorting(seed: int, n: int, p: float) -> None:
    x, y = cloud(seed, n, 1), cloud(seed + 1, n, 1, 1.0)
    by_sorting = ((x.sort(0).values - y.sort(0).values).abs() ** p).mean() ** (1 / p)
    torch.testing.assert_close(ot.wasserstein(x, y, p=p), by_sorting, atol=1e-10, rtol=1e-8)


@given(seeds, st.integers(2, 20))
def test_wasserstein_to_a_permutation_is_zero(seed: int, n: int) -> None:
    x = cloud(seed, n, 3)
    order = torch.randperm(n, generator=rng(seed))
    assert ot.wasserstein(x, x[order]).item() == pytest.approx(0, abs=1e-6)


@given(seeds, st.floats(-5, 5))
def test_wasserstein_of_a_translation_is_the_length_of_the_shift(seed: int, shift: float) -> None:
    x = cloud(seed, 10, 2)
    assert ot.wasserstein(x, x + shift).item() == pytest.approx(abs(shift) * 2**0.5, abs=1e-7)


@given(seeds)
def test_gradient_of_a_convex_function_is_the_optimal_map(seed: int) -> None:
    x = cloud(seed, 12, 3)
    A = cloud(seed + 1, 3, 3)
    y = x @ (A @ A.T + 0.1 * torch.eye(3, dtype=x.dtype))  # x ↦ ∇(xᵀSx/2) with S positive
    torch.testing.assert_close(ot.wasserstein(x, y) ** 2, (x - y).square().sum(1).mean())


@given(seeds)
def test_wasserstein_satisfies_the_triangle_inequality(seed: int) -> None:
    x, y, z = cloud(seed, 6, 2), cloud(seed + 1, 8, 2), cloud(seed + 2, 5, 2)
    assert ot.wasserstein(x, z) <= ot.wasserstein(x, y) + ot.wasserstein(y, z) + 1e-9


@given(seeds, st.integers(1, 9), st.integers(1, 9))
def test_transport_has_the_given_marginals(seed: int, n: int, m: int) -> None:
    C, a, b = cloud(seed, n, m).abs(), weights(seed, n), weights(seed + 1, m)
    P = ot.transport(C, a, b)
    torch.testing.assert_close(P.sum(1), a, atol=1e-7, rtol=0)
    torch.testing.assert_close(P.sum(0), b, atol=1e-7, rtol=0)


def test_wasserstein_gradient_is_correct_and_zero_at_coincident_points() -> None:
    x, y = cloud(0, 6, 2).requires_grad_(), cloud(1, 6, 2)
    assert torch.autograd.gradcheck(lambda x: ot.wasserstein(x, y), (x,))
    ot.wasserstein(x, x.detach()).backward()
    assert x.grad is not None
    assert (x.grad == 0).all()


def test_wasserstein_rejects_invalid_arguments() -> None:
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"p must be >= 1, got 0\.5"):
        ot.wasserstein(x, x, p=0.5)
    with pytest.raises(ValueError, match="no gradient in the weights"):
        ot.wasserstein(x, x, a=torch.full((3,), 1 / 3, requires_grad=True))
