"""Potentials to start from: those of the two Gaussians with the clouds' means and covariances, in
closed form.

Janati, Muzellec, Peyré, Cuturi, "Entropic optimal transport between unbalanced Gaussian measures
has a closed form",
NeurIPS 2020    [janatigauss2020]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .. import parallel
from ._geometry import Bilinear
from ._kernel import Task

_POINTS_A_DIMENSION = (
    32  # fewer than that, and the eigenproblems cost more than the iterations they save
)
_FLOOR = 1e-4  # of the largest eigenvalue, so that flat clouds have an inverse covariance


def cold(task: Task, epsilon: float) -> Tensor:
    """A reduced potential g for a task of which nothing is known: that of Gaussians, or g = 0."""
    geometry = task.geometry
    # The cost of the eigenproblems is told by the columns alone: processes that share out the rows
    # must agree.
    if (
        isinstance(geometry, Bilinear)
        and geometry.squared
        and _POINTS_A_DIMENSION * geometry.q.shape[-1] <= geometry.m
    ):
        g = _gaussian(geometry, task.a, task.b, epsilon, task.sharded)
        if g.isfinite().all():
            return g
    return torch.zeros_like(task.b) if geometry.beta is None else -geometry.beta


def _gaussian(geometry: Bilinear, a: Tensor, b: Tensor, epsilon: float, sharded: bool) -> Tensor:
    """The reduced potential g′(y) = −2 ⟨y, mₓ⟩ − (y − m)ᵀ M (y − m) with M the slope of E[x | y],
    for C = |x − y|².

    M = ½ B^{-1/2} ((4 B^{1/2} A B^{1/2} + σ⁴)^{1/2} − σ²) B^{-1/2} with σ² = ε/2 and covariances A
    of x, B of y.
    """
    x, y = geometry.q, geometry.k
    mx, A = _moments(x, a, sharded)
    my, B = _moments(y, b, False)
    values, vectors = torch.linalg.eigh(B)
    values = values.clamp_min(_FLOOR * values.amax(-1, keepdim=True)).sqrt().unsqueeze(-2)
    root, inverse = (vectors * values) @ vectors.mT, (vectors / values) @ vectors.mT
    s = epsilon / 2
    values, vectors = torch.linalg.eigh(4 * root @ A @ root)
    slope = (
        0.5
        * inverse
        @ ((vectors * ((values.clamp_min(0) + s * s).sqrt() - s).unsqueeze(-2)) @ vectors.mT)
        @ inverse
    )
    centered = y - my
    return -2 * (y @ mx.mT).squeeze(-1) - (centered @ slope * centered).sum(-1)


def _moments(x: Tensor, a: Tensor, sharded: bool) -> tuple[Tensor, Tensor]:
    total = parallel.total if sharded else lambda t: t
    mass = total(a.sum(-1))[..., None, None]
    mean = total(a.unsqueeze(-2) @ x) / mass
    centered = x - mean
    return mean, total((centered * a.unsqueeze(-1)).mT @ centered) / mass
