r"""How far a sample's Gaussian is from the standard normal one: the penalty of Wasserstein-Wasserstein autoencoders.

    Olkin & Pukelsheim, "The distance between two random vectors with given dispersion matrices", LAA 1982    [olkin1982]

    m, C    mean and covariance (divided by n) of the sample z (n, d)
    U σ Vᵀ  singular values of (z − m)/√n, so that C = V σ² Vᵀ

By singular values the gradient in z is 2/√n U (σ − 1) Vᵀ: nothing is divided, neither by σ nor by differences of eigenvalues, so
it is finite for collapsed codes and for fewer codes than dimensions, and pushes a collapsed direction apart with full force.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _validate as check
from ._autograd import asks_gradient, with_gradient


def normal_w2_squared(z: Tensor) -> Tensor:
    r"""Squared 2-Wasserstein distance between the Gaussian with a sample's moments and N(0, I).

    .. math:: |m|^2 + \sum_i (\sqrt{\lambda_i} - 1)^2

    This is `bures_wasserstein` of the sample's moments, with a gradient where that has an infinite slope. It sees moments
    only: codes with mean 0 and covariance I are at distance 0, whatever their shape. A sample of n points from N(0, I) has about
    d/n + d(d + 1)/4n. Source: [olkin1982].

    ``z`` is (..., n, d); the result has shape (...) and the squared unit of the points, and is differentiable once. λ are the
    eigenvalues of the covariance; those that are missing because n ≤ d count as 0.

    >>> normal_w2_squared(torch.tensor([[3.0], [-1.0]])).round(decimals=4)  # mean 1, deviation 2
    tensor(2.)
    """
    z = check.points(z, "z")
    n, d = z.shape[-2:]
    m = z.mean(-2)
    A = (z.detach() - m.detach()[..., None, :]) / n**0.5
    U, sigma, Vh = torch.linalg.svd(A, full_matrices=False)
    spread = (sigma - 1).square().sum(-1) + max(0, d - n)
    gradient = 2 / n**0.5 * (U * (sigma - 1)[..., None, :]) @ Vh if asks_gradient(z) else None
    if gradient is not None:
        gradient = gradient - gradient.mean(-2, keepdim=True)  # the mean has been taken off
    return m.square().sum(-1) + with_gradient(spread, (z, gradient))
