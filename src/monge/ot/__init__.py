"""Optimal transport: tensors in, results out.

Points are (..., n, d), one a row, with batch dimensions in front; weights (..., n) are uniform if
none are given, and sum to one. All tensors of a call have one dtype and device; half precision is
computed in float32. Results are differentiable as their docstrings say; most by the envelope
theorem, which holds the plan fixed, so that a second derivative raises.

Every function raises ``ValueError`` or ``TypeError``, with the name of the parameter and what to
do, where shapes do not fit, a number is out of its range, or a tensor holds NaN, integers, or
weights that do not sum to one. A solver that stops short of its tolerance gives one warning and
says so in the result.

Sources in brackets are keys of ``docs/references.bib``. Examples begin with ``import torch`` and
``from monge.ot import *``.
"""

from ._laguerre import Box, laguerre_cells
from .barycenter import Barycenter, barycenter
from .co_optimal import CoOptimalPlan, co_optimal_transport
from .costs import Cost, CostLike, as_cost
from .divergences import (
    SinkhornState,
    minibatch_energy,
    minibatch_energy_distance,
    minibatch_energy_plan,
    self_transport,
    sinkhorn_divergence,
)
from .dual import Conjugate, conjugate, dual_w2_squared, gradient_penalty
from .exact import transport, wasserstein
from .gaussian import (
    AffineMap,
    Gaussian,
    bures_wasserstein,
    gaussian_barycenter,
    gaussian_map,
    gaussian_maps,
    normal_w2_squared,
)
from .gromov import fused_gromov_wasserstein, gromov_wasserstein
from .mmd import energy_distance, kernel_scales, mmd
from .plan import Plan
from .semidiscrete import SemiDiscrete
from .sinkhorn import sinkhorn
from .sliced import max_sliced_wasserstein, sliced_wasserstein, wasserstein_1d

# fmt: off
__all__ = [
    "AffineMap", "Barycenter", "Box", "CoOptimalPlan", "Conjugate", "Cost", "CostLike", "Gaussian",
    "Plan", "SemiDiscrete", "SinkhornState", "as_cost", "barycenter", "bures_wasserstein",
    "co_optimal_transport", "conjugate", "dual_w2_squared", "energy_distance",
    "fused_gromov_wasserstein", "gaussian_barycenter", "gaussian_map", "gaussian_maps",
    "gradient_penalty", "gromov_wasserstein", "kernel_scales", "laguerre_cells",
    "max_sliced_wasserstein", "minibatch_energy", "minibatch_energy_distance",
    "minibatch_energy_plan", "mmd", "normal_w2_squared", "self_transport", "sinkhorn",
    "sinkhorn_divergence", "sliced_wasserstein", "transport", "wasserstein", "wasserstein_1d",
]
# fmt: on
