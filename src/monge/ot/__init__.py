"""Optimal transport: tensors in, results out."""

from .costs import Cost, CostLike, as_cost
from .divergences import (
    SinkhornState,
    energy_distance,
    minibatch_energy,
    minibatch_energy_distance,
    minibatch_energy_plan,
    self_transport,
    sinkhorn_divergence,
)
from .exact import transport, wasserstein
from .sinkhorn import Plan, sinkhorn

__all__ = [
    "Cost",
    "CostLike",
    "Plan",
    "SinkhornState",
    "as_cost",
    "energy_distance",
    "minibatch_energy",
    "minibatch_energy_distance",
    "minibatch_energy_plan",
    "self_transport",
    "sinkhorn",
    "sinkhorn_divergence",
    "transport",
    "wasserstein",
]
