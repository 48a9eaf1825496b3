"""Properties and closed forms of transport between Gaussians."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monge import ot
from monge.ot.gaussian import AffineMap, bures_wasserstein, gaussian_barycenter, gaussian_map
from tests.helpers.clouds import cloud, seeds, weights
from tests.helpers.gaussians import covariance, gaussian, rotation

dimensions = st.integers(1, 6)


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(0, 5))
def test_bures_wasserstein_in_one_dimension_equals_its_closed_form(
    shift: float, s: float, t: float
) -> None:
    moments = ([0.0], [[s * s]], [shift], [[t * t]])
    squared = bures_wasserstein(*(torch.tensor(v, dtype=torch.float64) for v in moments))
    assert squared.item() == pytest.approx(shift**2 + (s - t) ** 2, abs=1e-12)


@given(seeds, dimensions)
def test_bures_wasserstein_of_commuting_covariances_compares_standard_deviations(
    seed: int, d: int
) -> None:
    Q, s, t = rotation(seed, d), cloud(seed, 1, d)[0].abs(), cloud(seed + 1, 1, d)[0].abs()
    m = torch.zeros(d, dtype=s.dtype)
    distance = bures_wasserstein(m, Q * s**2 @ Q.T, m, Q * t**2 @ Q.T)
    torch.testing.assert_close(distance, (s - t).square().sum(), atol=1e-10, rtol=1e-9)


@given(seeds, dimensions, st.floats(0.01, 100))
def test_bures_wasserstein_is_symmetric_homogeneous_and_rotation_invariant(
    seed: int, d: int, scale: float
) -> None:
    (m1, C1), (m2, C2) = gaussian(seed, d), gaussian(seed + 1, d)
    plain, Q = bures_wasserstein(m1, C1, m2, C2), rotation(seed, d)
    torch.testing.assert_close(bures_wasserstein(m2, C2, m1, C1), plain)
    torch.testing.assert_close(
        bures_wasserstein(scale * m1, scale**2 * C1, scale * m2, scale**2 * C2), scale**2 * plain
    )
    torch.testing.assert_close(bures_wasserstein(Q @ m1, Q @ C1 @ Q.T, Q @ m2, Q @ C2 @ Q.T), plain)
    assert plain > 0
    assert bures_wasserstein(m1, C1, m1, C1).item() == pytest.approx(0, abs=1e-12)


@given(seeds, dimensions)
def test_bures_wasserstein_satisfies_the_triangle_inequality_and_the_product_bound(
    seed: int, d: int
) -> None:
    one, two, three = (gaussian(seed + s, d) for s in range(3))
    assert (
        bures_wasserstein(*one, *three).sqrt()
        <= bures_wasserstein(*one, *two).sqrt() + bures_wasserstein(*two, *three).sqrt() + 1e-9
    )
    independent = (one[0] - two[0]).square().sum() + one[1].trace() + two[1].trace()
    assert bures_wasserstein(*one, *two) <= independent


def test_distance_of_mapped_clouds_equals_that_of_their_gaussians() -> None:
    x = cloud(0, 60, 3)
    m1, C1 = x.mean(0), torch.cov(x.T, correction=0)
    m2, C2 = gaussian(1, 3)
    y = gaussian_map(m1, C1, m2, C2)(x)
    torch.testing.assert_close(ot.wasserstein(x, y) ** 2, bures_wasserstein(m1, C1, m2, C2))


@given(seeds, dimensions)
def test_gaussian_map_pushes_one_gaussian_to_the_other(seed: int, d: int) -> None:
    (m1, C1), (m2, C2) = gaussian(seed, d), gaussian(seed + 1, d)
    to = gaussian_map(m1, C1, m2, C2)
    A = to.matrix
    torch.testing.assert_close(A @ C1 @ A, C2, atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(A, A.mT)
    assert torch.linalg.eigvalsh(A).min() > 0
    torch.testing.assert_close(to(m1[None])[0], m2)
    x = cloud(seed, 4, d)
    torch.testing.assert_close(to.inverse()(to(x)), x, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(
        to.inverse()(x), gaussian_map(m2, C2, m1, C1)(x), atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize(("rank1", "rank2"), [(2, 4), (2, 2), (4, 2), (1, 3)])
def test_singular_covariances_use_pseudo_inverses(rank1: int, rank2: int) -> None:
    (m1, C1), (m2, C2) = gaussian(0, 4, rank1), gaussian(1, 4, rank2)
    nearly = bures_wasserstein(m1, C1 + 1e-10 * torch.eye(4), m2, C2 + 1e-10 * torch.eye(4))
    torch.testing.assert_close(bures_wasserstein(m1, C1, m2, C2), nearly, atol=1e-3, rtol=0)
    A = gaussian_map(m1, C1, m2, C2).matrix
    P = C1 @ torch.linalg.pinv(C1, hermitian=True, rtol=1e-10)
    torch.testing.assert_close(A @ C1 @ A, P @ C2 @ P, atol=1e-7, rtol=1e-7)


def test_eigenvalue_below_rounding_is_treated_as_zero() -> None:
    """The Cholesky factor exists, but its inverse would be dominated by rounding errors."""
    C1, zero = torch.diag(torch.tensor([1.0, 1e-9])).requires_grad_(), torch.zeros(2)
    (gradient,) = torch.autograd.grad(bures_wasserstein(zero, C1, zero, torch.eye(2)), C1)
    torch.testing.assert_close(gradient, torch.diag(torch.tensor([0.0, 1.0])), atol=1e-5, rtol=0)


def test_slightly_asymmetric_covariance_is_symmetrized() -> None:
    (m1, C1), (m2, C2) = gaussian(0, 4), gaussian(1, 4)
    skew = 1e-4 * (cloud(2, 4, 4) - cloud(2, 4, 4).T)
    torch.testing.assert_close(
        bures_wasserstein(m1, C1 + skew, m2, C2), bures_wasserstein(m1, C1, m2, C2)
    )


def test_affine_map_multiplies_from_the_left() -> None:
    to = AffineMap(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(to(torch.tensor([[3.0, 5.0]])), torch.tensor([[6.0, 6.0]]))
    torch.testing.assert_close(to.inverse()(torch.tensor([[6.0, 6.0]])), torch.tensor([[3.0, 5.0]]))


def by_factor(A: Tensor, B: Tensor) -> Tensor:
    zero = torch.zeros(A.shape[-2], dtype=A.dtype)
    return bures_wasserstein(zero, A @ A.mT, zero + 1, B @ B.mT)


CASES = {
    "generic": (cloud(0, 3, 3), cloud(1, 3, 3)),
    "repeated eigenvalues": (2 * rotation(0, 3), 3 * rotation(1, 3)),
    "one repeated": (
        torch.diag(torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)),
        torch.eye(3, dtype=torch.float64),
    ),
    "equal": (cloud(0, 3, 3), cloud(0, 3, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences(case: str) -> None:
    A, B = (t.clone().requires_grad_() for t in CASES[case])
    assert torch.autograd.gradcheck(by_factor, (A, B))
    assert torch.autograd.gradcheck(lambda A: by_factor(A, B.detach()), (A,))
    assert torch.autograd.gradcheck(lambda B: by_factor(A.detach(), B), (B,))
    m1, m2 = cloud(0, 1, 3)[0].requires_grad_(), cloud(1, 1, 3)[0].requires_grad_()

    def moved(A: Tensor, B: Tensor, m1: Tensor, m2: Tensor) -> tuple[Tensor, Tensor]:
        to = gaussian_map(m1, A @ A.mT, m2, B @ B.mT)
        return to.matrix, to.shift

    assert torch.autograd.gradcheck(moved, (A, B, m1, m2))


def test_gradient_in_a_singular_covariance_is_that_along_its_support() -> None:
    """Both covariances have the same plane as support: the gradient in it is the planar one."""
    E = rotation(3, 4)[:, :2]
    A, B = cloud(0, 2, 2), cloud(1, 2, 2)

    def gradients(frame: Tensor) -> tuple[Tensor, ...]:
        C1, C2 = ((frame @ S @ S.T @ frame.T).requires_grad_() for S in (A, B))
        zero = torch.zeros(len(frame), dtype=A.dtype)
        return torch.autograd.grad(bures_wasserstein(zero, C1, zero, C2), (C1, C2))

    for whole, plane in zip(gradients(E), gradients(torch.eye(2, dtype=A.dtype)), strict=True):
        torch.testing.assert_close(E.T @ whole @ E, plane, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(
            whole - E @ E.T @ whole @ E @ E.T,
            torch.eye(4, dtype=A.dtype) - E @ E.T,
            atol=1e-9,
            rtol=0,
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rank1", "rank2"), [(1, 1), (3, 6), (6, 3), (6, 6)])
def test_gradients_are_finite_for_zero_eigenvalues_and_equal_covariances(
    dtype: torch.dtype, rank1: int, rank2: int
) -> None:
    zero = torch.zeros(6, dtype=dtype)
    for C2 in (covariance(1, 6, rank2), covariance(0, 6, rank1), torch.zeros(6, 6)):
        C1, C2 = covariance(0, 6, rank1).to(dtype).requires_grad_(), C2.to(dtype).requires_grad_()
        entries = gaussian_map(zero, C1, zero, C2).matrix.sum()
        value = bures_wasserstein(zero, C1, zero, C2) + entries
        for gradient in torch.autograd.grad(value, (C1, C2)):
            assert gradient.isfinite().all()
            assert gradient.abs().max() < 1e3


def test_equal_covariances_have_gradient_zero() -> None:
    zero, C = torch.zeros(5), covariance(0, 5).float().requires_grad_()
    value = bures_wasserstein(zero, C, zero, C.detach())
    assert 0 <= value.item() < 1e-5
    (gradient,) = torch.autograd.grad(value, C)
    assert gradient.abs().max() < 1e-4


def test_bures_wasserstein_is_never_negative_in_float32() -> None:
    for seed in range(20):
        m, C = (t.float() for t in gaussian(seed, 12))
        assert bures_wasserstein(m, C, m, C * (1 + 1e-6)).item() >= 0


def test_bures_wasserstein_and_map_broadcast_batches() -> None:
    pairs = [(gaussian(s, 3), gaussian(s + 9, 3)) for s in range(4)]
    m1 = torch.stack([p[0][0] for p in pairs])
    C1 = torch.stack([p[0][1] for p in pairs])
    m2 = torch.stack([p[1][0] for p in pairs])
    C2 = pairs[0][1][1]
    distances, maps = bures_wasserstein(m1, C1, m2, C2), gaussian_map(m1, C1, m2, C2)
    for i in range(4):
        torch.testing.assert_close(distances[i], bures_wasserstein(m1[i], C1[i], m2[i], C2))
        torch.testing.assert_close(maps.shift[i], gaussian_map(m1[i], C1[i], m2[i], C2).shift)


def test_float32_keeps_small_eigenvalues() -> None:
    """The spectrum falls by 1e6; square roots of eigenvalues of the product would err by √ε."""
    d = 40
    spectrum = torch.logspace(0, -6, d, dtype=torch.float64)
    C1, C2 = (rotation(s, d) * spectrum @ rotation(s, d).T for s in (0, 1))
    zero = torch.zeros(d, dtype=torch.float64)
    exact = bures_wasserstein(zero, C1, zero, C2).item()
    single = bures_wasserstein(zero.float(), C1.float(), zero.float(), C2.float()).item()
    assert single == pytest.approx(exact, rel=1e-5)


@given(seeds, dimensions, st.integers(1, 4))
def test_barycenter_of_commuting_covariances_averages_standard_deviations(
    seed: int, d: int, k: int
) -> None:
    Q, s, w = rotation(seed, d), cloud(seed, k, d).abs(), weights(seed, k)
    result = gaussian_barycenter(s, Q * s[:, None].square() @ Q.T, w, tol=1e-10)
    root = (w[:, None] * s).sum(0)
    assert result.converged
    torch.testing.assert_close(result.covariance, Q * root**2 @ Q.T, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(result.mean, root)


@given(seeds, st.integers(2, 4))
def test_barycenter_is_a_fixed_point_and_a_minimum(seed: int, d: int) -> None:
    C = torch.stack([covariance(seed + s, d) for s in range(3)])
    w = weights(seed, 3)
    zero = torch.zeros(3, d, dtype=torch.float64)
    result = gaussian_barycenter(zero, C, w, tol=1e-12, max_iter=1000)
    B = result.covariance
    mean_map = (w[:, None, None] * gaussian_map(zero, B.expand(3, d, d), zero, C).matrix).sum(0)
    torch.testing.assert_close(mean_map, torch.eye(d, dtype=B.dtype), atol=1e-5, rtol=0)

    def spread(B: Tensor) -> Tensor:
        return (w * bures_wasserstein(zero, B, zero, C)).sum()

    near = B + 0.01 * covariance(seed + 7, d)
    assert spread(B) <= spread(near)
    assert result.n_iter > 1


def test_barycenter_of_two_lies_on_the_geodesic() -> None:
    (m1, C1), (m2, C2) = gaussian(0, 3), gaussian(1, 3)
    t = torch.tensor([0.7, 0.3], dtype=C1.dtype)
    result = gaussian_barycenter(torch.stack([m1, m2]), torch.stack([C1, C2]), t, tol=1e-12)
    along = 0.7 * torch.eye(3, dtype=C1.dtype) + 0.3 * gaussian_map(m1, C1, m2, C2).matrix
    torch.testing.assert_close(result.covariance, along @ C1 @ along, atol=1e-9, rtol=1e-8)


def test_barycenter_supports_batches_gradients_and_singular_covariances() -> None:
    means, C = cloud(0, 2, 3), torch.stack([covariance(s, 3) for s in range(2)])
    batch = gaussian_barycenter(torch.stack([means, means + 1]), torch.stack([C, 4 * C]), tol=1e-10)
    alone = gaussian_barycenter(means, C, tol=1e-10)
    torch.testing.assert_close(
        batch.covariance, torch.stack([alone.covariance, 4 * alone.covariance])
    )
    A = cloud(3, 6, 3).view(2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda A: gaussian_barycenter(means, A @ A.mT, tol=1e-12).covariance, (A,), atol=1e-4
    )
    flat = gaussian_barycenter(means, torch.stack([covariance(s, 3, 1) for s in range(2)]))
    assert flat.covariance.isfinite().all()
    nothing = gaussian_barycenter(means, 0 * C)
    assert nothing.converged
    assert nothing.covariance.abs().max() == 0
    tiny = gaussian_barycenter(means, 1e-9 * C, tol=1e-10)
    torch.testing.assert_close(tiny.covariance, 1e-9 * alone.covariance, atol=0, rtol=1e-7)


def test_barycenter_warns_if_not_converged() -> None:
    means, C = torch.zeros(2, 3), torch.stack([covariance(s, 3) for s in range(2)]).float()
    message = "gaussian_barycenter did not reach tol=1e-12: raise max_iter"
    with pytest.warns(RuntimeWarning, match=message):
        result = gaussian_barycenter(means, C, tol=1e-12, max_iter=2)
    assert not result.converged
    assert result.n_iter == 2


def test_second_derivative_raises() -> None:
    C1 = covariance(0, 3).requires_grad_()
    C2 = covariance(1, 3)
    zero = torch.zeros(3, dtype=torch.float64)
    for value in (
        bures_wasserstein(zero, C1, zero, C2),
        gaussian_map(zero, C1, zero, C2).matrix.sum(),
    ):
        (gradient,) = torch.autograd.grad(value, C1, create_graph=True)
        with pytest.raises(RuntimeError, match="can be differentiated once"):
            gradient.sum().backward()


EYE = torch.eye(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C1": -EYE}, "C1 has a negative eigenvalue, -1: a covariance"),
        ({"C2": torch.tensor([[1.0, 2.0], [2.0, 1.0]])}, "C2 has a negative eigenvalue, -1"),
        (
            {"C1": torch.tensor([[1.0, 0.5], [0.0, 1.0]])},
            r"C1 is not symmetric, by 0\.5: pass \(C1 \+ C1\.mT\) / 2",
        ),
        (
            {"C1": torch.ones(2, 3)},
            r"C1 must have shape \(\.\.\., 2, 2\) to go with m1, got \(2, 3\)",
        ),
        ({"m1": torch.ones(3)}, r"C1 must have shape \(\.\.\., 3, 3\) to go with m1"),
        ({"m1": torch.ones(3), "C1": torch.eye(3)}, "C1 has dimension 3 and C2 2"),
        ({"m2": torch.tensor([0.0, torch.nan])}, "m2 holds NaN"),
        ({"m1": torch.ones(())}, r"m1 must have shape \(\.\.\., d\), got a scalar"),
    ],
)
def test_distance_and_map_reject_invalid_arguments(options: dict[str, Any], message: str) -> None:
    arguments = {"m1": torch.zeros(2), "C1": EYE, "m2": torch.zeros(2), "C2": EYE, **options}
    with pytest.raises(ValueError, match=message):
        bures_wasserstein(**arguments)
    with pytest.raises(ValueError, match=message):
        gaussian_map(**arguments)


def test_dtypes_inverse_and_barycenter_arguments_are_validated() -> None:
    with pytest.raises(TypeError, match=r"m1 is torch\.float32 and C1 torch\.float64"):
        bures_wasserstein(torch.zeros(2), EYE.double(), torch.zeros(2), EYE)
    with pytest.raises(ValueError, match="the map is singular and has no inverse"):
        AffineMap(torch.ones(2, 2), torch.zeros(2)).inverse()
    with pytest.raises(ValueError, match=r"means must have shape \(\.\.\., k, d\), got \(2,\)"):
        gaussian_barycenter(torch.zeros(2), EYE)
    with pytest.raises(ValueError, match="weights has 3 weights for 2 points"):
        gaussian_barycenter(torch.zeros(2, 2), EYE.expand(2, 2, 2), torch.ones(3) / 3)
    for name in ("tol", "max_iter"):
        with pytest.raises(ValueError, match=f"{name} must be > 0, got 0"):
            gaussian_barycenter(torch.zeros(2, 2), EYE.expand(2, 2, 2), **{name: 0})  # type: ignore[arg-type]
