"""Random Gaussians and rotations, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.helpers.clouds import cloud


def covariance(seed: int, d: int, rank: int | None = None) -> Tensor:
    """Draw a covariance (d, d), singular if ``rank`` is less than d."""
    A = cloud(seed, d, (rank or d + 2))
    return A @ A.T / A.shape[1]


def gaussian(seed: int, d: int, rank: int | None = None) -> tuple[Tensor, Tensor]:
    """Draw a mean (d,) and a covariance (d, d)."""
    return cloud(seed + 5, 1, d)[0], covariance(seed, d, rank)


def rotation(seed: int, d: int) -> Tensor:
    """Draw an orthogonal matrix (d, d)."""
    return torch.linalg.qr(cloud(seed, d, d)).Q
