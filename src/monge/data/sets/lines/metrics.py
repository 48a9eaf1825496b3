r"""How real and how even interpolations between pictures of lines are, measured against every line there is.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders via an adversarial
    regularizer", ICLR 2019, section 3.1    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
x̂_n         the n-th of N pictures on the path, n = 1 … N
D           the dictionary: lines at `ANGLES` equal steps of angle, θ_q that of line D_q
q*_n        the line of least cosine distance to x̂_n, over the pixels in [−1, 1]
==========  ============================================================
"""

from __future__ import annotations

from functools import lru_cache
from math import nan, pi

import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.metrics import Measured, Measures, Metric

from .draw import draw_lines

DISTANCE = Metric("lines_mean_distance", "distance to real lines", 2, "low", "‰", 1000, table="lines off, ‰")
SMOOTHNESS = Metric("lines_smoothness", "smoothness of the turn", 2, "low", table="smoothness")
ANGLES = 10_000
_STILL = 1e-4  # radians; a path whose ends are nearer than this has no smoothness
_BLOCK = 1024


def line_quality(paths: Tensor) -> Measures:
    r"""`DISTANCE` and `SMOOTHNESS` of interpolations, the two metrics of ACAI; 0 is best for both.

    .. math:: \text{mean distance} = \frac1N \sum_n \min_q \Bigl(1 - \frac{\langle \hat x_n, D_q \rangle}{|\hat x_n| |D_q|}\Bigr),
              \qquad
              \text{smoothness} = \frac{\max_n |\theta_{q^*_{n+1}} - \theta_{q^*_n}|}{|\theta_{q^*_1} - \theta_{q^*_N}|}
              - \frac{1}{N - 1}

    with angles unwound along the path, so that no step is longer than π. Both are averaged over the paths. A turn at constant
    speed has smoothness 0, a single jump 1 − 1/(N − 1), and a path that turns back may have more. Paths that end at the angle
    where they began have no smoothness and are left out of its mean; it is NaN when there are no others.

    Parameters
    ----------
    paths : Tensor
        (m, N, 1, size, size), m interpolations of N ≥ 2 square pictures, ends included.

    Raises
    ------
    ValueError
        Other shapes.

    Examples
    --------
    >>> turn = draw_lines(torch.linspace(0, 1, 5), 16)[None]
    >>> found = line_quality(turn)
    >>> found[DISTANCE].value < 1e-6, abs(found[SMOOTHNESS].value) < 1e-3
    (True, True)
    """
    if paths.ndim != 5 or paths.shape[2] != 1 or paths.shape[3] != paths.shape[4] or paths.shape[1] < 2 or not len(paths):
        raise ValueError(f"paths must be (m, N, 1, size, size) with N of at least 2, got {tuple(paths.shape)}")
    distance, angle = nearest_lines(paths.flatten(0, 1))
    return {DISTANCE: Measured(distance.mean().item()), SMOOTHNESS: Measured(smoothness(angle.reshape(paths.shape[:2])))}


def nearest_lines(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine distance (n,) to the nearest line of the dictionary, and that line's angle (n,), of pictures (n, 1, size, size).

    >>> distance, angle = nearest_lines(draw_lines(torch.tensor([1.0]), 16))
    >>> round(angle.item(), 2)
    1.0
    """
    every = _dictionary(pictures.shape[-1])
    found = [(normalize(block.flatten(1), dim=1) @ every.T).max(1) for block in pictures.float().cpu().split(_BLOCK)]
    cosine, index = torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
    return (1 - cosine).clamp_min(0), _angles()[index]


def smoothness(angles: Tensor) -> float:
    """The mean smoothness of angles (m, N), see `line_quality`; NaN when no path gets anywhere.

    >>> smoothness(torch.tensor([[0.0, 0.0, 0.0, 0.0, 3.0]]))
    0.75
    """
    turns = (angles.double().diff(dim=1) + pi).remainder(2 * pi) - pi
    whole = turns.sum(1).abs()
    moved = whole >= _STILL
    if not moved.any():
        return nan
    return (turns.abs().amax(1)[moved] / whole[moved]).mean().item() - 1 / turns.shape[1]


def _angles() -> Tensor:
    return torch.arange(ANGLES, dtype=torch.float64) * (2 * pi / ANGLES)


@lru_cache(maxsize=2)
def _dictionary(size: int) -> Tensor:
    """Every line, normalised, (ANGLES, size²); 40 MB for 32×32."""
    return torch.cat([normalize(draw_lines(part, size).flatten(1), dim=1).float() for part in _angles().split(500)])
