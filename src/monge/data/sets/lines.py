r"""Pictures of one line at a random angle, and metrics of interpolations between them.

    Berthelot, Raffel, Roy, Goodfellow, "Understanding and improving interpolation in autoencoders
        via an adversarial regularizer", ICLR 2019, section 3.1   [berthelot2019]

======  ===================================================================================
symbol  here
======  ===================================================================================
θ       ``angles``, measured from the right toward the bottom
u, n    direction (cos θ, sin θ) of the line, and its normal
L       length of the line: half the side minus one pixel, so that no end touches the border
w       `WIDTH`, measured along the rows or the columns, whichever the line crosses more of
x̂_n     the n-th of N pictures on the path, n = 1 … N
D       dictionary of the lines D_q at `ANGLES` equally spaced angles θ_q
q*_n    index of the line with the smallest cosine distance to x̂_n, over pixels in [−1, 1]
======  ===================================================================================

Center, length and width are those of the reference implementation, on whose pictures the published
values were measured. Anti-aliasing is by the share of a pixel that the line covers. Interpolations
are compared with every line of the dictionary.
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
_LEAST = 1e-3  # projected side of a pixel that counts as 0

DISTANCE = Metric(
    "lines_mean_distance", "distance to real lines", 2, "low", "‰", 1000, table="lines off, ‰"
)
SMOOTHNESS = Metric("lines_smoothness", "smoothness of the turn", 2, "low", table="smoothness")
ANGLES = 10_000
_STILL = 1e-4  # radians; the smoothness of a path with a smaller total turn is undefined
_BLOCK = 1024


def lines(name: str) -> InfiniteDataset:
    """Return the data set of a name in `LINES`: lines at angles uniform in [0, 2π).

    >>> lines("lines32").train(3).shape
    torch.Size([3, 1, 32, 32])
    """
    size = LINES[name]

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return draw_lines(2 * pi * torch.rand(n, generator=rng), size)

    kind = Images((*IMAGE_EVALUATORS, interpolated_lines))
    return InfiniteDataset(name, (1, size, size), draw, kind)


def draw_lines(angles: Tensor, size: int = 32) -> Tensor:
    r"""Draw black pictures with one white line from the center, at angles (n,) in radians.

    .. math:: 2\, s(\langle p, n \rangle; -b, b)\, s(\langle p, u \rangle; 0, L) - 1,
        \qquad 2b = w \max(|\cos θ|, |\sin θ|)

    is the value of the pixel at p, relative to the center, where s(t; l, r) is the share of the
    pixel's area with a coordinate between l and r. It is exact along the line and at its two ends,
    except for the corners. The pictures (n, 1, size, size) are computed in double precision and
    have the dtype of the angles. ValueError if ``size`` is less than 4 pixels.

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
    p = torch.arange(size, dtype=torch.float64, device=angles.device) - (size - 1) / 2
    along, across = p * cos + p[:, None] * sin, p[:, None] * cos - p * sin
    cos, sin = cos.abs(), sin.abs()
    half = WIDTH / 2 * torch.maximum(cos, sin)
    covered = _share_below(across + half, cos, sin) - _share_below(across - half, cos, sin)
    length = size / 2 - 1
    covered = covered * (_share_below(along, cos, sin) - _share_below(along - length, cos, sin))
    return (2 * covered - 1).clamp(-1, 1).to(angles.dtype)[:, None]


