r"""Closed-form transport between Gaussians: distance, map and barycenter.

    Olkin & Pukelsheim, "The distance between two random vectors with given dispersion matrices",
        LAA 1982 [olkin1982]
    Bhatia, Jain & Lim, "On the Bures–Wasserstein distance between positive definite matrices",
        Expo. Math. 2019 [bhatia2019]
    Álvarez-Esteban et al., "A fixed-point approach to barycenters in Wasserstein space", JMAA 2016
        [alvarez2016]

    L         factor of the covariance, C = L Lᵀ      L⁺    its (pseudo-)inverse
    U S Vᵀ    singular values of L₁ᵀ L₂               T     matrix of the map, T C₁ T = C₂

Any factor can replace the square root C^½: tr (C₁^½ C₂ C₁^½)^½ is the nuclear norm Σ S, and
T = L₁⁺ᵀ U S Uᵀ L₁⁺. Small singular values have an error of ε tr C, whereas the square roots of the
eigenvalues of the product would have an error of √ε tr C, and no gradient divides by a difference
of eigenvalues. The factors are Cholesky factors; singular covariances are factored by their
eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import ONCE, needs_gradient, non_negative, with_gradient, with_rule


@dataclass(frozen=True)
class AffineMap:
    """The map x ↦ A x + b.

    Attributes
    ----------
    matrix : Tensor (..., d, d)
        A, which is symmetric and positive for an optimal map.
    shift : Tensor (..., d)
        b.
    """

    matrix: Tensor
    shift: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map points (..., n, d)."""
        return x @ self.matrix.mT + self.shift[..., None, :]

    def inverse(self) -> AffineMap:
        """Return the inverse y ↦ A⁻¹ (y − b); raise ValueError if A is singular."""
        if (torch.linalg.matrix_rank(self.matrix.detach()) < self.matrix.shape[-1]).any():
            raise ValueError(
                "the map is singular and has no inverse: use covariances of full rank, e.g. "
                "C + 1e-6 * torch.eye(d)"
            )
        matrix = torch.linalg.inv(self.matrix)
        return AffineMap(matrix, -(matrix @ self.shift[..., None])[..., 0])


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian measure, as returned by `gaussian_barycenter`.

    Attributes
    ----------
    mean : Tensor (..., d)
        Mean.
    covariance : Tensor (..., d, d)
        Covariance.
    n_iter : int
        Steps of the fixed-point iteration.
    converged : bool
        Whether the last step changed every covariance by less than the tolerance.
    """

    mean: Tensor
    covariance: Tensor
    n_iter: int = 0
    converged: bool = True


def bures_wasserstein(m1: Tensor, C1: Tensor, m2: Tensor, C2: Tensor) -> Tensor:
    r"""Compute the squared 2-Wasserstein distance between two Gaussians.

    .. math:: |m_1 - m_2|^2 + \mathrm{tr}\bigl(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2}\bigr)

    The Fréchet distance between features is this value. The error is about ε tr C, with ε the
    precision of the dtype: use float64 for distances far below that. Source: [olkin1982],
    [bhatia2019].

    Parameters
    ----------
    m1, m2 : Tensor (..., d)
        Means.
    C1, C2 : Tensor (..., d, d)
        Covariances, symmetric and positive semi-definite; they may be singular.

    Returns
    -------
    Tensor (...)
        Squared distance in the squared unit of the points, never negative. The gradient in C₁ is
        I − T, where T is the matrix of the map from the first Gaussian to the second. Where C₁ is
        singular, the slope across its support is infinite; the gradient is then the slope along the
        support, so that it is always finite. A second derivative in the covariances raises.

    Examples
    --------
    >>> bures_wasserstein(torch.zeros(2), torch.eye(2), torch.ones(2), 4 * torch.eye(2))
    tensor(4.)
    """
    (m1, C1), (m2, C2) = _pair(m1, C1, m2, C2)
    L1, L2 = _factor(C1.detach(), "C1"), _factor(C2.detach(), "C2")
    overlap = L1.matrix.mT @ L2.matrix
    g1 = g2 = None
    if needs_gradient(C1, C2):
        U, S, Vh = torch.linalg.svd(overlap)
        eye = torch.eye(C1.shape[-1], dtype=C1.dtype, device=C1.device)
        g1 = eye - _map_matrix(L1, U, S) if needs_gradient(C1) else None
        g2 = eye - _map_matrix(L2, Vh.mT, S) if needs_gradient(C2) else None
    else:
        S = torch.linalg.svdvals(overlap)
    traces = sum(C.detach().diagonal(dim1=-2, dim2=-1).sum(-1) for C in (C1, C2))
    spread = with_gradient(traces - 2 * S.sum(-1), (C1, g1), (C2, g2))
    return (m1 - m2).square().sum(-1) + non_negative(spread)


def gaussian_map(m1: Tensor, C1: Tensor, m2: Tensor, C2: Tensor) -> AffineMap:
    r"""Compute the optimal map from one Gaussian to another.

    .. math:: x \mapsto m_2 + T (x - m_1), \qquad
              T = C_1^{-1/2} (C_1^{1/2} C_2 C_1^{1/2})^{1/2} C_1^{-1/2}, \qquad T C_1 T = C_2

    The parameters are those of `bures_wasserstein`; the map is differentiable once in all of them.
    Where C₁ is singular, pseudo-inverses are used: the map pushes C₁ to P C₂ P, where P is the
    projection on the support of C₁, and the gradient is that along the support. For data that are
    not Gaussian this is the best affine map between the first two moments. Source: [olkin1982].

    >>> T = gaussian_map(torch.zeros(1), torch.eye(1), torch.ones(1), 9 * torch.eye(1))
    >>> T(torch.tensor([[2.0]])), T.inverse()(torch.tensor([[7.0]])).round(decimals=3)
    (tensor([[7.]]), tensor([[2.]]))
    """
    (m1, C1), (m2, C2) = _pair(m1, C1, m2, C2)
    T = _map(C1, C2)
    return AffineMap(T, m2 - (T @ m1[..., None])[..., 0])


def gaussian_maps(x: Tensor, y: Tensor) -> tuple[AffineMap, AffineMap]:
    """Compute the optimal maps, forward and backward, between Gaussians fitted to two samples.

    The samples are (n, d) and (m, d). A millionth of the mean variance is added to each covariance,
    so that the map is also invertible in constant coordinates.

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> forward, backward = gaussian_maps(x, 3 * x + 1)
    >>> bool((forward(x) - (3 * x + 1)).abs().max() < 1e-3)
    True
    >>> bool((backward(forward(x)) - x).abs().max() < 1e-3)
    True
    """
    P, Q = _sample_moments(x), _sample_moments(y)
    return gaussian_map(*P, *Q), gaussian_map(*Q, *P)


def _sample_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    covariance = x.mT.cov().reshape(x.shape[1], x.shape[1])
    return x.mean(0), covariance + 1e-6 * covariance.diagonal().mean() * torch.eye(x.shape[1]).to(x)


def gaussian_barycenter(
    means: Tensor,
    covariances: Tensor,
    weights: Tensor | None = None,
    *,
    tol: float = 1e-5,
    max_iter: int = 100,
) -> Gaussian:
    r"""Compute the Wasserstein barycenter of Gaussians.

    It minimizes the weighted mean of the squared distances to the Gaussians, and satisfies

    .. math:: m = \sum_i w_i m_i, \qquad C = \sum_i w_i (C^{1/2} C_i C^{1/2})^{1/2}

    The iteration C ← T̄ C T̄, where T̄ is the mean of the maps to all Gaussians, converges in one step
    if the covariances commute. The result is differentiable by unrolling the iteration. Source:
    [alvarez2016], theorem 4.2.

    Parameters
    ----------
    means : Tensor (..., k, d)
        Means of the k Gaussians.
    covariances : Tensor (..., k, d, d)
        Their covariances.
    weights : Tensor (..., k), optional
        Weights that sum to one; uniform by default.
    tol : float
        Relative change of the covariance in one step, in the Frobenius norm, at which to stop.
    max_iter : int
        Maximum number of steps.

    Examples
    --------
    >>> covariances = torch.stack([torch.eye(2), 9 * torch.eye(2)])
    >>> gaussian_barycenter(torch.zeros(2, 2), covariances).covariance
    tensor([[4., 0.],
            [0., 4.]])
    """
    check.all_positive(tol=tol, max_iter=max_iter)
    means, covariances = _gaussian(means, covariances, ("means", "covariances"))
    if means.ndim < 2:
        raise ValueError(
            f"means must have shape (..., k, d), got {tuple(means.shape)}: give one row for each "
            "Gaussian"
        )
    w = check.weights(weights, means, means.shape[-2], "weights")[..., None]
    C, change, n_iter = (w[..., None] * covariances).sum(-3), torch.full((), torch.inf), 0
    while n_iter < max_iter and not (change <= tol).all():
        maps = _map(C[..., None, :, :].expand_as(covariances), covariances)
        mean_map = (w[..., None] * maps).sum(-3)
        step = _symmetric(mean_map @ C @ mean_map)
        size = torch.linalg.matrix_norm(C.detach())
        change = torch.linalg.matrix_norm((step - C).detach()) / torch.where(size > 0, size, 1)
        C, n_iter = step, n_iter + 1
    converged = bool((change <= tol).all())
    if not converged:
        remedy = "raise max_iter or tol, or use float64"
        check.warn_not_reached("gaussian_barycenter", tol, remedy, stacklevel=3)
    return Gaussian((w * means).sum(-2), C, n_iter, converged)


def normal_w2_squared(z: Tensor) -> Tensor:
    r"""Compute the squared 2-Wasserstein distance of a sample's Gaussian from N(0, I).

    .. math:: |m|^2 + \sum_i (\sqrt{\lambda_i} - 1)^2

    m is the mean of the sample, and λ are the eigenvalues of its covariance; those that are missing
    because n ≤ d count as 0. ``z`` is (..., n, d); the result has shape (...) and the squared unit
    of the points, and is differentiable once.

    This is the penalty of Wasserstein-Wasserstein autoencoders. It equals `bures_wasserstein` of
    the moments of the sample, but has a finite gradient where the slope of that is infinite. It
    depends on the moments only: codes of mean 0 and covariance I are at distance 0, whatever their
    distribution. A sample of n points from N(0, I) has a value of about d/n + d(d + 1)/4n. Source:
    [olkin1982].

    >>> normal_w2_squared(torch.tensor([[3.0], [-1.0]])).round(decimals=4)  # mean 1, deviation 2
    tensor(2.)
    """
    z = check.points(z, "z")
    n, d = z.shape[-2:]
    m = z.mean(-2)
    A = (z.detach() - m.detach()[..., None, :]) / n**0.5
    # In terms of singular values the gradient is 2/√n U (σ − 1) Vᵀ, which divides neither by σ nor
    # by differences of eigenvalues. It is finite for collapsed codes and for fewer codes than
    # dimensions, and does not vanish in a collapsed direction.
    U, sigma, Vh = torch.linalg.svd(A, full_matrices=False)
    spread = (sigma - 1).square().sum(-1) + max(0, d - n)
    gradient = 2 / n**0.5 * (U * (sigma - 1)[..., None, :]) @ Vh if needs_gradient(z) else None
    if gradient is not None:
        gradient = gradient - gradient.mean(-2, keepdim=True)  # A does not depend on the mean
    return m.square().sum(-1) + with_gradient(spread, (z, gradient))


@dataclass(frozen=True)
class _Factor:
    """A factor L of C = L Lᵀ.

    It is the Cholesky factor or, if some matrix of the batch is singular, one from eigenvalues and
    eigenvectors; then ``pseudo`` is its pseudo-inverse.
    """

    matrix: Tensor
    pseudo: Tensor | None = None

    def pull(self, B: Tensor) -> Tensor:
        """Return L⁺ᵀ B."""
        if self.pseudo is None:
            return torch.linalg.solve_triangular(self.matrix.mT, B, upper=True)
        return self.pseudo.mT @ B


def _factor(C: Tensor, name: str) -> _Factor:
    d, eps = C.shape[-1], torch.finfo(C.dtype).eps
    L, info = torch.linalg.cholesky_ex(C)
    pivots = L.diagonal(dim1=-2, dim2=-1).square()
    if (info == 0).all() and (pivots.amin(-1) > d * eps * pivots.amax(-1)).all():
        return _Factor(L)
    values, vectors = torch.linalg.eigh(C)
    largest = values[..., -1:].abs()
    if (values[..., :1] < -(eps**0.5) * largest).any():
        raise ValueError(
            f"{name} has a negative eigenvalue, {values.min().item():.3g}: a covariance must be "
            "positive semi-definite"
        )
    support = values > d * eps * largest
    roots = torch.where(support, values, 1).sqrt()
    factor, pseudo = vectors * (roots * support)[..., None, :], (support / roots)[..., None]
    return _Factor(factor, pseudo * vectors.mT)


def _map_matrix(L: _Factor, U: Tensor, S: Tensor) -> Tensor:
    """Return L⁺ᵀ U S Uᵀ L⁺, which is symmetric and positive by construction."""
    half = L.pull(U * S.sqrt()[..., None, :])
    return half @ half.mT


def _map(C1: Tensor, C2: Tensor) -> Tensor:
    """Return T as a differentiable function of C₁ and C₂.

    T C₁ T = C₂ implies dT C₁ T + T C₁ dT = dC₂ − T dC₁ T, which is solved by dividing by sums of
    singular values.
    """
    with torch.no_grad():
        L1, L2 = _factor(C1, "C1"), _factor(C2, "C2")
        U, S, _ = torch.linalg.svd(L1.matrix.mT @ L2.matrix)
        T, left, right = _map_matrix(L1, U, S), L1.matrix @ U, L1.pull(U)

    def rule(grad: Tensor, _: tuple[bool, ...], __: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        sums = S[..., :, None] + S[..., None, :]
        nonzero = sums > S.shape[-1] * torch.finfo(S.dtype).eps * S[..., :1, None]
        H = left @ torch.where(nonzero, right.mT @ grad @ right / sums, 0) @ left.mT
        return -T @ H @ T, H

    return with_rule(T, rule, ONCE, C1, C2)


def _symmetric(C: Tensor) -> Tensor:
    return (C + C.mT) / 2


def _gaussian(m: Tensor, C: Tensor, names: tuple[str, str]) -> tuple[Tensor, Tensor]:
    """Return a mean and a symmetric covariance of one dtype and batch shape."""
    mean, cov = names
    if not isinstance(m, Tensor):
        check.points(m, mean)  # raises
    if m.ndim == 0:
        raise ValueError(f"{mean} must have shape (..., d), got a scalar: pass {mean}[None]")
    m, C = check.points(m[..., None], mean)[..., 0], check.points(C, cov)
    d = m.shape[-1]
    if C.shape[-2:] != (d, d):
        raise ValueError(
            f"{cov} must have shape (..., {d}, {d}) to go with {mean}, got {tuple(C.shape)}"
        )
    skew = (C - C.mT).detach().abs().max()
    if skew > 1e-3 * C.detach().abs().max():
        raise ValueError(
            f"{cov} is not symmetric, by {skew.item():.3g}: pass ({cov} + {cov}.mT) / 2"
        )
    if m.dtype != C.dtype:
        raise TypeError(f"{mean} is {m.dtype} and {cov} {C.dtype}: convert one with .to(dtype)")
    batch = torch.broadcast_shapes(m.shape[:-1], C.shape[:-2])
    return m.expand(*batch, d), _symmetric(C).expand(*batch, d, d)


def _pair(
    m1: Tensor, C1: Tensor, m2: Tensor, C2: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    (m1, C1), (m2, C2) = _gaussian(m1, C1, ("m1", "C1")), _gaussian(m2, C2, ("m2", "C2"))
    C1, C2 = check.pair(C1, C2, ("C1", "C2"))
    return (m1, C1), (m2, C2)
