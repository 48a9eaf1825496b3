"""Pictures of one line from the centre at a random angle, on which interpolations can be measured exactly.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders via an adversarial
    regularizer", ICLR 2019, section 3.1    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
θ           ``angles``, from the first axis to the right towards the bottom
u, n        direction (cos θ, sin θ) of the line, and its normal
L           `length`, half the side less a pixel, so that no end touches the border
w           `WIDTH`, measured along the rows or columns that the line crosses, whichever it crosses more of
==========  ============================================================

Centre, length and width are the reference implementation's, on whose pictures the published figures were measured; anti-aliasing
is by the share of a pixel that the line covers.
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 2.0
_LEAST = 1e-3  # side of a pixel's shadow that is taken for 0


def draw_lines(angles: Tensor, size: int = 32) -> Tensor:
    r"""Black pictures in which one white line leads from the centre towards each angle.

    A pixel at p, from the centre, has the value :math:`2 s(\langle p, n \rangle; -b, b)\, s(\langle p, u \rangle; 0, L) - 1` with
    :math:`2b = w \max(|\cos θ|, |\sin θ|)` and s(t; l, r) the share of the pixel's area whose coordinate is between l and r:
    exact along the line, and at its two ends but for the corners.

    Parameters
    ----------
    angles : Tensor
        (n,), in radians; computed in double precision.
    size : int
        Side in pixels, at least 4.

    Returns
    -------
    Tensor
        (n, 1, size, size) in [−1, 1], of the angles' dtype.

    Raises
    ------
    ValueError
        Smaller pictures.

    Examples
    --------
    >>> east = draw_lines(torch.zeros(1), 8)[0, 0]
    >>> east[3].tolist()
    [-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, -1.0]
    >>> torch.equal(east[3], east[4]), east[2].max().item()
    (True, -1.0)
    """
    if size < 4:
        raise ValueError(f"size must be at least 4 pixels for a line to be seen, got {size}")
    theta = angles.double()[:, None, None]
    cos, sin = theta.cos(), theta.sin()
    at = torch.arange(size, dtype=torch.float64, device=angles.device) - (size - 1) / 2
    along, across = at * cos + at[:, None] * sin, at[:, None] * cos - at * sin
    cos, sin = cos.abs(), sin.abs()
    half = WIDTH / 2 * torch.maximum(cos, sin)
    covered = _below(across + half, cos, sin) - _below(across - half, cos, sin)
    covered = covered * (_below(along, cos, sin) - _below(along - (size / 2 - 1), cos, sin))
    return (2 * covered - 1).clamp(-1, 1).to(angles.dtype)[:, None]


def _below(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Share of a pixel on one side of a straight edge, t from its centre: its shadow on the edge's normal is the sum of two
    uniform variables on intervals of lengths a and b."""
    long, short = torch.maximum(a, b), torch.minimum(a, b)
    slope = ((t + (long + short) / 2).relu().square() - (t + (long - short) / 2).relu().square()) / 2
    slope = slope - ((t - (long - short) / 2).relu().square() - (t - (long + short) / 2).relu().square()) / 2
    straight = (t / long + 0.5).clamp(0, 1)
    return torch.where(short < _LEAST, straight, slope / (long * short).clamp_min(_LEAST / 2))
