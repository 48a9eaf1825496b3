"""Solvers of optimal transport problems.

Points are (..., n, d), one per row, with batch dimensions in front; weights (..., n) sum to one and
are uniform by default. All tensors of a call share one dtype and device; half precision is
computed in float32. Each docstring states how the result can be differentiated. Most gradients come
from the envelope theorem, which holds the plan fixed, so that a second derivative raises.

Every function raises ``ValueError`` or ``TypeError`` where shapes do not match, a number is out of
its range, or a tensor contains NaN, integers, or weights that do not sum to one; the message names
the parameter and the remedy. A solver that stops before it reaches its tolerance issues one warning
and sets ``converged`` to False in the result.

Keys in brackets refer to ``docs/references.bib``. Examples assume ``import torch`` and
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
