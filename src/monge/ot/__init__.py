"""Optimal transport: tensors in, results out."""

from .costs import Cost, CostLike, as_cost
from .divergences import (
    SinkhornState,
    minibatch_energy,
    minibatch_energy_distance,
    minibatch_energy_plan,
    self_transport,
    sinkhorn_divergence,
)
from .exact import transport, wasserstein
from .gaussian import AffineMap, Gaussian, bures_wasserstein, gaussian_barycenter, gaussian_map
from .kernels import energy_distance, mmd
from .sinkhorn import Plan, sinkhorn
from .sliced import max_sliced_wasserstein, sliced_wasserstein, wasserstein_1d

__all__ = [
    "AffineMap",
    "Cost",
    "CostLike",
    "Gaussian",
    "Plan",
    "SinkhornState",
    "as_cost",
    "bures_wasserstein",
    "energy_distance",
    "gaussian_barycenter",
    "gaussian_map",
    "max_sliced_wasserstein",
    "minibatch_energy",
    "minibatch_energy_distance",
    "minibatch_energy_plan",
    "mmd",
    "self_transport",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "transport",
    "wasserstein",
    "wasserstein_1d",
]
