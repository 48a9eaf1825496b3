r"""Pictures of one line from the center at a random angle, and how real and even interpolations
between them are.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders
    via an adversarial
    regularizer", ICLR 2019, section 3.1    [berthelot2019]

==========  ============================================================
symbol      here
==========  ============================================================
θ           ``angles``, from the first axis to the right toward the bottom
u, n        direction (cos θ, sin θ) of the line, and its normal
L           `length`, half the side less a pixel, so that no end touches the border
w           `WIDTH`, measured along the rows or columns that the line crosses, whichever it crosses
            more of
x̂_n         the n-th of N pictures on the path, n = 1 … N
D           the dictionary: lines at `ANGLES` equal steps of angle, θ_q that of line D_q
q*_n        the line of least cosine distance to x̂_n, over the pixels in [−1, 1]
==========  ============================================================

Center, length and width are the reference implementation's, on whose pictures the published figures
were measured; anti-aliasing is by the share of a pixel that the line covers. Interpolations are
measured against every line there is.
"""

from __future__ import annotations

from functools import lru_cache
from math import nan, pi

import torch
from torch import Tensor
from torch.nn.functional import normalize

from monge.data.datasets import InfiniteDataset
from monge.data.evaluators import IMAGE_EVALUATORS
from monge.data.kinds import Images
from monge.data.subject import Subject
from monge.methods.protocols import Autoencoding
from monge.metrics import Measured, Measures, Metric, evaluator
from monge.nets import Autoencoder

LINES = {"lines32": 32}
_PATHS, _STEPS = 256, 16  # as many as in the reference implementation
WIDTH = 2.0
_LEAST = 1e-3  # side of a pixel's shadow that is taken for 0

DISTANCE = Metric(
    "lines_mean_distance", "distance to real lines", 2, "low", "‰", 1000, table="lines off, ‰"
)
SMOOTHNESS = Metric("lines_smoothness", "smoothness of the turn", 2, "low", table="smoothness")
ANGLES = 10_000
_STILL = 1e-4  # radians; a path whose ends are nearer than this has no smoothness
_BLOCK = 1024


def lines(name: str) -> InfiniteDataset:
    """The stream of lines at angles uniform in [0, 2π), of the size that belongs to a name of
    `LINES`.

    >>> lines("lines32").train(3).shape
    torch.Size([3, 1, 32, 32])
    """
    size = LINES[name]

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return draw_lines(2 * pi * torch.rand(n, generator=rng), size)

    return InfiniteDataset(
        name, (1, size, size), draw, Images((*IMAGE_EVALUATORS, interpolated_lines))
    )


def draw_lines(angles: Tensor, size: int = 32) -> Tensor:
    r"""Black pictures in which one white line leads from the center toward each angle.

    A pixel at p, from the center, has the value :math:`2 s(\langle p, n \rangle; -b, b)\, s(\langle
    p, u \rangle; 0, L) - 1` with :math:`2b = w \max(|\cos θ|, |\sin θ|)` and s(t; l, r) the share
    of the pixel's area whose coordinate is between l and r: exact along the line, and at its two
    ends but for the corners. Angles (n,) are in radians; computed in double precision, the pictures
    (n, 1, size, size) have their dtype. ValueError for a ``size`` of less than 4 pixels.

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
    """Share of a pixel on one side of a straight edge, t from its center: its shadow on the edge's
    normal is the sum of two uniform variables on intervals of lengths a and b.
    """
    long, short = torch.maximum(a, b), torch.minimum(a, b)
    slope = (
        (t + (long + short) / 2).relu().square() - (t + (long - short) / 2).relu().square()
    ) / 2
    slope = (
        slope
        - ((t - (long - short) / 2).relu().square() - (t - (long + short) / 2).relu().square()) / 2
    )
    straight = (t / long + 0.5).clamp(0, 1)
    return torch.where(short < _LEAST, straight, slope / (long * short).clamp_min(_LEAST / 2))


@evaluator(DISTANCE, SMOOTHNESS)
def interpolated_lines(subject: Subject) -> Measures:
    """Interpolations between held-out lines, linear in code space."""
    if not isinstance(subject.method, Autoencoding):
        return {}
    return line_quality(
        decoded_paths(
            subject.method.autoencoder, subject.data.held_out(2 * _PATHS, subject.config.seed)
        )
    )


@torch.no_grad()
def decoded_paths(autoencoder: Autoencoder, ends: Tensor, steps: int = _STEPS) -> Tensor:
    """Decoded straight paths (m, steps, ...) from the codes of the first m of 2m samples to those
    of the others.
    """
    like = next(autoencoder.parameters())
    start, end = autoencoder.encode(ends.to(like)).chunk(2)
    at = torch.linspace(0, 1, steps).to(start)[:, None, None]
    return torch.stack([autoencoder.decode(torch.lerp(start, end, t)) for t in at], 1)


def line_quality(paths: Tensor) -> Measures:
    r"""`DISTANCE` and `SMOOTHNESS` of interpolations, the two metrics of ACAI; 0 is best for both.

    .. math::

        \text{mean distance} = \frac1N \sum_n \min_q \Bigl(1 - \frac{\langle \hat x_n, D_q
        \rangle}{|\hat x_n| |D_q|}\Bigr), \qquad \text{smoothness} = \frac{\max_n
        |\theta_{q^*_{n+1}} - \theta_{q^*_n}|}{|\theta_{q^*_1} - \theta_{q^*_N}|} - \frac{1}{N - 1}

    with angles unwound along the path, so that no step is longer than π. Both are averaged over the
    paths. A turn at constant speed has smoothness 0, a single jump 1 − 1/(N − 1), and a path that
    turns back may have more. Paths that end at the angle where they began have no smoothness and
    are left out of its mean; it is NaN when there are no others. ``paths`` are m interpolations of
    N ≥ 2 square pictures, ends included, (m, N, 1, size, size); ValueError for other shapes.

    >>> turn = draw_lines(torch.linspace(0, 1, 5), 16)[None]
    >>> found = line_quality(turn)
    >>> found[DISTANCE].value < 1e-6, abs(found[SMOOTHNESS].value) < 1e-3
    (True, True)
    """
    if (
        paths.ndim != 5
        or paths.shape[2] != 1
        or paths.shape[3] != paths.shape[4]
        or paths.shape[1] < 2
        or not len(paths)
    ):
        raise ValueError(
            f"paths must be (m, N, 1, size, size) with N of at least 2, got {tuple(paths.shape)}"
        )
    distance, angle = nearest_lines(paths.flatten(0, 1))
    return {
        DISTANCE: Measured(distance.mean().item()),
        SMOOTHNESS: Measured(smoothness(angle.reshape(paths.shape[:2]))),
    }


def nearest_lines(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine distance (n,) to the nearest line of the dictionary, and that line's angle (n,), of
    pictures (n, 1, size, size).

    >>> distance, angle = nearest_lines(draw_lines(torch.tensor([1.0]), 16))
    >>> round(angle.item(), 2)
    1.0
    """
    every = _dictionary(pictures.shape[-1])
    found = [
        (normalize(block.flatten(1), dim=1) @ every.T).max(1)
        for block in pictures.float().cpu().split(_BLOCK)
    ]
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
    """Every line, normalized, (ANGLES, size²); 40 MB for 32×32."""
    return torch.cat(
        [
            normalize(draw_lines(part, size).flatten(1), dim=1).float()
            for part in _angles().split(500)
        ]
    )
