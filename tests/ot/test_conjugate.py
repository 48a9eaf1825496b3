"""Tests of `ot.conjugate`, which inverts the gradient of a convex function."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monge import ot
from monge.nets import DenseICNN
from tests.helpers.clouds import rng, seeds


def potential(dim: int, seed: int) -> DenseICNN:
    torch.manual_seed(seed)
    psi = DenseICNN(dim, [16, 8], rank=2, strong=0.1, spread=0.5).double()
    with torch.no_grad():
        psi.w.uniform_(0, 0.2)
    return psi


@given(seed=seeds, dim=st.integers(1, 6))
def test_conjugate_inverts_the_gradient_of_a_convex_function(seed: int, dim: int) -> None:
    psi = potential(dim, seed)
    x = torch.randn(64, dim, dtype=torch.float64)
    result = ot.conjugate(psi.gradient, psi.gradient(x).detach(), tol=1e-9, max_iter=2000)
    assert result.converged
    assert result.residual.max() <= 1e-9
    torch.testing.assert_close(result.point, x, atol=1e-7, rtol=0)


def test_conjugate_point_attains_the_maximum() -> None:
    psi, y = potential(3, 0), torch.randn(20, 3, dtype=torch.float64)
    best = ot.conjugate(psi.gradient, y, tol=1e-10, max_iter=1000).point
    value = (best * y).sum(1) - psi(best)
    for step in torch.randn(50, 3, dtype=torch.float64):
        assert (((best + step) * y).sum(1) - psi(best + step) < value).all()


def test_conjugate_of_a_quadratic_equals_its_closed_form() -> None:
    """ψ = ½ xᵀ C x has ψ* = ½ yᵀ C⁻¹ y; here C is ill-conditioned."""
    C = torch.diag(torch.tensor([1e-2, 1.0, 30.0], dtype=torch.float64))
    y = torch.randn(10, 3, dtype=torch.float64)
    result = ot.conjugate(lambda t: t @ C, y, tol=1e-8, max_iter=500)
    torch.testing.assert_close(result.point, y @ torch.linalg.inv(C), rtol=1e-5, atol=1e-5)


def test_conjugate_init_saves_steps_and_rows_are_independent() -> None:
    psi, x = potential(2, 1), torch.randn(30, 2, dtype=torch.float64)
    y = psi.gradient(x).detach()
    cold, warm = (ot.conjugate(psi.gradient, y, init=init, tol=1e-6) for init in (None, x + 1e-3))
    assert 0 < warm.n_iter < cold.n_iter
    assert ot.conjugate(psi.gradient, y, init=x, tol=1e-6).n_iter == 0
    alone = ot.conjugate(psi.gradient, y[3:4], tol=0, max_iter=cold.n_iter)
    torch.testing.assert_close(
        alone.point[0], ot.conjugate(psi.gradient, y, tol=0, max_iter=cold.n_iter).point[3]
    )


def test_conjugate_without_solution_returns_the_best_point_and_is_not_converged() -> None:
    flat = ot.conjugate(
        lambda t: t.clamp(-1, 1), torch.tensor([[5.0], [0.5]]), tol=1e-4, max_iter=50
    )
    assert not flat.converged
    assert flat.residual[0].item() == pytest.approx(4.0)
    assert flat.residual[1].item() <= 1e-4
    assert flat.n_iter == 50


def test_conjugate_residual_never_increases_with_max_iter() -> None:
    """The residuals of the steps rise and fall; the best point is returned."""
    C = torch.diag(torch.tensor([1e-2, 1.0, 3.0, 50.0], dtype=torch.float64))
    y = torch.randn(20, 4, dtype=torch.float64, generator=rng(0))
    residuals = torch.stack(
        [ot.conjugate(lambda t: t @ C, y, tol=0, max_iter=k).residual for k in range(25)]
    )
    assert (residuals[1:] <= residuals[:-1]).all()
    assert residuals[-1].mean() < 0.1 * residuals[0].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_iter": -1}, "at least 0, got -1"),
        ({"init": torch.zeros(2, 3)}, r"init has shape \(2, 3\), y \(4, 3\)"),
    ],
)
def test_conjugate_rejects_invalid_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ot.conjugate(lambda t: t, torch.zeros(4, 3), **options)
