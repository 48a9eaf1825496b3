"""Agreement of sliced, Gaussian and kernel distances with POT, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from monge.ot.gaussian import bures_wasserstein, gaussian_barycenter, gaussian_map
from monge.ot.mmd import energy_distance, mmd
from monge.ot.sliced import max_sliced_wasserstein, sliced_wasserstein, wasserstein_1d
from tests.helpers.clouds import cloud, rng, weights
from tests.helpers.gaussians import gaussian

pot = pytest.importorskip("ot", reason="POT is not installed: pip install monge[bench]")


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_wasserstein_1d_agrees_with_pot(p: int, weighted: bool) -> None:
    x, y = cloud(0, 1, 300)[0], cloud(1, 1, 200, 0.4)[0]
    a, b = (weights(0, 300), weights(1, 200)) if weighted else (None, None)
    arrays = (None if t is None else t.numpy() for t in (x, y, a, b))
    theirs = float(pot.wasserstein_1d(*arrays, p=p))
    ours = wasserstein_1d(x, y, p=p, a=a, b=b) ** p
    assert ours.item() == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("weighted", [True, False])
def test_sliced_value_and_gradient_agree_with_pot(weighted: bool) -> None:
    x, y, directions = cloud(0, 60, 5).requires_grad_(), cloud(1, 40, 5, 0.3), cloud(2, 20, 5)
    a, b = (weights(0, 60), weights(1, 40)) if weighted else (None, None)
    columns = torch.nn.functional.normalize(directions, dim=1).T
    theirs = pot.sliced_wasserstein_distance(x, y, a, b, projections=columns, p=2)
    ours = sliced_wasserstein(x, y, a=a, b=b, projections=directions)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, x)[0], torch.autograd.grad(theirs, x)[0])


def test_max_sliced_is_at_least_the_best_of_ten_thousand_directions() -> None:
    x, y = cloud(0, 50, 4), cloud(1, 50, 4, 0.3)
    theirs = pot.max_sliced_wasserstein_distance(x.numpy(), y.numpy(), n_projections=10_000, seed=0)
    ours = max_sliced_wasserstein(x, y, generator=rng(0)).item()
    assert ours == pytest.approx(float(theirs), rel=0.02)
    assert ours >= theirs


@pytest.mark.parametrize("d", [1, 3, 20])
def test_bures_value_gradient_and_map_agree_with_pot(d: int) -> None:
    (m1, C1), (m2, C2) = gaussian(0, d), gaussian(1, d)
    C1.requires_grad_()
    C2.requires_grad_()
    ours = bures_wasserstein(m1, C1, m2, C2)
    theirs = pot.gaussian.bures_wasserstein_distance(m1, m2, C1, C2).squeeze() ** 2
    torch.testing.assert_close(ours, theirs)
    our_gradients = torch.autograd.grad(ours, (C1, C2))
    for our, their in zip(our_gradients, torch.autograd.grad(theirs, (C1, C2)), strict=True):
        torch.testing.assert_close(our, (their + their.T) / 2, atol=1e-8, rtol=1e-6)
    T = gaussian_map(m1, C1, m2, C2)
    arrays = (t.detach().numpy() for t in (m1, m2, C1, C2))
    A, b = pot.gaussian.bures_wasserstein_mapping(*arrays)
    np.testing.assert_allclose(T.matrix.detach().numpy(), A, atol=1e-8)
    np.testing.assert_allclose(T.shift.detach().numpy(), b.ravel(), atol=1e-8)


def test_bures_wasserstein_agrees_with_matrix_square_roots_of_scipy() -> None:
    from scipy.linalg import sqrtm

    (m1, C1), (m2, C2) = gaussian(0, 8), gaussian(1, 8)
    root = sqrtm(C1.numpy())
    cross = np.trace(sqrtm(root @ C2.numpy() @ root)).real
    theirs = (m1 - m2).square().sum().item() + np.trace(C1.numpy() + C2.numpy()) - 2 * cross
    assert bures_wasserstein(m1, C1, m2, C2).item() == pytest.approx(theirs, rel=1e-9)


def test_gaussian_barycenter_agrees_with_pot() -> None:
    means, C, w = cloud(0, 4, 3), torch.stack([gaussian(s, 3)[1] for s in range(4)]), weights(0, 4)
    ours = gaussian_barycenter(means, C, w, tol=1e-12)
    mean, covariance = pot.gaussian.bures_wasserstein_barycenter(
        means.numpy(), C.numpy(), w.numpy(), num_iter=1000, eps=1e-12, method="fixed_point"
    )
    np.testing.assert_allclose(ours.mean.numpy(), np.ravel(mean), atol=1e-10)
    np.testing.assert_allclose(ours.covariance.numpy(), covariance, atol=1e-8)


def test_energy_distance_is_the_square_of_that_of_scipy() -> None:
    from scipy.stats import energy_distance as theirs

    x, y, a, b = cloud(0, 40, 1), cloud(1, 30, 1, 0.5), weights(0, 40), weights(1, 30)
    plain, weighted = energy_distance(x, y), energy_distance(x, y, a=a, b=b)
    u, v = x[:, 0].numpy(), y[:, 0].numpy()
    assert plain.item() == pytest.approx(theirs(u, v) ** 2, rel=1e-9)
    assert weighted.item() == pytest.approx(theirs(u, v, a.numpy(), b.numpy()) ** 2, rel=1e-9)


def test_mmd_agrees_with_the_gaussian_kernel_of_sklearn() -> None:
    from sklearn.metrics.pairwise import rbf_kernel

    x, y, length = cloud(0, 40, 6), cloud(1, 30, 6, 0.5), 1.7

    def mean(s: Tensor, t: Tensor) -> float:
        return float(rbf_kernel(s.numpy(), t.numpy(), gamma=1 / (2 * length**2)).mean())

    theirs = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    ours = mmd(x, y, kernel="rbf", scales=[length], unbiased=False)
    assert ours.item() == pytest.approx(theirs, rel=1e-9)
