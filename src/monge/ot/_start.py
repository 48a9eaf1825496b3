"""Initial potentials, in closed form from the means and covariances of the two clouds.

Janati, Muzellec, Peyré & Cuturi, "Entropic optimal transport between unbalanced Gaussian
    measures has a closed form", NeurIPS 2020 [janatigauss2020]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import parallel
from ._geometry import Bilinear
from ._kernel import Task

# with fewer points per dimension the eigenproblems cost more than the iterations they save
_POINTS_PER_DIMENSION = 32
_FLOOR = 1e-4  # relative to the largest eigenvalue: flat clouds have an inverse covariance


def cold(task: Task, epsilon: float) -> Tensor:
    """Return a reduced potential g to start from: that of the Gaussians, or of g = 0."""
    geometry = task.geometry
    if (
        isinstance(geometry, Bilinear)
        and geometry.squared
        # only the columns are counted, since processes that share the rows must agree
        and _POINTS_PER_DIMENSION * geometry.q.shape[-1] <= geometry.m
    ):
        g = _gaussian(geometry, task.a, task.b, epsilon, task.sharded)
        if g.isfinite().all():
            return g
    return torch.zeros_like(task.b) if geometry.beta is None else -geometry.beta


def _gaussian(geometry: Bilinear, a: Tensor, b: Tensor, epsilon: float, sharded: bool) -> Tensor:
    """Return the reduced potential g′(y) = −2 ⟨y, mₓ⟩ − (y − m)ᵀ M (y − m), for C = |x − y|².

    M is the slope of E[x | y]: M = ½ B^{-1/2} ((4 B^{1/2} A B^{1/2} + σ⁴)^{1/2} − σ²) B^{-1/2} with
    σ² = ε/2 and the covariances A of x and B of y.
    """
    x, y = geometry.q, geometry.k
    mx, A = _moments(x, a, sharded)
    my, B = _moments(y, b, False)
    values, vectors = torch.linalg.eigh(B)
    values = values.clamp_min(_FLOOR * values.amax(-1, keepdim=True)).sqrt().unsqueeze(-2)
    root, inverse = (vectors * values) @ vectors.mT, (vectors / values) @ vectors.mT
    s = epsilon / 2
    values, vectors = torch.linalg.eigh(4 * root @ A @ root)
    shifted = (values.clamp_min(0) + s * s).sqrt() - s
    slope = 0.5 * inverse @ ((vectors * shifted.unsqueeze(-2)) @ vectors.mT) @ inverse
    centered = y - my
    return -2 * (y @ mx.mT).squeeze(-1) - (centered @ slope * centered).sum(-1)


def _moments(x: Tensor, a: Tensor, sharded: bool) -> tuple[Tensor, Tensor]:
    total = parallel.total if sharded else lambda t: t
    mass = total(a.sum(-1))[..., None, None]
    mean = total(a.unsqueeze(-2) @ x) / mass
    centered = x - mean
    return mean, total((centered * a.unsqueeze(-1)).mT @ centered) / mass