def _share_below(t: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the share of a pixel on one side of a straight edge at distance t from its center.

    Projected onto the normal of the edge, the pixel is the sum of two uniform variables on
    intervals of lengths a and b; the share is their distribution function.
    """
    long, short = torch.maximum(a, b), torch.minimum(a, b)
    outer, inner = (long + short) / 2, (long - short) / 2
    area = ((t + outer).relu().square() - (t + inner).relu().square()) / 2
    area = area - ((t - inner).relu().square() - (t - outer).relu().square()) / 2
    straight = (t / long + 0.5).clamp(0, 1)
    return torch.where(short < _LEAST, straight, area / (long * short).clamp_min(_LEAST / 2))


@evaluator(DISTANCE, SMOOTHNESS)
def interpolated_lines(subject: Subject) -> Measures:
    """Measure interpolations between held-out lines, linear in code space."""
    if not isinstance(subject.method, Autoencoding):
        return {}
    ends = subject.data.held_out(2 * _PATHS, subject.config.seed)
    return line_quality(decoded_paths(subject.method.autoencoder, ends))


@torch.no_grad()
def decoded_paths(autoencoder: Autoencoder, ends: Tensor, steps: int = _STEPS) -> Tensor:
    """Decode straight paths between codes, (m, steps, ...).

    Each path begins at the code of one of the first m of 2m samples, and ends at that of one of
    the others.
    """
    like = next(autoencoder.parameters())
    start, end = autoencoder.encode(ends.to(like)).chunk(2)
    times = torch.linspace(0, 1, steps).to(start)[:, None, None]
    return torch.stack([autoencoder.decode(torch.lerp(start, end, t)) for t in times], 1)


def line_quality(paths: Tensor) -> Measures:
    r"""Compute `DISTANCE` and `SMOOTHNESS` of interpolations, the metrics of ACAI; 0 is best.

    .. math::

        \text{mean distance} &= \frac1N \sum_n \min_q \Bigl(
            1 - \frac{\langle \hat x_n, D_q \rangle}{|\hat x_n| |D_q|}\Bigr) \\
        \text{smoothness} &= \frac{\max_n |\theta_{q^*_{n+1}} - \theta_{q^*_n}|}
            {|\theta_{q^*_1} - \theta_{q^*_N}|} - \frac{1}{N - 1}

    with angles unwrapped along the path, so that no step is longer than π. Both are averaged over
    the paths. A turn at constant speed has smoothness 0, a single jump 1 − 1/(N − 1), and a path
    that turns back may have more. The smoothness is undefined for paths that end at the angle where
    they began: they are left out of the mean, which is NaN if there are no others. ``paths`` are m
    interpolations of N ≥ 2 square pictures, ends included, (m, N, 1, size, size); ValueError for
    other shapes.

    >>> turn = draw_lines(torch.linspace(0, 1, 5), 16)[None]
    >>> quality = line_quality(turn)
    >>> quality[DISTANCE].value < 1e-6, abs(quality[SMOOTHNESS].value) < 1e-3
    (True, True)
    """
    square = paths.ndim == 5 and paths.shape[2] == 1 and paths.shape[3] == paths.shape[4]
    if not square or paths.shape[1] < 2 or not len(paths):
        raise ValueError(
            f"paths must be (m, N, 1, size, size) with N of at least 2, got {tuple(paths.shape)}"
        )
    distance, angle = nearest_lines(paths.flatten(0, 1))
    return {
        DISTANCE: Measured(distance.mean().item()),
        SMOOTHNESS: Measured(smoothness(angle.reshape(paths.shape[:2]))),
    }


def nearest_lines(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosine distance (n,) of pictures to the nearest line, and the line's angle (n,).

    Pictures are (n, 1, size, size); the lines are those of the dictionary.

    >>> distance, angle = nearest_lines(draw_lines(torch.tensor([1.0]), 16))
    >>> round(angle.item(), 2)
    1.0
    """
    D = _dictionary(pictures.shape[-1])
    blocks = pictures.float().cpu().split(_BLOCK)
    matches = [(normalize(block.flatten(1), dim=1) @ D.T).max(1) for block in blocks]
    cosine, index = torch.cat([m.values for m in matches]), torch.cat([m.indices for m in matches])
    return (1 - cosine).clamp_min(0), _angles()[index]


def smoothness(angles: Tensor) -> float:
    """Return the mean smoothness of angles (m, N), see `line_quality`; NaN if no path turns.

    >>> smoothness(torch.tensor([[0.0, 0.0, 0.0, 0.0, 3.0]]))
    0.75
    """
    turns = (angles.double().diff(dim=1) + pi).remainder(2 * pi) - pi
    whole = turns.sum(1).abs()
    defined = whole >= _STILL
    if not defined.any():
        return nan
    return (turns.abs().amax(1)[defined] / whole[defined]).mean().item() - 1 / turns.shape[1]


def _angles() -> Tensor:
    return torch.arange(ANGLES, dtype=torch.float64) * (2 * pi / ANGLES)


@lru_cache(maxsize=2)
def _dictionary(size: int) -> Tensor:
    """Return all normalized lines (ANGLES, size²); 40 MB for 32×32."""
    blocks = (draw_lines(angles, size).flatten(1) for angles in _angles().split(500))
    return torch.cat([normalize(block, dim=1).float() for block in blocks])
